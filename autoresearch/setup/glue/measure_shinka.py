"""Run an evaluator of ShinkaEvolve, and print its score as a line of JSON.

python measure_shinka.py EVALUATOR PROGRAM [SEED]

The evaluator leaves `metrics.json` and `correct.json` in a folder of results. A version that is not correct has no
score.
"""

import importlib
import importlib.util
import json
import random
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


def load(path: str) -> types.ModuleType:
    """Import a file by its path, with its folder on the path of modules."""
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(Path(path).stem)


def run_shinka_eval(
    program_path: str,
    results_dir: str,
    experiment_fn_name: str,
    num_runs: int,
    get_experiment_kwargs: Callable[[int], dict[str, Any]] | None = None,
    aggregate_metrics_fn: Callable[[list[Any]], dict[str, Any]] | None = None,
    validate_fn: Callable[[Any], tuple[bool, str | None]] | None = None,
    **_: object,
) -> tuple[dict[str, Any], bool, str | None]:
    """Stand in for the function of ShinkaEvolve where that is not installed: run, check, add up, write."""
    experiment = getattr(load(program_path), experiment_fn_name)
    results, error = [], None
    for k in range(num_runs):
        results.append(experiment(**(get_experiment_kwargs(k) if get_experiment_kwargs else {})))
        is_valid, words = validate_fn(results[-1]) if validate_fn else (True, None)
        error = error or (None if is_valid else str(words))
    metrics = aggregate_metrics_fn(results) if aggregate_metrics_fn else {"combined_score": results[0]}
    folder = Path(results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics, default=str))
    (folder / "correct.json").write_text(json.dumps({"correct": error is None, "error": error}))
    return metrics, error is None, error


def stand_in() -> None:
    """Let evaluators import `run_shinka_eval` without ShinkaEvolve."""
    if importlib.util.find_spec("shinka") is None:
        package, module = types.ModuleType("shinka"), types.ModuleType("shinka.core")
        vars(module).update(run_shinka_eval=run_shinka_eval)
        vars(package).update(core=module)
        sys.modules.update({"shinka": package, "shinka.core": module})


def seed_generators(seed: int) -> None:
    """Seed Python's generator, and that of numpy if it is installed."""
    random.seed(seed)
    if importlib.util.find_spec("numpy") is not None:
        importlib.import_module("numpy").random.seed(seed % 2**32)


def main(evaluator: str, program: str, seed: str = "0") -> None:
    stand_in()
    module = load(evaluator)
    seed_generators(int(seed))
    with tempfile.TemporaryDirectory() as results:
        module.main(program, results)
        correct = json.loads(Path(results, "correct.json").read_text())
        metrics = json.loads(Path(results, "metrics.json").read_text())
    if not correct.get("correct"):
        sys.exit(f"the evaluator refused it: {correct.get('error')}")
    print(json.dumps({"combined_score": float(metrics["combined_score"])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
