"""Remove from a syntax tree what only seeds random generators."""

import ast
import re
from collections.abc import Collection, Iterator
from typing import TypeGuard

from autoresearch.source.parsing import called_name

_SEEDING_CALLS = {
    "manual_seed", "manual_seed_all", "seed", "seed_all", "set_seed", "seed_everything",
    "default_rng", "RandomState", "SeedSequence", "Random", "PCG64", "Philox", "MT19937", "SFC64",
}  # fmt: skip
_HARMLESS_CALLS = {"int", "abs", "hash", "pow", "min", "max", "round", "time", "time_ns", "getpid", "urandom"}


def without_seeds(tree: ast.Module) -> ast.AST:
    """Make all seeds in a tree the same, in place, so that programs that differ only in seeds become equal.

    Removed are calls that only seed (torch.manual_seed(42)), arguments of seeded generators (default_rng(3)),
    `seed=` keywords, the values of names such as SEED, arithmetic on a seed (trial.seed + 1), and the values of
    names that are used for seeds only. Everything else in the same statement stays.
    """
    seeds = _WithoutSeeds()
    tree = seeds.visit(tree)
    only_for_seeds = seeds.removed_names - _names_read(tree)
    return _WithoutSeeds(only_for_seeds).visit(tree)  # type: ignore[no-any-return]


class _WithoutSeeds(ast.NodeTransformer):
    """Remove what only seeds a random generator, also the values of `seed_names`."""

    def __init__(self, seed_names: Collection[str] = ()) -> None:
        self.seed_names = seed_names
        self.removed_names: set[str] = set()  # that were read where something was removed

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if _is_seeding(node.value) and _is_plain_name(node.value.func) and self._is_removable(node.value):
            self._add_names(node.value)
            return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_seeding(node) and self._is_removable(node):
            self._add_names(*node.args, *node.keywords)
            node.args, node.keywords = [], []
        for keyword in [k for k in node.keywords if _names_a_seed(k.arg) and _is_simple(k.value)]:
            self._add_names(keyword)
            node.keywords.remove(keyword)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign) -> ast.AST:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is not None and all(map(self._is_seed_target, targets)):
            node.value = self._replace_seed(node.value)
        return self.generic_visit(node)

    visit_AnnAssign = visit_Assign

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | None:
        if self._is_seed_target(node.target) and _is_simple(node.value):
            self._add_names(node.value)
            return None
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        with_default = (node.posonlyargs + node.args)[-len(node.defaults) :] if node.defaults else []
        pairs = zip(with_default, node.defaults, strict=True)
        node.defaults = [self._replace_seed(value) if _names_a_seed(arg.arg) else value for arg, value in pairs]
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if _is_arithmetic_on_seed(node):
            self._add_names(node)
            return ast.Name("SEED", ast.Load())
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        reads_seed = isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name) and _is_seed(node)
        return ast.Name("SEED", ast.Load()) if reads_seed else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("SEED", node.ctx) if isinstance(node.ctx, ast.Load) and _is_seed(node) else node

    def _is_seed_target(self, target: ast.expr) -> bool:
        return isinstance(target, ast.Name) and (_names_a_seed(target.id) or target.id in self.seed_names)

    def _replace_seed(self, value: ast.expr) -> ast.expr:
        if not _is_simple(value):
            return value
        self._add_names(value)
        return ast.Name("SEED", ast.Load())

    @staticmethod
    def _is_removable(call: ast.Call) -> bool:
        return all(_is_simple(value) for value in (*call.args, *(k.value for k in call.keywords)))

    def _add_names(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.removed_names |= _names_read(node)


def _is_seeding(node: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and called_name(node) in _SEEDING_CALLS


def _is_plain_name(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _names_a_seed(name: str | None) -> bool:
    if name is None:
        return False
    upper_case = name.isupper() and "SEED" in name
    return upper_case or name == "random_state" or re.search(r"(^|_)seed\d*$", name) is not None


def _is_simple(node: ast.expr) -> bool:
    """Return whether an expression is free of side effects, so that a removed seed cannot hide a real change."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and called_name(part) not in _HARMLESS_CALLS | _SEEDING_CALLS:
            return False
        if isinstance(part, (ast.NamedExpr, ast.Lambda, ast.Await, ast.Yield, ast.YieldFrom)):
            return False
    return True


def _is_arithmetic_on_seed(node: ast.expr) -> bool:
    """Recognise a seed combined with integers only: trial.seed + 1, SEED ^ 5, (seed * 2 + 1) % 7."""
    leaves = list(_operands(node))
    return any(map(_is_seed, leaves)) and all(map(_is_seed_part, leaves))


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from _operands(node.left)
        yield from _operands(node.right)
    elif isinstance(node, ast.UnaryOp):
        yield from _operands(node.operand)
    else:
        yield node


def _is_seed(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "seed"
    return isinstance(node, ast.Name) and _names_a_seed(node.id)


def _is_seed_part(node: ast.expr) -> bool:
    whole = isinstance(node, ast.Constant) and type(node.value) is int
    return whole or _is_seed(node) or (isinstance(node, ast.Name) and node.id.isupper())


def _names_read(tree: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
