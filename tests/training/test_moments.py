"""Statistics of frames, against NumPy on all of them."""

from __future__ import annotations

import numpy as np
import pytest

from skvae import STFT
from skvae.training.clean_batches import Utterance, frames_in_order
from skvae.training.moments import measure

TINY = STFT(n_fft=8)


@pytest.mark.parametrize("length", [None, 10])
def test_statistics_are_those_of_all_frames(length):
    rng = np.random.default_rng(0)
    waveforms = [(k + 1) * rng.standard_normal(n) for k, n in enumerate((400, 37, 1))]
    spectrograms = TINY.fit_transform(waveforms)
    powers = [np.abs(spectrogram.data.T) ** 2 for spectrogram in spectrograms]
    V = np.concatenate([5.0 / power.mean() * power for power in powers]) + 1e-3
    batches = frames_in_order([*map(Utterance, spectrograms)], 5.0, length)
    moments = measure(batches, floor=1e-3)
    np.testing.assert_allclose(moments.mean, V.mean(0), rtol=1e-5)
    assert moments.scale == pytest.approx(np.sqrt((V**2).mean()), rel=1e-5)
    np.testing.assert_allclose(moments.log_mean, np.log(V).mean(0), rtol=1e-4)
    scale = (np.log(V) - np.log(V).mean(0)).std()
    assert moments.log_scale == pytest.approx(scale, rel=1e-4)
