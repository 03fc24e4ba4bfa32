"""``skvae train``: clean speech in, a model file out.

Processes that torchrun starts train together; the first of them prints and writes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import tomllib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skvae.cli.errors import CommandError
from skvae.cli.files import check_output, find_recordings
from skvae.datasets.audio import AudioFile
from skvae.estimator import SpeechEstimator
from skvae.storage.names import SUFFIX
from skvae.storage.pretrained import save_pretrained
from skvae.storage.recipe_files import Recipe, parts, read_recipe
from skvae.utils.device import check_device
from skvae.utils.words import counted, shown

if TYPE_CHECKING:
    from sklearn.callback import CallbackContext

    from skvae.training.distributed import Team

#: Ending that the name of the checkpoint has in addition to that of the model.
_CHECKPOINT = ".checkpoint"

#: Seed where neither the recipe nor the command has one.
_SEED = 0

#: Units of time, in seconds.
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))


def run(arguments: argparse.Namespace) -> int:
    """Train the model of a recipe, and write it to a file.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments.

    Returns
    -------
    int
        Exit status.
    """
    from skvae.training.distributed import team

    target = _check_target(arguments.output, arguments.overwrite)
    checkpoint = _check_checkpoint(arguments.checkpoint, target)
    try:
        device = check_device(arguments.device)
    except ValueError as error:
        raise CommandError(f"--device: {error}", status=2) from error
    recipe = _read(arguments)
    with contextlib.ExitStack() as stack:
        try:
            processes = stack.enter_context(team(device))
        except (OSError, RuntimeError, ValueError) as error:
            raise CommandError(f"torchrun: {error}") from error
        status = _train(arguments, recipe, target, checkpoint, device, processes)
    if processes.size > 1:
        _leave(status)
    return status


def _leave(status: int) -> None:
    """End one of several processes without taking Python down around its threads.

    What PyTorch's exchange has left of them aborts a process then, now and again, and
    the launcher would report a failure when all is written.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _train(
    arguments: argparse.Namespace,
    recipe: Recipe,
    target: Path,
    checkpoint: Path,
    device: str,
    processes: Team,
) -> int:
    estimator = recipe.estimator
    settings = repr(estimator)
    _set_seeds(estimator, arguments.seed)
    checkpoints = _set_checkpoints(estimator, checkpoint)
    if "device" in estimator.get_params(deep=False):
        estimator.set_params(device=device)
    try:
        sample_rate = estimator._choose_stft(None).sample_rate
    except ValueError as error:
        raise CommandError(str(error), status=2) from error
    speech = _find(arguments.clean, sample_rate)
    noise = _set_noise(recipe, arguments.noise, sample_rate)

    is_told = processes.is_first and not arguments.quiet

    def tell(line: str) -> None:
        if is_told:
            print(shown(line), file=sys.stderr)

    heard = f"{counted(len(speech), 'recording')} of {arguments.clean}"
    if noise:
        heard += f" and {counted(len(noise), 'noise')} of {arguments.noise}"
    elif recipe.mixers:
        heard += " in synthetic noise (use --noise DIR for recordings)"
    place = device
    if processes.size > 1:
        place = f"{processes.size} processes on {device}"
    tell(f"training {recipe.card.name} on {heard}, on {place}")
    if arguments.verbose:
        tell(settings)
    if found := [path for path in checkpoints if path.exists()]:
        tell(f"resuming from {', '.join(map(str, found))}")
    if is_told:
        _follow(estimator)
    begin = time.monotonic()
    try:
        estimator.fit(speech)
        if not processes.is_first:
            return 0
        card = recipe.card._asdict()
        save_pretrained(estimator, target, dtype=recipe.dtype, **card)
    except BrokenPipeError:
        raise  # the reader of the output is gone
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        if arguments.verbose:
            traceback.print_exc()
        raise CommandError(str(error) or type(error).__name__) from error
    except KeyboardInterrupt:
        kept = any(path.exists() for path in checkpoints)
        hint = f"; the same command resumes from {checkpoint}" if kept else ""
        raise CommandError(f"interrupted{hint}", status=130) from None
    for path in checkpoints:
        path.unlink(missing_ok=True)
    size = target.stat().st_size / 1e6
    spent = _duration(time.monotonic() - begin)
    tell(f"wrote {target}: {recipe.card.name}, {size:.1f} MB, in {spent}")
    return 0


