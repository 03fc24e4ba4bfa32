"""Recombined noise: a course with other spectra, powers, seeds, silence, errors."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from skvae.datasets import AudioFile, Mixer, make_noise
from skvae.factorization.recombination import recombine, recombine_noises
from skvae.signal.framing import Framing

RATE = 16000
FRAMING = Framing(512, 128)


def rng(seed=0):
    return np.random.default_rng(seed)


def hiss(n_samples=RATE, seed=0):
    return rng(seed).standard_normal(n_samples).astype(np.float32)


def tone(hertz, n_samples=RATE):
    sound = np.sin(2 * np.pi * hertz / RATE * np.arange(n_samples))
    return (sound + 1e-3 * hiss(n_samples, 5)).astype(np.float32)


def bursts(n_samples=RATE):
    """White noise that is on for an eighth of every quarter second."""
    on = (np.arange(n_samples) % (RATE // 4)) < RATE // 8
    return (hiss(n_samples) * (0.001 + on)).astype(np.float32)


def spectrum(x):
    return np.abs(np.fft.rfft(x)) ** 2


def levels(x):
    return 10 * np.log10(np.mean(x[: len(x) // 400 * 400].reshape(-1, 400) ** 2, 1))


def test_it_has_the_course_of_one_noise_and_the_spectrum_of_the_other():
    new = recombine(bursts(), tone(3000.0), 1, 30, FRAMING, rng())
    assert new.dtype == np.float32
    near = slice(int(0.9 * 3000), int(1.1 * 3000))
    assert spectrum(new)[near].sum() > 0.8 * spectrum(new).sum()
    assert np.corrcoef(levels(new), levels(bursts()))[0, 1] > 0.7
    assert np.mean(new**2) == pytest.approx(np.mean(bursts() ** 2), rel=1e-3)


def test_a_noise_with_its_own_spectra_stays_as_it_is():
    x = bursts()
    new = recombine(x, x, 1, 30, FRAMING, rng())
    assert np.corrcoef(new, x)[0, 1] > 0.99


def test_the_filter_is_bounded():
    """Bins in which a noise has almost nothing are not raised to the other's power."""
    quiet = tone(500.0)
    new = recombine(quiet, hiss(), 1, 30, FRAMING, rng())
    raised = spectrum(new)[4000:].mean() / spectrum(quiet)[4000:].mean()
    assert raised * np.mean(quiet**2) / np.mean(new**2) < 10**6.1
    assert np.isfinite(new).all()


def test_silence_gives_the_course_itself():
    x = bursts()
    np.testing.assert_array_equal(recombine(x, np.zeros(4000), 2, 3, FRAMING, rng()), x)
    assert not recombine(np.zeros(4000), x, 2, 3, FRAMING, rng()).any()


def test_every_noise_gives_its_course_once_and_seeds_repeat():
    noises = [gain * bursts(3000 + 500 * k) for k, gain in enumerate((1, 2, 4))]
    first, again, other = (
        list(recombine_noises(noises, 7, max_iter=3, random_state=seed))
        for seed in (0, 0, 1)
    )
    lengths = [len(x) for x in first]
    assert sorted(lengths[:3]) == sorted(lengths[3:6]) == [3000, 3500, 4000]
    for x, y in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, y)
    assert any(len(x) != len(y) for x, y in zip(first, other, strict=True))
    for x in first:
        k = (len(x) - 3000) // 500
        assert np.mean(x**2) == pytest.approx(np.mean(noises[k] ** 2), rel=1e-3)


def test_files_are_read_in_part_and_mixers_take_the_noise(tmp_path):
    files = []
    for k, kind in enumerate(("pink", "hits")):
        path = tmp_path / f"{k}.wav"
        soundfile.write(path, make_noise(RATE, kind, random_state=k), RATE)
        files.append(AudioFile(path))
    new = list(recombine_noises(files, 2, max_iter=2, max_seconds=0.25, random_state=0))
    assert [len(x) for x in new] == [4000, 4000]
    noisy, clean = Mixer([*files, *new]).mix(tone(200.0), rng=0)
    assert np.isfinite(noisy).all()
    assert len(noisy) == len(clean)


@pytest.mark.parametrize(
    ("noises", "parameters", "message"),
    [
        ([hiss()], {}, "`noises` must hold at least two recordings, got 1"),
        (hiss(), {}, "noises"),
        ([hiss(), hiss()], {"n_components": 0}, "`n_components` must be an integer"),
        ([hiss(), hiss()], {"max_iter": 1.5}, "`max_iter` must be an integer"),
        ([hiss(), hiss()], {"max_seconds": 0}, "`max_seconds` must be a number"),
    ],
)
def test_wrong_parameters_are_named(noises, parameters, message):
    with pytest.raises(ValueError, match=message):
        recombine_noises(noises, 1, **parameters)


def test_fewer_noises_than_one_are_an_error():
    with pytest.raises(ValueError, match="`n_recombined` must be an integer"):
        recombine_noises([hiss(), hiss()], 0)
