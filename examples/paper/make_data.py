"""Write the images and their labels: python make_data.py

Ten glyphs of 8x8 pixels, each shifted, faded and blurred by noise. 40 % of the labels for training are wrong.
A line is a label and 64 pixels from 0 to 9, or only the pixels.
"""

import random
from pathlib import Path

SIZE, CLASSES, WRONG, NOISE = 8, 10, 0.4, 0.55
RANDOM = random.Random(20260101)


def uniform(low, high):
    return low + (high - low) * RANDOM.random()  # the one function whose values no version of Python changes


def glyph():
    """Return strokes: a walk over the pixels."""
    pixels, x, y = {}, RANDOM.random() * SIZE, RANDOM.random() * SIZE
    for _ in range(14):
        pixels[int(x) % SIZE, int(y) % SIZE] = 1.0
        x, y = x + uniform(-1.5, 1.5), y + uniform(-1.5, 1.5)
    return pixels


def image(pixels):
    dx, dy, bright = (int(uniform(-1, 2)), int(uniform(-1, 2)), uniform(0.6, 1.0))
    values = (
        bright * pixels.get(((x - dx) % SIZE, (y - dy) % SIZE), 0.0) + uniform(-NOISE, NOISE)
        for x in range(SIZE)
        for y in range(SIZE)
    )
    return "".join(str(min(max(int(5 * value + 2), 0), 9)) for value in values)


def write(name, count, hidden=None, wrong=0.0):
    """Write images; labels go before them, or into a hidden file."""
    labels = [int(RANDOM.random() * CLASSES) for _ in range(count)]
    images = [image(GLYPHS[label]) for label in labels]
    shown = [int(RANDOM.random() * CLASSES) if RANDOM.random() < wrong else label for label in labels]
    lines = images if hidden else [f"{label} {pixels}" for label, pixels in zip(shown, images, strict=True)]
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    if hidden:
        Path(hidden).write_text("".join(f"{label}\n" for label in labels))


GLYPHS = [glyph() for _ in range(CLASSES)]
write("data/train.txt", 800, wrong=WRONG / 0.9)
write("data/test.txt", 800, "hidden/test.txt")
write("data/sealed.txt", 800, "hidden/sealed.txt")
