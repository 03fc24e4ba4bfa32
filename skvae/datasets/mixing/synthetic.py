"""Pairs of synthetic noisy and clean speech."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skvae.datasets.mixing.mixer import Mixer
from skvae.datasets.mixing.noises import DEFAULT_KINDS, make_noise
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
    """Generate pairs of noisy and clean speech for tests and examples.

    Every utterance has its own speaker, noise, length and SNR. The first utterances do
    not depend on the number of utterances.

    Parameters
    ----------
    n_utterances : int, default=10
        Number of pairs.
    duration : (float, float), default=(1.0, 3.0)
        Minimum and maximum length in seconds.
    snr : float, (float, float), list of float or distribution, default=(-5.0, 10.0)
        SNR in dB, in the forms that :class:`Mixer` accepts.
    sample_rate : int, default=16_000
        Sample rate in Hz.
    random_state : int, Generator, RandomState or None
        Seed or generator.

    Returns
    -------
    noisy : list of ndarray of shape (n_samples,)
        Mixtures in float32.
    clean : list of ndarray of shape (n_samples,)
        Speech in the mixtures.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    See Also
    --------
    Mixer : Mixtures of your own recordings.

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
        noise = make_noise(n_samples, str(rng.choice(DEFAULT_KINDS)), rate, rng)
        mixer = Mixer([noise], snr=snr)
        mixture, speech = mixer.mix(make_speech(n_samples, rate, rng), rng)
        noisy.append(mixture)
        clean.append(speech)
    return noisy, clean
