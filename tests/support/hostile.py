"""The attacks as data: read as text, because they run in cells only."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cells import CORE

from autoresearch.data.dataset import Dataset
from autoresearch.measure.audit import Coarse
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Result, Watch
from autoresearch.measure.settings import Settings, TrialPlan

HERE = Path(__file__).parents[1] / "attacks"
HONEST = (HERE / "honest.py").read_text()
CORES = (CORE,)


class HastyPlan(TrialPlan):
    """Plan with one second for each phase of a scoring cell."""

    def load_limit(self, budget: Budget) -> Budget:
        return Budget(1.0, "s")

    def answer_limit(self, budget: Budget, batch: float, batches: int) -> Budget:
        return Budget(1.0, "s")


@dataclass(frozen=True)
class Attack:
    """One hostile train.py; `says` holds its UPPER_CASE literals: its rows of the table, its needs, its outcome."""

    name: str
    text: str
    says: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Attack":
        text = path.read_text()
        says = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    says[node.targets[0].id] = ast.literal_eval(node.value)
                except ValueError:
                    continue
        return cls(path.stem.removeprefix("attack_"), text, says)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Return the allowed outcomes."""
        expected = self.says["EXPECT"]
        if expected == "harmless":
            return ("ok", "suspect")
        return (expected,) if isinstance(expected, str) else tuple(expected)

    @property
    def aims_at_the_machine(self) -> bool:
        """Return whether the layers of the cell must stop it."""
        return "OPENED_BY" in self.says or "ATTEMPTS" in self.text or "BUDGET" in self.says

    def aimed_at(self, **targets: object) -> str:
        """Return the source with its `$NAME`s replaced."""
        text = self.text
        for name in sorted(targets, key=len, reverse=True):
            text = text.replace(f"${name.upper()}", str(targets[name]))
        return text

    def settings(self, off: frozenset[str] = frozenset()) -> Settings:
        """Return quick settings, except for what the attack needs."""
        return Settings(
            Budget.parse(self.says.get("BUDGET", "20steps")),
            eval_rows=self.says.get("EVAL_ROWS", 128),
            eval_batch=16,
            memory=self.says.get("MEMORY"),
            cores=CORES,
            layers_off=off,
        )

    def measure(
        self,
        data: Dataset,
        off: frozenset[str] = frozenset(),
        watch: Watch = lambda progress: None,
        incumbent: Coarse | None = None,
        **targets: object,
    ) -> Result:
        """Run one trial of the attack, aimed at the targets, against the stored losses of an incumbent."""
        base = Overhead(**self.says["BASE"]) if "BASE" in self.says else None
        kind = HastyPlan if "EVALUATION_CAP" in self.says else TrialPlan
        plan = kind(watch=watch, incumbent_losses=incumbent, base=base)
        return CellReferee(self.settings(off), data).measure(self.aimed_at(**targets), 1, plan)


ATTACKS = {attack.name: attack for attack in map(Attack.read, sorted(HERE.glob("attack_*.py")))}
