"""The referee of one slot whose trials run on the nodes of a Ray cluster."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from autoresearch.fleet.cluster import first_words
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.mailbox import Report
from autoresearch.fleet.node_command import CommandSource
from autoresearch.fleet.node_data import DataSource
from autoresearch.fleet.orders import TrialAnswer, TrialOrder
from autoresearch.measure.result import NodeLoss, Overhead, Result
from autoresearch.measure.settings import Settings, TrialPlan, Unwanted
from autoresearch.measure.trial_facts import describe_trial

POLL_S = 0.5
RECHECK_S = 5.0  # without a free node, until the nodes that may run the trial are chosen again
START_S = 10.0  # for a free node to begin with a trial
WAIT_WORDS_S = 30.0  # without a free node, until it is said
MAX_WAIT_S = 1800.0  # without a free node: the session ends, and `autoresearch run` goes on with it


class NoNodeError(Exception):
    """No node has begun with a trial for a long time."""


class OtherNodesError(Exception):
    """Other nodes than before may run a trial that no node has begun with."""


@dataclass
class RayReferee:
    """Measure versions on whichever node of the fleet is free. `caches` names the session's compile cache."""

    settings: Settings
    source: DataSource | CommandSource
    fleet: Fleet
    caches: str
    say: Callable[[str], None]

    def describe(self, base: Overhead | None = None) -> list[str]:
        if isinstance(self.source, CommandSource):
            return self.source.spec.describe()
        return describe_trial(self.settings, self.source.data, base)

    def measure(self, source: str, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
        """Measure one version. Never raises for anything that the version does."""
        order = self._order(source, seed, plan)
        while True:
            found = self._attempt(order, plan)
            if isinstance(found, Result):
                return found
            self.fleet.refs(found.lacking, self.source.read)
            order = self._order(source, seed, plan)

    def close(self) -> None:
        """Nothing is kept ready: each trial has a process of its own."""

    def _order(self, source: str, seed: int, plan: TrialPlan) -> TrialOrder:
        default = TrialPlan()
        remote = replace(
            plan,
            wants_holdout=default.wants_holdout,
            watch=default.watch,
            is_unwanted=default.is_unwanted,
            is_wait_over=default.is_wait_over,
        )
        return TrialOrder(
            key=uuid.uuid4().hex,
            source=source,
            seed=seed,
            settings=self.settings,
            plan=remote,
            files=replace(self.source.files, refs=self.fleet.refs((), self.source.read)),
            identity=self.fleet.identity,
            known=frozenset(self.fleet.facts),
            require_strong=self.fleet.require_strong,
            caches=self.caches,
        )

    def _attempt(self, order: TrialOrder, plan: TrialPlan) -> Result | TrialAnswer:
        """Run an order on some node; return an answer without a result if another node has to run it."""
        cluster, call = self.fleet.cluster, _Call(self, order, plan)
        task = cluster.submit(order, call.excluded)
        try:
            answer = call.wait(task)
        except Unwanted:
            call.end(task)
            result = Result(seed=order.seed)
            result.end_early("ended early: it was not wanted any more")
            return result
        except NoNodeError as error:
            call.end(task)
            return Result(outcome="infra", reason=str(error), seed=order.seed)
        except OtherNodesError:
            call.end(task)
            return TrialAnswer("")
        except cluster.lost_errors as error:
            return self._lost(error, call.find_node(), order)
        finally:
            cluster.mailbox.forget.remote(order.key)
        return self._accept(answer, order)

    def _accept(self, answer: TrialAnswer, order: TrialOrder) -> Result | TrialAnswer:
        result = answer.result
        if answer.facts is not None and (why := self.fleet.learn(answer.facts, order)) is not None:
            self.say(f"{answer.facts.name} is left out: {why}")
        if result is not None and result.outcome == "infra" and not (result.disturbed or result.ended_early):
            self.say(f"{result.node} is left out: {result.reason}")
            return answer if self.fleet.leave_out(answer.node, result.reason) else result
        return answer if result is None else result

    def _lost(self, error: BaseException, node: str, order: TrialOrder) -> Result:
        """Return the result of a trial whose process, node or memory was lost."""
        result = Result(outcome="infra", reason=f"its process was lost: {first_words(error)}", seed=order.seed)
        result.loss = NodeLoss(node, self.fleet.count_others(node))
        facts = self.fleet.facts.get(node)
        result.node = facts.name if facts else None
        return result


class _Call:
    """A trial that runs on some node, as its driver follows it."""

    def __init__(self, referee: RayReferee, order: TrialOrder, plan: TrialPlan) -> None:
        self._fleet, self._say, self._order, self._plan = referee.fleet, referee.say, order, plan
        self._cluster = self._fleet.cluster
        self.excluded = self._fleet.exclude(plan.avoid)
        self.node = ""  # id of the one that has begun with it

    def wait(self, task: Any) -> TrialAnswer:
        """Wait for the answer, and pass on progress and questions.

        Raises Unwanted, NoNodeError, OtherNodesError, and errors of Ray.
        """
        waited_s = 0.0
        while not self._cluster.wait(task, POLL_S):
            self._plan.check_wanted()
            if (report := self._read()) is not None:
                self._handle(report)
            elif not self.node:
                waited_s += POLL_S
                self._check_nodes(waited_s)
        answer: TrialAnswer = self._cluster.get(task)
        return answer

    def end(self, task: Any) -> None:
        """End the trial. Ray fails if it is told to cancel a task that is just ending, so only waiting ones are."""
        self._cluster.mailbox.end.remote(self._order.key)
        if not self.node:
            self._cluster.cancel(task)

    def find_node(self) -> str:
        """Return the id of the node that has begun with the trial; empty if it did not say so."""
        report = None if self.node else self._read()
        return report.node if report else self.node

    def _read(self) -> Report | None:
        with suppress(*self._cluster.lost_errors):  # the mailbox starts again on another node
            report: Report | None = self._cluster.get(self._cluster.mailbox.read.remote(self._order.key))
            return report
        return None

    def _handle(self, report: Report) -> None:
        self.node = report.node
        self._plan.watch(report.progress)
        if report.question is not None:
            self._cluster.mailbox.answer.remote(self._order.key, self._plan.wants_holdout(report.question))

    def _check_nodes(self, waited_s: float) -> None:
        """Say that no node is free, choose again (a node may have ended since), or give up."""
        if waited_s >= START_S and self._plan.is_wait_over():
            raise Unwanted
        if waited_s % RECHECK_S == 0 and self._fleet.exclude(self._plan.avoid) != self.excluded:
            raise OtherNodesError
        if waited_s == WAIT_WORDS_S:
            self._say("a trial waits for a free node: `autoresearch nodes` shows them")
        if waited_s >= MAX_WAIT_S:
            raise NoNodeError(f"no node was free for {MAX_WAIT_S / 60:.0f} minutes")
