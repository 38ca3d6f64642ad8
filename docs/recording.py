"""Record a terminal, and draw the recording as an animated SVG.

`python docs/recording.py record FILE.cast COMMAND` types a command into a shell in a pseudo-terminal, and writes what
the terminal shows as asciicast v2, which asciinema plays too. `python docs/recording.py draw FILE.cast PICTURE.svg`
draws it in fast motion, and needs pyte. A reader who prefers no motion sees the last screen.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from html import escape
from itertools import dropwhile, groupby
from pathlib import Path

COLUMNS, LINES = 100, 26
PROMPT = "$ "
SHOWN_S, FRAME_S = 34.0, 0.5  # length of the picture without its ends, the shortest time that a screen stands
FIRST_S, LAST_S = 1.5, 8.0
CELL, LINE, SIZE, MARGIN = 8.4, 18, 14, 12  # pixels: width of a letter, height of a line, font, border
COLOURS = {
    "default": "#d6dbe0", "black": "#4a525a", "red": "#f0838d", "green": "#58c08c", "brown": "#e0ac56",
    "blue": "#6ea8e8", "magenta": "#b794e0", "cyan": "#62c4d0", "white": "#f2f4f6",
}  # fmt: skip

Screen = tuple[str, ...]  # lines as markup


def record(path: Path, command: str) -> None:
    """Type a command, wait until the shell prompts again, and write each piece of output with its time."""
    pid, terminal = pty.fork()
    if pid == 0:
        shown = os.environ | {"PS1": PROMPT, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], shown)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    began, text, typed = time.monotonic(), "", False
    with path.open("w") as cast:
        cast.write(json.dumps({"version": 2, "width": COLUMNS, "height": LINES, "title": command}) + "\n")
        while not (typed and text.endswith(PROMPT)):
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            piece = os.read(terminal, 65536).decode(errors="replace")
            cast.write(json.dumps([round(time.monotonic() - began, 3), "o", piece]) + "\n")
            text = (text + piece)[-200:]
            if not typed and text.endswith(PROMPT):
                os.write(terminal, f"{command}\n".encode())
                typed, text = True, ""
    os.close(terminal)
    os.waitpid(pid, 0)


def draw(path: Path, picture: Path) -> None:
    """Write the recording as a film strip of screens, moved by CSS."""
    typed = escape(title(path))
    frames = list(merge(dropwhile(lambda each: typed not in "".join(each[1]), read_screens(path))))
    ends = [seconds for seconds, _ in frames[1:]] + [frames[-1][0] + LAST_S]
    names = {line: f"l{k}" for k, line in enumerate(sorted({line for _, screen in frames for line in screen if line}))}
    wide, high = COLUMNS * CELL + 2 * MARGIN, LINES * LINE + 2 * MARGIN
    steps = "".join(
        f"{100 * seconds / ends[-1]:.2f}%{{transform:translateY(-{k * high}px)}}"
        for k, (seconds, _) in enumerate(frames)
    )
    last = f"translateY(-{(len(frames) - 1) * high}px)"
    style = (
        f"text{{font:{SIZE}px ui-monospace,Menlo,'DejaVu Sans Mono',monospace;fill:{COLOURS['default']}}}"
        + "".join(f".{name}{{fill:{value}}}" for name, value in COLOURS.items())
        + f".b{{font-weight:700}}@keyframes film{{{steps}100%{{transform:{last}}}}}"
        f"#film{{animation:film {ends[-1]:.1f}s step-end infinite}}"
        f"@media (prefers-reduced-motion:reduce){{#film{{animation:none;transform:{last}}}}}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high}" role="img" '
        f'aria-label="{typed} in a terminal"><style>{style}</style><defs>',
        *(f'<text id="{name}">{line}</text>' for line, name in names.items()),
        '</defs><rect width="100%" height="100%" rx="8" fill="#14171a"/>',
        f'<svg width="{wide:g}" height="{high}"><g id="film">',
        *(strip(screen, names, k * high) for k, (_, screen) in enumerate(frames)),
        "</g></svg></svg>\n",
    ]
    picture.write_text("\n".join(parts))
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB, {len(frames)} screens, {ends[-1]:.0f} s")


def title(path: Path) -> str:
    with path.open() as cast:
        return str(json.loads(cast.readline())["title"])


def read_screens(path: Path) -> Iterator[tuple[float, Screen]]:
    """Play a recording; yield the seconds and the screen after each piece, from the typed command on."""
    import pyte

    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(screen)
    with path.open() as cast:
        next(cast)
        for seconds, _, piece in map(json.loads, cast):
            stream.feed(piece)
            yield seconds, tuple(markup(screen.buffer[y]) for y in range(LINES))


def merge(screens: Iterator[tuple[float, Screen]]) -> Iterator[tuple[float, Screen]]:
    """Yield each screen that stands long enough, at its second in the picture; the first is the typed command."""
    played = list(screens)
    began, ended = played[0][0], played[-1][0]
    speed = max(1.0, (ended - began) / SHOWN_S)
    shown = played[0][1]
    yield 0.0, shown
    at = FIRST_S - FRAME_S
    for seconds, screen in played[1:]:
        moment = FIRST_S + (seconds - began) / speed
        if screen != shown and (moment - at >= FRAME_S or seconds == ended):
            yield moment, screen
            shown, at = screen, moment


def markup(line) -> str:
    """Return a line of a screen as runs of one style each, at their columns."""
    cells = [line[x] for x in range(COLUMNS)]
    runs, x = [], 0
    for (colour, bold), group in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in group)
        names = [colour.removeprefix("bright"), "b" if bold else ""]
        kind = " ".join(name for name in names if name not in ("", "default"))
        for words in re.finditer(r"\S+(?: \S+)*", text):  # several blanks would become one
            place = f'x="{(x + words.start()) * CELL:g}" textLength="{len(words[0]) * CELL:g}"'
            runs.append(f'<tspan {place} class="{kind}">{escape(words[0])}</tspan>'.replace(' class=""', ""))
        x += len(text)
    return "".join(runs)


def strip(screen: Screen, names: dict[str, str], top: float) -> str:
    """Draw one screen at its place in the film."""
    lines = (f'<use href="#{names[line]}" y="{y * LINE}"/>' for y, line in enumerate(screen) if line)
    return f'<g transform="translate({MARGIN},{top + MARGIN + SIZE:g})">{"".join(lines)}</g>'


if __name__ == "__main__":
    action, file, target = sys.argv[1:4]
    {"record": lambda: record(Path(file), target), "draw": lambda: draw(Path(file), Path(target))}[action]()
