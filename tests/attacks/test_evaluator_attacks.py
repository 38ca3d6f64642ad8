"""Ten attacks on an evaluator under each word for what may be believed: those that win are those that we say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.evaluators import BY_NAME, RATE, Measured, make_evaluator, open_referee

from autoresearch.measure.evaluator_attacks import ATTACKS, Attack, AttackedBase, Outcome, secrets_of

WORDS = ("separate", "in-process", "reported")


def target_of(measured: Measured) -> AttackedBase:
    result = measured.referee.measure(measured.base, 1)
    assert result.val_bpb is not None, result.reason
    secrets = secrets_of(measured.spec, measured.root)
    return AttackedBase(measured.spec, measured.base, result.val_bpb, result.log, secrets)


@pytest.fixture(scope="module", params=WORDS)
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Measured, AttackedBase]]:
    root = make_evaluator(tmp_path_factory.mktemp("evaluator") / "repository", request.param)
    with open_referee(root) as measured:
        assert measured.spec.belief == request.param
        yield measured, target_of(measured)


def attempt(attack: Attack, measured: Measured, target: AttackedBase) -> Outcome:
    return attack.attempt(target, measured.limits.violation, lambda text: measured.referee.measure(text, 1))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_wins_only_where_we_say(
    attacked: tuple[Measured, AttackedBase], attack: Attack, tmp_path: Path
) -> None:
    measured, target = attacked
    word = measured.spec.belief
    if attack.action == "replace_programs" and word != "separate":  # it needs an evaluator that starts programs by name
        root = make_evaluator(tmp_path / "repository", word, {"bench.py": BY_NAME})
        with open_referee(root) as by_name:
            outcome = attempt(attack, by_name, target_of(by_name))
    else:
        outcome = attempt(attack, measured, target)
    wanted = "wins" if word in attack.open_under else "refused" if attack.new_files else "stopped"
    assert outcome == wanted
    assert (attack.name in measured.spec.describe_belief("STRONG")) is (outcome == "wins")


@pytest.mark.parametrize("name", ["forged line", "os._exit after printing", "atexit"])
def test_the_scores_of_tasks_are_forged_as_well(name: str, tmp_path: Path) -> None:
    attack = next(attack for attack in ATTACKS if attack.name == name)
    root = make_evaluator(tmp_path / "repository", "rate", {"bench.py": RATE})
    with open_referee(root) as measured:
        base = measured.referee.measure(measured.base, 1)
        assert base.val_bpb == 0.5, base.reason
        target = AttackedBase(measured.spec, measured.base, 0.5, base.log, (), False, [*base.tasks])
        assert attempt(attack, measured, target) == "wins"


@pytest.mark.parametrize("name", ["forged line", "atexit", "patched clock"])
def test_the_clock_of_the_referee_cannot_be_forged(name: str, tmp_path: Path) -> None:
    attack = next(attack for attack in ATTACKS if attack.name == name)
    with open_referee(make_evaluator(tmp_path / "repository", "clock")) as measured:
        assert "a guard has to check" in measured.spec.describe_belief("STRONG")
        assert attempt(attack, measured, target_of(measured)) == "stopped"
