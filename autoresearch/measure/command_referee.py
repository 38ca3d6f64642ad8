"""The referee of commands: each runs in a fresh cell, in a fresh copy of the base.

`run` gets the version's files and no private ones. When all its processes are dead, its outputs are copied, and `score`
gets them, with the private files and without those that may change. No copy can be written from its cell, whose own
folder begins empty.
"""

import shlex
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoresearch.files import MissingFileError, read_untrusted
from autoresearch.measure.base_copy import BaseFolder, link_files, link_home, remove_from
from autoresearch.measure.command_clock import CommandClock
from autoresearch.measure.command_spec import CommandSpec, Step
from autoresearch.measure.guards import CommandGuard, GuardError
from autoresearch.measure.reading import MeasuredNumber, NoNumberError
from autoresearch.measure.result import Overhead, Progress, Result
from autoresearch.measure.settings import Settings, TrialPlan, Unwanted
from autoresearch.measure.suspension import SuspensionDetector
from autoresearch.sandbox.cell import Cell, CellError, CellLost
from autoresearch.sandbox.held_folder import held_folder
from autoresearch.sandbox.launch import PATH, CellSpec
from autoresearch.source_tree import SourceTree, find_clash
from autoresearch.text import last_lines

POLL_S = 0.05
MAX_OUTPUT_BYTES = 16 << 20
MAX_REASON_CHARS = 200
GUARD_LINES = 3  # of what a guard printed, in the reason of a failure
OUT = "out"  # the folder of outputs, in the private folder of the cell


@dataclass(frozen=True)
class _Scoring:
    """What is scored, and for which trial."""

    source: str
    seed: int
    outputs: Mapping[str, bytes]
    plan: TrialPlan
    result: Result
    run_seconds: float  # of `run`, by our clock

    def write_outputs(self, folder: Path) -> Path:
        """Write the outputs of `run` into a new folder, and return it."""
        given = folder / "in"
        given.mkdir()
        for name, content in self.outputs.items():
            (given / name).write_bytes(content)
        return given


