"""What an agent is told of a train.py that is a script: the names that it has, and nothing of the two functions."""

from autoresearch.agents.llm.prompts import system
from autoresearch.brief.brief import CONTRACT, contract_of
from autoresearch.brief.script_contract import SCRIPT_CONTRACT
from autoresearch.source.script import PREPARED_NAMES

SCRIPT = "from prepare import evaluate_bpb\nevaluate_bpb(None, None, 1)\n"


def test_a_script_has_a_contract_of_its_own() -> None:
    assert contract_of(SCRIPT) == SCRIPT_CONTRACT and contract_of("def train(trial): ...\n") == CONTRACT
    assert all(name in SCRIPT_CONTRACT for name in PREPARED_NAMES)
    assert system("propose", "tools", None, SCRIPT).startswith(SCRIPT_CONTRACT)
    assert system("propose", "tools").startswith(CONTRACT)


def test_both_contracts_end_alike() -> None:
    assert CONTRACT.split("The score of one trial has")[1] == SCRIPT_CONTRACT.split("The score of one trial has")[1]
