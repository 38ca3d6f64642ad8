"""A model that tries its version in a running session, through the real program."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.messages_server import MessagesServer, Reply, Request, Step, tool
from support.programs import autoresearch
from support.tools import model_tools, workbench

from autoresearch.agents.base import Proposal
from autoresearch.data.dataset import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.session import tool_access
from autoresearch.session.context import SessionContext
from autoresearch.session.tool_access import make_tools, note_same
from autoresearch.setup.project import Project
from autoresearch.tools.scoring_gate import ScoringGate

EDIT = {"command": "str_replace", "path": "train.py", "old_str": "SMOOTHING = 0.5 ", "new_str": "SMOOTHING = 0.02 "}
SAID = {"hypothesis": "less", "category": "other", "predicted_delta": 0, "confidence": 0.5, "source": "own"}
TURNS = [
    [tool("str_replace_based_edit_tool", **EDIT)],
    [tool("check"), tool("same"), tool("probe", code="print('rows:', len(rows))")],
    [tool("propose", **SAID)],
]


def play(request: Request) -> Step:
    return Reply(TURNS[min(request.turn, 2)] if "tools" in request.body else [{"type": "text", "text": "ready"}])


@pytest.mark.slow
@pytest.mark.parametrize("share", ["true", "false"])
def test_a_session_lends_its_spare_core_to_the_model(
    share: str, finished: Path, settings_of: dict[str, str], tmp_path: Path
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("no core is spare here")
    root = shutil.copytree(finished, tmp_path / "repository")
    with MessagesServer(play) as server:
        more = {"BASE_URL": server.url, "AUTH_TOKEN": "test-key-0123456789", "SHARE_TEXT": share, "TAG": "tools"}
        env = settings_of | {f"AUTORESEARCH_{name}": value for name, value in more.items()}
        done = autoresearch(root, "run", "--agent", "claude", "--max-experiments", "1", env=env)
    assert done.returncode == 0, done.stderr
    sent = next(line for line in done.stderr.splitlines() if "sends" in line)
    assert f"to 127.0.0.1:{server.url.rpartition(':')[2]}: " in sent
    assert ("no training text" in sent) == (share == "false")
    trace = (root / "runs" / "tools" / "1" / "trace.jsonl").read_text().splitlines()
    used = {entry["name"]: entry for entry in map(json.loads, trace) if entry["kind"] == "tool"}
    assert "ok: it trains, saves, loads, answers, and is causal" in used["check"]["result"]
    assert "differs from the incumbent after 12 steps" in used["same"]["result"]
    assert ("rows: " in used["probe"]["result"]) == (share == "true")
    assert used["check"]["seconds"] > 0


def project(settings: Settings, data: Dataset, **slot: Any) -> Project:
    """Return as much of a project as its tools need."""
    found = SimpleNamespace(
        settings=settings,
        data=data,
        slots=[SimpleNamespace(**{"cores": None} | slot)],
        config=SimpleNamespace(share_text=True),
    )
    return cast(Project, found)


CONTEXT = cast(SessionContext, SimpleNamespace(row=SimpleNamespace(seed=5), tag="t", id=1))


def test_a_repair_that_computes_the_same_is_known_as_such(quick: Settings, bytes_data: Dataset, bigram: str) -> None:
    known = model_tools(workbench(quick, bytes_data))
    tools = replace(known, versions=lambda n: ("experiment 4", bigram) if n == 4 else None)
    repaired = bigram.replace("step = 0\n", "step = int(0)\n")
    found = note_same(Proposal(repaired, "safer", "robustness"), 4, tools)
    assert found.same_as == 4 and found.trace[-1]["same"] is True and found.trace[-1]["seconds"] > 0
    changed = Proposal(bigram.replace("= 0.5", "= 0.1"), "safer", "robustness")
    assert note_same(changed, 4, tools).same_as is None
    assert note_same(Proposal(repaired, "safer", "robustness"), 5, tools).same_as is None
    assert note_same(Proposal(repaired, "faster", "throughput"), 4, tools).trace == []


def test_without_spare_cores_there_are_no_tools(quick: Settings, bytes_data: Dataset) -> None:
    assert make_tools(CONTEXT, project(quick, bytes_data), (), ScoringGate()).bench is None


@pytest.mark.parametrize(
    ("text", "cores"), [("3,7\n", {3, 7}), ("2-3\n", {2, 3}), ("3\n", {3}), ("?\n", {3}), (None, {3})]
)
def test_the_second_thread_of_a_core_is_known(text: str | None, cores: set[int], tmp_path: Path) -> None:
    folder = tmp_path / "cpu3" / "topology"
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "thread_siblings_list").write_text(text)
    assert tool_access.threads_beside(3, tmp_path) == cores


def test_tools_leave_the_second_threads_of_slots_alone(
    quick: Settings, bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_access, "threads_beside", lambda core: {core, core ^ 1})
    work = project(quick, bytes_data, cores=(3,))
    found = [make_tools(CONTEXT, work, spare, ScoringGate()).bench for spare in ((0, 1, 2), (2,))]
    assert [bench and bench.settings.cores for bench in found] == [(0, 1), (2,)]


def test_beside_a_card_tools_run_on_cores_and_never_see_it(
    quick: Settings, bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_access.os, "sched_getaffinity", lambda pid: set(range(16)))
    card = Settings(quick.budget, "cuda", gpu="GPU-x", eval_rows=64, eval_batch=16)
    bench = make_tools(CONTEXT, project(card, bytes_data), (), ScoringGate()).bench
    assert bench is not None and bench.scaled
    assert (bench.settings.device, bench.settings.gpu, bench.settings.cores) == ("cpu", None, (12, 13, 14, 15))
    spec = bench.spec()
    assert not spec.gpu and spec.threads_only and spec.nice == 19 and "CUDA_VISIBLE_DEVICES" not in spec.environment
