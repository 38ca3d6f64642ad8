"""Fixtures of the tools' tests."""

import pytest
from support.tools import workbench

from autoresearch.data.dataset import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.tools.workbench import Workbench


@pytest.fixture
def bench(quick: Settings, bytes_data: Dataset) -> Workbench:
    return workbench(quick, bytes_data)
