"""`probe` runs a snippet on training rows; `profile` says where a step's time goes. Neither reaches anything else."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cells import CORE, carrying
from support.tools import model_tools

from autoresearch.sandbox import selftest
from autoresearch.tools.probe import probe
from autoresearch.tools.profile import profile
from autoresearch.tools.workbench import ToolError, Workbench


@contextmanager
def burning(core: int) -> Iterator[None]:
    """Run a program that uses all of a core that it gets."""
    program = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ)) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["import train", "import time, train", "import train as t, time\ntrain = t"])
def test_a_snippet_sees_training_rows_and_the_version(bench: Workbench, bigram: str, how: str) -> None:
    code = f"{how}\nprint(rows.shape[1], rows.dtype, rows.flags.writeable, vocab_size, seq_len, train.BATCH)"
    assert probe(bench, bigram, code, 1) == "33 uint16 False 256 32 8\n"


def test_a_snippet_may_import_names_of_the_version_where_it_needs_them(bench: Workbench, bigram: str) -> None:
    assert (
        probe(bench, bigram, "def batch():\n    from train import BATCH\n    return BATCH\nprint(batch())", 1) == "8\n"
    )


def test_its_rows_are_those_of_training(bench: Workbench, bigram: str) -> None:
    count, total = len(bench.data.rows("train")), int(bench.data.rows("train").sum(dtype="int64"))
    assert probe(bench, bigram, "print(len(rows), int(rows.sum(dtype='int64')))", 1) == f"{count} {total}\n"


def test_its_error_is_told_with_the_line(bench: Workbench, bigram: str) -> None:
    with pytest.raises(ToolError, match="the snippet: ZeroDivisionError: division by zero") as caught:
        probe(bench, bigram, "print('so far')\n1 / 0", 1)
    assert caught.value.printed.splitlines()[:3] == [
        "so far",
        "Traceback (most recent call last):",
        '  File "probe.py", line 2, in <module>',
    ]


def test_megabytes_are_cut(bench: Workbench, bigram: str) -> None:
    words = model_tools(bench).probe(bigram, "for _ in range(100):\n    print('x' * 100_000)")
    assert len(words) <= 2000 and words.endswith("... (cut)")


def test_a_snippet_that_sleeps_is_cut_off_and_gone(bench: Workbench, bigram: str) -> None:
    code = "import time\nprint('here', flush=True)\ntime.sleep(600)"
    with pytest.raises(ToolError, match=r"the snippet: not done after 0\.\d s of CPU time, in [2-9] s") as caught:
        probe(bench, bigram, code, 1, limit_s=0.5)
    assert caught.value.printed == "here\n" and not carrying("inside.py probe")


def test_a_busy_core_takes_nothing_from_the_limit(bench: Workbench, bigram: str) -> None:
    spin = "import time\nwhile time.process_time() < 0.9: pass\nprint('done')"
    with burning(CORE):  # half of the core, at the same priority: longer than the limit
        assert probe(bench, bigram, spin, 1, limit_s=1.3) == "done\n"
    with pytest.raises(ToolError, match=r"not done after 0\.[4-9] s of CPU time"):
        probe(bench, bigram, spin, 1, limit_s=0.4)


def test_the_cost_says_how_much_of_the_core_it_had(bench: Workbench, bigram: str) -> None:
    words = model_tools(bench).probe(bigram, "import time\nwhile time.process_time() < 0.6: pass")
    spent, had = map(float, re.findall(r"([\d.]+) s", words)[:2])
    assert 0.2 < had <= spent, words


ATTACKS = {
    "fork": "import os\nos.fork()",
    "subprocess": "import subprocess\nsubprocess.run(['true'])",
    "thread that daemonises": "import subprocess\nsubprocess.Popen(['sleep', '9'], start_new_session=True)",
    "validation": "open({val!r}, 'rb')",
    "holdout": "open({holdout!r}, 'rb')",
    "list of the data": "import os\nos.listdir({held!r})",
    "parent's memory": "import os\nopen(f'/proc/{{os.getppid()}}/mem', 'rb')",
    "write outside": "open({outside!r}, 'w')",
    "write to the rows": "import mmap, os\nmmap.mmap(os.open('/proc/self/fd/5', os.O_RDWR), 0)",
    "tcp": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)",
    "udp": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "unix": "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/systemd/private')",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(bench: Workbench, bigram: str, tmp_path: Path, name: str) -> None:
    held = bench.data.root / "held"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        aims = {"val": str(held / "val.bin"), "holdout": str(held / "holdout.bin"), "held": str(held)}
        aims |= {"outside": str(tmp_path / "word"), "port": server.getsockname()[1]}
        code = ATTACKS[name].format(**aims)
        with pytest.raises(ToolError, match="Error"):
            probe(bench, bigram, f"{code}\nprint('done')", 1)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert not (tmp_path / "word").exists() and not carrying("inside.py probe")


def test_its_cell_is_as_strong_as_that_of_a_trial(bench: Workbench, tmp_path: Path) -> None:
    hidden = [*sorted((bench.data.root / "held").iterdir()), *bench.data.train_shards(), tmp_path]
    known = selftest.inspect(hidden, bench.spec(), [])
    assert all(known.attacks.values()), [name for name, stopped in known.attacks.items() if not stopped]


def test_a_profile_names_the_functions(bench: Workbench, bigram: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoresearch.tools.profile.TRAIN_S", 0.3)
    slow = "def slow():\n    total = 0\n    for k in range(5_000):\n        total += k\n\n\n"
    slow = bigram.replace("def train(", f"{slow}def train(")
    words = profile(bench, slow.replace("step += 1", "step += 1; slow()"), 1)
    assert words.startswith("a step takes") and " slow" in words
