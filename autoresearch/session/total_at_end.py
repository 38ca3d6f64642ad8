"""The honest total at the end of a session."""

from dataclasses import asdict

from autoresearch.analysis import total
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.data.dataset import Dataset
from autoresearch.errors import describe_error
from autoresearch.hardware import CardMemory
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.measure.referee import Referee
from autoresearch.measure.result import Progress
from autoresearch.session.context import SessionContext
from autoresearch.session.demotion import demote_suspects
from autoresearch.session.events import LedgerEvent, TrialProgress
from autoresearch.session.stopping import Interrupted, Limits


def measure_at_end(
    context: SessionContext, data: Dataset | CommandSpec, limits: Limits, referee: Referee, pairs: int, card: CardMemory
) -> None:
    """Measure the honest total; if that fails in any way, the session still ends well.

    Ctrl-C or a `stop` leaves it out after the running trial. The referee is closed.
    """

    def watch(n: int, progress: Progress) -> None:
        context.notify(TrialProgress(n, "total", progress))

    def is_wait_over() -> bool:
        return limits.interrupted or context.ledger.has_message(context.id, "stop")

    def check() -> None:
        if limits.interrupted or context.ledger.take(context.id, "stop"):
            raise Interrupted("left out: `autoresearch total` measures it")

    seconds = pairs * total.seconds_of_pair(context.ledger, context.row)
    words = f"{2 * pairs} trials of base and final version, about {seconds / 60:.0f} min"
    context.notify(LedgerEvent("total", None, f"{words}; Ctrl-C leaves it out"))
    calls = watch, check, is_wait_over
    remeasurer = Remeasurer(context.ledger, context.row, context.workspace, referee, data, card, *calls)
    try:
        result = total.measure_total(remeasurer, pairs)
    except Interrupted as left_out:
        context.notify(LedgerEvent("total", None, str(left_out)))
        return
    except Exception as error:
        context.emit("total failed", None, describe_error(error))
        demote_suspects(context)
        return
    finally:
        referee.close()
    metric = context.row.metric
    mean, low, high = (metric.change(value) for value in (result.val.mean, result.val.low, result.val.high))
    words = f"{metric.with_unit(mean)}, between {low} and {high}"
    context.emit("total", None, words, **asdict(result))
