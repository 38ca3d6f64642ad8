import subprocess

import pytest

from autoresearch.source import constants, diff, fingerprint
from autoresearch.source.parsing import uses_torch

PROGRAM = '''"""A tiny program."""

import numpy as np
import torch

# --- optimiser
MATRIX_LR = 0.04   # per step, größer ist schneller
ADAM_BETA2: float = 0.95
WEIGHT_DECAY = 1e-3
FLOOR = -1.0
BATCH = 2**17      # tokens
WIDTH = 2 ** 7
ROWS = 131_072
DEPTH = 4
SEED = 42
FUSED = True
NAME = "é"; AFTER_TEXT = 3  # same line
lower = 1
PAIR = (1, 2)
TWICE = 1
TWICE = 2
SHADOWED = 5
GLOBAL = 6
HUGE = 9**9**9**9
LOOP = 7
for LOOP in range(3):
    pass


def train(trial):
    """Train."""
    global GLOBAL
    SHADOWED = 7
    torch.manual_seed(trial.seed)
    rng = np.random.default_rng(trial.seed)
    return MATRIX_LR * rng.random() + SHADOWED
'''


def test_fingerprint_ignores_comments_layout_and_docstrings():
    other = PROGRAM
    for old, new in [
        ('"""A tiny program."""', ""),
        ("# tokens", ""),
        ('    """Train."""\n', ""),
        ("DEPTH = 4", "\n\nDEPTH   =   (4)"),
        ("    return", "    'a note'\n    return"),
    ]:
        other = other.replace(old, new)
    assert fingerprint.fingerprint(other) == fingerprint.fingerprint(PROGRAM)
    assert fingerprint.fingerprint("x = u'a'\n") == fingerprint.fingerprint('x = "a"')
    assert fingerprint.fingerprint("def f():\n  'only words'\n") != fingerprint.fingerprint("def f():\n  return 1\n")


def test_fingerprint_sees_a_change_of_value():
    assert fingerprint.fingerprint(PROGRAM.replace("0.04", "0.05")) != fingerprint.fingerprint(PROGRAM)


@pytest.mark.parametrize(
    "text", ["x = (", "x = '\x00'", "x = '\ud800'", "(" * 500 + ")" * 500, "x = " + "+".join("1" * 9000)]
)
def test_what_python_cannot_read_is_a_syntax_error(text):
    for ask in (fingerprint.fingerprint, fingerprint.fingerprint_without_seed):
        with pytest.raises(SyntaxError):
            ask(text)


def test_warnings_of_the_text_are_not_ours():
    assert fingerprint.fingerprint(r"x = '\d'")  # pytest turns warnings into errors


def differs_only_in_seed(a, b):
    same = fingerprint.fingerprint_without_seed(a) == fingerprint.fingerprint_without_seed(b)
    return same and fingerprint.fingerprint(a) != fingerprint.fingerprint(b)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch.manual_seed(42)", "torch.manual_seed(137)"),
        ("torch.manual_seed(trial.seed)", "torch.manual_seed(trial.seed + 1)"),
        ("torch.manual_seed(trial.seed)", "torch.manual_seed(trial.seed ^ 5)"),
        ("torch.cuda.manual_seed_all(1)", "torch.cuda.manual_seed_all(int(time.time()))"),
        ("SEED = 42\nf(SEED)", "SEED = 3\nf(SEED)"),
        ("DATA_SEED: int = 42", "DATA_SEED: int = 43"),
        ("seed = trial.seed", "seed = (trial.seed * 31 + 7) % 1000"),
        ("rng = np.random.default_rng(trial.seed)", "rng = np.random.default_rng(trial.seed * 2)"),
        ("rng = np.random.default_rng()", "rng = np.random.default_rng([3, trial.seed])"),
        ("np.random.seed(1)", "np.random.seed(2)"),
        ("random.seed(1)", "random.seed('abc')"),
        ("import random", "import random\nrandom.seed(7)"),
        ("g = torch.Generator().manual_seed(1)", "g = torch.Generator().manual_seed(x)"),
        ("shuffle(rows, seed=1)", "shuffle(rows, seed=trial.seed)"),
        ("shuffle(rows)", "shuffle(rows, seed=1)"),
        ("shuffle(rows, trial.seed)", "shuffle(rows, trial.seed + 17)"),
        ("def f(x, seed=1): return g(x, seed)", "def f(x, seed=2): return g(x, seed + 1)"),
        ("seed = 1\nuse(seed)", "seed = 1\nseed += 1\nuse(seed)"),
        ("OFFSET = 1\nmanual_seed(trial.seed + OFFSET)", "OFFSET = 9\nmanual_seed(trial.seed + OFFSET)"),
    ],
)
def test_a_change_of_seed_is_seen_through(before, after):
    assert differs_only_in_seed(before, after)
    assert differs_only_in_seed(after, before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = f(default_rng(1), 0.1)", "x = f(default_rng(2), 0.2)"),
        ("g = torch.Generator('cpu').manual_seed(1)", "g = torch.Generator('cuda').manual_seed(2)"),
        ("SEED, LR = 1, 0.1", "SEED, LR = 2, 0.2"),
        ("shuffle(rows, 3, seed=1)", "shuffle(rows, 4, seed=2)"),
        ("torch.manual_seed(1); LR = 0.1", "torch.manual_seed(2); LR = 0.2"),
        ("OFFSET = 1\nmanual_seed(OFFSET)\nLR = OFFSET", "OFFSET = 2\nmanual_seed(OFFSET)\nLR = OFFSET"),
        ("torch.manual_seed(1)", "torch.manual_seed(grow_model())"),
        ("torch.manual_seed(1)", "torch.manual_seed(LR := 2)"),
        ("x = 0.1 * trial.seed", "x = 0.2 * trial.seed"),
        ("SEED = 1", "SEED = build()"),
        ("LR = 0.1", "LR = 0.2"),
    ],
)
def test_a_real_change_is_not_taken_for_a_seed(before, after):
    assert not differs_only_in_seed(before, after)


