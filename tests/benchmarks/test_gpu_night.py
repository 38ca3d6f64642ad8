"""The small night for a card, with a numpy train.py on a CPU."""

import gpu_night
import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.settings import Settings

EDITS = {"sharper": {"SHARPNESS": 1 / 0.3}, "blunter": {"SHARPNESS": 0.3}}


def make_night(settings: Settings, data: Dataset, seconds: float) -> tuple[gpu_night.Night, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []
    night = gpu_night.Night(
        settings, data, seconds, lambda *line: said.append(line), spoilt={"SHARPNESS": 0.3}, edits=EDITS
    )
    return night, said


@pytest.mark.slow
def test_it_keeps_the_edit_that_mends_the_base_and_discards_the_other(
    quick: Settings, bytes_data: Dataset, bigram: str
) -> None:
    night, said = make_night(quick, bytes_data, 120)
    night.run(bigram)
    lines = dict(said)
    assert lines["verdict on sharper"].startswith("keep: ") and lines["verdict on blunter"].startswith("discard: ")
    assert lines["end"].endswith("all edits are decided")


def test_it_begins_no_trial_that_would_end_too_late(quick: Settings, bytes_data: Dataset, bigram: str) -> None:
    night, said = make_night(quick, bytes_data, 120)
    night.longest_s = 110.0
    night.run(bigram)
    assert said == [("end", "0 trials in 0 s: no time for another")]


def test_the_scripted_edits_name_constants_of_the_base() -> None:
    base = (gpu_night.on_card.TRAIN).read_text()
    spoilt = gpu_night.scale_constants(base, gpu_night.SPOILT)
    assert spoilt != base
    assert all(gpu_night.scale_constants(spoilt, factors) != spoilt for factors in gpu_night.EDITS.values())
