"""Limits on GPU memory, parameters, lines, data and files that no score makes up for."""

from dataclasses import dataclass

from autoresearch.files import JsonObject
from autoresearch.measure.guards import NumberGuard
from autoresearch.source.lines import split_lines
from autoresearch.source.size import DataLimit, data_violation
from autoresearch.source_tree import TRAIN, SourceTree, TreeLimits


@dataclass(frozen=True)
class Constraints:
    """Limits of a version, None for no limit; memory in GB as the driver reports it."""

    max_gpu_gb: float | None = None
    max_parameters: int | None = None
    max_lines: int | None = None
    max_data: DataLimit | None = None
    files: TreeLimits | None = None
    guards: tuple[NumberGuard, ...] = ()  # which are judged with their noise (guard_odds.py)

    @property
    def what(self) -> str:
        """Return the name of what is edited, for people."""
        return TRAIN if self.files is None else "version"

    def describe(self) -> list[str]:
        """Return one line for each limit."""
        limits = {
            "GB of memory on the card": self.max_gpu_gb,
            "numbers in the checkpoint": self.max_parameters,
            f"lines in {'train.py' if self.files is None else 'all files'}": self.max_lines,
        }
        return [f"At most {most:,} {what}: more is invalid" for what, most in limits.items() if most is not None]

    def violation(self, result: JsonObject) -> str | None:
        """Return the limit that a trial exceeded, in words; None if it exceeded none."""
        memory, parameters = result.get("peak_vram_mb"), result.get("parameters")
        if self.max_gpu_gb is not None and memory is not None and memory / 1024 > self.max_gpu_gb:
            return f"it uses {memory / 1024:.1f} GB of GPU memory, over the limit of {self.max_gpu_gb:g}"
        if self.max_parameters is not None and result.get("outcome") == "ok" and result.get("parameters", 0) is None:
            return "its checkpoint has a header by which no parameters can be counted"
        if self.max_parameters is not None and parameters is not None and parameters > self.max_parameters:
            return f"it has {parameters:,} parameters, over the limit of {self.max_parameters:,}"
        return None

    def text_violation(self, text: str) -> str | None:
        """Return the limit that a text exceeds, in words; None if it exceeds none."""
        tree = SourceTree.parse(text)
        lines = sum(len(split_lines(each)) for each in tree.files.values())
        if self.max_lines is not None and lines > self.max_lines:
            return f"{'it' if tree.framed else TRAIN} has {lines} lines, over the limit of {self.max_lines}"
        if self.files is not None:
            return self.files.violation(text)
        return None if self.max_data is None else data_violation(text, self.max_data)
