"""Size of programs: comments and docstrings do not count."""

from hypothesis import given
from hypothesis import strategies as st

from autoresearch.source.size import Size, size

PROGRAM = '''"""What it does."""

import math  # for pi

def area(r):
    """Of a circle."""
    return (
        math.pi  # about 3.14
        * r**2
    )
'''


def test_comments_docstrings_and_blank_lines_do_not_count() -> None:
    bare = "import math\ndef area(r):\n    return (\n        math.pi\n        * r**2\n    )\n"
    assert size(PROGRAM) == size(bare) == Size(6, 18)


def test_a_string_that_is_used_counts() -> None:
    assert size('x = """a\nb"""\n') == Size(2, 3)


@given(st.lists(st.sampled_from(["x = 1", "# nothing", "", "y = x + 1"]), max_size=8))
def test_lines_of_code_are_counted_once(lines: list[str]) -> None:
    assert size("\n".join(lines)).lines == sum(line[:1].isalpha() for line in lines)
