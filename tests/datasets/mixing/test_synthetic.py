import random
import subprocess
import sys

import numpy as np
import pytest

from skvae.datasets import NOISE_KINDS, make_dataset, make_noise, make_speech

RATE = 16000


def test_the_global_generators_are_never_touched():
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    python_state = random.getstate()
    make_dataset(8, (0.1, 0.2))
    make_speech(100)
    for kind in NOISE_KINDS:
        make_noise(100, kind)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state


def test_datasets_are_ragged_pairs_within_their_bounds():
    noisy, clean = make_dataset(12, (0.2, 0.5), (0.0, 5.0), random_state=0)
    assert len(noisy) == len(clean) == 12
    assert len({len(waveform) for waveform in clean}) > 8
    for x, s in zip(noisy, clean, strict=True):
        assert x.shape == s.shape
        assert x.dtype == s.dtype == np.float32
        assert 0.2 * RATE <= len(s) <= 0.5 * RATE
        ratio = 10 * np.log10(np.sum(np.float64(s) ** 2) / np.sum((x - s) ** 2.0))
        assert -0.001 < ratio < 5.001


def test_datasets_repeat_and_begin_alike_whatever_their_size():
    noisy, clean = make_dataset(5, (0.1, 0.3), random_state=1)
    fewer_noisy, fewer_clean = make_dataset(2, (0.1, 0.3), random_state=1)
    for i in range(2):
        assert np.array_equal(noisy[i], fewer_noisy[i])
        assert np.array_equal(clean[i], fewer_clean[i])
    assert not np.array_equal(
        clean[0][:1000], make_dataset(1, (0.1, 0.3), random_state=2)[1][0][:1000]
    )


def test_other_rates_and_fixed_lengths_are_possible():
    noisy, _ = make_dataset(3, (0.25, 0.25), snr=0, sample_rate=8000, random_state=0)
    assert [len(waveform) for waveform in noisy] == [2000] * 3


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: make_dataset(0), "`n_utterances` must be"),
        (lambda: make_dataset(2, (3, 1)), r"`duration` must be .* got \(3, 1\)"),
        (lambda: make_dataset(2, 1.0), "`duration` must be"),
        (lambda: make_dataset(2, (0, 1)), "`duration` must be"),
        (lambda: make_dataset(2, snr="high"), "`snr` must be"),
    ],
)
def test_wrong_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_importing_the_datasets_is_light():
    heavy = ["torch", "librosa", "matplotlib", "soundfile", "soxr"]
    code = (
        "import sys, skvae.datasets as d; d.make_dataset(1, (0.1, 0.1));"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
