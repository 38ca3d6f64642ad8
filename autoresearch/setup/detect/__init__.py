"""Find out how a repository can be measured: pure functions of the texts of its files."""

from autoresearch.setup.detect.foreign_projects import find_harbor, find_openevolve, find_pi, find_shinka
from autoresearch.setup.detect.lock_files import find_setup
from autoresearch.setup.detect.repository_texts import RepositoryTexts, read_head
from autoresearch.setup.detect.scripts import find_make_target, find_pytest, find_script
from autoresearch.setup.triplet import Triplet

DETECTORS = (
    *(find_pi, find_openevolve, find_shinka, find_harbor),
    *(find_script, find_make_target, find_pytest),
)

__all__ = ["DETECTORS", "RepositoryTexts", "detect", "find_setup", "read_head"]


def detect(texts: RepositoryTexts) -> list[Triplet]:
    """Return what was found, the surest first."""
    return [triplet for detector in DETECTORS if (triplet := detector(texts)) is not None]
