import math
import warnings

import numpy as np
import pytest

from skvae.classical.noise_tracking import (
    first_frames_power,
    noise_floor,
    track_noise,
)


def decibels(ratio):
    return 10 * np.log10(ratio)


def white(n_frames, power=1.0, n_bins=60, seed=0):
    return np.random.default_rng(seed).exponential(power, (n_frames, n_bins))


def slow_track(V, first, smoothing=0.9, group=1):
    """Equations (18), (22)-(24) and (8) of the paper, bin by bin."""
    snr = 10**1.5
    estimates = np.zeros_like(V)
    least = math.sqrt(np.finfo(float).tiny)
    loudest = [max(1e-10 * V[: t + 1].mean(1).max(), least) for t in range(len(V))]
    for f in range(V.shape[1]):
        noise, presence = first[f], 0.5
        for start in range(0, len(V), group):
            stop = min(start + group, len(V))
            floor = loudest[stop - 1]
            noise = max(noise, floor)
            periodogram = V[start:stop, f].mean()
            p = 1 / (1 + (1 + snr) * math.exp(-periodogram / noise * snr / (1 + snr)))
            presence = 0.9**group * presence + (1 - 0.9**group) * p
            if presence > 0.99:
                p = min(p, 0.99)
            expected = p * noise + (1 - p) * periodogram
            weight = smoothing**group
            noise = max(weight * noise + (1 - weight) * expected, floor)
            estimates[start:stop, f] = noise
    return estimates


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("n_frames", [1, 3, 101])
def test_the_tracker_agrees_with_its_equations(group, n_frames):
    V = white(n_frames, n_bins=4) * np.random.default_rng(1).choice(
        [1, 50], (n_frames, 1)
    )
    got, state = track_noise(V, frames_per_update=group)
    np.testing.assert_allclose(
        got, slow_track(V, V[:5].mean(0), group=group), rtol=1e-9
    )
    np.testing.assert_array_equal(state.noise, got[-1])


def test_a_stuck_tracker_frees_itself_as_the_equations_say():
    V = np.ones((400, 1))
    V[20:] = 1e4
    got, _ = track_noise(V)
    np.testing.assert_allclose(got, slow_track(V, V[:5].mean(0)), rtol=1e-9)
    assert decibels(got[-1, 0] / 1e4) > -3


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("level", [1e-8, 1.0, 1e6])
def test_stationary_noise_is_found_within_one_and_a_half_decibels(group, level):
    noise, _ = track_noise(white(1000, level), frames_per_update=group)
    assert abs(decibels(noise[100:].mean() / level)) < 1.5
    # In each bin, not only on average.
    assert np.abs(decibels(noise[100:].mean(0) / level)).max() < 3


@pytest.mark.parametrize(("step", "n_frames"), [(10.0, 150), (0.1, 40)])
def test_a_step_of_the_noise_is_followed_in_time(step, n_frames):
    # 10 dB up within 150 frames of 16 ms (2.4 s), 10 dB down within 40 (0.64 s).
    V = np.concatenate([white(200), white(300, step, seed=1)])
    noise, _ = track_noise(V)
    before = decibels(noise[150:200].mean() / 1.0)
    after = decibels(noise[200 + n_frames : 220 + n_frames].mean() / step)
    assert abs(before) < 1.5 and abs(after) < 2


def test_recordings_may_begin_in_the_middle_of_speech():
    # Speech of 20 dB in half the bins for the first 30 frames, then with pauses.
    V = white(400)
    rng = np.random.default_rng(2)
    speech = np.zeros(400, bool)
    speech[:30] = True
    speech[60:] = rng.random(340) < 0.5
    V[speech, :30] *= 100
    noise, _ = track_noise(V)
    assert noise[0, :30].mean() > 50  # still taken for noise
    assert abs(decibels(noise[150:, :30].mean())) < 3
    assert abs(decibels(noise[150:, 30:].mean())) < 1.5


def test_speech_bursts_do_not_pull_the_noise_up():
    V = white(600)
    V[np.arange(600) % 40 < 20] *= 1000
    noise, _ = track_noise(V, first=np.ones(60))
    assert abs(decibels(noise[100:].mean())) < 2


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("split", [4, 40, 196])
def test_blocks_continue_where_the_one_before_ended(group, split):
    V = white(200)
    V[50:100] = 0
    V[150:] *= 1e6
    whole, end = track_noise(V, frames_per_update=group)
    first = V[:5].mean(0)  # first estimate
    one, state = track_noise(V[:split], first=first, frames_per_update=group)
    two, last = track_noise(V[split:], state, frames_per_update=group)
    np.testing.assert_array_equal(np.concatenate([one, two]), whole)
    for a, b in zip(end, last, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_state_is_not_written_to():
    V = white(50)
    _, state = track_noise(V)
    before = state.noise.copy(), state.absence.copy()
    track_noise(V, state)
    assert np.array_equal(state.noise, before[0])
    assert np.array_equal(state.absence, before[1])


def test_a_profile_is_what_it_starts_from():
    V = white(100)
    V[:20] *= 1000  # speech at the beginning
    noise, _ = track_noise(V, first=np.ones(60))
    assert abs(decibels(noise[:20].mean())) < 2
    lost, _ = track_noise(V)
    assert decibels(lost[:20].mean()) > 20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (30, 3)])
def test_silence_gives_a_positive_finite_noise_power(dtype, shape):
    V = np.zeros(shape, dtype)
    noise, state = track_noise(V)
    assert noise.dtype == dtype and noise.shape == shape
    assert (noise > 0).all() and np.isfinite(noise).all()
    later, _ = track_noise(np.full(shape, 1e8, dtype), state)
    assert np.isfinite(later).all() and (later > 0).all()


def test_levels_far_apart_give_no_warning():
    V = np.full((8, 3), 1e-30, np.float32)
    V[4:] = 1e30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        noise, _ = track_noise(V)
    assert np.isfinite(noise).all()


def test_the_level_makes_no_difference():
    V = white(200)
    noise, _ = track_noise(V)
    louder, _ = track_noise(V * 2.0**20)
    np.testing.assert_array_equal(louder, noise * 2.0**20)


def test_the_floor_never_falls_and_does_not_look_ahead():
    V = white(100) * np.random.default_rng(0).choice([0, 1, 1e6], (100, 1))
    floor = noise_floor(V)
    assert (floor > 0).all() and (np.diff(floor) >= 0).all()
    for n_frames in (1, 50):
        np.testing.assert_array_equal(noise_floor(V[:n_frames]), floor[:n_frames])
        rest = noise_floor(V[n_frames:], float(floor[n_frames - 1]))
        np.testing.assert_array_equal(rest, floor[n_frames:])


def test_the_first_frames_may_be_fewer_than_asked_for():
    V = white(3)
    np.testing.assert_allclose(first_frames_power(V, 10), V.mean(0))
    np.testing.assert_allclose(first_frames_power(V, 2), V[:2].mean(0))
