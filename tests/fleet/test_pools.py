"""Which nodes may run the trials of one session, without a cluster."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import autoresearch

from autoresearch import __version__
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.fleet.fleet import choose_pool
from autoresearch.fleet.node_data import DataFiles, LackingError
from autoresearch.fleet.orders import NodeFacts, refuse_node
from autoresearch.sandbox.selftest import Inspection


def facts(id: str, weak: bool = False, version: str = __version__, **identity: object) -> NodeFacts:
    inspection = Inspection({}, {}, ["no Landlock"] if weak else [])
    return NodeFacts(id, f"host-{id}", version, {"evaluator": 2, **identity}, inspection)


nodes = st.lists(
    st.tuples(st.sampled_from(["H100", "H200"]), st.sampled_from([80, 141]), st.booleans(), st.booleans()), max_size=8
)


@given(nodes, st.booleans())
def test_all_nodes_of_a_pool_have_one_identity_and_every_other_has_a_reason(
    kinds: list[tuple[str, int, bool, bool]], require_strong: bool
) -> None:
    answers: dict[str, NodeFacts | str] = {}
    for number, (gpu, gpu_gb, weak, answered) in enumerate(kinds):
        id = str(number)
        answers[id] = facts(id, weak, gpu=gpu, gpu_gb=gpu_gb) if answered else "it did not answer"
    pool, left_out = choose_pool(answers, require_strong)
    assert len({tuple(each.identity.items()) for each in pool.values()}) <= 1
    assert pool.keys() | left_out.keys() == answers.keys() and not pool.keys() & left_out.keys()
    assert not (require_strong and any(each.inspection.weaknesses for each in pool.values()))
    usable = [each for each in answers.values() if isinstance(each, NodeFacts)]
    assert pool or not usable or (require_strong and all(each.inspection.weaknesses for each in usable))


def test_the_largest_pool_is_chosen_and_a_node_of_another_version_is_named() -> None:
    answers = {"a": facts("a", gpu="H100"), "b": facts("b", gpu="H200"), "c": facts("c", gpu="H200")}
    pool, left_out = choose_pool(answers | {"d": facts("d", version="0.0", gpu="H200")}, require_strong=False)
    assert sorted(pool) == ["b", "c"]
    assert left_out["a"] == "it has another gpu" and __version__ in left_out["d"]


def test_the_name_of_a_card_chooses_a_smaller_pool() -> None:
    answers = {"a": facts("a", gpu="NVIDIA H100"), "b": facts("b", gpu="H200"), "c": facts("c", gpu="H200")}
    pool, left_out = choose_pool(answers, False, "H100")
    assert sorted(pool) == ["a"] and left_out["b"] == "it is no H100"


def test_a_weak_node_is_refused_only_where_strong_is_required() -> None:
    weak = facts("a", weak=True)
    assert refuse_node(weak, weak.identity, require_strong=False) is None
    assert "no Landlock" in (refuse_node(weak, weak.identity, require_strong=True) or "")


def test_a_node_asks_for_what_it_lacks_and_keeps_it_with_the_modes_of_a_data_set(
    bytes_data: Dataset, tmp_path: Path
) -> None:
    files = DataFiles.of(bytes_data)
    with pytest.raises(LackingError) as lacking:
        files.open(tmp_path, lambda ref: b"")
    assert lacking.value.names == files.names
    sent = DataFiles(files.hash, files.meta, files.names, {name: name for name in files.names})
    copy = sent.open(tmp_path, lambda name: (bytes_data.root / name).read_bytes())
    copy.verify()
    assert copy.hash == bytes_data.hash
    assert (copy.root / "held" / "val.bin").stat().st_mode & 0o777 == 0o600
    assert copy.root.stat().st_mode & 0o777 == 0o700
    assert files.open(tmp_path, lambda ref: b"").root == copy.root  # once only


def test_bytes_that_changed_on_the_way_are_no_data(bytes_data: Dataset, tmp_path: Path) -> None:
    files = DataFiles.of(bytes_data)
    sent = DataFiles(files.hash, files.meta, files.names, {name: name for name in files.names})
    with pytest.raises(UserError, match="damaged on its way"):
        sent.open(tmp_path, lambda name: (bytes_data.root / name).read_bytes()[:-1] + b"x")


def test_a_node_that_has_the_data_set_in_its_cache_fetches_nothing(bytes_data: Dataset) -> None:
    assert DataFiles.of(bytes_data).open(bytes_data.root.parents[1], lambda ref: b"").root == bytes_data.root


def test_ray_is_imported_only_when_it_is_asked_for() -> None:
    code = "import sys, autoresearch.cli.app, autoresearch.session.run; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_an_address_where_nobody_listens_is_one_line(repository: Path, settings_of: dict[str, str]) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    done = autoresearch(repository, "run", "--agent", "sweep", "--ray", "127.0.0.1:1", env=settings_of)
    assert done.returncode == 3 and "no Ray cluster answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
