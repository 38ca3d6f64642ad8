"""Highlight code for a terminal: the lines of a diff, and the words of Python in them."""

from pygments.token import Comment, Keyword, Number, Operator, String
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.text import Text

SIGNS = {"+": "green", "-": "red", "@": "cyan"}
MAX_LINE_CHARS = 500  # of a line that is analysed
AROUND = {Comment: "dim", String: "yellow", Number: "cyan", Keyword: "magenta", Operator.Word: "magenta"}
CHANGED = {Comment: "dim", Keyword: "bold", Operator.Word: "bold"}  # beside the colour of the whole line


def highlight(text: str, language: str) -> Text:
    if language == "python":
        return _python(AROUND).highlight(text)
    around, changed = _python(AROUND), _python(CHANGED)
    return Text().join(_line(line, around if line[0] == " " else changed) for line in text.splitlines(keepends=True))


def _line(line: str, python: Syntax) -> Text:
    """Highlight one line of a diff by itself: a diff holds only parts of a program."""
    if line.startswith(("--- ", "+++ ")):
        return Text(line, "bold")
    style = SIGNS.get(line[0], "")
    if line[0] not in "+- " or len(line) > MAX_LINE_CHARS:
        return Text(line, style)
    words = python.highlight(line[1:])[: len(line) - 1]  # pygments adds the end of a line
    text = Text(line[0]).append_text(words)
    text.stylize_before(style)
    return text


def _python(styles: dict[tuple[str, ...], str]) -> Syntax:
    theme = ANSISyntaxTheme({token: Style.parse(style) for token, style in styles.items()})
    return Syntax("", "python", theme=theme, tab_size=0)
