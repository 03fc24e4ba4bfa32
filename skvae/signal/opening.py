"""Opening of utterances: spectrograms of whatever the items of X and y are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from skvae.signal.framing import Framing
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.utterances import is_spectrogram


def open_spectrograms(
    items: Iterable[Any], framing: Framing, sample_rate: int, *, of: str = "utterance"
) -> list[Spectrogram]:
    """Make spectrograms of waveforms, and check those that are passed.

    Parameters
    ----------
    items : iterable of waveforms or of Spectrogram
        Utterances.
    framing : Framing
        Parameters of the transform.
    sample_rate : int
        Sample rate in Hz.
    of : str
        Name of an item in error messages.

    Returns
    -------
    list of Spectrogram
        Those of waveforms are computed on demand.

    Raises
    ------
    ValueError
        If an item is neither a waveform nor a spectrogram with these parameters.
    """
    return [
        _require(item, framing, sample_rate, f"{of} {k}")
        if is_spectrogram(item)
        else Spectrogram.from_waveform(item, framing, sample_rate, name=f"{of} {k}")
        for k, item in enumerate(items)
    ]


def _require(
    spectrogram: Spectrogram, framing: Framing, sample_rate: int, name: str
) -> Spectrogram:
    """The spectrogram, if it has these parameters."""
    for what, wanted, got in (
        ("n_fft", framing.n_fft, spectrogram.n_fft),
        ("hop_length", framing.hop_length, spectrogram.hop_length),
        ("window", framing.window, spectrogram.window),
        ("center", framing.center, spectrogram.center),
        ("sample_rate", sample_rate, spectrogram.sample_rate),
    ):
        if wanted != got:
            raise ValueError(
                f"{name} is a spectrogram with {what}={got!r}, expected {wanted!r}."
            )
    return spectrogram


def check_lengths(utterances: Sequence[Spectrogram], clean: Sequence[Any]) -> None:
    """Raise a ValueError for the first pair of unequal lengths.

    Parameters
    ----------
    utterances : list of Spectrogram
        Utterances of X.
    clean : list of Spectrogram or of waveforms
        Clean speech of each, from y.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import STFT
    >>> check_lengths(STFT().fit_transform([np.ones(3)]), [np.ones(2)])
    Traceback (most recent call last):
        ...
    ValueError: utterance 0 has 3 samples in X but 2 in y: pairs must have equal
    lengths (do both lists have the same order?).
    """
    for k, (one, other) in enumerate(zip(utterances, clean, strict=True)):
        length = other.length if is_spectrogram(other) else len(other)
        if one.length != length:
            raise ValueError(
                f"utterance {k} has {one.length} samples in X but {length} in y: "
                "pairs must have equal lengths (do both lists have the same order?)."
            )
