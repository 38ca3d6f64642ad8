"""Which nodes confirm and which screen, and settings of two pools that cannot work."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import autoresearch
from test_pools import facts

from autoresearch import config
from autoresearch.errors import Blocker, UsageError
from autoresearch.fleet.fleet import check_pools, choose_pools
from autoresearch.fleet.orders import NodeFacts

POOLS = {"confirm": "H200", "screen": "H100"}


@given(st.lists(st.tuples(st.sampled_from(["NVIDIA H100", "NVIDIA H200", "A100"]), st.sampled_from([80, 141]))))
def test_no_node_is_in_both_pools_and_each_pool_is_of_one_kind(kinds: list[tuple[str, int]]) -> None:
    answers: dict[str, NodeFacts | str] = {
        str(number): facts(str(number), gpu=gpu, gpu_gb=gpu_gb) for number, (gpu, gpu_gb) in enumerate(kinds)
    }
    chosen = choose_pools(answers, False, None, POOLS)
    confirm, screen = (chosen[name][0] for name in ("confirm", "screen"))
    assert not confirm.keys() & screen.keys()
    for name, pool in (("H200", confirm), ("H100", screen)):
        assert len({str(each.identity) for each in pool.values()}) <= 1
        assert all(name in each.kind for each in pool.values())
        assert bool(pool) is any(name in gpu for gpu, _ in kinds)


def test_two_names_of_one_kind_are_refused() -> None:
    answers: dict[str, NodeFacts | str] = {"a": facts("a", gpu="NVIDIA H100")}
    with pytest.raises(UsageError, match="both pools would be NVIDIA H100"):
        choose_pools(answers, False, None, {"confirm": "NVIDIA", "screen": "H100"})


def test_without_a_screening_pool_the_way_to_go_on_is_named() -> None:
    hosts = {"a": "host-a"}
    for gpu, words in (("H200", "no node for the pool screen; `--nodes H200`, without pools"), ("H100", "confirm$")):
        answers: dict[str, NodeFacts | str] = {"a": facts("a", gpu=gpu)}
        with pytest.raises(Blocker, match=words):
            check_pools(choose_pools(answers, False, None, POOLS), hosts, POOLS)
    check_pools(choose_pools({"a": facts("a")}, False, None, {}), hosts, {})
    with pytest.raises(Blocker, match=r"host-a: it has no memory$"):
        check_pools(choose_pools({"a": "it has no memory"}, False, None, {}), hosts, {})


def test_pools_are_read_from_flags_variables_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load(tmp_path, {"pools": ["confirm=H200", "screen=H100"]}).pools == POOLS
    monkeypatch.setenv("AUTORESEARCH_POOLS", "confirm=H200, screen=H100")
    assert config.load(tmp_path, {}).pools == POOLS
    monkeypatch.delenv("AUTORESEARCH_POOLS")
    (tmp_path / "autoresearch.yaml").write_text("pools: {confirm: H200, screen: H100}\n")
    assert config.load(tmp_path, {}).pools == POOLS
    with pytest.raises(UsageError, match="set one of them"):
        config.load(tmp_path, {"nodes": "H100"})


@pytest.mark.parametrize("flags", [["confirm=H200"], ["confirm=", "screen=H100"], ["best=H200", "screen=H100"]])
def test_half_a_pair_of_pools_is_refused(tmp_path: Path, flags: list[str]) -> None:
    with pytest.raises(UsageError, match=r"--pool: should name two cards, as confirm=\.\.\. and screen="):
        config.load(tmp_path, {"pools": flags})


def test_pools_need_a_cluster(repository: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(repository, "run", "--pool", "confirm=H200", "--pool", "screen=H100", env=settings_of)
    assert done.returncode == 2 and "--pool needs a cluster" in done.stderr and "Traceback" not in done.stderr
