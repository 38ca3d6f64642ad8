"""Estimate a training step of train.py on cards that are not there, and the difference that an edit makes.

    python benchmarks/imaginary_card.py [TRAIN] [EDIT] [--cards h100,4090,t4] [--fa3] [--kernels] [--json]

Inductor compiles the step for the card up to its schedule (imaginary_kernels.py); the kernels and their bytes are
counted, and their times estimated with the coefficients of imaginary_estimate.py. Needs a CUDA build of torch 2.11 and
gcc, no card and no driver; an environment of its own is best: `python3 -m venv E; E/bin/pip install torch==2.11.0
numpy`. One run takes a minute of CPU time for each text and card.

It cannot know: how fast one kernel really is (cuBLAS chooses by shape, Triton by configuration), caches, the clock of a
card that gets warm, a host that is too slow to launch, overlap, and whether a kernel starts at all. The coefficients
were set for two figures of one H100; nothing here was measured on a card. Trust differences more than sums.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from imaginary_estimate import CARDS, PARTS, Card, Kernel, Row, rows, seconds

from autoresearch.setup import plan

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


DRIVER = """
int cudaGetDeviceCount(int *n) { *n = 1; return 0; }
int cudaGetDevice(int *device) { *device = 0; return 0; }
int cudaSetDevice(int device) { return 0; }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return 0; }
int cudaGetLastError(void) { return 0; }
int cudaPeekAtLastError(void) { return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { *flags = 0; *active = 1; return 0; }
"""
STUB = "IMAGINARY_CARD_DRIVER"  # variable that names the folder of the stub, in the process that has loaded it


def load_stub_driver() -> None:
    """Start this program again with a driver that knows one device and cannot do anything: autograd asks for it."""
    if folder := os.environ.pop(STUB, None):
        del os.environ["LD_PRELOAD"]
        shutil.rmtree(folder)
        return
    library = Path(tempfile.mkdtemp(), "libcuda.so.1")
    options = ["-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-x", "c", "-", "-o", str(library)]
    subprocess.run(["gcc", *options], input=DRIVER, text=True, check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), STUB: str(library.parent)}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def fit(text: str, card: Card) -> str:
    """Return the text with the shape for the memory of a card; a text with another shape than the shipped stays."""
    if not plan.has_shipped_shape(text):
        return text
    return plan.write_constants(text, "cuda", plan.shape_by_memory(plan.Card(card.memory)).constants, "by the memory")


def table(found: dict[str, dict[str, Row]], tokens: int) -> str:
    """Format the parts of one or two texts, and their difference."""
    texts = list(found.values())
    head = "| part |" + "".join(f" kernels, {name} | GB | ms |" for name in found)
    head += " difference, ms |" if len(texts) == 2 else ""
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for part in (*PARTS, "step"):
        cells = [f"{row.kernels} | {row.gigabytes:.2f} | {row.ms:.2f}" for row in (text[part] for text in texts)]
        if len(texts) == 2:
            cells.append(f"{texts[1][part].ms - texts[0][part].ms:+.2f}")
        lines.append(f"| {part} | {' | '.join(cells)} |")
    speeds = ", ".join(f"{name} {tokens / text['step'].ms / 1e3:.2f}M" for name, text in found.items())
    return "\n".join([*lines, "", f"tokens a second: {speeds}"])


def listing(kernels: Iterable[Kernel], card: Card) -> str:
    """Format the kernels of a step, equal ones in one line, the longest first."""
    groups: dict[tuple[str, str, int], list[Kernel]] = {}
    for kernel in kernels:
        groups.setdefault((kernel.row, kernel.name, kernel.bytes), []).append(kernel)
    costs = sorted(((sum(seconds(k, card) for k in each), each) for each in groups.values()), key=lambda pair: -pair[0])
    return "\n".join(
        f"{1e3 * cost:8.3f} ms {len(each):4} x {each[0].bytes / 1e6:9.1f} MB {each[0].row:10} {each[0].name}"
        for cost, each in costs
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", nargs="?", type=Path, default=TRAIN)
    parser.add_argument("edit", nargs="?", type=Path, help="another version, for the difference")
    parser.add_argument("--cards", default="h100", help="of h100, 4090, t4; default h100")
    parser.add_argument("--fa3", action="store_true", help="as if the wheel of FlashAttention 3 were installed")
    parser.add_argument("--kernels", action="store_true", help="list the kernels of the last text, too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load_stub_driver()
    import imaginary_kernels

    texts = {path.name: path.read_text() for path in (options.train, options.edit) if path}
    if options.edit and len(texts) < 2:
        parser.error("the two files need different names")
    results = {}
    for name in options.cards.split(","):
        card = CARDS[name]
        imaginary_kernels.imagine(card, options.fa3)
        steps = {key: imaginary_kernels.record_step(fit(text, card), card) for key, text in texts.items()}
        found = {key: rows(step.kernels, card) for key, step in steps.items()}
        results[name] = {key: {part: asdict(row) for part, row in parts.items()} for key, parts in found.items()}
        if options.json:
            continue
        tokens = next(iter(steps.values())).tokens
        print(f"\n{card.name}, {tokens:,} tokens a step: an estimate, not a measurement\n\n{table(found, tokens)}")
        if options.kernels:
            print(f"\n{listing(list(steps.values())[-1].kernels, card)}")
    if options.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
