"""A version as a brief shows it: train.py, or several files with their paths."""

from autoresearch.brief.tokens import count_tokens, cut
from autoresearch.source.lines import split_lines
from autoresearch.source_tree import SourceTree

LANGUAGES = {"py": "python", "md": "markdown", "yml": "yaml", "js": "javascript", "rs": "rust", "sh": "bash"}
HEADING_TOKENS = 30  # for the path and the fence of a file


def show_source(text: str, words: str, max_tokens: int | None = None) -> str:
    """Return a version under a heading that ends in `words`; what does not fit is cut, and named."""
    tree = SourceTree.parse(text)
    if not tree.framed:
        return f"# train.py{words}\n\n```python\n{_ended(text if max_tokens is None else cut(text, max_tokens))}```"
    shown, left = dict[str, str](), max_tokens
    for path, each in sorted(tree.files.items(), key=lambda file: len(file[1])):  # small files first
        block = _block(path, each)
        if left is not None and (left := left - count_tokens(block) - HEADING_TOKENS) < 0:
            block = f"## {path}\n\nLeft out for its length: {len(split_lines(each))} lines."
        shown[path] = block
    return "\n\n".join([f"# The files{words}", *(shown[path] for path in sorted(shown))])


def _block(path: str, text: str) -> str:
    kind = path.rpartition(".")[2]
    fence = "`" * max(3, 1 + max(map(len, _runs_of_ticks(text)), default=0))
    return f"## {path}\n\n{fence}{LANGUAGES.get(kind, kind)}\n{_ended(text)}{fence}"


def _ended(text: str) -> str:
    """Return a text whose last line ends, so that a fence can follow."""
    return text if text.endswith("\n") or not text else f"{text}\n"


def _runs_of_ticks(text: str) -> list[str]:
    """Return the runs of backticks at the beginnings of lines."""
    lines = (line.strip() for line in split_lines(text))
    return [line[: len(line) - len(line.lstrip("`"))] for line in lines if line.startswith("```")]
