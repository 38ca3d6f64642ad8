"""Limits that a version has to keep, whatever it scores: memory of the GPU, parameters, size of train.py."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Constraints:
    """None: no limit. Memory in GB as the driver reads it; parameters as counted in the checkpoint; lines of train.py."""

    max_gpu_gb: float | None = None
    max_parameters: int | None = None
    max_lines: int | None = None

    def violated(self, result: dict[str, Any]) -> str | None:
        """What a trial's result says against the version, if anything."""
        memory, parameters = result.get("peak_vram_mb"), result.get("parameters")
        if self.max_gpu_gb is not None and memory is not None and memory / 1024 > self.max_gpu_gb:
            return f"it uses {memory / 1024:.1f} GB of GPU memory, over the limit of {self.max_gpu_gb:g}"
        if self.max_parameters is not None and parameters is not None and parameters > self.max_parameters:
            return f"it has {parameters:,} parameters, over the limit of {self.max_parameters:,}"
        return None

    def too_long(self, text: str) -> str | None:
        """What the length of a text says against it, if anything."""
        lines = len(text.splitlines())
        if self.max_lines is not None and lines > self.max_lines:
            return f"train.py has {lines} lines, over the limit of {self.max_lines}"
        return None
