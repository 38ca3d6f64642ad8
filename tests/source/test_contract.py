"""Static checks of a proposed train.py."""

import pytest

from autoresearch.source import contract


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("def load(state, config, device)", "def load(state, config)", "`load` has to take 3 arguments"),
        ("def load(", "def unload(", "no function `load`"),
        ("def train(trial)", "def train()", "`train` has to take 1 argument"),
        ("import numpy as np", "import numpy as np, transformers", "imports `transformers`"),
        ("import numpy as np", "import numpy as np\nfrom . import x", "imports `.`"),
        ("    trial.start()", "    import scipy.stats\n    trial.start()", "imports `scipy.stats`"),
        ("step = 0", "step = ", "does not parse: line 14"),
        ("step = 0", "step = 0\0", "does not parse"),
    ],
)
def test_static_checks(bigram: str, old: str, new: str, complaint: str) -> None:
    assert old in bigram
    assert complaint in (contract.complaint(bigram.replace(old, new, 1)) or "")


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
