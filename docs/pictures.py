"""Make the pictures of the docs from a real session: `python docs/pictures.py REPOSITORY [TAG]` (needs chromium).

They were made from the hundred experiments of docs/sweep-cpu.md. Look at each picture before you commit it.
"""

import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from autoresearch import ledger
from autoresearch.ledger import Ledger
from autoresearch.report import chart, html

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.browser import Browser, browser  # noqa: E402

PICTURES = HERE / "pictures"
COLUMNS, LINES = 118, 46  # of the terminal
PAGE = (940, 900)  # CSS pixels of a browser's window
COLOURS = 64  # of a PNG: flat colours and text need no more
PROGRAM = [sys.executable, "-P", "-m", "autoresearch"]


def main(repository: Path, tag: str | None = None) -> None:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        session = store.session(tag)
        assert session is not None, "no such session"
        rows, status = ledger.experiment_rows(store, session), ledger.status(store, session, 0.0)
    assert status.best is not None, "nothing is measured yet"
    write_chart(chart.picture(rows, status.sigma, lambda n: ""))
    write_terminal(repository, session.tag, status.best)
    with served(repository) as address, browser() as window:
        window.look(*PAGE)
        photograph(window, f"{address}s/{session.tag}", "session.png")
        photograph(window, f"{address}s/{session.tag}/{status.best}", "experiment.png")
        photograph(window, f"{address}s/{session.tag}/experiments?sort=val_bpb", "experiments.png", dark=True)
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.stat().st_size / 1000:6.1f} kB  {path.name}")


def write_chart(svg: str) -> None:
    """Write the progress chart as a file of its own, light and dark."""
    style = re.sub(r"/\*.*?\*/", "", html.stylesheet(), flags=re.DOTALL)
    named = svg.replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12" ', 1
    )
    titles = re.sub(r"<title>.*?</title>", "", named)  # tooltips, which a picture in a README does not show
    paper = '<rect width="100%" height="100%" fill="var(--paper)"/>'
    (PICTURES / "progress.svg").write_text(
        titles.replace(">", f"><style>{_used(style, titles)}</style>{paper}", 1) + "\n"
    )


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
    main(Path(sys.argv[1]), *sys.argv[2:3])
