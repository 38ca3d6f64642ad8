"""Make the pictures of the docs from real sessions. Look at each picture before you commit it.

`python docs/pictures.py LEDGER` makes pictures/night.svg and night-phone.svg, from the ledger of the session that
docs/nights.md tells. docs/recording.py makes demo.svg. `python docs/pictures.py REPOSITORY [TAG]` makes the others, and
needs chromium; they were made from the hundred experiments of docs/sweep-cpu.md.
"""

import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from autoresearch import ledger
from autoresearch.analysis import summary
from autoresearch.analysis.summary import SessionSummary
from autoresearch.ledger import Ledger
from autoresearch.report import chart, html
from autoresearch.report.axes import NARROW_WIDTH

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.browser import Browser, browser  # noqa: E402

PICTURES = HERE / "pictures"
COLUMNS, LINES = 118, 46  # of the terminal
PAGE = (940, 900)  # CSS pixels of a browser's window
COLOURS = 64  # of a PNG: flat colours and text need no more
NIGHT = {  # our names of what the session kept
    1: "count bigrams",
    4: "count 5-grams",
    11: "copy what followed the same tokens",
    14: "learn what to copy",
    17: "describe tokens by their neighbours",
    20: "count faster, hold a quarter out",
    24: "find copies by what they are",
    29: "faster steps",
    34: "count a 5-gram once in a block",
}
NIGHT_KEY = (500, 66, 19)  # left, top and height of a line of the names: where the chart is empty
PROGRAM = [sys.executable, "-P", "-m", "autoresearch"]


def main(repository: Path, tag: str | None = None) -> None:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        session = store.session(tag)
        assert session is not None, "no such session"
        rows, status = ledger.experiment_rows(store, session), ledger.status(store, session, 0.0)
    assert status.best is not None, "nothing is measured yet"
    write_chart(chart.picture(rows, status.sigma, lambda n: ""), "progress.svg")
    write_terminal(repository, session.tag, status.best)
    with served(repository) as address, browser() as window:
        window.look(*PAGE)
        photograph(window, f"{address}s/{session.tag}", "session.png")
        photograph(window, f"{address}s/{session.tag}/{status.best}", "experiment.png")
        photograph(window, f"{address}s/{session.tag}/experiments?sort=val_bpb", "experiments.png", dark=True)
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.stat().st_size / 1000:6.1f} kB  {path.name}")


def night(path: Path) -> None:
    """Draw the recorded session of a language model from its ledger, for pages and for phones."""
    with Ledger.open(path, readonly=True) as store:
        session = store.session(None)
        assert session is not None, "no such session"
        told = summary.read(store, session, path.parent, 0.0)
    assert told.total is not None, "its total was not measured"
    draw = partial(chart.picture, told.rows, told.status.sigma, lambda n: "")
    write_chart(draw().replace("</svg>", f"{night_key(told)}</svg>"), "night.svg")
    write_chart(draw(width=NARROW_WIDTH), "night-phone.svg")


def night_key(told: SessionSummary) -> str:
    """Write the honest total, and below it what each keep was."""
    left, top, height = NIGHT_KEY
    val = told.total.val
    lines = [
        f'<text class="label" x="{left}" y="{top}" font-size="15">honest total {val.mean:.4f}</text>'
        f'<text class="tick" x="{left + 200}" y="{top}">95 %: {val.low:.4f} to {val.high:.4f}</text>'
    ]
    for k, row in enumerate(told.keeps, start=1):
        y = top + 6 + k * height
        lines.append(
            f'<text class="label" x="{left + 20}" y="{y}" text-anchor="end">{row.n}</text>'
            f'<text class="tick" x="{left + 30}" y="{y}">{NIGHT[row.n]}</text>'
            f'<text class="tick" x="{left + 330}" y="{y}" text-anchor="end">{row.delta:.4f}</text>'
        )
    return "".join(lines)


def write_chart(svg: str, name: str) -> None:
    """Write a progress chart as a file of its own, light and dark."""
    style = re.sub(r"/\*.*?\*/", "", html.stylesheet(), flags=re.DOTALL)
    named = svg.replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12" ', 1
    )
    titles = re.sub(r"<title>.*?</title>", "", named)  # tooltips, which a picture in a README does not show
    paper = '<rect width="100%" height="100%" fill="var(--paper)"/>'
    (PICTURES / name).write_text(titles.replace(">", f"><style>{_used(style, titles)}</style>{paper}", 1) + "\n")


def _used(style: str, svg: str) -> str:
    """Return the colours, and the rules for the classes in the picture."""
    kinds = set(" ".join(re.findall(r'class="([^"]*)"', svg)).split())
    rules = re.findall(r"^(\.[\w. -]+) (\{[^}]*\})", style, re.MULTILINE)
    wanted = [f"{name} {rule}" for name, rule in rules if {word for word in re.split(r"[. ]+", name) if word} <= kinds]
    return "".join(
        [*re.findall(r"^:root \{[^}]*\}|^@media \(prefers.*?\n\}", style, re.MULTILINE | re.DOTALL), *wanted]
    )


def write_terminal(repository: Path, tag: str, best: int) -> None:
    """Draw the output of some commands as a terminal shows it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    text = Text()
    for command in (["status"], ["log"], ["show", str(best)]):
        shown = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
        done = subprocess.run(
            [*PROGRAM, *command, "--tag", tag], cwd=repository, env=shown, capture_output=True, text=True, check=True
        )
        text.append(f"$ autoresearch {' '.join(command)}\n", style="bold cyan")
        text.append_text(Text.from_ansi(done.stdout))
        text.append("\n\n")
    lines = text.wrap(console, COLUMNS)[:LINES]
    console.print(Text("\n").join(lines))
    svg = console.export_svg(title="autoresearch", unique_id="terminal")
    svg = re.sub(r"@font-face \{.*?\}|<!--.*?-->", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
    (PICTURES / "terminal.svg").write_text(re.sub(r"[ \t]*\n\s*", "\n", svg))


@contextmanager
def served(repository: Path):
    """Serve the pages of the repository; yield their address."""
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"], cwd=repository, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server.stderr.readline().split()[0]
        finally:
            server.terminate()


def photograph(window: Browser, address: str, name: str, dark: bool = False) -> None:
    """Save the top of a page."""
    window.look(*PAGE, dark=dark)
    window.open(address)
    window.until(
        "document.querySelectorAll('figure[data-chart]').length === document.querySelectorAll('figure.drawn').length"
    )
    window.picture(PICTURES / name)
    with Image.open(PICTURES / name) as picture:
        top = picture.convert("RGB").crop((0, 0, min(PAGE[0], picture.width), min(PAGE[1], picture.height)))
    top.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    main(target, *sys.argv[2:3]) if target.is_dir() else night(target)
