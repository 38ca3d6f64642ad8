"""Edits in a plain-text reply, and replacements of lines that are quoted with small mistakes.

All of it is plain text (see source/lines.py): what is quoted and what is written has no byte-order mark, and lines end
in newlines. Whoever takes the result writes it as the file was.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from autoresearch.source.lines import plain, split_lines
from autoresearch.source.parsing import MAX_CHARS, parse
from autoresearch.source.script import is_script
from autoresearch.source_tree import TRAIN, EditRules, SourceTree, is_plain_path

FILE = TRAIN
MAX_TEXT_CHARS = MAX_CHARS
MAX_HINT_CHARS = 160  # of a line that is shown, and of lines that are compared with it

_TAG = r"(think|thinking|reasoning)"
_THOUGHTS = re.compile(rf"^[ \t]*<{_TAG}>.*?(</\1>|\Z)", re.S | re.I | re.M)
_THOUGHTS_CUT = re.compile(rf"\A.*?(?:^[ \t]*</{_TAG}>|</{_TAG}>[ \t]*$)", re.S | re.I | re.M)
_START = re.compile(r"(<{5,9})(?!<)")
_END = re.compile(r">{5,9}(?!>)")
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.S | re.M)

_BLOCK = re.compile(r"^(<{5,9})(?!<).*?(?:^>{5,9}[^\n]*$|\Z)", re.S | re.M)

Span = tuple[int, int]


class BadEdit(ValueError):
    """An edit that cannot be made; the text tells the model how to correct it."""


def apply_reply(reply: str, current: str, rules: EditRules | None = None) -> str | None:
    """Apply the edit in a plain-text reply: SEARCH/REPLACE blocks, or a whole file in a code fence.

    Several files may have blocks and whole files, and new files where the `rules` allow them.
    Returns None if the reply has no edit. Raises BadEdit for an edit that cannot be made.
    """
    answer = strip_thoughts(reply)
    if (tree := SourceTree.parse(current)).framed:
        return _apply_to_files(answer, dict(tree.map(plain).files), rules)
    current = plain(current)
    blocks = [(old, new) for _, _, old, new in _blocks(answer.split("\n"))]
    if blocks:
        for old, new in blocks:
            current = replace_lines(current, old, new)
        return current
    files = {plain(body) for _, body in _FENCE.findall(answer) if _is_whole(body, current)} - {current}
    if not files and _is_whole(answer, current) and _is_python(answer):
        files = {answer}
    if len(files) > 1:
        raise BadEdit(f"{len(files)} fences hold a whole {FILE}: give one, or SEARCH/REPLACE blocks")
    return files.pop() if files else None


def _is_whole(text: str, current: str) -> bool:
    """Return whether a text may be the whole new file: a script in the place of a script, else a `train`."""
    return is_script(text) if is_script(current) else re.search(r"^def train\b", text, re.M) is not None


def _apply_to_files(answer: str, files: dict[str, str], rules: EditRules | None) -> str | None:
    """Apply blocks, each to the file that a line before it names or that alone holds its lines, and whole files."""
    lines, before = answer.split("\n"), dict(files)
    rest, done = list(lines), set[str]()
    for start, end, old, new in _blocks(lines):
        path = _named_path(lines[:start], files.__contains__) or _only_holder(files, old)
        files[path] = replace_lines(files[path], old, new, path)
        rest[start + 1 : end + 1] = [""] * (end - start)  # its first mark stays
        done.add(path)
    for path, text in _whole_files("\n".join(rest), lambda path: path in files or _may_create(path, rules)):
        if text in (before.get(path), files.get(path)):
            continue
        if path in done:
            raise BadEdit(f"there are two edits of {path}: give either blocks, or the whole new file once")
        files[path] = text
        done.add(path)
    return None if files == before else SourceTree(files).text


def _whole_files(answer: str, is_path: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield path and text of fences after a line with a path; not of those with blocks."""
    for fence in _FENCE.finditer(answer):
        path = _named_path(answer[: fence.start()].rstrip("\n").split("\n"), is_path)
        if path is not None and not any(map(_START.match, fence[2].split("\n"))):
            yield path, plain(fence[2])


def _may_create(path: str, rules: EditRules | None) -> bool:
    """Return whether a word is the path of a new file that the rules allow; `Change:` is none, whatever they say."""
    looks_like_one = not re.search(r"\s", path) and ("." in path or "/" in path) and is_plain_path(path)
    return looks_like_one and rules is not None and rules.create and rules.matches(path)


def _named_path(lines: Sequence[str], is_path: Callable[[str], bool]) -> str | None:
    """Return the path in the last line that is not empty, or before the fence that ends there."""
    words = [line.strip("#*`: \t") for line in lines if line.strip() and not line.lstrip().startswith(("```", "~~~"))]
    return words[-1] if words and is_path(words[-1]) else None


