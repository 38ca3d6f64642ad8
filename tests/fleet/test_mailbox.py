"""What a trial on a node says, as its driver finds it."""

from autoresearch.fleet.mailbox import Mailbox, Report
from autoresearch.measure.result import Progress


def test_a_trial_that_is_not_wanted_is_told_so_for_as_long_as_it_runs_and_leaves_nothing() -> None:
    mailbox, report = Mailbox(), Report("node", Progress("train"))
    assert mailbox.report("key", report) is False and mailbox.read("key") == report
    mailbox.end("key")
    mailbox.forget("key")
    assert mailbox.report("key", report) is True and mailbox.read("key") is None
