"""Lay out what share of a gain survives at a longer budget."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoresearch.report.blocks import Block, Heading, Paragraph, Table
from autoresearch.report.format import percent
from autoresearch.text import one_line

if TYPE_CHECKING:  # not at run time: other commands do not import numpy
    from autoresearch.analysis.summary import SessionSummary
    from autoresearch.analysis.transfer import Transfer, VersionGain

WHAT_CHARS = 120
NOT_CLEAR = "not clear"


def layout(result: "Transfer") -> Iterator[Block]:
    """Lay out a transfer: the whole gain, that of each keep, and what shrinks."""
    head = ["n", "against", f"at {result.budget}", f"at {result.longer}", "survives", "what"]
    steps = [*result.keeps, result.whole]
    rows = [_row(step, "all of it" if step is result.whole and result.keeps else "") for step in steps]
    yield Table(head, rows, frozenset(head[:4]), {"what": 1})
    yield Paragraph([f"{describe(result)}."])
    if result.shrinking:
        yield Paragraph([f"{_shrinking(result)}."], "bad")
    if result.failed:
        yield Paragraph([f"{_failed(result)}."], "bad")


def overview(summary: "SessionSummary") -> Iterator[Block]:
    """Lay out the newest transfer of a report."""
    if summary.transfer is not None:
        yield Heading(f"At a longer budget, {summary.transfer.longer}")
        yield from layout(summary.transfer)


def describe(result: "Transfer") -> str:
    """Say what share of the whole gain survives, with its interval."""
    whole, longer = result.whole, result.longer
    pairs = f"experiment {whole.n} against {whole.before}, {result.pairs} seeds"
    if whole.survival is None:
        return f"what survives at {longer} is {NOT_CLEAR}: the gain at {result.budget} is not, on {result.pairs} seeds"
    return f"{survival(whole)} of the gain at {result.budget} survives at {longer} ({pairs})"


def survival(step: "VersionGain") -> str:
    """Return the share that survives, with its interval."""
    found = step.survival
    if found is None:
        return NOT_CLEAR
    return f"{percent(found.share)}, 95 % between {percent(found.low)} and {percent(found.high)},"


def _row(step: "VersionGain", what: str) -> list[str]:
    short, longer = f"{step.short:+.4f} ± {step.short_error:.4f}", f"{step.longer:+.4f} ± {step.longer_error:.4f}"
    share = survival(step).removesuffix(",")
    return [str(step.n), str(step.before), short, longer, share, what or one_line(step.change, WHAT_CHARS)]


def _failed(result: "Transfer") -> str:
    numbers = ", ".join(map(str, result.failed))
    return f"no score, and left out: {numbers} (`autoresearch show N` says why)"


def _shrinking(result: "Transfer") -> str:
    numbers = ", ".join(map(str, result.shrinking))
    return f"over half of the gain of {numbers} is lost at {result.longer}"
