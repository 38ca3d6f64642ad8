"""Comments and docstrings do not reach a cell; everything else does, on its own line."""

import ast
import io
import tokenize
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.source.prose import without_prose
from autoresearch.source.size import size

MANY = sorted([*Path("tests/attacks").glob("*.py"), *Path("autoresearch").glob("*/*.py")])
HONEST = [Path("train.py"), *MANY[::20], *(pytest.param(path, marks=pytest.mark.slow) for path in MANY)]


def without_bare_strings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value = ast.Constant("")
    return ast.dump(tree)


@pytest.mark.parametrize("path", HONEST, ids=str)
def test_a_program_stays_the_same_on_the_same_lines(path: Path) -> None:
    text = path.read_text()
    bare = without_prose(text)
    assert ast.dump(ast.parse(bare)) == without_bare_strings(text)
    places = [
        [(type(node), node.lineno) for node in ast.walk(ast.parse(each)) if isinstance(node, ast.stmt)]
        for each in (text, bare)
    ]
    assert places[0] == places[1]
    assert without_prose(bare) == bare


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'''a\nb'''\nfrom __future__ import annotations\n", '""\n\nfrom __future__ import annotations\n'),
        ("'''a\nb'''; x = 1 # c\n", '""\\\n; x = 1\n'),
        ("def f(): 'doc'\n", 'def f(): ""\n'),
        ("def f():\n    ('a'  # c\n     'b')\n", 'def f():\n    ""\n\n'),
        ("x = '''a # b\n'''\n", "x = '''a # b\n'''\n"),
        ("x = (  # one\n    '''kept''',  # two\n)\n", "x = (\n    '''kept''',\n)\n"),
        ("f'{x}'\n", "f'{x}'\n"),
        ("b'kept'\n", "b'kept'\n"),
        ("größe = 'ü'; 'weg'  # ü\r\ny = 2\r\n", "größe = 'ü'; \"\"\ny = 2\n"),
        ("x = 1\r# gone\ry = 2", "x = 1\n\ny = 2"),
        ("'''end'''", '""'),
        ("'''end\n'''", '""\n'),
        ("# only a comment", ""),
        ("x = 1 \t \n \t\n\ny = \\\n  2  \n", "x = 1\n\n\ny = \\\n  2\n"),
        ("x = '''a  \nb  \n'''  \ny = f'''{x}  \n'''  \n", "x = '''a  \nb  \n'''\ny = f'''{x}  \n'''\n"),
        ("", ""),
    ],
)
def test_only_prose_goes(text: str, expected: str) -> None:
    assert without_prose(text) == expected
    assert ast.dump(ast.parse(expected)) == without_bare_strings(text)


@pytest.mark.parametrize("text", ["\f'''doc'''\nx = 1\n", "if x:\n\f  '''doc'''\n", "x = 1 \\\n  # not a comment?\n"])
def test_an_unusual_layout_may_change_but_prose_goes(text: str) -> None:
    try:
        expected = without_bare_strings(text)
    except SyntaxError:
        with pytest.raises(SyntaxError):
            without_prose(text)
        return
    assert ast.dump(ast.parse(without_prose(text))) == expected and "doc" not in without_prose(text)


@pytest.mark.parametrize("text", ["x = (", "x = '\x00'", "x = '\ud800'", "x" + ".a" * 5000])
def test_what_cannot_be_read_is_a_syntax_error(text: str) -> None:
    with pytest.raises(SyntaxError):
        without_prose(text)


PIECES = [
    "'''doc\n''' ", '"x"', "# c", "\n", "\n    ", "x = 1", ";", "def f():", "if x:", "else:", "(", ")", "\\\n", "\f",
    "\r", "\r\n", "\t", "f'{x!r:>{y}}'", "f'''{\nx # c\n}'''", "b'y'", "'a' 'b'", "é", "  ", ",", "@d", "pass",
    "r'\\'", "lambda: 0", "class C:", "async def g():", "'#'", "\N{ZERO WIDTH SPACE}", "\x0b", "u'u'",
]  # fmt: skip


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_text_is_a_syntax_error_or_the_same_program_without_prose(text: str) -> None:
    try:
        expected = without_bare_strings(text)
    except (SyntaxError, ValueError):
        with pytest.raises(SyntaxError):
            without_prose(text)
        return
    bare = without_prose(text)
    assert ast.dump(ast.parse(bare)) == expected
    assert ("doc" in bare) == ("doc" in expected)  # a tuple may hold it
    assert not any(token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(bare).readline))
    assert size(text).lines <= len(bare.split("\n"))
