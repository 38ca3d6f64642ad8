"""A command that measures waits for the slot, and for a session of its own that runs there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cells import CORE

from autoresearch.ledger import Ledger

HOLD = f"""
import sys
from autoresearch.setup.slots import cpu_slot, lock

with lock([cpu_slot(1, {CORE})]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"), [("total --pairs 2", "2 pairs on fresh seeds"), ("revert 1", "experiment 3: ")]
)
def test_a_command_that_measures_waits_for_its_own_session(
    arguments: str, words: str, finished: Path, settings_of: dict[str, str]
) -> None:
    pipe = subprocess.PIPE
    environment = os.environ | settings_of
    hold = subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdin=pipe, stdout=pipe, text=True)
    command = [sys.executable, "-m", "autoresearch", *arguments.split()]
    with hold as holder, Ledger.open(finished / "runs" / "ledger.db") as store:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n" and holder.stdin is not None
        session = store.find_session("t")
        store.update_session(session.id, state="running", pid=holder.pid)
        refused = subprocess.run(command, cwd=finished, env=environment, capture_output=True, text=True, check=False)
        assert refused.returncode == 1 and "is running already" in refused.stderr
        with subprocess.Popen(
            [*command, "--wait"], cwd=finished, env=environment, stdout=pipe, stderr=pipe, text=True
        ) as waiting:
            assert waiting.stderr is not None
            said = waiting.stderr.readline()
            assert "waits for" in said, said + waiting.stderr.read()
            store.update_session(session.id, state="ended", pid=holder.pid)
            holder.stdin.close()
            out, err = waiting.communicate(timeout=240)
        assert words in out and "Traceback" not in err, err + out
