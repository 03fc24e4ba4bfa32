"""The enhancer of a command: which model, with which options, in which process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from skvae.base import BaseEnhancer
from skvae.cli.errors import CommandError
from skvae.cli.models import check_name, default_model
from skvae.datasets.audio import AudioFile
from skvae.recordings import scaled_stft
from skvae.signal.stft import STFT
from skvae.storage.classes import Classes, is_class_name
from skvae.storage.names import is_known
from skvae.storage.pretrained import (
    find_model_file,
    has_own_rate,
    load_pretrained,
    save_pretrained,
)
from skvae.utils.device import check_device
from skvae.utils.presets import preset_limit


class Settings(NamedTuple):
    """Everything that a process needs to make its enhancer.

    Attributes
    ----------
    model : str
        Name of a model, path of a file, or ``package.module:Class``.
    attenuation_limit, block_seconds : float or None
        Parameters of the enhancer; None keeps those of the model.
    preset : str or None
        Preset that gives an attenuation limit where none is given. None keeps that of
        the model.
    noise_profile : str or None
        Recording of the noise alone, for methods.
    device : str
        Device of networks; "auto" is a GPU if there is one.
    classes : tuple of str
        Classes outside skvae that the user has named.
    """

    model: str
    attenuation_limit: float | None = None
    block_seconds: float | None = None
    noise_profile: str | None = None
    device: str = "auto"
    classes: tuple[str, ...] = ()
    preset: str | None = None

    @property
    def is_method(self) -> bool:
        """Whether the model is a method, which has no file."""
        return find_model_file(self.model) is None

    @property
    def has_own_rate(self) -> bool:
        """Whether the model works only at the rate that it was fitted at."""
        return has_own_rate(self.model, self.classes)


def choose_model(name: str | None, allowed: Sequence[str]) -> Settings:
    """Check what ``--model`` and ``--allow-class`` say.

    Parameters
    ----------
    name : str or None
        The model; None means the default.
    allowed : sequence of str
        Classes that its file may use.

    Returns
    -------
    Settings

    Raises
    ------
    CommandError
        If there is no such model or class.

    Examples
    --------
    >>> choose_model("wiener", []).is_method
    True
    """
    model = default_model() if name is None else name
    check_name(model)
    # Whoever names a class as the model agrees to its use.
    classes = (*allowed, model) if is_class_name(model) else tuple(allowed)
    try:
        Classes(allowed)
    except ValueError as error:
        raise CommandError(f"--allow-class: {error}", status=2) from error
    try:
        has_own_rate(model, classes)  # which looks at the class
    except ValueError as error:
        raise CommandError(f"--model: {error}", status=2) from error
    return Settings(model, classes=classes)


@lru_cache(maxsize=8)
def make_enhancer(settings: Settings, sample_rate: int | None) -> BaseEnhancer:
    """Make the enhancer for recordings of one sample rate, once in a process.

    The enhancer is shared by all callers in the process: do not change it.

    Parameters
    ----------
    settings : Settings
        The model and its options.
    sample_rate : int or None
        Rate at which a method works, so that it enhances all frequencies; None for a
        model that has its own.

    Returns
    -------
    BaseEnhancer
        Fitted.

    Raises
    ------
    CommandError
        If the model is none, or no enhancer.
    """
    parameters: dict[str, Any] = {}
    if settings.is_method:
        stft = STFT() if sample_rate is None else scaled_stft(sample_rate)
        parameters["stft"] = stft
        if settings.noise_profile is not None:
            parameters["noise_profile"] = AudioFile(
                settings.noise_profile, sample_rate=stft.sample_rate
            )
    try:
        enhancer = load_pretrained(
            settings.model, classes=settings.classes, **parameters
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"--model: {error}", status=2) from error
    if not isinstance(enhancer, BaseEnhancer):
        raise CommandError(
            f"--model: {settings.model} holds a {type(enhancer).__name__}, which does "
            "not enhance.",
            status=2,
        )
    for name in ("attenuation_limit", "block_seconds"):
        if (value := getattr(settings, name)) is not None:
            enhancer.set_params(**{name: value})
    if settings.preset is not None and settings.attenuation_limit is None:
        limit = preset_limit(settings.preset, enhancer.attenuation_limit)
        enhancer.set_params(attenuation_limit=limit)
    _set_device(enhancer, settings)
    return enhancer


def _set_device(enhancer: BaseEnhancer, settings: Settings) -> None:
    if "device" in enhancer.get_params(deep=False):
        try:
            enhancer.set_params(device=check_device(settings.device))
        except ValueError as error:
            raise CommandError(f"--device: {error}", status=2) from error
    elif settings.device not in ("auto", "cpu"):
        raise CommandError(
            f"--device {settings.device}: {settings.model} computes on the CPU.",
            status=2,
        )


@contextmanager
def settings_for_workers(settings: Settings, *, local: bool) -> Iterator[Settings]:
    """Give the settings with which other processes load the model themselves.

    Parameters
    ----------
    settings : Settings
        Those of this process.
    local : bool
        Whether the processes run on this machine.

    Yields
    ------
    Settings
        A model that is fitted here is in a temporary file for local processes.
    """
    if not settings.is_method:
        known = is_known(settings.model)
        path = settings.model if known else os.path.abspath(settings.model)
        yield settings._replace(model=path)
    elif not settings.has_own_rate or not local or settings.noise_profile is not None:
        yield settings  # each process fits the method: a file would not do
    else:
        with tempfile.TemporaryDirectory(prefix="skvae-") as folder:
            path = os.path.join(folder, "fitted.safetensors")
            save_pretrained(make_enhancer(settings, None), path)
            yield settings._replace(model=path)
