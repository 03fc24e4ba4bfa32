import math

import numpy as np
import pytest
from sklearn.base import clone

from skvae.datasets import Augmentation
from skvae.datasets.mixing import augmentation as augmentations
from skvae.datasets.mixing.augmentation import (
    BALANCE,
    GAIN_RANGE,
    GAIN_STEP,
    N_KNOTS,
    N_OCTAVES,
    cut_at_random,
    equalizer,
    walk_gain,
)
from skvae.datasets.mixing.cuts import CUT_SECONDS, scatter_cuts

RATE = 16000

NOTHING = {
    "speech_speed": [1.0],
    "noise_speed": [1.0],
    "sums": 0,
    "gains": 0,
    "speech_equalization": 0,
    "noise_equalization": 0,
}


def only(**parameters):
    """Return an augmentation with only these changes."""
    return Augmentation(**{**NOTHING, **parameters})


def tone(hertz, n_samples=RATE, dtype=float):
    return np.sin(2 * np.pi * hertz / RATE * np.arange(n_samples)).astype(dtype)


def pitch(samples):
    """Return the frequency of a tone in Hz, to about 0.1 Hz."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 10 * RATE))
    return power.argmax() / 10


def share_above(hertz, samples):
    """Return the fraction of the power above a frequency."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return power[math.ceil(hertz / RATE * len(samples)) :].sum() / power.sum()


def sped_up(augmentation, what, samples, n_samples, seed=0):
    """Apply the changes to speech or to noise."""
    rng = np.random.default_rng(seed)
    if what == "speech":
        return augmentation.change_speech(samples, n_samples, rng)
    return augmentation.change_noise(lambda n: samples[:n], n_samples, RATE, rng)


def interpolate(samples, speed, n_samples):
    """Slow reference: a sum of sincs with the bandwidth of the lower rate."""
    width = max(1.0, speed)
    distance = speed * np.arange(n_samples)[:, None] - np.arange(len(samples))
    return np.sinc(distance / width) / width @ samples


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("speed", [0.25, 0.7, 0.85, 0.97, 1.0, 1.1, 1.4, 4.0])
def test_speeds_agree_with_slow_interpolation(what, speed):
    augmentation = only(**{f"{what}_speed": [speed]})
    n_samples = 700
    n_read = math.ceil(speed * (n_samples - 1) - 1e-9) + 1
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(n_read))
    spectrum[int(0.9 * len(spectrum) / max(1.0, speed)) :] = 0  # within both bands
    samples = np.fft.irfft(spectrum, n_read)
    samples *= np.hanning(n_read)  # avoid a jump to the silence outside
    expected = interpolate(samples, speed, n_samples)
    if what == "speech":
        expected *= np.sqrt(np.mean(samples**2) / np.mean(expected**2))
    changed = sped_up(augmentation, what, samples, n_samples)
    assert np.sqrt(np.mean((changed - expected) ** 2) / np.mean(expected**2)) < 0.002


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("speed", [0.7, 0.85, 0.9, 1.0, 1.1, 1.2, 1.4])
@pytest.mark.parametrize("hertz", [110.0, 1000.0, 4321.0])
def test_the_frequency_of_a_tone_moves_by_the_speed(what, speed, hertz):
    augmentation = only(**{f"{what}_speed": [speed]})
    changed = sped_up(augmentation, what, tone(hertz, 2 * RATE), RATE)
    assert pitch(changed) == pytest.approx(hertz * speed, abs=0.5)
    assert np.abs(changed[200:-200]).max() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("speed", [1.1, 1.4, 2.0])
