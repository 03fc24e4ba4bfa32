"""The band above that of a model: steady hiss stays steady, sibilants stay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from skvae import STFT, BaseEnhancer, MaskEstimate
from skvae.signal.framing import Framing
from skvae.signal.upper_band import UpperBand

RATE, N_BINS = 48000, 257
FRAMING = Framing(1536, 384)
SECONDS = 12


def band_limited(x, low, high=None):
    limits, kind = (low, "highpass") if high is None else ((low, high), "bandpass")
    return sosfilt(butter(8, limits, kind, fs=RATE, output="sos"), x)


def rhythm(on, period=1.0, offset=0.0):
    """1 in the first `on` seconds of each period, else 0."""
    t = np.arange(SECONDS * RATE) / RATE - offset
    return (t % period < on).astype(float)


def scene(seed=0):
    """Hiss, words below 4 kHz in half of the time, sibilants in a fifth of it."""
    rng = np.random.default_rng(seed)
    hiss, low, high = rng.standard_normal((3, SECONDS * RATE))
    words = 30 * rhythm(0.5) * band_limited(low, 300, 4000)
    sibilants = rhythm(0.1, offset=0.4) * band_limited(high, 4500)
    return 0.1 * hiss, words, sibilants


def ideal_mask(noise, speech):
    S, N = (abs(FRAMING.analyse(x)[:, :N_BINS]) ** 2 for x in (speech, noise))
    return S / (S + N)


def filtered(mask, x):
    """What is above 9 kHz of x after the gain."""
    X = FRAMING.analyse(x)
    gain = UpperBand(N_BINS, FRAMING, RATE).gain(mask, [X])
    above = X[:, N_BINS:] * gain
    return band_limited(
        FRAMING.synthesise(np.pad(above, ((0, 0), (N_BINS, 0))), len(x)), 9000
    )


def levels(x):
    """Level in dB of each twentieth of a second, after three seconds."""
    frames = x.reshape(-1, RATE // 20)
    return 10 * np.log10(np.square(frames).mean(1))[60:]


def test_hiss_does_not_come_and_go_with_the_words():
    hiss, words, sibilants = scene()
    mask = ideal_mask(hiss, words + sibilants)
    before, after = (
        levels(x) for x in (band_limited(hiss, 9000), filtered(mask, hiss + words))
    )
    phase = np.arange(len(after)) % 20
    between, within = (phase > 12) & (phase < 19), (phase > 1) & (phase < 7)
    assert after[within].mean() - after[between].mean() == pytest.approx(0, abs=0.5)
    assert (after - before)[between].mean() == pytest.approx(-20, abs=0.5)
    # As steady as it was, or steadier.
    assert after[within | between].std() < before.std() + 0.2
    # If the gain were that of the mask, it would not be.
    top = mask[:, -17:].mean(1)
    rows = np.arange(len(top)) * 384 / RATE % 1
    change = 20 * np.log10(
        top[(rows > 0.1) & (rows < 0.35)].mean() / top[rows > 0.7].mean()
    )
    assert change > 3


def test_sibilants_pass():
    hiss, words, sibilants = scene()
    mask = ideal_mask(hiss, words + sibilants)
    clean = band_limited(sibilants, 9000)
    noisy = band_limited(hiss + sibilants, 9000)
    enhanced = filtered(mask, hiss + words + sibilants)
    part = np.s_[3 * RATE :]
    error = [np.square((x - clean)[part]).mean() for x in (noisy, enhanced)]
    assert error[1] < 0.4 * error[0]
    is_sibilant = rhythm(0.1, offset=0.4)[part] > 0
    kept = np.square(enhanced[part][is_sibilant]).mean()
    assert kept > 0.6 * np.square(noisy[part][is_sibilant]).mean()


def test_what_the_method_takes_for_noise_is_lowered_to_the_floor():
    hiss, _, sounds = scene()
    enhanced = filtered(np.zeros((FRAMING.n_frames(len(hiss)), N_BINS)), hiss + sounds)
    level = levels(enhanced)
    # The sounds are 20 dB above the hiss.
    assert np.ptp(levels(band_limited(hiss + sounds, 9000))) > 15
    assert level.max() < levels(band_limited(hiss, 9000)).mean() - 10
    assert np.ptp(level) < 10


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_a_constant_mask_is_the_gain_of_steady_noise(gain):
    hiss, _, _ = scene()
    X = FRAMING.analyse(hiss)
    mask = np.full((len(X), N_BINS), gain, np.float32)
    found = UpperBand(N_BINS, FRAMING, RATE).gain(mask, [X])
    assert found.dtype == np.float32 and found.shape == (len(X), 769 - N_BINS)
    if gain == 1:
        assert (found == 1).all()
    else:
        np.testing.assert_allclose(found[60:].mean(), gain, rtol=0.05)


def test_frames_may_come_in_any_parts():
    x = np.stack(scene()).sum(0).astype(np.float32)
    X = FRAMING.analyse(x)
    mask = np.random.default_rng(1).random((len(X), N_BINS)).astype(np.float32)
    whole = UpperBand(N_BINS, FRAMING, RATE).gain(mask, [X, 2 * X])
    band, parts = UpperBand(N_BINS, FRAMING, RATE), []
    for start, stop in ((0, 1), (1, 2), (2, 300), (300, 307), (307, len(X))):
        part = np.s_[start:stop]
        parts.append(band.gain(mask[part], [X[part], 2 * X[part]]))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.min() >= 0 and whole.max() <= 1


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e15])
def test_any_level_has_a_gain(level):
    X = (level * np.ones((50, 769))).astype(np.complex64)
    mask = np.random.default_rng(0).random((50, N_BINS)).astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        gain = UpperBand(N_BINS, FRAMING, RATE, 0.3).gain(mask, [X])
    assert gain.min() >= np.float32(0.3) and gain.max() <= 1


class Words(BaseEnhancer):
    """Keeps loud frames of blocks of any length, and no others."""

    def __init__(self, *, stft=None, attenuation_limit=None, block_seconds=60.0,
                 random_state=None, n_jobs=None, verbose=0):  # fmt: skip
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _estimate_mask(self, V, rng, state):
        loud = V.mean(1, keepdims=True) > 10
        return MaskEstimate(np.where(loud, np.ones_like(V), V.dtype.type(0.01)))


@pytest.mark.parametrize("limit", [None, 12.0])
def test_blocks_do_not_matter_and_the_limit_holds_above_the_band(limit):
    x = np.stack(scene()).sum(0).astype(np.float32)
    stft = STFT(512, 128)
    results = []
    for seconds in (None, 2.3, 0.4):
        enhancer = Words(stft=stft, block_seconds=seconds, attenuation_limit=limit)
        pieces = enhancer.fit([x]).enhance_blocks([x], RATE)
        results.append(np.concatenate(list(pieces), axis=1)[0])
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=0, atol=2e-5)
    change = levels(band_limited(results[0], 9000)) - levels(band_limited(x, 9000))
    if limit is None:
        assert change.min() < -19
    else:
        assert change.min() > -limit - 0.1
