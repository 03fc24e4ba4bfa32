"""The audio cache: the same numbers, read once if they fit."""

from __future__ import annotations

import numpy as np
import pytest

from skvae import STFT
from skvae.training.audio_cache import AudioCache

TINY = STFT(n_fft=8)


class Recording:
    """Reads itself, and counts how often."""

    sample_rate = 16000
    dtype = np.dtype(np.float32)

    def __init__(self, samples):
        self.samples = np.asarray(samples, np.float32)
        self.n_reads = 0

    def __len__(self):
        return len(self.samples)

    def __array__(self, dtype=None, copy=None):
        self.n_reads += 1
        return self.samples

    def __getitem__(self, part):
        return Part(self, part)


class Part(Recording):
    def __init__(self, whole, part):
        super().__init__(whole.samples[part])
        self.whole = whole

    def __array__(self, dtype=None, copy=None):
        self.whole.n_reads += 1
        return self.samples


SIXTEEN_BITS = np.array([0, 1, -1, 32767, -32768]) / 32768


@pytest.mark.parametrize(
    ("samples", "n_bytes"),
    [
        (SIXTEEN_BITS, 10),
        ([0.1, 0.2], 8),
        ([2.0, -1.0], 8),
        ([1.0, 0.5], 8),  # 32768 is no 16-bit number
    ],
)
def test_the_cache_keeps_the_same_numbers_in_few_bytes(samples, n_bytes):
    recording, cache = Recording(samples), AudioCache(1000)
    audio = cache.wrap(recording)
    for part in (slice(None), slice(1, 3)):
        for _ in range(2):
            [spectrogram] = TINY.transform([audio])
            np.testing.assert_array_equal(
                spectrogram.samples(*part.indices(len(audio))[:2]),
                recording.samples[part],
            )
    assert recording.n_reads == 1
    assert 1000 - cache.free_bytes == n_bytes


def test_what_does_not_fit_is_read_again_and_only_the_part_that_is_needed():
    recordings = [Recording(SIXTEEN_BITS) for _ in range(3)]
    cache = AudioCache(25)
    audios = [cache.wrap(recording) for recording in recordings]
    for _ in range(3):
        for audio in audios:
            np.testing.assert_array_equal(
                TINY.transform([audio])[0].samples(), SIXTEEN_BITS.astype(np.float32)
            )
    assert [recording.n_reads for recording in recordings] == [1, 1, 3]
    assert len(audios[2][1:3]) == 2
    assert cache.free_bytes == 5
