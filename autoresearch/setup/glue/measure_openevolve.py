"""Call `evaluate` of an evaluator of OpenEvolve, and print its score as a line of JSON.

python measure_openevolve.py EVALUATOR PROGRAM [SEED]
"""

import asyncio
import importlib
import importlib.util
import inspect
import json
import math
import os
import random
import sys
import types
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any


class EvaluationResult:
    """Stand in for the class of OpenEvolve where that is not installed."""

    def __init__(self, metrics: Mapping[str, Any], artifacts: object = None) -> None:
        self.metrics, self.artifacts = metrics, artifacts or {}


def stand_in() -> None:
    """Let evaluators import `EvaluationResult` without OpenEvolve."""
    if importlib.util.find_spec("openevolve") is None:
        package, module = types.ModuleType("openevolve"), types.ModuleType("openevolve.evaluation_result")
        vars(package).update(EvaluationResult=EvaluationResult, evaluation_result=module)
        vars(module).update(EvaluationResult=EvaluationResult)
        sys.modules.update({"openevolve": package, "openevolve.evaluation_result": module})


def seed_generators(seed: int) -> None:
    """Seed Python's generator, and that of numpy if it is installed."""
    random.seed(seed)
    if importlib.util.find_spec("numpy") is not None:
        importlib.import_module("numpy").random.seed(seed % 2**32)


async def wait_for(result: Awaitable[Any]) -> Any:
    return await result


def score_of(metrics: Mapping[str, Any]) -> float:
    """Return `combined_score`, else the mean of all numbers. Ends the process where the evaluator names an error."""
    if error := metrics.get("error"):
        sys.exit(f"the evaluator failed: {error}")
    if "combined_score" in metrics:
        return float(metrics["combined_score"])
    numbers = [float(each) for each in metrics.values() if isinstance(each, (int, float)) and math.isfinite(each)]
    if not numbers:
        sys.exit("the evaluator returned no number")
    return sum(numbers) / len(numbers)


def main(evaluator: str, program: str, seed: str = "0") -> None:
    stand_in()
    path, program = Path(evaluator).resolve(), str(Path(program).resolve())
    sys.path.insert(0, str(path.parent))
    module = importlib.import_module(path.stem)
    seed_generators(int(seed))
    result = module.evaluate(program)
    result = asyncio.run(wait_for(result)) if inspect.isawaitable(result) else result
    print(json.dumps({"combined_score": score_of(getattr(result, "metrics", result))}), flush=True)
    os._exit(0)  # threads of a program that ran out of its time would keep the process alive


if __name__ == "__main__":
    main(*sys.argv[1:])
