"""Lay out experiments as a table, with columns by name."""

from collections.abc import Callable, Iterator, Sequence

from autoresearch.ledger.queries import ExperimentRow
from autoresearch.ledger.rows import FROM_ARCHIVE, UNSCORED
from autoresearch.ledger.statements import describe_odds
from autoresearch.ledger.unmeasured import describe_unmeasured
from autoresearch.report.blocks import Block, Paragraph, Ref, Table, Toned, Verbatim
from autoresearch.report.format import dollars, duration, score_label, short_count, tone, verdict
from autoresearch.text import one_line

Cell = Callable[[ExperimentRow], str]

LOG = ("n", "commit", "score", "change", "sigmas", "verdict", "review", "agent", "cost", "lines", "params", "what")
RANKS = {"sigmas": 1, "score": 2, "change": 3, "agent": 4, "lines": 5, "cost": 6, "params": 7, "review": 8}
NUMBERS = frozenset({"n", "score", "change", "cost", "lines", "params", "lasted", "predicted", "odds", "trials"})


def table(rows: Sequence[ExperimentRow], names: Sequence[str], most: int | None = None, **more: Cell) -> Table:
    """Lay out the columns `names` without empty ones; `what` has at most `most` characters, `score` is the metric.

    Columns in `more` are in addition to `COLUMNS`.
    """
    what = (lambda row: row.hypothesis) if "why" in names else _what
    cells = {**COLUMNS, "what": lambda row: one_line(what(row), most), **more}
    columns = {name: [cells[name](row) for row in rows] for name in names}
    columns = {name: column for name, column in columns.items() if any(column) or not rows}
    score = label_of(rows, *more)
    head = [score if name == "score" else name for name in columns]
    ranks = {score if name == "score" else name: rank for name, rank in RANKS.items()}
    return Table(head, list(zip(*columns.values(), strict=True)), NUMBERS | {score}, ranks)


def label_of(rows: Sequence[ExperimentRow], *more: str) -> str:
    """Return the name of the column `score`."""
    return score_label((*COLUMNS, *more), rows[0].metric) if rows else "score"


def log(
    rows: Sequence[ExperimentRow], shown: Sequence[ExperimentRow] | None = None, empty: str = ""
) -> Iterator[Block]:
    """Lay out `shown`, by default the keeps, after warnings of suspects and weak grades.

    Those among `shown` that were never measured are only named at the end. `empty` is the text if there is nothing to
    show.
    """
    if suspects := [str(row.n) for row in rows if row.verdict == "suspect"]:
        words = f"suspect: {', '.join(suspects)}: their scores could not be confirmed; read them: `autoresearch show N`"
        yield Paragraph([words], "bad")
    if demoted := [str(row.n) for row in rows if row.found_later]:
        yield Paragraph([f"of these, {', '.join(demoted)} had been kept: exports made before may contain them"], "bad")
    if any(row.grade == "WEAK" for row in rows):
        words = "grade WEAK: not everything was protected when these were measured; see `autoresearch doctor`"
        yield Paragraph([words], "warn")
    shown = [row for row in rows if row.verdict == "keep"] if shown is None else shown
    dropped = describe_unmeasured(rows) if any(row.unmeasured for row in shown) else ""
    if shown := [row for row in shown if not row.unmeasured]:
        yield table(shown, LOG)
    elif not dropped:
        yield Paragraph([empty or "nothing was kept yet: --all lists all experiments"], "large")
    if dropped:
        yield Paragraph([dropped], "quiet")


def _what(row: ExperimentRow) -> str:
    """Return the hypothesis, after the parent that the session chose, and the reason why there is no score."""
    scoreless = row.verdict in UNSCORED or row.unmeasured or row.stopped
    origin = f"from {row.parent}: " if row.mode in FROM_ARCHIVE else ""
    what, why = origin + one_line(row.hypothesis), one_line(row.reason) if scoreless else ""
    return " | ".join(filter(None, (what, "" if why in what else why)))


def _change(row: ExperimentRow) -> str:
    return "" if row.delta is None else Toned(row.metric.change(row.delta), "good" if row.delta < 0 else "")


def _sigmas(row: ExperimentRow) -> str:
    """Return the change in standard deviations of one trial, plus or minus one standard error."""
    if row.delta is None or not row.sigma:
        return ""
    error = "" if row.error is None else f"±{row.error / row.sigma:.1f}"
    return Toned(f"{row.metric.sigmas(row.delta / row.sigma)}{error}", "good" if row.delta < 0 else "")


def _tone(row: ExperimentRow) -> str:
    return "quiet" if row.unmeasured else "warn" if row.near_miss else tone(row.verdict)


COLUMNS: dict[str, Cell] = {
    "n": lambda row: Ref(row.n),
    "commit": lambda row: Verbatim((row.sha or "")[:7]),
    "score": lambda row: "-" if row.val_bpb is None else row.metric.score(row.val_bpb),
    "change": _change,
    "sigmas": _sigmas,
    "verdict": lambda row: Toned(verdict(row), _tone(row)),
    "review": lambda row: Toned(row.review, "good" if row.review == "accepted" else "bad") if row.review else "",
    "agent": lambda row: one_line(row.arm)[:24] or one_line(row.agent)[:16] or ("-" if row.n else "base"),
    "category": lambda row: one_line(row.category, 30),
    "cost": lambda row: dollars(row.cost_usd) if row.cost_usd else "",
    "lines": lambda row: f"+{row.lines_added} -{row.lines_removed}" if row.lines_added or row.lines_removed else "",
    "params": lambda row: short_count(row.params_added) if row.params_added else "",
    "lasted": lambda row: duration(row.seconds),
    "predicted": lambda row: "" if row.predicted is None else row.metric.change(row.predicted),
    "odds": lambda row: "" if row.p_gain is None else describe_odds(row.p_gain),
    "trials": lambda row: str(row.trials),
    "why": lambda row: one_line(row.reason, 300),
}
