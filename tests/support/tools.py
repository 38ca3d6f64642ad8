"""Tools on a core of the test's own worker, with an ordinary priority: the machines that run tests are busy."""

from dataclasses import replace
from typing import Any

from support.cells import CORE

from autoresearch.data.dataset import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.tools.model_tools import ModelTools
from autoresearch.tools.workbench import Workbench


def workbench(settings: Settings, data: Dataset, **options: Any) -> Workbench:
    return Workbench(replace(settings, cores=(CORE,), memory=1 << 30), data, nice=0, **options)


def model_tools(bench: Workbench | None, incumbent: str = "", **options: Any) -> ModelTools:
    """Return tools that know the incumbent only."""
    return ModelTools(bench, lambda n: None if n else ("the incumbent", incumbent), **options)
