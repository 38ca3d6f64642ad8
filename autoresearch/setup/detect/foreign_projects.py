"""Projects that were set up for other programs that search for better versions."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

import yaml

from autoresearch.files import JsonObject
from autoresearch.setup.detect.local_imports import is_test
from autoresearch.setup.detect.printed_numbers import goal_of, line_number
from autoresearch.setup.detect.repository_texts import RepositoryTexts, beside, folder_of
from autoresearch.setup.glue_files import GLUE, glue_file
from autoresearch.setup.triplet import Goal, Number, Triplet

MAX_TASK_CHARS = 8000
EVOLVED = "EVOLVE-BLOCK"
PROSE = (".md", ".txt", ".yaml", ".yml")
_PI_LINE = re.compile(r"METRIC\s+([\w.]+)=")
_PI_PRIMARY = re.compile(r"\*\*Primary\*\*:?\s*:?\s*`?([\w.]+)`?([^\n]*)")


def find_pi(texts: RepositoryTexts) -> Triplet | None:
    """Recognise a project of pi-autoresearch, whose script prints `METRIC name=value`."""
    script = next((path for path in (".auto/measure.sh", "autoresearch.sh") if path in texts.files), None)
    if script is None:
        return None
    prompt = texts.files.get(".auto/prompt.md") or texts.files.get("autoresearch.md", "")
    checks = next((path for path in (".auto/checks.sh", "autoresearch.checks.sh") if path in texts.files), None)
    return Triplet(
        kind="pi-autoresearch",
        why=f"{script} prints METRIC name=value",
        edit=tuple(_paths_in_scope(texts, prompt)) or _sources(texts),
        command=f"bash {script}",
        number=_pi_number(texts, script, prompt),
        guard=f"bash {checks}" if checks else None,
        task=prompt[:MAX_TASK_CHARS],
    )


def _pi_number(texts: RepositoryTexts, script: str, prompt: str) -> Number | None:
    """Return the primary metric: as the log names it, the prompt, or the script if it prints one."""
    logs = [texts.files.get(path, "") for path in (".auto/log.jsonl", "autoresearch.jsonl")]
    configs = [entry for log in logs for entry in _json_lines(log) if entry.get("metricName")]
    if configs:
        goal: Goal = "max" if configs[-1].get("bestDirection") == "higher" else "min"
        return _pi_metric(str(configs[-1]["metricName"]), goal)
    if match := _PI_PRIMARY.search(prompt):
        return _pi_metric(match[1], "max" if "higher" in match[2] else "min")
    names = list(dict.fromkeys(_PI_LINE.findall(texts.files[script])))
    return _pi_metric(names[0], goal_of(names[0]) or "min") if len(names) == 1 else None


def _pi_metric(name: str, goal: Goal) -> Number:
    return Number(line_number(name).name, goal, regex=rf"^METRIC\s+{re.escape(name)}=(\S+)")


def _json_lines(text: str) -> Iterator[JsonObject]:
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _paths_in_scope(texts: RepositoryTexts, prompt: str) -> Iterator[str]:
    """Yield the files that a section `Files in Scope` names."""
    section = re.search(r"^#+\s*Files in Scope\s*\n(.*?)(?=^#|\Z)", prompt, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    words = re.findall(r"[\w./-]+", section[1]) if section else []
    yield from dict.fromkeys(word.removeprefix("./") for word in words if word.removeprefix("./") in texts.files)


def _sources(texts: RepositoryTexts) -> tuple[str, ...]:
    """Return the program files of a repository that are no tests."""
    ends = (".py", ".c", ".cpp", ".rs", ".go", ".js", ".ts", ".jl")
    found = [path for path in texts.files if path.endswith(ends) and not is_test(path) and not path.startswith(".")]
    return tuple(sorted(found, key=lambda path: (path.count("/"), path))[:12])


def find_openevolve(texts: RepositoryTexts) -> Triplet | None:
    """Recognise a project of OpenEvolve: an `evaluator.py` with `evaluate(program_path)`, and a first program."""
    for path in texts.named("evaluator.py"):
        program = _first_program(texts, path, "initial_program")
        if program and re.search(r"^(async )?def evaluate\(", texts.files[path], re.MULTILINE):
            return _scored_by_glue(texts, "OpenEvolve", path, program, "measure_openevolve.py")
    return None


def find_shinka(texts: RepositoryTexts) -> Triplet | None:
    """Recognise a project of ShinkaEvolve: an `evaluate.py` with a results folder, and a first program."""
    for path in texts.named("evaluate.py"):
        program = _first_program(texts, path, "initial")
        if program and "results_dir" in texts.files[path] and "program_path" in texts.files[path]:
            return _scored_by_glue(texts, "ShinkaEvolve", path, program, "measure_shinka.py")
    return None


def _first_program(texts: RepositoryTexts, evaluator: str, stem: str) -> str | None:
    """Return the program beside an evaluator that is to be changed: by its name, else by its markers."""
    folder = folder_of(evaluator)
    near = [path for path in texts.in_folder(folder) if folder_of(path) == folder and path != evaluator]
    named = [path for path in near if PurePosixPath(path).stem == stem and texts.files[path]]
    marked = [path for path in near if EVOLVED in texts.files[path] and not path.endswith(PROSE)]
    return next(iter([*named, *marked]), None)


def _scored_by_glue(texts: RepositoryTexts, kind: str, evaluator: str, program: str, glue: str) -> Triplet:
    return Triplet(
        kind=kind,
        why=f"{evaluator} evaluates {program}",
        edit=(program,),
        command=f"python {GLUE}/{glue} {evaluator} {program} {{seed}}",
        number=Number("combined_score", "max", json_path="$.combined_score"),
        timeout_s=_evaluator_timeout(texts, evaluator),
        glue=glue_file(glue),
        task=_system_message(texts, evaluator)[:MAX_TASK_CHARS],
    )


def _config_beside(texts: RepositoryTexts, evaluator: str) -> JsonObject:
    try:
        config = yaml.safe_load(texts.files.get(beside(evaluator, "config.yaml"), ""))
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def _system_message(texts: RepositoryTexts, evaluator: str) -> str:
    prompt = _config_beside(texts, evaluator).get("prompt")
    return str(prompt.get("system_message") or "") if isinstance(prompt, dict) else ""


def _evaluator_timeout(texts: RepositoryTexts, evaluator: str) -> float:
    settings = _config_beside(texts, evaluator).get("evaluator")
    seconds = settings.get("timeout") if isinstance(settings, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 600.0


def find_harbor(texts: RepositoryTexts) -> Triplet | None:
    """Recognise a task of Harbor: a `task.toml` beside `tests/test.sh`, which leaves a reward."""
    for path in texts.named("task.toml"):
        folder = folder_of(path)
        files = _harbor_files(texts, folder)
        if beside(path, "tests/test.sh") in texts.files and files:
            return Triplet(
                kind="Harbor",
                why=f"{path}, and tests that leave a reward",
                edit=files,
                command=f"python {GLUE}/measure_harbor.py {folder or '.'}",
                number=Number("reward", "max", json_path="$.reward"),
                timeout_s=_verifier_timeout(texts.files[path]),
                glue=glue_file("measure_harbor.py"),
                task=texts.files.get(beside(path, "instruction.md"), "")[:MAX_TASK_CHARS],
            )
    return None


def _harbor_files(texts: RepositoryTexts, folder: str) -> tuple[str, ...]:
    """Return the texts of the environment: what an agent finds in its working folder."""
    inside = texts.in_folder(f"{folder}/environment".removeprefix("/"))
    names = ("Dockerfile", "docker-compose.yaml", "docker-compose.yml", ".dockerignore")
    return tuple(path for path in inside if texts.files[path] and PurePosixPath(path).name not in names)


def _verifier_timeout(text: str) -> float:
    try:
        verifier = tomllib.loads(text).get("verifier")
    except tomllib.TOMLDecodeError:
        verifier = None
    seconds = verifier.get("timeout_sec") if isinstance(verifier, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 600.0