def _check_target(output: str, overwrite: bool) -> Path:
    target = Path(output)
    if target.suffix != SUFFIX:
        raise CommandError(
            f"-o {output} names no model file: it must end in {SUFFIX}.", status=2
        )
    if target.is_dir():
        raise CommandError(f"-o {output} is a folder: name a file.", status=2)
    if target.exists() and not overwrite:
        raise CommandError(f"-o {output} exists already: --overwrite replaces it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"-o {output}: {error.strerror}.") from error
    check_output("-o", output, overwrite=True)  # also no device, pipe or socket
    return target


def _check_checkpoint(name: str | None, target: Path) -> Path:
    if name is None:
        return target.with_name(target.name + _CHECKPOINT)
    path = Path(name)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise CommandError(
            f"--checkpoint {name}: name a file in an existing folder.", status=2
        )
    return path


def _read(arguments: argparse.Namespace) -> Recipe:
    changes = dict(map(_parse_setting, arguments.settings))
    try:
        return read_recipe(arguments.recipe, changes, classes=arguments.allow_class)
    except (OSError, ValueError) as error:
        raise CommandError(f"--recipe: {error}", status=2) from error


def _parse_setting(setting: str) -> tuple[str, Any]:
    """Split ``PARAM=VALUE`` into name and value, which is TOML or a bare word."""
    name, is_there, text = setting.partition("=")
    name, text = name.strip(), text.strip()
    if not name or not is_there or not text:
        raise CommandError(f"--set {setting} must have the form PARAM=VALUE.", status=2)
    if text.replace("-", "").isidentifier() and text not in ("true", "false"):
        return name, text
    try:
        [(_, value)] = tomllib.loads(f"value = {text}").items()
    except ValueError as error:
        raise CommandError(
            f"--set {setting}: the value must be TOML: a number, true, a word, "
            '"a text", [1, 2] or {low = 1, high = 2}.',
            status=2,
        ) from error
    return name, value


def _set_seeds(estimator: Any, seed: int | None) -> None:
    """Seed all parts: with a checkpoint, the seed of each must be known in advance."""
    if seed is not None and seed < 0:
        raise CommandError(f"--seed must not be negative, got {seed}.", status=2)
    first = estimator.random_state if seed is None else seed
    for _, part in parts(estimator):
        if isinstance(part, SpeechEstimator) and (
            seed is not None or part.random_state is None
        ):
            part.set_params(random_state=_SEED if first is None else first)


def _set_checkpoints(estimator: Any, first: Path) -> list[Path]:
    """Give each part that trains a checkpoint of its own, named after the part."""
    from skvae.training.estimator import TrainedEstimator

    paths = []
    for name, part in parts(estimator):
        if isinstance(part, TrainedEstimator):
            path = first.with_name(f"{first.name}.{name}" if name else first.name)
            part.set_params(training__checkpoint=str(path))
            paths.append(path)
    return paths


def _set_noise(recipe: Recipe, folder: str | None, sample_rate: int) -> list[AudioFile]:
    """Pass recordings of noise to the mixers that take them."""
    if folder is None:
        return []
    if not recipe.mixers:
        raise CommandError(
            f"--noise: {recipe.card.name} does not learn from recordings of noise: "
            "omit the option.",
            status=2,
        )
    noise = _find(folder, sample_rate)
    names = (f"{mixer}__noise" for mixer in recipe.mixers)
    recipe.estimator.set_params(**dict.fromkeys(names, noise))
    return noise


def _find(folder: str, sample_rate: int) -> list[AudioFile]:
    # Checkpoints identify recordings by their absolute paths.
    return find_recordings(os.path.abspath(folder), sample_rate=sample_rate)


def _follow(estimator: Any) -> None:
    """Print the progress of each part."""
    from skvae.training.estimator import TrainedEstimator

    for _, part in parts(estimator):
        if isinstance(part, SpeechEstimator):
            part.set_callbacks(_EpochTeller())
            if not isinstance(part, TrainedEstimator):
                part.set_params(verbose=1)


class _EpochTeller:
    """Callback that prints each epoch, its losses, and the remaining time.

    On a terminal all epochs share one line.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._begin = 0.0
        self._first: tuple[int, float] | None = None

    def setup(self, estimator: Any, context: CallbackContext) -> None:
        self._begin = time.monotonic()
        self._first = None

    def teardown(self, estimator: Any, context: CallbackContext) -> None:
        if self._first is not None and self._stream.isatty():
            self._stream.write("\n")

    def on_fit_task_begin(self, estimator: Any, context: CallbackContext) -> None:
        pass

    def on_fit_task_end(
        self, estimator: Any, context: CallbackContext, *, fitted_estimator: Any = None
    ) -> None:
        if context.task_name != "epoch" or fitted_estimator is None:
            return
        # Epochs before an interruption count too.
        n_done, n_all = fitted_estimator.n_iter_, estimator._training.max_iter
        losses = fitted_estimator.loss_curve_, fitted_estimator.validation_loss_curve_
        line = f"{type(estimator).__name__}, epoch {n_done}/{n_all}: "
        line += f"loss {losses[0][-1]:.4g}"
        if losses[1]:
            line += f", validation {losses[1][-1]:.4g}"
        left = self._seconds_left(n_done, n_all)
        if left is not None and n_done < n_all:
            line += f", at most {_duration(left)} left"
        on_terminal = self._stream.isatty()
        self._stream.write(f"\r\x1b[K{line}" if on_terminal else f"{line}\n")
        self._stream.flush()

    def _seconds_left(self, n_done: int, n_all: int) -> float | None:
        now = time.monotonic()
        if self._first is None:
            self._first = n_done, now
            # After an interruption the first epoch printed is an old one.
            return None if n_done > 1 else (now - self._begin) * (n_all - 1)
        n_first, then = self._first
        return (now - then) / (n_done - n_first) * (n_all - n_done)


def _duration(seconds: float) -> str:
    """Format a time in the largest unit of which it has at least two."""
    unit, name = next((u for u in _UNITS if seconds >= 2 * u[0]), _UNITS[-1])
    return f"{seconds / unit:.0f} {name}"