def test_what_goes_beyond_the_highest_frequency_is_gone(what, speed):
    kept, lost = tone(500.0, 3 * RATE), tone(7700.0, 3 * RATE)
    augmentation = only(**{f"{what}_speed": [speed]})
    changed = sped_up(augmentation, what, kept + 10 * lost, RATE)
    assert share_above(500 * speed + 50, changed) < 1e-4


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("speed", [0.7, 0.85, 0.9])
def test_slow_sounds_have_no_images_above_their_band(what, speed):
    samples = np.random.default_rng(0).standard_normal(2 * RATE)
    augmentation = only(**{f"{what}_speed": [speed]})
    changed = sped_up(augmentation, what, samples, RATE)
    assert share_above(speed * RATE / 2 + 20, changed) < 1e-5


@pytest.mark.parametrize("speed", [0.25, 0.9, 1.0, 1.1, 4.0])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 99, 100, 101, 1000, 4567])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lengths_and_dtypes_are_those_asked_for(speed, n_samples, dtype):
    augmentation = Augmentation(speech_speed=[speed], noise_speed=[speed], sums=1)
    rng = np.random.default_rng(0)
    asked = []

    def take(n):
        asked.append(n)
        return rng.standard_normal(n).astype(dtype)

    speech = rng.standard_normal(augmentation.speech_length(n_samples)).astype(dtype)
    changed = augmentation.change_speech(speech, n_samples, rng)
    noise = augmentation.change_noise(take, n_samples, RATE, rng)
    assert changed.shape == noise.shape == (n_samples,)
    assert changed.dtype == dtype
    assert np.isfinite(changed).all()
    assert np.isfinite(noise).all()
    assert changed.any()
    assert noise.any()
    # From the first to the last output sample.
    expected = math.ceil(round((n_samples - 1) * speed, 6)) + 1
    assert asked == [expected, expected]
    assert augmentation.speech_length(n_samples) == max(n_samples, expected)


def test_speeds_too_fast_for_the_speech_there_is_are_left_out():
    augmentation = only(speech_speed=[0.9, 1.0, 1.1])
    speech = tone(1000.0, augmentation.speech_length(RATE))

    def pitches(n_speech):
        return {
            round(pitch(sped_up(augmentation, "speech", speech[:n_speech], RATE, seed)))
            for seed in range(40)
        }

    assert pitches(len(speech)) == {900, 1000, 1100}
    assert pitches(len(speech) - 1) == {900, 1000}
    assert pitches(RATE) == {900, 1000}
    too_fast = only(speech_speed=[1.1])
    assert np.array_equal(
        sped_up(too_fast, "speech", speech[:RATE], RATE), speech[:RATE]
    )


def test_all_speeds_are_equally_likely():
    speeds = [0.7, 0.85, 1.0, 1.2, 1.4]
    augmentation = only(noise_speed=speeds)
    asked = []

    def take(n):
        asked.append(n)
        return np.ones(n)

    rng = np.random.default_rng(0)
    for _ in range(1000):
        augmentation.change_noise(take, 101, RATE, rng)
    counts = np.unique(asked, return_counts=True)
    assert list(counts[0]) == [71, 86, 101, 121, 141]
    assert counts[1].min() > 150


def test_speech_that_is_not_needed_is_cut_off_at_random():
    speech = np.arange(1.0, 31.0)
    starts = {
        float(sped_up(only(), "speech", speech, 10, seed)[0]) for seed in range(300)
    }
    assert starts == set(range(1, 22))


