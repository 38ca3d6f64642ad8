"""Parents of proposals: the incumbent or, where it seems to be exhausted, a version of the archive (docs/judging.md).

Every answer follows from the ledger and the session's seed, so a resumed session goes on with the same one.
"""

from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from autoresearch import judge
from autoresearch.analysis.draws import Draws, equal_speed_draws
from autoresearch.analysis.near_misses import worth_a_look
from autoresearch.errors import require
from autoresearch.ledger import Event, Experiment
from autoresearch.ledger.parent_events import LEFT, MEASURED_AGAIN, RETURNED, moves
from autoresearch.ledger.rows import FROM_ARCHIVE
from autoresearch.ledger.scores import effects
from autoresearch.ledger.trials import FRESH, JUDGING
from autoresearch.metric import EXACT
from autoresearch.session.context import SessionContext
from autoresearch.session.evidence import Evidence
from autoresearch.session.optional_part import OptionalPart
from autoresearch.source import size

COUNTED = ("keep", "discard", "crash", "invalid")  # verdicts that tell about the version that was changed


@dataclass
class ParentChooser:
    """Choose the version that the next proposal changes; hold the lock when calling a method."""

    context: SessionContext
    evidence: Evidence
    _sizes: dict[int, int | None] = field(default_factory=dict)  # of the code of settled versions
    _part: OptionalPart = field(init=False)

    def __post_init__(self) -> None:
        self._part = OptionalPart(self.context, "parents from the archive")

    @classmethod
    def of(cls, context: SessionContext, evidence: Evidence, wanted: bool) -> "ParentChooser | None":
        """Return a chooser; None if a session may not leave its incumbent: by single scores, or without noise."""
        is_judged = context.row.judge != "greedy" and context.row.metric.kind != EXACT
        return cls(context, evidence) if wanted and is_judged else None

    def choose(self) -> int | None:
        """Return the number of the parent; None for the incumbent. Record when the session leaves or returns to it."""
        return self._part.run(self._choose, None)

    def is_away(self) -> bool:
        """Return whether proposals may change other versions than the incumbent."""
        left = self._last_move()
        return left is not None and left.kind == LEFT and left.n == self.evidence.incumbent().n

    def choose_to_measure(self) -> int | None:
        """Return a parent to measure again, after every tenth proposal from the archive; None if it is not the time."""
        return self._part.run(self._choose_to_measure, None)

    def _choose(self) -> int | None:
        incumbent, left = self.evidence.incumbent(), self._last_move()
        if left is not None and left.kind == LEFT and left.n != incumbent.n:
            words = f"experiment {incumbent.n} is the incumbent now: proposals change it again"
            self.context.emit(RETURNED, incumbent.n, words)
        is_away, newer = self.is_away(), self.context.ledger.experiments(self.context.id, after=incumbent.n)
        if not is_away and len(newer) < judge.PLATEAU_PROPOSALS:
            return None
        archive = self._read_archive(incumbent)
        if not archive.versions[incumbent.n].draws or not (is_away or archive.is_exhausted):
            return None
        if not is_away:
            self._leave(archive)
        n = archive.choose(self._random("parent", self.context.next_number()))
        return None if n == incumbent.n else n

    def _leave(self, archive: judge.Archive) -> None:
        others = ", ".join(map(str, sorted(archive.parents[1:])))
        words = (
            f"nothing was kept in {archive.since} experiments, and one more would cost {archive.cost:.2f} sigma and is "
            f"expected to gain {archive.expected_gain:.2f}: proposals may change experiments {others} too"
        )
        data = {"parents": archive.parents[1:], "next": self.context.next_number()}
        self.context.emit(LEFT, archive.incumbent, words, **data)

    def _choose_to_measure(self) -> int | None:
        if not self.is_away():
            return None
        left, context = require(self._last_move()), self.context
        rows = context.ledger.experiments(context.id, after=left.data["next"] - 1)
        proposed = sum(row.mode in FROM_ARCHIVE for row in rows)
        again = [event for event in context.ledger.events(context.id, kind=MEASURED_AGAIN) if event.id > left.id]
        if proposed < judge.MEASURE_EVERY * (len(again) + 1):
            return None
        return self._read_archive(self.evidence.incumbent()).choose_other(self._random("again", proposed))

    def _last_move(self) -> Event | None:
        """Return the last event at which the session left the incumbent or returned to it."""
        return next(reversed(moves(self.context.ledger, self.context.id)), None)

    def _random(self, *what: object) -> np.random.Generator:
        return np.random.default_rng(self.context.row.seed_of(*what))

    def _read_archive(self, incumbent: Experiment) -> judge.Archive:
        context = self.context
        rows = [row for row in context.ledger.experiments(context.id) if row.state == "settled"]
        near = {row.n for row in worth_a_look(context.ledger, context.row, rows)}
        draws = equal_speed_draws(context.ledger, context.row, JUDGING)
        fresh = equal_speed_draws(context.ledger, context.row, FRESH).get(incumbent.id)
        known = draws | ({incumbent.id: fresh} if fresh else {})
        counted = [row for row in rows if row.verdict in COUNTED and not row.unmeasured]
        versions = {row.n: self._version(row, known, row.n in near) for row in counted}
        since = [row for row in rows if row.n > incumbent.n] or rows
        trials = sum(len(draws.get(row.id, ())) for row in since) / len(since)
        beliefs = judge.learn(effects(context.ledger, context.id))
        return judge.Archive(versions, incumbent.n, self.evidence.noise(), beliefs, max(trials, 1.0))

    def _version(self, row: Experiment, known: Draws, is_near: bool) -> judge.ArchivedVersion:
        draws = known.get(row.id, []) if row.verdict in ("keep", "discard") else []
        mean = fmean(draw.score for draw in draws) if draws else 0.0
        return judge.ArchivedVersion(row.n, row.parent, mean, len(draws), self._size(row.n), is_near, row.p_gain or 0.0)

    def _size(self, n: int) -> int | None:
        if n not in self._sizes:
            found = size.size_or_none(self.context.experiment(n).text)
            self._sizes[n] = None if found is None else found.tokens
        return self._sizes[n]
