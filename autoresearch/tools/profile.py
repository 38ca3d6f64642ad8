"""`profile`: say where the time of a version's training step goes."""

from autoresearch.text import plausible
from autoresearch.tools.wording import Vocabulary, number, percent, seconds
from autoresearch.tools.workbench import ToolError, Workbench

TRAIN_S = 2.0  # of CPU time; the last part of it is profiled


def profile(bench: Workbench, source: str, seed: int, limit_s: float | None = None) -> str:
    """Return the functions or operators that take most of a step. Raises ToolError."""
    with bench.run("profile", source, seed, limit_s, {"seconds": TRAIN_S}) as run:
        message = run.receive("result")
        message.close()
    vocabulary = Vocabulary(source, bench.private)
    facts, rows = message.fields, message.fields.get("rows")
    whole = plausible(facts.get("whole"))
    if not whole or not isinstance(rows, list):
        raise ToolError("", "no step was seen: the loop has to read trial.progress between its steps")
    unit = "operator" if facts.get("unit") == "operator" else "function"
    lines = [f"a step takes {seconds(facts.get('step'))} without the profiler; time by {unit}, without what it calls:"]
    lines += [_line(row, whole, vocabulary) for row in rows if isinstance(row, list) and len(row) == 3]
    return "\n".join(lines)


def _line(row: list[object], whole: float, vocabulary: Vocabulary) -> str:
    name, spent, calls = row
    share = (plausible(spent) or 0.0) / whole
    return f"{percent(share, '5.1f')}  {number(calls, '.0f')} calls  {vocabulary.name(name)}"
