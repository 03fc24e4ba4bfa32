"""Arrays that seem to have another sample rate than the one they are read at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from skvae.signal.bandwidth import band_edge
from skvae.signal.framing import power
from skvae.signal.stft import STFT

#: Fraction of the band below which no recording of speech ends. A telephone call at
#: 16 kHz ends at 0.45 to 0.49; speech of 16 kHz that was resampled to 44.1 or 48 kHz,
#: and is read as 16 kHz, ends at 0.36 or 0.33.
_LEAST_EDGE = 0.4

#: Seconds that are looked at, and that are needed for it.
_MOST_SECONDS, _LEAST_SECONDS = 10, 1


def warn_if_misread(items: Sequence[Any], stft: STFT) -> None:
    """Warn if the first waveform ends far below the top of the band.

    An array does not tell its sample rate. Recordings that have sound up to the top of
    their band cannot be told from others.

    Parameters
    ----------
    items : sequence of waveforms
        Those that know their sample rate are not looked at.
    stft : STFT
        Analysis at the rate that the waveforms are read at.
    """
    if len(items) == 0 or not isinstance(items[0], np.ndarray):
        return
    rate = stft.sample_rate
    start = items[0][: int(_MOST_SECONDS * rate)]
    if len(start) < _LEAST_SECONDS * rate or not np.isfinite(start).all():
        return
    V = power(clone(stft).fit_transform([start])[0].data).T
    edge = band_edge(V) / V.shape[1]
    if edge < _LEAST_EDGE:
        warnings.warn(
            f"the first waveform has no sound above {edge * rate / 2000:.1f} kHz. If "
            f"its sample rate is not {rate} Hz, call skvae.reduce_noise, which takes "
            f"arrays of any rate. If it is, pass sample_rate={rate}.",
            stacklevel=5,  # the call of transform, which is wrapped
        )