def test_without_a_choice_no_place_is_drawn():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    samples = np.ones(5)
    assert cut_at_random(samples, 5, rng) is samples
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("n_bins", [1, 2, 50, 513, 16001])
@pytest.mark.parametrize("spread", [0.0, 3.0, 10.0])
def test_the_equalizer_is_straight_in_decibels_over_octaves(n_bins, spread):
    gain = equalizer(n_bins, spread, np.random.default_rng(0))
    knots = spread * np.random.default_rng(0).standard_normal(N_KNOTS)
    lowest, interval = 2.0**-N_OCTAVES, N_OCTAVES / (N_KNOTS - 1)
    for k in range(0, n_bins, max(1, n_bins // 100)):
        octaves = math.log2(max(k / max(n_bins - 1, 1), lowest) / lowest)
        at = min(int(octaves / interval), N_KNOTS - 2)
        part = octaves / interval - at
        expected = (1 - part) * knots[at] + part * knots[at + 1]
        if n_bins > 1:
            assert 20 * math.log10(gain[k]) == pytest.approx(expected, abs=0.1)
    assert gain.dtype == np.float32


def test_equalizers_have_their_spread():
    rng = np.random.default_rng(0)
    ends = [20 * np.log10(equalizer(513, 4.0, rng)[[0, -1]]) for _ in range(2000)]
    np.testing.assert_allclose(np.std(ends, axis=0), 4.0, rtol=0.1)
    np.testing.assert_allclose(np.mean(ends, axis=0), 0.0, atol=0.4)


@pytest.mark.parametrize("what", ["speech", "noise"])
def test_equalization_is_a_filter_of_the_cut(what):
    """Slow reference: a gain for each term of the sum, without wrap-around."""
    n_samples, n_padded = 1000, 4000
    samples = np.random.default_rng(1).standard_normal(n_samples)
    augmentation = only(**{f"{what}_equalization": 8.0})
    changed = sped_up(augmentation, what, samples, n_samples)
    spectrum = np.fft.rfft(samples, n_padded)
    rng = np.random.default_rng(0)
    rng.random(0 if what == "speech" else 1)  # whether there is a second noise
    if what == "speech":
        rng.integers(1)
    gain = equalizer(n_padded // 2 + 1, 8.0 * rng.random(), rng)
    expected = np.fft.irfft(spectrum * gain)[:n_samples]
    if what == "speech":
        expected *= np.sqrt(np.mean(samples**2) / np.mean(expected**2))
    error = changed - expected
    assert np.sqrt(np.mean(error**2) / np.mean(expected**2)) < 0.02


@pytest.mark.parametrize("what", ["speech", "noise"])
def test_equalization_differs_each_time_and_stays_within_reason(what):
    samples = np.random.default_rng(1).standard_normal(RATE)
    before = np.abs(np.fft.rfft(samples)) ** 2
    augmentation = only(**{f"{what}_equalization": 8.0})
    ratios = []
    for seed in range(40):
        after = np.abs(np.fft.rfft(sped_up(augmentation, what, samples, RATE, seed)))
        octaves = [2**k for k in range(6, 14)]
        powers = [
            [spectrum[low : 2 * low].sum() for low in octaves[:-1]]
            for spectrum in (after**2, before)
        ]
        ratios.append(10 * np.log10(np.divide(*powers)))
    ratios = np.array(ratios)
    ratios -= ratios.mean(axis=1, keepdims=True)
    spreads = ratios.std(axis=1)
    assert spreads.min() < 2 < 5 < spreads.max() < 16
    assert np.abs(ratios.mean(axis=0)).max() < 3


def test_speech_keeps_its_power():
    speech = np.random.default_rng(0).standard_normal(8800).astype(np.float32)
    speech *= np.linspace(0, 1e-4, 8800, dtype=np.float32)
    augmentation = only(speech_speed=[0.9, 1.1], speech_equalization=20.0)
    for seed in range(20):
        changed = sped_up(augmentation, "speech", speech, 8000, seed)
        powers = [
            np.mean(np.float64(speech[start : start + n]) ** 2)
            for n in (augmentation.speech_length(8000), 7201)
            for start in range(len(speech) - n + 1)
        ]
        power = np.mean(np.float64(changed) ** 2)
        assert 0.999 * min(powers) < power < 1.001 * max(powers)


def test_two_noises_are_as_loud_up_to_the_balance():
    low, high = tone(500.0), 1e-3 * tone(3000.0)
    both = []
    for seed in range(200):
        noises = iter([low, high])
        noise = only(sums=0.3).change_noise(
            lambda n, noises=noises: next(noises)[:n],
            8000,
            RATE,
            np.random.default_rng(seed),
        )
        power = np.abs(np.fft.rfft(noise * np.hanning(8000))) ** 2
        ratio = 10 * np.log10(power[1400:1600].sum() / power[200:300].sum())
        if ratio > -30:
            both.append(ratio)
        # The first noise sets the level.
        assert power[200:300].sum() == pytest.approx(
            (np.abs(np.fft.rfft(low[:8000] * np.hanning(8000))) ** 2)[200:300].sum(),
            rel=1e-3,
        )
    assert 0.2 < len(both) / 200 < 0.4
    assert -BALANCE - 0.1 < min(both) < -5 < 5 < max(both) < BALANCE + 0.1


def test_a_silent_noise_adds_nothing_to_a_sum():
    sound = tone(500.0, 1000)
    for pair in ([sound, np.zeros(1000)], [np.zeros(1000), sound]):
        noises = iter(pair)
        noise = only(sums=1).change_noise(
            lambda n, noises=noises: next(noises)[:n],
            1000,
            RATE,
            np.random.default_rng(0),
        )
        overlap = noise @ sound / np.sqrt((noise @ noise) * (sound @ sound))
        assert overlap == pytest.approx(1)


def test_gains_walk_slowly_within_their_range():
    walks = [
        20 * np.log10(walk_gain(60 * RATE, RATE, np.random.default_rng(seed))[::160])
        for seed in range(30)
    ]
    for walk in walks:
        assert walk[0] == 0
        assert np.abs(walk).max() <= GAIN_RANGE + 1e-4
        assert np.abs(np.diff(walk)).max() < 0.1 * GAIN_RANGE  # in 10 ms
    first_steps = [walk[50] for walk in walks]
    assert 0.6 * GAIN_STEP < np.std(first_steps) < 1.4 * GAIN_STEP


@pytest.mark.parametrize("rate", [8000, 48000])
def test_gains_are_as_slow_at_other_rates(rate):
    gain = walk_gain(2 * rate, rate, np.random.default_rng(0))
    reference = walk_gain(2 * RATE, RATE, np.random.default_rng(0))
    np.testing.assert_allclose(gain[:: rate // 1000], reference[::16], rtol=1e-3)


def test_the_share_of_noises_with_a_gain():
    changed = 0
    for seed in range(200):
        noise = sped_up(only(gains=0.3), "noise", np.ones(8000), 8000, seed)
        changed += np.ptp(noise[1000:-1000]) > 0.05
    assert 0.2 < changed / 200 < 0.4


def test_nothing_is_changed_where_nothing_is_asked_for():
    speech = np.random.default_rng(0).standard_normal(3000)
    assert sped_up(only(), "speech", speech, 3000) is speech
    np.testing.assert_allclose(
        sped_up(only(), "noise", speech, 3000), speech, atol=1e-12
    )


def test_what_is_given_is_not_changed():
    samples = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    samples.flags.writeable = False
    before = samples.copy()
    for seed in range(10):
        for what in ("speech", "noise"):
            sped_up(Augmentation(sums=1, gains=1), what, samples, 3000, seed)
    assert np.array_equal(samples, before)


@pytest.mark.parametrize("what", ["speech", "noise"])
def test_silence_stays_silence(what):
    augmentation = Augmentation(sums=0.5, gains=0.5)
    for seed in range(10):
        with np.errstate(all="raise"):
            changed = sped_up(
                augmentation, what, np.zeros(5000, np.float32), 3000, seed
            )
        assert not changed.any()


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12])
def test_extreme_levels_stay_finite(what, scale):
    rng = np.random.default_rng(0)
    samples = np.float32(scale) * rng.standard_normal(5000, dtype=np.float32)
    for seed in range(10):
        augmentation = Augmentation(sums=0.5, gains=0.5)
        changed = sped_up(augmentation, what, samples, 3000, seed)
        level = np.sqrt(np.mean(np.float64(changed) ** 2))
        assert 0.03 * scale < level < 30 * scale


@pytest.mark.parametrize("what", ["speech", "noise"])
def test_seeds_repeat_and_differ(what):
    samples = np.random.default_rng(0).standard_normal(5000)
    first = sped_up(Augmentation(), what, samples, 3000, 0)
    assert np.array_equal(sped_up(Augmentation(), what, samples, 3000, 0), first)
    assert not np.array_equal(sped_up(Augmentation(), what, samples, 3000, 1), first)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"speech_speed": []}, r"`speech_speed` must be a sequence .* got \[\]"),
        ({"speech_speed": 1.1}, "`speech_speed` must be a sequence .* got 1.1"),
        ({"noise_speed": "fast"}, "`noise_speed` must be a sequence .* got 'fast'"),
        ({"noise_speed": [1, 0]}, r"`noise_speed\[1\]` must be a number in \[0.25, 4"),
        ({"noise_speed": [5.0]}, r"`noise_speed\[0\]` must be .* got 5.0"),
        ({"noise_speed": [np.nan]}, "got nan"),
        ({"events": -1}, r"`events` must be a number in \[0, 1\], got -1"),
        ({"sums": 1.5}, r"`sums` must be a number in \[0, 1\], got 1.5"),
        ({"gains": -0.1}, "`gains` must be"),
        ({"gains": True}, "`gains` must be"),
        ({"speech_equalization": -1}, "`speech_equalization` must be"),
        ({"noise_equalization": np.inf}, "`noise_equalization` must be"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**parameters).check()


def test_speeds_may_be_any_sequence():
    for speeds in ((0.9, 1), [1.1], np.array([0.9, 1.1])):
        Augmentation(speech_speed=speeds, noise_speed=speeds).check()
    assert Augmentation(speech_speed=np.array([2.0])).speech_length(11) == 21


def test_it_is_cloned_like_an_estimator():
    augmentation = Augmentation(sums=0.5, speech_speed=[1.0])
    copied = clone(augmentation)
    assert copied.get_params() == augmentation.get_params()
    assert copied.speech_speed is not augmentation.speech_speed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cuts_are_pieces_of_the_noise_at_other_times(dtype):
    # Values that tell where they were.
    noise = (1 + np.arange(2 * RATE) / RATE).astype(dtype)
    seen = set()
    for seed in range(40):
        cuts = scatter_cuts(noise, RATE, np.random.default_rng(seed))
        assert (cuts.dtype, len(cuts)) == (dtype, len(noise))
        filled = np.flatnonzero(cuts)
        assert 0.9 * CUT_SECONDS[0] * RATE <= len(filled) < len(noise)
        seen.add(filled[0])
    assert len(seen) > 30


def test_cuts_prefer_what_is_loud():
    noise = np.random.default_rng(0).standard_normal(2 * RATE)
    noise[RATE:] *= 0.01
    loud = [
        np.abs(scatter_cuts(noise, RATE, np.random.default_rng(seed))).max()
        for seed in range(40)
    ]
    assert np.mean(np.array(loud) > 0.2) > 0.9


@pytest.mark.parametrize("n_samples", [1, 2, 100])
def test_cuts_of_short_or_silent_noise(n_samples):
    for noise in (np.zeros(n_samples), np.ones(n_samples)):
        cuts = scatter_cuts(noise, RATE, np.random.default_rng(0))
        assert len(cuts) == n_samples
        assert cuts.any() == noise.any()


def test_a_fraction_of_noises_is_cut(monkeypatch):
    def count(noise, rate, rng):
        counted.append(rate)
        return noise

    monkeypatch.setattr(augmentations, "scatter_cuts", count)
    for fraction, low, high in ((0.0, 0, 0), (0.25, 30, 70), (1.0, 200, 200)):
        counted = []
        rng = np.random.default_rng(0)
        for _ in range(200):
            only(events=fraction).change_noise(rng.standard_normal, 400, RATE, rng)
        assert low <= len(counted) <= high
        assert set(counted) <= {RATE}
