"""The Python that runs a user's commands: where it is, what is installed in it, and what a cell needs to run it."""

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from autoresearch.errors import UserError
from autoresearch.text import last_lines

TIMEOUT_S = 60.0  # to list its packages
MAX_REASON_CHARS = 200
PROGRAM = """
import importlib.metadata, json, sys
found = importlib.metadata.distributions()
packages = sorted({f"{each.metadata['Name']}=={each.version}" for each in found})
folders = [sys.prefix, sys.base_prefix, sys.exec_prefix, *(path for path in sys.path if path.endswith("-packages"))]
print(json.dumps({"version": sys.version, "packages": packages, "folders": sorted({*folders})}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python by its path, with its version and its packages as `name==version`."""

    path: Path
    version: str
    packages: tuple[str, ...]
    folders: tuple[Path, ...]  # that a cell has to read

    @classmethod
    def read(cls, path: Path) -> "Interpreter":
        """Ask a Python. Raises UserError if it cannot be run."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        try:
            told = subprocess.run(
                [path, "-I", "-B", "-c", PROGRAM], capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
            )
            facts = json.loads(told.stdout)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{path}, the Python of the commands, cannot be run: {error}") from None
        except ValueError:
            words = "".join(last_lines(told.stderr.decode(errors="replace"), 1, MAX_REASON_CHARS))
            raise UserError(f"{path}, the Python of the commands, does not list its packages: {words}") from None
        return cls(path, facts["version"], tuple(facts["packages"]), tuple(map(Path, facts["folders"])))

    @property
    def hash(self) -> str:
        """Return the hash of version and packages."""
        return hashlib.sha256("\n".join([self.version, *self.packages]).encode()).hexdigest()[:16]

    def describe(self) -> str:
        return f"Python {self.version.split()[0]}, {len(self.packages)} packages ({self.hash[:8]})"
