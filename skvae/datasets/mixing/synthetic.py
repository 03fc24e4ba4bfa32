"""Pairs of noisy and clean speech made from random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skvae.datasets.mixing.mixer import Mixer
from skvae.datasets.mixing.noises import NOISE_KINDS, make_noise
from skvae.datasets.mixing.speech import make_speech
from skvae.utils.parameters import check_real
from skvae.utils.random import RandomState, draw_seed
from skvae.utils.waveforms import check_sample_rate


def make_dataset(
    n_utterances: int = 10,
    duration: tuple[float, float] = (1.0, 3.0),
    snr: Any = (-5.0, 10.0),
    sample_rate: int = 16_000,
    random_state: RandomState = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Make pairs of noisy and clean speech for tests and examples.

    Every utterance has its own speaker, noise, length and signal-to-noise ratio. The
    first ones do not depend on how many are made.

    Parameters
    ----------
    n_utterances : int, default=10
        Number of pairs.
    duration : (float, float), default=(1.0, 3.0)
        Shortest and longest length in seconds.
    snr : float, (float, float), list of float or distribution, default=(-5.0, 10.0)
        Signal-to-noise ratio in dB, in the forms that :class:`Mixer` takes.
    sample_rate : int, default=16_000
        Rate in Hz.
    random_state : int, Generator, RandomState or None
        Where the random numbers come from.

    Returns
    -------
    noisy : list of ndarray of shape (n_samples,)
        The mixtures in float32.
    clean : list of ndarray of shape (n_samples,)
        The speech in them.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    Mixer : Mixes recordings of your own.

    Examples
    --------
    >>> noisy, clean = make_dataset(3, random_state=0)
    >>> [len(waveform) for waveform in noisy] == [len(waveform) for waveform in clean]
    True
    """
    check_real("n_utterances", n_utterances, low=1, integer=True)
    rate = check_sample_rate(sample_rate)
    try:
        shortest, longest = (float(bound) for bound in duration)
    except (TypeError, ValueError):
        shortest, longest = math.nan, math.nan
    if not 0 < shortest <= longest < math.inf:
        raise ValueError(
            "`duration` must be (shortest, longest) in seconds with "
            f"0 < shortest <= longest, got {duration!r}."
        )
    seed = draw_seed(random_state)
    noisy, clean = [], []
    for i in range(n_utterances):
        rng = np.random.default_rng([seed, i])
        n_samples = max(1, round(rng.uniform(shortest, longest) * rate))
        noise = make_noise(n_samples, str(rng.choice(NOISE_KINDS)), rate, rng)
        mixer = Mixer([noise], snr=snr)
        mixture, speech = mixer.mix(make_speech(n_samples, rate, rng), rng)
        noisy.append(mixture)
        clean.append(speech)
    return noisy, clean