def test_equal_programs_do_not_differ_in_seed():
    assert not differs_only_in_seed(PROGRAM, PROGRAM + "# a comment\n")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("import torch", True),
        ("import torch.nn as nn", True),
        ("def f():\n    from torch.nn import functional", True),
        ("import importlib\nt = importlib.import_module('torch.nn')", True),
        ("t = __import__('torch')", True),
        ("import numpy as torch", False),
        ("import torchlike", False),
        ("from . import torch", False),
        ("# import torch\nx = 'import torch'", False),
    ],
)
def test_uses_torch(text, answer):
    assert uses_torch(text) is answer


def test_constants_are_the_numbers_bound_once_at_module_level():
    found = {constant.name: constant.value for constant in constants.constants(PROGRAM)}
    assert found == {
        "MATRIX_LR": 0.04, "ADAM_BETA2": 0.95, "WEIGHT_DECAY": 1e-3, "FLOOR": -1.0, "BATCH": 131072,
        "WIDTH": 128, "ROWS": 131072, "DEPTH": 4, "SEED": 42, "AFTER_TEXT": 3, "SHADOWED": 5,
    }  # fmt: skip


def test_constants_know_their_place():
    by_name = {constant.name: constant for constant in constants.constants(PROGRAM)}
    assert by_name["BATCH"].spelling == "2**17"
    assert PROGRAM.split("\n")[by_name["AFTER_TEXT"].line - 1].startswith('NAME = "é"')


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("0.04", 0.0523456, "0.05235"),
        ("0.04", 1, "1.0"),
        ("0.04", 123456.7, "123500.0"),
        ("0.95", 0.9975, "0.9975"),
        ("0.999", 0.99951234, "0.9995123"),
        ("1e-3", 0.00052, "5.2e-4"),
        ("1e-3", 0.5, "0.5"),
        ("1e-10", 2e-10, "2e-10"),
        ("0.0001", 0.00005, "5e-5"),
        ("-1.0", -2.5, "-2.5"),
        ("2**17", 2**16, "2**16"),
        ("2 ** 7", 256, "2 ** 8"),
        ("1 << 4", 32, "1 << 5"),
        ("2**17", 100_000, "100000"),
        ("131_072", 65536, "65_536"),
        ("64 * 4", 512, "512"),
        ("4", 5, "5"),
        ("4", 4.5, "4.5"),
        ("(\n  4\n)", 5, "(\n  5\n)"),
    ],
)
def test_new_values_are_spelled_like_the_old_ones(old, value, new):
    head, tail = 'Ü = "ü"; X = ', "  # größer\r\nY = 1\r\n"
    assert constants.with_constants(head + old + tail, {"X": value}) == head + new + tail


