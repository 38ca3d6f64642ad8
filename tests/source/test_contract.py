"""Static checks of a proposed train.py."""

from pathlib import Path

import pytest

from autoresearch.errors import Blocker
from autoresearch.source import contract


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("def load(state, config, device)", "def load(state, config)", "`load` has to take 3 arguments"),
        ("def load(", "def unload(", "no function `load`"),
        ("def train(trial)", "def train()", "`train` has to take 1 argument"),
        ("import numpy as np", "import numpy as np, transformers_of_nobody", "imports `transformers_of_nobody`"),
        ("import numpy as np", "import numpy as np\nfrom . import x", "imports `.`"),
        ("    trial.start()", "    import scipy_of_nobody.stats\n    trial.start()", "imports `scipy_of_nobody.stats`"),
        ("step = 0", "step = ", "does not parse: line 14"),
        ("step = 0", "step = 0\0", "does not parse"),
    ],
)
def test_static_checks(bigram: str, old: str, new: str, complaint: str) -> None:
    assert old in bigram
    assert complaint in (contract.complaint(bigram.replace(old, new, 1)) or "")


@pytest.mark.parametrize(
    ("line", "parent", "complaint"),
    [
        ("import safetensors", "", None),  # installed
        ("from einops_of_nobody import rearrange", "import einops_of_nobody", None),
        ("import einops_of_nobody.layers", "try:\n    from einops_of_nobody import x\nexcept ImportError: pass", None),
        ("import einops_of_nobody", "import other", "imports `einops_of_nobody`"),
        ("import einops_of_nobody", "a text that does not parse", "imports `einops_of_nobody`"),
        ("import prepare", "", "imports `prepare`"),  # this program sees it, a cell does not
        ("import autoresearch.measure", "", "imports `autoresearch.measure`"),
    ],
)
def test_a_change_may_import_what_its_parent_imports_or_a_cell_finds(
    bigram: str, line: str, parent: str, complaint: str | None
) -> None:
    found = contract.complaint(f"{line}\n{bigram}", parent)
    assert found is None if complaint is None else complaint in (found or "")


def test_names_on_the_search_path_of_this_process_are_not_in_a_cell(
    bigram: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_train.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert contract.complaint(f"import beside_train\n{bigram}") is not None


@pytest.mark.parametrize(
    "text", ["from lib import train, load", "from lib import *", "from lib import a as train, load"]
)
def test_functions_may_come_from_elsewhere(text: str) -> None:
    assert contract.defect(text) is None


def test_a_base_without_the_contract_is_a_blocker_that_says_what_is_needed(bigram: str) -> None:
    contract.require_contract(bigram, "train.py")
    with pytest.raises(Blocker, match=r"^model.py has no function `train`: it needs `train\(trial\)` and `load\("):
        contract.require_contract("print(1)", "model.py")
    with pytest.raises(Blocker, match=r"^model.py does not parse: line 1"):
        contract.require_contract("print 1", "model.py")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def train(trial)", "class M:\n    def train(self, mode=True): pass\n\ndef train(trial, *, extra=1)"),
        ("def load(state, config, device)", "def load(*args)"),
        (
            "import numpy as np",
            "import numpy as np\ntry:\n    import flash_attn\nexcept ImportError:\n    flash_attn = None",
        ),
        ("import numpy as np", "from __future__ import annotations\nimport math, torch.nn as nn\nimport numpy as np"),
        ("def load(", "load = None\ndef _load("),
    ],
)
def test_static_checks_let_good_versions_pass(bigram: str, old: str, new: str) -> None:
    assert contract.complaint(bigram.replace(old, new, 1)) is None