def _only_holder(files: Mapping[str, str], old: str) -> str:
    found = [path for path, text in files.items() if old.strip() and plain(old).strip("\n") in text]
    if len(found) != 1:
        raise BadEdit(f"put the path of its file in a line before each block: {', '.join(sorted(files))}")
    return found[0]


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int, str, str]]:
    """Yield the first and last line, and the old and new lines of SEARCH/REPLACE blocks.

    The three marks of a block have the same number of signs, and the divider is a line of its signs alone: any other
    row of `=` belongs to the text. Raises BadEdit where it is not clear what the text is.
    """
    k = 0
    while k < len(lines):
        start = _START.match(lines[k])
        if start is None:
            if _END.match(lines[k]):
                raise BadEdit(f"`{lines[k][:MAX_HINT_CHARS]}` ends no block: {_block_form(7)}")
            k += 1
            continue
        size = len(start[1])
        end = next((j for j in range(k + 1, len(lines)) if _is_mark(lines[j], ">", size)), len(lines))
        inside = lines[k + 1 : end]
        dividers = [j for j, line in enumerate(inside) if line.rstrip() == "=" * size]
        if end == len(lines) or len(dividers) != 1 or any(_is_mark(line, "<", size) for line in inside):
            raise BadEdit(f"the block that begins with `{lines[k][:MAX_HINT_CHARS]}` is not clear: {_block_form(size)}")
        yield k, end, _joined(inside[: dividers[0]]), _joined(inside[dividers[0] + 1 :])
        k = end + 1


def _is_mark(line: str, sign: str, size: int) -> bool:
    return line.startswith(sign * size) and not line.startswith(sign * (size + 1))


def _block_form(size: int) -> str:
    other = 9 if size != 9 else 8
    return (
        f"a block has the lines `{'<' * size} SEARCH`, `{'=' * size}` and `{'>' * size} REPLACE`, once each;"
        f" where the text holds such a line, use {other} signs in all three"
    )


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def strip_thoughts(reply: str) -> str:
    """Return a reply as plain text without thoughts in tags; some servers omit the opening tag.

    Tags elsewhere than at the start of a line, or where a line ends, may belong to a program.
    """
    return _THOUGHTS_CUT.sub("", _THOUGHTS.sub("", plain(reply)))


def strip_code(reply: str) -> str:
    """Return the words of a reply without its blocks and fences."""
    return _FENCE.sub("", _BLOCK.sub("", reply))


def replace_once(text: str, old: str, new: str, path: str = FILE) -> str:
    """Replace the only occurrence of `old`; if there is none, lines that differ only in blanks at their ends.

    Raises BadEdit if there is none, or more than one.
    """
    old, new = plain(old), plain(new)
    start = text.find(old) if old.strip() else -1
    if start < 0:
        return replace_lines(text, old, new, path)
    found = [at for at in (start, text.find(old, start + 1)) if at >= 0]
    return _splice(text, [(at, at + len(old)) for at in found], new)


def replace_lines(text: str, old: str, new: str, path: str = FILE) -> str:
    """Replace whole lines that occur once.

    If no lines are equal, blanks at the ends of lines may differ, then empty lines around all of them. A single line
    may also leave out its indentation and the comment at its end, which stay. Raises BadEdit.
    """
    old, new = plain(old), plain(new)
    if not old.strip():
        raise BadEdit("the text to replace is empty: quote the lines to change exactly as they stand")
    for lines, blanks_count in ((old, True), (old, False), (old.strip("\n"), False)):
        if found := _match_lines(text, split_lines(lines), blanks_count):
            return _splice(text, found, _ended(new if lines == old else new.strip("\n"), text, found[0]))
    if found := _match_code(text, old.strip("\n"), new.strip("\n")):
        return _splice(text, found, new.strip())
    raise BadEdit(_no_match(text, old, path))


def _match_lines(text: str, wanted: Sequence[str], blanks_count: bool) -> list[Span]:
    """Return the positions of at most two rows of lines that are equal to the wanted ones, with or without blanks."""
    lines = split_lines(text)
    starts = list(accumulate(map(len, lines), initial=0))
    where, what = (
        "\n" + "".join(f"{line.rstrip(chr(10) if blanks_count else None)}\n" for line in each)
        for each in (lines, wanted)
    )
    found: list[Span] = []
    at = where.find(what)
    while at >= 0 and len(found) < 2:
        first = where.count("\n", 0, at)
        found.append((starts[first], starts[first + len(wanted)]))
        at = where.find(what, at + 1)
    return found


def _match_code(text: str, old: str, new: str) -> list[Span]:
    """Return the positions of one line of code without its indentation and its comment."""
    if "\n" in old + new or (new and _indentation(old) != _indentation(new)):
        return []
    line = re.compile(rf"^[ \t]*({re.escape(old.strip())})[ \t]*(?:#[^\n]*)?$", re.M)
    return [match.span(1) for match in line.finditer(text)]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _splice(text: str, found: Sequence[Span], new: str) -> str:
    if len(found) > 1:
        raise BadEdit("the text to replace occurs more than once: quote more lines around it")
    start, end = found[0]
    return text[:start] + new + text[end:]


def _ended(new: str, text: str, found: Span) -> str:
    """Return lines that end as those that they replace: in a newline, except at the end of some files."""
    if not text[: found[1]].endswith("\n"):
        return new.removesuffix("\n")
    return new if new.endswith("\n") or not new else new + "\n"


def _no_match(text: str, old: str, path: str) -> str:
    first = next(line for line in old.split("\n") if line.strip())
    lines = [line for line in text.split("\n") if len(line) <= MAX_HINT_CHARS]
    near = difflib.get_close_matches(first[:MAX_HINT_CHARS], lines, n=1, cutoff=0.6)
    hint = f"; the nearest line is `{near[0].strip()}`" if near and near[0] != first else ""
    return f"the text to replace does not occur in {path}: quote it exactly, with its indentation{hint}"


def _is_python(text: str) -> bool:
    try:
        parse(text)
    except SyntaxError:
        return False
    return True
