"""Recognise a train.py that is a script in the shape of karpathy/autoresearch's, from its text.

Such a script imports from `prepare`, trains when it is run, and calls `evaluate_bpb(model, tokenizer, batch_size)`.
"""

import ast
import functools

from autoresearch.source.parsing import called_name, parse

PREPARE, EVALUATE = "prepare", "evaluate_bpb"
PREPARED_MODULES = frozenset({PREPARE, "kernels"})  # that a cell has for a script, whatever is installed
# what a cell's `prepare` has (measure/prepare_module.py)
PREPARED_NAMES = frozenset(
    {
        *("MAX_SEQ_LEN", "TIME_BUDGET", "EVAL_TOKENS", "VOCAB_SIZE"),
        *("Tokenizer", "make_dataloader", "evaluate_bpb", "get_token_bytes"),
    }
)


@functools.lru_cache(maxsize=64)
def is_script(text: str) -> bool:
    """Return whether a text imports from `prepare` and calls its evaluate_bpb; False for one that is no program."""
    try:
        tree = parse(text)
    except SyntaxError:
        return False
    calls = any(isinstance(node, ast.Call) and called_name(node) == EVALUATE for node in ast.walk(tree))
    return calls and bool(names_from_prepare(text))


def names_from_prepare(text: str) -> set[str]:
    """Return the names that a program imports from `prepare`, or reads of it. Raises SyntaxError."""
    names: set[str] = set()
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == PREPARE and not node.level:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == PREPARE:
            names.add(node.attr)
    return names


def missing_names(text: str) -> list[str]:
    """Return the names that a script wants of `prepare` and a cell's does not have. Raises SyntaxError."""
    return sorted(names_from_prepare(text) - PREPARED_NAMES)
