"""A driver of a card that does not exist: a libcuda.so.1 built from driver.c, in a folder of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("driver.c")


def build_driver(folder: Path) -> Path:
    """Build libcuda.so.1 as a link to a library in another folder, as packages of the driver do; return its folder."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    links, files = folder / "links", folder / "files"
    for each in (links, files):
        each.mkdir(parents=True)
    library = files / "libcuda.so.570.00"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    (links / "libcuda.so.1").symlink_to(library)
    (links / "secret").write_text("secret")
    return links
