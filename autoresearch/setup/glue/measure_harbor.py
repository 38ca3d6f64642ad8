"""Run the tests of a task of Harbor without its container, and print the reward as a line of JSON.

    python measure_harbor.py FOLDER

The files of `environment/` become the working folder. The tests are copied, and where they say /app, /tests or
/logs/verifier the copies name folders of this run. What the Dockerfile installs has to be installed here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACES = ("/logs/verifier", "/tests", "/app")


def copy_with_places(source: Path, target: Path, places: dict[str, str]) -> None:
    """Copy a folder, with other places in its texts."""
    shutil.copytree(source, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    pattern = re.compile(rf"(?<![\w.}}/-])({'|'.join(PLACES)})(?![\w-])")
    for path in filter(Path.is_file, target.rglob("*")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        path.write_text(pattern.sub(lambda match: places[match[1]], text), encoding="utf-8")


def read_reward(folder: Path) -> float:
    """Return the reward that the tests left: a number, or an object with `reward` or several numbers."""
    if (path := folder / "reward.txt").exists():
        return float(path.read_text())
    values = json.loads((folder / "reward.json").read_text())
    numbers = [float(each) for each in values.values()]
    return float(values["reward"]) if "reward" in values else sum(numbers) / len(numbers)


def main(task: str) -> None:
    top = Path(tempfile.mkdtemp())
    places = {"/logs/verifier": f"{top}/verifier", "/tests": f"{top}/tests", "/app": f"{top}/app"}
    Path(places["/logs/verifier"]).mkdir()
    copy_with_places(Path(task, "environment"), Path(places["/app"]), places)
    copy_with_places(Path(task, "tests"), Path(places["/tests"]), places)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", f"{places['/tests']}/test.sh"], cwd=places["/app"], env=environment, check=False)
    try:
        print(json.dumps({"reward": read_reward(Path(places["/logs/verifier"]))}))
    except (OSError, ValueError, KeyError, AttributeError, ZeroDivisionError) as error:
        sys.exit(f"the tests left no reward: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