def test_only_the_literals_change():
    text = constants.with_constants(PROGRAM, {"AFTER_TEXT": 9, "MATRIX_LR": 0.05, "ROWS": 262144})
    expected = PROGRAM.replace("AFTER_TEXT = 3", "AFTER_TEXT = 9").replace("0.04", "0.05")
    assert text == expected.replace("131_072", "262_144")


def test_any_line_ending_is_kept():
    text = "A = 1\rB = 2\r\nC = 3\n\x0cD = 4"
    assert constants.with_constants(text, {"B": 5, "D": 6}) == "A = 1\rB = 5\r\nC = 3\n\x0cD = 6"


def test_a_constant_that_is_not_there():
    with pytest.raises(KeyError, match="NOPE"):
        constants.with_constants(PROGRAM, {"NOPE": 1})


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_literal_is_not_written(value):
    with pytest.raises(ValueError, match="literal"):
        constants.with_constants(PROGRAM, {"MATRIX_LR": value})


@pytest.mark.parametrize("after", [PROGRAM.replace("0.04", "0.05") + "last = 1", "x = 1\x0c\r\n", ""])
def test_unified_diff_is_a_patch_that_git_applies(tmp_path, after):
    file = tmp_path / "train.py"
    file.write_bytes(PROGRAM.encode())
    patch = diff.unified_diff(PROGRAM, after)
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=tmp_path, check=True)
    assert (file.read_bytes().decode() if file.exists() else "") == after


def test_lines_changed():
    assert diff.lines_changed(PROGRAM, PROGRAM) == (0, 0)
    assert diff.lines_changed("a\nb\nc\n", "a\nB\nc\nd") == (2, 1)
    assert diff.lines_changed("-- a\n", "++ b\n++ c\n") == (2, 1)
    assert diff.unified_diff(PROGRAM, PROGRAM) == ""


# --- alike


def test_outline_leaves_the_values_of_constants_out_and_nothing_else():
    shape, numbers = fingerprint.outline(PROGRAM)
    other = constants.with_constants(PROGRAM, {"MATRIX_LR": 0.05, "BATCH": 2**16})
    assert fingerprint.outline(other)[0] == shape
    assert numbers[:2] == [0.04, 0.95] and 42 not in numbers
    assert fingerprint.outline(other)[1][:5] == [0.05, 0.95, *numbers[2:4], 2**16]
    assert fingerprint.outline(PROGRAM.replace("SEED = 42", "SEED = 43")) == (shape, numbers)
    for old, new in [("lower = 1", "lower = 2"), ("FUSED = True", "FUSED = False"), ("MATRIX_LR * rng", "BATCH * rng")]:
        assert fingerprint.outline(PROGRAM.replace(old, new))[0] != shape


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (100, 101, True),
        (100, 102, False),
        (0.04, 0.0403, True),
        (0.95, 0.955, False),
        (0.999, 0.9995, False),
        (0, 1e-9, False),
        (-1.0, 1.0, False),
        (0.5, 0.5, True),
    ],
)
def test_numbers_are_near_up_to_a_share_of_them(a, b, same):
    assert fingerprint.are_close([a, 3], [b, 3], 0.01) == fingerprint.are_close([b, 3], [a, 3], 0.01) == same
    assert not fingerprint.are_close([a], [b, 3], 0.01)


def test_summary_names_constants_and_counts_other_lines():
    other = constants.with_constants(PROGRAM, {"MATRIX_LR": 0.05})
    assert diff.summary(PROGRAM, other) == "MATRIX_LR 0.04 -> 0.05"
    assert (
        diff.summary(PROGRAM, other.replace("lower = 1", "lower = 2\nx = 3")) == "MATRIX_LR 0.04 -> 0.05, +3 -2 lines"
    )
    assert diff.summary(PROGRAM, PROGRAM) == "+0 -0 lines"
    assert diff.summary("x = 1\n", "x = (\n") == "+1 -1 lines"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("before", ["", "A = '''\f'''\n", "# \u2028\r", "\r\n# \x1c\r\n"])
def test_marks_and_odd_characters_shift_no_constant(mark: str, before: str) -> None:
    text = f"{mark}{before}LR = 0.1\r\nROWS = 8\r\n"
    changed = constants.with_constants(text, {"LR": 0.2, "ROWS": 16})
    assert changed == f"{mark}{before}LR = 0.2\r\nROWS = 16\r\n"
