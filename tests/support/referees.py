"""A referee without cells, for tests of the code around it."""

from collections.abc import Callable
from dataclasses import dataclass

from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.settings import Settings, TrialPlan


@dataclass(frozen=True)
class FunctionReferee:
    """Its results come from a function of text, seed and plan."""

    function: Callable[[str, int, TrialPlan], Result]
    settings: Settings

    def describe(self, base: Overhead | None) -> list[str]:
        return []

    def measure(self, source: str, seed: int, plan: TrialPlan) -> Result:
        return self.function(source, seed, plan)

    def close(self) -> None:
        """Do nothing."""
