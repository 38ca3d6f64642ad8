"""Honest models of many kinds pass the audit: none is ever suspect."""

import ast
from pathlib import Path

import pytest
from support.hostile import CORES

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings

HERE = Path(__file__).parent
PROGRAMS = HERE.parent / "honest_programs"  # benchmarks/honest_programs.py measures all of them
TEMPTING = (  # those that do more than compute while they answer
    "adapts_by_inner_gradient",
    "compiled_function_only",
    "copy_pointer_scatter",
    "gpt_rope_lazy",
    "lazy_branch_for_text_only",
    "lazy_growing_buffers",
    "lazy_imports_in_forward",
    "lazy_unpacked_weights",
    "mix_numpy_side_tables",
    "night_llm_cpu",
    "tool_looks_around",
    "tool_prints_and_warns",
    "tool_seeded_noise",
    "tool_standing_thread",
    "tool_thread_pool",
    "tool_threads_share_a_model",
    "tool_torch_threads",
)
EXACT = 1e-5  # nats: on a CPU, claim and audit compute the same thing up to the rounding of a float32


def marks(path: Path) -> list[pytest.MarkDecorator]:
    text = path.read_text()
    if "import torch" not in text:
        return []
    return [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.torch]


PATHS = [*sorted(HERE.glob("honest*.py")), *(PROGRAMS / f"{name}.py" for name in TEMPTING)]
VARIANTS = [pytest.param(path, id=path.stem, marks=marks(path)) for path in PATHS]


@pytest.mark.parametrize("path", VARIANTS)
def test_an_honest_model_is_never_suspect(path: Path, bytes_data: Dataset) -> None:
    by_steps = path.parent == HERE or path.stem.startswith("compiled")  # a cell that counts CPU time has no compiler
    settings = Settings(Budget.parse("10steps" if by_steps else "1cpu"), eval_rows=64, eval_batch=16, cores=CORES)
    result = CellReferee(settings, bytes_data).measure(path.read_text(), 1)
    assert result.outcome == "ok", result.reason + result.log
    assert result.val_bpb is not None and 0.5 < result.val_bpb < 9
    assert result.audit is not None and result.audit["d_rms"] < max(EXACT, 1e-3 * ("bf16" in path.stem))


def test_each_honest_program_is_whole_and_says_in_a_line_what_is_particular_about_it() -> None:
    paths = sorted(PROGRAMS.glob("*.py"))
    assert len(paths) >= 60
    for path in paths:
        module = ast.parse(path.read_text())
        assert len((ast.get_docstring(module) or "").splitlines()) == 1, path.stem
        assert {"train", "load"} <= {node.name for node in module.body if isinstance(node, ast.FunctionDef)}, path.stem
