"""Noise that was never recorded: the sound of one recording in the rhythm of another.

IS-NMF describes the power of a noise a by bases and activations, :math:`H_a W_a`. With
the bases of another noise b, :math:`H_a W_b` has the course of a and the spectra of b.
The noise a is filtered to that power, bin by bin, so that it keeps all details of its
course that the model does not describe, and its phases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from skvae.factorization.nmf_updates import fit_isnmf
from skvae.signal.framing import Framing, power
from skvae.utils.parameters import check_real
from skvae.utils.random import RandomState, check_generator
from skvae.utils.threads import one_thread
from skvae.utils.waveforms import list_waveforms, open_waveform

#: Greatest gain and greatest attenuation of a bin in dB. Where the model of a recording
#: is far below its power, the gain would be arbitrary.
GAIN_LIMIT = 30.0

#: Part of the mean power that is added to both models.
_FLOOR = 1e-6


def recombine_noises(
    noises: Sequence[Any],
    n_recombined: int,
    *,
    n_components: int = 8,
    max_iter: int = 30,
    max_seconds: float = 30.0,
    framing: Framing | None = None,
    random_state: RandomState = None,
) -> Iterator[np.ndarray]:
    """Generate noises with the course of one recording and the spectra of another.

    They add variety to the noise that a mask network is trained on: pass them to a
    :class:`~skvae.datasets.Mixer` together with the recordings.

    Parameters
    ----------
    noises : list of waveforms
        Recordings of noise, at least two, of one sample rate.
    n_recombined : int
        Number of noises to generate. Each has the course of another recording, until
        all had their turn.
    n_components : int, default=8
        Number of bases of each recording.
    max_iter : int, default=30
        Number of iterations of the factorizations.
    max_seconds : float, default=30.0
        Maximum length of a noise, at 16 kHz unless the recordings tell their rate.
        Longer recordings are cut at a random position.
    framing : Framing, default=None
        Short-time Fourier transform. None means 512 samples every 128.
    random_state : int, Generator, RandomState or None
        Seed or generator.

    Yields
    ------
    ndarray of shape (n_samples,)
        Noise in float32, with the power of the recording whose course it has.

    Raises
    ------
    ValueError
        If there are fewer than two noises, or if a parameter is out of range.

    See Also
    --------
    Mixer : Mixtures of speech and noise.
    ISNMF : Enhancement by the same factorization.

    Examples
    --------
    >>> from skvae.datasets import make_noise
    >>> noises = [make_noise(8000, kind, random_state=0) for kind in ("hum", "clicks")]
    >>> [new.shape for new in recombine_noises(noises, 3, random_state=0)]
    [(8000,), (8000,), (8000,)]
    """
    sources = list_waveforms(noises, "noises")
    if len(sources) < 2:
        raise ValueError(
            f"`noises` must hold at least two recordings, got {len(sources)}."
        )
    check_real("n_recombined", n_recombined, low=1, integer=True)
    check_real("n_components", n_components, low=1, integer=True)
    check_real("max_iter", max_iter, low=1, integer=True)
    check_real("max_seconds", max_seconds, low=0, open_low=True)
    framing = Framing(512, 128) if framing is None else framing
    return _recombined(
        sources, n_recombined, n_components, max_iter, max_seconds, framing,
        check_generator(random_state),
    )  # fmt: skip


def _recombined(
    sources: Sequence[Any],
    n_recombined: int,
    n_components: int,
    max_iter: int,
    max_seconds: float,
    framing: Framing,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    order: list[int] = []
    for _ in range(n_recombined):
        order = order or rng.permutation(len(sources)).tolist()
        one = order.pop()
        other = int(rng.integers(len(sources) - 1))
        other += other >= one
        course, spectra = (_part(sources[k], max_seconds, rng) for k in (one, other))
        yield recombine(course, spectra, n_components, max_iter, framing, rng)


def recombine(
    course: np.ndarray,
    spectra: np.ndarray,
    n_components: int,
    max_iter: int,
    framing: Framing,
    rng: np.random.Generator,
) -> np.ndarray:
    """Filter one noise so that it has the spectra of another.

    Parameters
    ----------
    course : ndarray of shape (n_samples,)
        Noise to filter.
    spectra : ndarray of shape (n_others,)
        Noise whose bases replace those of the former, in random order.
    n_components : int
        Number of bases.
    max_iter : int
        Number of iterations of the factorizations.
    framing : Framing
        Short-time Fourier transform.
    rng : Generator
        Generator of first bases and of their pairing.

    Returns
    -------
    ndarray of shape (n_samples,)
        In float32, with the power of `course`. If one of the noises is silent, it is
        `course` itself.

    Examples
    --------
    >>> from skvae.signal.framing import Framing
    >>> rng = np.random.default_rng(0)
    >>> hiss, hum = rng.standard_normal(4000), np.sin(np.arange(4000.0) / 9)
    >>> noise = recombine(hiss, hum, 1, 20, Framing(256, 64), rng)
    >>> spectrum = np.abs(np.fft.rfft(noise))
    >>> int(spectrum.argmax()) in range(60, 82)  # 4000 / 9 / (2 pi) is 70.7
    True
    """
    course = np.asarray(course, np.float32)
    X = framing.analyse(course)
    models = []
    for waveform in (course, np.asarray(spectra, np.float32)):
        V = power(framing.analyse(waveform))
        if not V.any():
            return course
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with one_thread():
            model = fit_isnmf(
                torch.from_numpy(V / V.mean()),
                n_components,
                max_iter=max_iter,
                exponent=0.5,
                generator=generator,
            )
        models.append(model)
    W, H, other = (x.numpy() for x in (models[0].W, models[0].H, models[1].W))
    pairing = rng.permutation(n_components)
    gain = (H @ other[pairing] + _FLOOR) / (H @ W + _FLOOR)
    limit = 10 ** (GAIN_LIMIT / 10)
    new = framing.synthesise(X * np.sqrt(gain.clip(1 / limit, limit)), len(course))
    before, after = (float(np.mean(x.astype(float) ** 2)) for x in (course, new))
    if not after > 0.0:
        return course
    return (new * np.sqrt(before / after)).astype(np.float32)


def _part(noise: Any, max_seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Samples of a recording, a part of it if it is long."""
    n_longest = max(1, round(max_seconds * getattr(noise, "sample_rate", 16_000)))
    surplus = len(noise) - n_longest
    if surplus > 0:
        start = int(rng.integers(surplus + 1))
        noise = noise[start : start + n_longest]
    return np.asarray(open_waveform(noise, "the noise"), np.float32)
