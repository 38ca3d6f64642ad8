"""The status of a made-up session."""

from datetime import datetime

from autoresearch.hardware import EVALUATOR
from autoresearch.ledger import SessionStatus

STATUS = SessionStatus(
    tag="t", branch="autoresearch/t", started_from=None, evaluator=EVALUATOR, state="running", stop_reason=None,
    error=None, agent="sweep", judge="default", budget="300s", grade="STRONG", experiments=0, kept=0, simpler=0,
    unmeasured=0, reviews={"accepted": 0, "rejected": 0}, verdicts={}, base_bpb=None, sigma=None, best=None,
    best_bpb=None, best_sha=None, total=None, target=None, started=None, deadline=None, ended=None, cost_usd=0.0,
    unpriced=[], trial=None, seconds=0.0, slots=1, lost=0, drift=None,
    time_split={"train": 0.0, "score": 0.0, "setup": 0.0, "agent_wait": 0.0, "idle": 0.0},
)  # fmt: skip
NOW = datetime(2026, 11, 21, 22, 0).timestamp()
