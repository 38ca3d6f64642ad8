"""One small cluster for the tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.clusters import cluster_of

from autoresearch.data.dataset import Dataset


@pytest.fixture(scope="session")
def cluster(bytes_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head that has the data set in its cache, and a spot node that lacks it."""
    pytest.importorskip("ray", reason="ray is not installed")
    with cluster_of(bytes_data.root.parents[1], tmp_path_factory.mktemp("empty-cache")) as cluster:
        yield cluster