class CommandReferee:
    """Measure versions by a command. `export` writes the files of the base into a folder, once."""

    def __init__(self, settings: Settings, spec: CommandSpec, export: Callable[[Path], None]) -> None:
        self._settings, self._spec, self._base = settings, spec, BaseFolder(export)

    @property
    def settings(self) -> Settings:
        return self._settings

    def describe(self, base: Overhead | None = None) -> list[str]:
        return self._spec.describe()

    def measure(self, source: str, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
        """Measure one version. Never raises for anything that the version does."""
        started, result = time.monotonic(), Result(seed=seed)
        with SuspensionDetector() as suspension, held_folder() as folder:
            try:
                self._measure(folder, source, seed, plan, result)
            except NoNumberError as error:
                result.outcome, result.reason, result.val_bpb = error.outcome, str(error), None
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
        self._base.close()

    def _measure(self, folder: Path, source: str, seed: int, plan: TrialPlan, result: Result) -> None:
        """Take the steps of a trial. Raises NoNumberError, CellError, Unwanted."""
        began = time.monotonic()
        try:
            with self._step(self._spec.run, self._lay_out(folder / "run", source), seed, plan, result) as cell:
                outputs = {name: _read_output(cell, name) for name in self._spec.outputs}
        finally:
            result.train_seconds = time.monotonic() - began
        try:
            self._evaluate(folder, _Scoring(source, seed, outputs, plan, result, cell.seconds))
        finally:
            result.score_seconds = time.monotonic() - began - result.train_seconds
        result.outcome = "ok"

    def _evaluate(self, folder: Path, scoring: _Scoring) -> None:
        """Find the numbers of a version that has run, and check its guards. Raises as `_measure`."""
        spec, plan, result = self._spec, scoring.plan, scoring.result
        if spec.score is None:
            found = spec.source_file
            reading = spec.read(result.log, scoring.outputs[found] if found else None, scoring.run_seconds)
            self._read_guards(result.log, scoring)
        else:
            reading = self._score("score", spec.score, folder, scoring)
        reading.check_tasks(plan.tasks)
        result.val_bpb, result.resolution, result.tasks = reading.value, reading.resolution, dict(reading.tasks)
        if plan.checks_guards(result.val_bpb):
            self._run_guards(folder, scoring)
        if spec.holdout is not None and plan.wants_holdout(result.val_bpb):
            result.holdout_bpb = self._score("holdout", spec.holdout, folder, scoring).value

    def _score(self, name: str, step: Step, top: Path, scoring: _Scoring) -> MeasuredNumber:
        """Return the number that `score` or `holdout` finds in the outputs. Raises NoNumberError.

        What it printed is not kept, and in no reason: an agent could have it print private answers.
        """
        folder = top / name
        tree, given = self._lay_out(folder, scoring.source, scores=True), scoring.write_outputs(folder)
        own, result = Result(), scoring.result
        try:
            with self._step(step, tree, scoring.seed, scoring.plan, own, given) as cell:
                rows = self._spec.rows
                reading = self._spec.read(own.log, _read_output(cell, rows) if rows else None, cell.seconds)
        except NoNumberError as error:
            raise NoNumberError(error.outcome, f"`{name}` could not score the outputs ({error.outcome})") from None
        result.weaknesses += [each for each in own.weaknesses if each not in result.weaknesses]
        if step is self._spec.score:
            self._read_guards(own.log, scoring)
        return reading

    def _read_guards(self, printed: str, scoring: _Scoring) -> None:
        """Record the numbers that have a limit. Raises NoNumberError if one is missing."""
        try:
            for guard in self._spec.number_guards:
                scoring.result.guards[guard.name] = guard.read(printed, scoring.outputs, scoring.run_seconds)
        except GuardError as error:
            raise NoNumberError("invalid", str(error)) from None

    def _run_guards(self, folder: Path, scoring: _Scoring) -> None:
        """Run the commands that a version has to pass, in their order. Raises NoNumberError."""
        for guard in self._spec.command_guards:
            self._run_guard(guard, folder / f"guard-{guard.name}", scoring)
        scoring.result.passed = True

    def _run_guard(self, guard: CommandGuard, folder: Path, scoring: _Scoring) -> None:
        """Run one with the version's files. What it prints is hidden where it may read private files."""
        tree = self._lay_out(folder, scoring.source, private=guard.private)
        given, own = scoring.write_outputs(folder) if guard.reads_outputs else None, Result()
        step = Step(guard.command, guard.timeout_s, guard.read)
        try:
            with self._step(step, tree, scoring.seed, scoring.plan, own, given, "score"):
                pass
        except NoNumberError as error:
            if guard.private:
                raise NoNumberError("invalid", f"guard {guard.name} fails ({error.outcome})") from None
            scoring.result.log += f"\n--- guard {guard.name}\n{own.log}"
            lines = " / ".join(last_lines(own.log, GUARD_LINES, MAX_REASON_CHARS))
            why = str(error) if error.outcome == "timeout" or not lines else lines
            raise NoNumberError("invalid", f"guard {guard.name} fails: {why}") from None

    def _lay_out(self, folder: Path, source: str, scores: bool = False, private: Collection[str] = ()) -> Path:
        """Return a copy of the base with the version's files, and those that are `private` to what runs there.

        Where it `scores` it has all private files, and none of the version's. No version has files at the places of
        what is private, read, or made by `setup`.
        """
        tree = folder / "tree"
        shutil.copytree(self._base.path(), tree, symlinks=True)
        for path, text in SourceTree.parse(source).files.items():
            if scores:
                (tree / path).unlink(missing_ok=True)
            elif find_clash(path, self._spec.places) is None:
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_bytes(text.encode(errors="replace"))  # as git has it; a file keeps its mode
        for name in () if scores else {*self._spec.private} - {*private}:
            remove_from(tree, name)
        return tree

    @contextmanager
    def _step(
        self,
        step: Step,
        tree: Path,
        seed: int,
        plan: TrialPlan,
        result: Result,
        given: Path | None = None,
        stage: str = "",
    ) -> Iterator[Cell]:
        """Run a command to its end, and yield its dead cell. Raises NoNumberError, CellError, Unwanted."""
        link_files({**self._spec.made, **step.read}, tree)
        with Cell.start(self._cell_spec(step, tree, seed, given)) as cell:
            result.grade, result.weaknesses, result.layers = cell.grade, list(cell.weaknesses), cell.layers
            clock = CommandClock(cell, step.timeout_s, self._spec.budget if step is self._spec.run else None)
            excess = _wait(cell, plan, clock, stage or ("score" if given else "train"))
            if excess is not None:
                cell.kill()
            result.log, result.used = cell.log(), clock.used
            _check_end(cell, excess, result.log)
            yield cell

    def _cell_spec(self, step: Step, tree: Path, seed: int, given: Path | None) -> CellSpec:
        settings, threads = self._settings, str(self._settings.threads)
        environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        if self._spec.runtime:
            environment["PATH"] = f"{Path(self._spec.python).parent}:{PATH}"
        if settings.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = settings.gpu
        command = (self._spec.python if word == "python" else word for word in step.command)
        words = " ".join(_quote(word.replace("{in}", str(given)), seed) for word in command)
        enter = f"cd {shlex.quote(str(tree))} && exec {words}"
        return CellSpec(
            program=["/bin/sh", "-c", " && ".join([f'mkdir "$HOME/{OUT}"', *link_home(step.read), enter])],
            read=[
                tree,
                *([given] if given else []),
                *step.read.values(),
                *self._spec.runtime,
                *self._spec.made.values(),
            ],
            executes=True,
            gpu=settings.device != "cpu",
            memory=settings.memory if settings.device == "cpu" else None,
            cores=settings.cores,
            environment=environment,
            off=settings.layers_off,
        )


def _wait(cell: Cell, plan: TrialPlan, clock: CommandClock, stage: str) -> str | None:
    """Wait for the end of a command; return which limit it exceeds first, None if it exceeds none. Raises Unwanted."""
    while cell.is_running():
        plan.check_wanted()
        if (spent := clock.read()) > 1:
            return clock.describe_excess()
        plan.watch(Progress(stage, spent))
        time.sleep(POLL_S)
    return None


def _check_end(cell: Cell, excess: str | None, log: str) -> None:
    """Raise NoNumberError unless a command ended well."""
    if excess is not None:
        raise NoNumberError("timeout", excess)
    if status := cell.exit_status():
        words = "".join(last_lines(log, 1, MAX_REASON_CHARS))
        raise NoNumberError("crash", f"exit status {status}{f': {words}' if words else ''}")


def _read_output(cell: Cell, name: str) -> bytes:
    """Return an output of a command that ended well. Raises NoNumberError."""
    try:
        return read_untrusted(cell.tmp, f"{OUT}/{name}", MAX_OUTPUT_BYTES)
    except MissingFileError:
        raise NoNumberError("nothing_saved", f"the command did not write {{out}}/{name}") from None
    except ValueError as error:
        raise NoNumberError("nothing_saved", str(error).removeprefix(f"{OUT}/")) from None


def _quote(word: str, seed: int) -> str:
    """Return a word of the command for a shell, with the seed and the folder of outputs."""
    parts = word.replace("{seed}", str(seed)).split("{out}")
    return f'"$HOME/{OUT}"'.join(shlex.quote(part) if part else "" for part in parts) or "''"
