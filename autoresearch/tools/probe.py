"""`probe`: execute a snippet of a model on the training rows, and return what it prints."""

import re

from autoresearch.source.parsing import parse
from autoresearch.tools.workbench import Workbench

LIMIT_S = 20.0  # of CPU time
MAX_SNIPPET_CHARS = 8_000


def probe(bench: Workbench, source: str, snippet: str, seed: int, limit_s: float = LIMIT_S) -> str:
    """Return what a snippet prints; it may import the version as `train`. Raises ToolError, SyntaxError, ValueError."""
    if not snippet.strip():
        raise ValueError("`code` is missing: `rows` holds the training rows, and what you print comes back")
    if len(snippet) > MAX_SNIPPET_CHARS:
        raise ValueError(f"`code` has {len(snippet)} characters; the most is {MAX_SNIPPET_CHARS}")
    parse(snippet)  # a SyntaxError needs no cell
    uses_train = re.search(r"^\s*(?:import|from)\s+train\b", snippet, re.M) is not None
    with bench.run("probe", source, seed, limit_s, {"snippet": snippet, "uses_train": uses_train}) as run:
        run.receive("result").close()
    return run.printed
