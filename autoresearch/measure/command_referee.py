"""The referee of a command: each trial runs it in a fresh cell, on a fresh copy of the base with the version's files.

The copy cannot be written, so that a version cannot change its evaluator; the private folder of the cell begins empty.
"""

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from autoresearch.files import read_untrusted
from autoresearch.measure.command_spec import CommandSpec, NoNumberError
from autoresearch.measure.result import Overhead, Progress, Result
from autoresearch.measure.settings import Settings, TrialPlan, Unwanted
from autoresearch.measure.suspension import SuspensionDetector
from autoresearch.sandbox.cell import Cell, CellError, CellLost
from autoresearch.sandbox.launch import CellSpec
from autoresearch.source_tree import SourceTree
from autoresearch.text import last_lines

POLL_S = 0.05
MAX_OUTPUT_BYTES = 16 << 20
MAX_REASON_CHARS = 200
OUT = "out"  # the folder of outputs, in the private folder of the cell


class CommandReferee:
    """Measure versions by a command. `export` writes the files of the base into a folder, once."""

    def __init__(self, settings: Settings, spec: CommandSpec, export: Callable[[Path], None]) -> None:
        self._settings, self._spec, self._export = settings, spec, export
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # of the base's files

    @property
    def settings(self) -> Settings:
        return self._settings

    def describe(self, base: Overhead | None = None) -> list[str]:
        return self._spec.describe()

    def measure(self, source: str, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
        """Measure one version. Never raises for anything that the version does."""
        started, result = time.monotonic(), Result(seed=seed)
        with SuspensionDetector() as suspension, tempfile.TemporaryDirectory(prefix="autoresearch-") as folder:
            tree = Path(folder).resolve() / "tree"
            try:
                self._lay_out(source, tree)
                self._run(tree, seed, plan, result)
            except CellError as error:
                result.outcome, result.reason = "crash" if isinstance(error, CellLost) else "infra", str(error)
            except Unwanted:
                result.end_early("ended early: it was not wanted any more")
        if suspension.missed_s:
            result.disturbed, result.outcome, result.val_bpb = True, "infra", None
            result.reason = f"the program was stopped for {suspension.missed_s:.0f} s during the trial"
        result.total_seconds = time.monotonic() - started
        return result

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _lay_out(self, source: str, tree: Path) -> None:
        """Write the files of the base, then those of the version, which keep the modes of the base's."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="autoresearch-")
            self._export(Path(self._folder.name))
        shutil.copytree(self._folder.name, tree, symlinks=True)
        for path, text in SourceTree.parse(source).files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(text.encode())

    def _run(self, tree: Path, seed: int, plan: TrialPlan, result: Result) -> None:
        began = time.monotonic()
        with Cell.start(self._cell_spec(tree, seed)) as cell:
            result.grade, result.weaknesses, result.layers = cell.grade, list(cell.weaknesses), cell.layers
            in_time = self._wait(cell, plan)
            if not in_time:
                cell.kill()
            result.train_seconds = result.used = time.monotonic() - began
            result.log = cell.log()
            if not in_time:
                result.outcome, result.reason = "timeout", f"it did not end within {self._spec.timeout_s:g} s"
            elif status := cell.exit_status():
                words = "".join(last_lines(result.log, 1, MAX_REASON_CHARS))
                result.reason = f"exit status {status}{f': {words}' if words else ''}"
            else:
                self._read_number(cell, result)

    def _read_number(self, cell: Cell, result: Result) -> None:
        """Read the number of a command that ended well; every process of its cell is dead."""
        try:
            output = None
            if self._spec.file is not None:
                output = read_untrusted(cell.tmp, f"{OUT}/{self._spec.file}", MAX_OUTPUT_BYTES)
            result.val_bpb = self._spec.read_number(result.log, output)
            result.outcome = "ok"
        except ValueError as error:
            result.outcome, result.reason = "nothing_saved", str(error).removeprefix(f"{OUT}/")
        except NoNumberError as error:
            result.outcome, result.reason = error.outcome, str(error)

    def _wait(self, cell: Cell, plan: TrialPlan) -> bool:
        """Wait for the end of the command; return False if its time is up first. Raises Unwanted."""
        began, limit = time.monotonic(), self._spec.timeout_s
        while cell.is_running():
            plan.check_wanted()
            spent = time.monotonic() - began
            if spent > limit:
                return False
            plan.watch(Progress("train", spent / limit))
            time.sleep(POLL_S)
        return True

    def _cell_spec(self, tree: Path, seed: int) -> CellSpec:
        settings, threads = self._settings, str(self._settings.threads)
        environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        if settings.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = settings.gpu
        command = (self._spec.python if word == "python" else word for word in self._spec.command)
        words = " ".join(_quote(word, seed) for word in command)
        return CellSpec(
            program=["/bin/sh", "-c", f'mkdir "$HOME/{OUT}" && cd {shlex.quote(str(tree))} && exec {words}'],
            read=[tree, *self._spec.read],
            gpu=settings.device != "cpu",
            memory=settings.memory if settings.device == "cpu" else None,
            cores=settings.cores,
            environment=environment,
            off=settings.layers_off,
        )


def _quote(word: str, seed: int) -> str:
    """Return a word of the command for a shell, with the seed and the folder of outputs."""
    parts = word.replace("{seed}", str(seed)).split("{out}")
    return f'"$HOME/{OUT}"'.join(shlex.quote(part) if part else "" for part in parts) or "''"
