import numpy as np
import pytest
from helpers.instances import SMALL_STFT
from sklearn.base import clone

from skvae import STFT, LogMMSE, SpectralSubtraction, WienerFilter
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import mean_si_sdr

METHODS = [SpectralSubtraction, WienerFilter, LogMMSE]
STFT_512 = STFT(512)


def mixtures(kind="white", snr=0.0, n=2, seconds=2.0):
    n_samples = int(16000 * seconds)
    clean = [make_speech(n_samples, random_state=k) for k in range(n)]
    noise = [make_noise(n_samples, kind, random_state=50 + k) for k in range(n)]
    return [mix_at_snr(x, v, snr) for x, v in zip(clean, noise, strict=True)], clean


def gain(enhancer, noisy, clean):
    """Improvement of the SI-SDR in dB: 0 for the identity."""
    return enhancer.fit(noisy).score(noisy, clean) - mean_si_sdr(clean, noisy)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("kind", "margin"), [("white", 5.0), ("pink", 3.0)])
def test_noise_is_lowered_by_a_stated_margin(method, kind, margin):
    # The identity would gain 0 dB.
    assert gain(method(stft=STFT_512), *mixtures(kind)) > margin


@pytest.mark.parametrize("method", METHODS)
def test_clean_speech_is_left_nearly_alone(method):
    _, clean = mixtures()
    assert method(stft=STFT_512).fit(clean).score(clean, clean) > 15


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("estimate", ["auto", "profile", "mmse-spp"])
def test_a_recording_of_the_noise_helps_against_stationary_noise(method, estimate):
    # Speech begins with the first sample, and so the tracker starts with speech.
    noisy, clean = mixtures("pink", snr=0.0)
    profile = make_noise(16000, "pink", random_state=7)
    level = np.std(noisy[0] - clean[0]) / np.std(profile)
    helped = gain(
        method(noise_profile=level * profile, noise_estimate=estimate, stft=STFT_512),
        noisy[:1],
        clean[:1],
    )
    alone = gain(method(stft=STFT_512), noisy[:1], clean[:1])
    # The tracker starts from the profile, and then departs from it.
    assert helped > alone - (0.3 if estimate == "mmse-spp" else 0.0)
    assert helped > 3


@pytest.mark.parametrize("method", METHODS)
def test_the_profile_is_the_mean_power_of_the_recording(method):
    noise = make_noise(4000, random_state=0)
    fitted = method(noise_profile=noise, stft=SMALL_STFT).fit([noise])
    wanted = np.mean(np.abs(SMALL_STFT.transform([noise])[0].data) ** 2, axis=1)
    np.testing.assert_allclose(fitted.noise_power_, wanted, rtol=1e-5)
    for same in ([noise], SMALL_STFT.transform([noise])[0]):
        again = method(noise_profile=same, stft=SMALL_STFT).fit([noise])
        np.testing.assert_array_equal(again.noise_power_, fitted.noise_power_)
    assert method(stft=SMALL_STFT).fit([noise]).noise_power_ is None


@pytest.mark.parametrize("method", METHODS)
def test_the_first_frames_serve_as_noise_where_speech_begins_later(method):
    noisy, clean = mixtures("white", snr=0.0, n=1)
    lead = int(np.ceil(16000 * 0.3))
    noise = noisy[0] - clean[0]
    noisy = [np.concatenate([noise[:lead], noisy[0]])]
    clean = [np.concatenate([np.zeros(lead, np.float32), clean[0]])]
    enhancer = method(noise_estimate="first-frames", stft=STFT_512, n_noise_frames=30)
    assert gain(enhancer, noisy, clean) > 4
    # They are used: with digital silence at the beginning, nothing is removed.
    silent = [np.concatenate([np.zeros(4000, np.float32), noisy[0]])]
    [result] = enhancer.set_params(n_noise_frames=5).fit(silent).separate(silent)
    assert result.mask[1:-1, 60:].mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"noise_estimate": "guess"}, "`noise_estimate` must be one of 'auto'"),
        ({"noise_estimate": "profile"}, "needs a recording of the noise alone"),
        (
            {"noise_estimate": "first-frames", "noise_profile": np.ones(9)},
            "pass only one",
        ),
        ({"n_noise_frames": 0}, r"`n_noise_frames` must be an integer in \[1"),
        ({"n_noise_frames": 2.5}, "`n_noise_frames`"),
        ({"noise_profile": np.array([1.0, np.nan])}, "`noise_profile`.*finite"),
        ({"noise_profile": np.ones((9, 2))}, r"`noise_profile`.*\(9, 2\)"),
        ({"noise_profile": "noise.wav"}, "`noise_profile`.*text"),
        (
            {"attenuation_limit": -1},
            r"`attenuation_limit`.*\[0, 1000\] or None",
        ),
        ({"block_seconds": 0}, r"`block_seconds`.*\(0, 1000000\] or None, got 0"),
        ({"block_seconds": np.inf}, "`block_seconds`"),
        ({"attenuation_limit": np.nan}, "`attenuation_limit`"),
        ({"verbose": "yes"}, "`verbose`"),
        ({"random_state": "seed"}, "random_state"),
    ],
)
def test_shared_parameters_out_of_range_are_named(method, parameters, message):
    with pytest.raises(ValueError, match=message):
        method(**parameters).fit([np.ones(10)])


@pytest.mark.parametrize(
    ("enhancer", "name"),
    [
        (SpectralSubtraction(-1), "over_subtraction"),
        (SpectralSubtraction(np.inf), "over_subtraction"),
        (SpectralSubtraction(floor=2), "floor"),
        (SpectralSubtraction(floor=-0.1), "floor"),
        (SpectralSubtraction(exponent=0), "exponent"),
        (SpectralSubtraction(exponent="1"), "exponent"),
        (WienerFilter(1.5), "smoothing"),
        (WienerFilter(min_prior_snr=np.nan), "min_prior_snr"),
        (WienerFilter(min_prior_snr=500), "min_prior_snr"),
        (LogMMSE(-0.1), "smoothing"),
        (LogMMSE(min_prior_snr=None), "min_prior_snr"),
    ],
)
def test_parameters_of_a_method_out_of_range_are_named(enhancer, name):
    with pytest.raises(ValueError, match=f"`{name}` must be a number"):
        enhancer.fit([np.ones(10)])


def residual(enhancer):
    """Mean power of the residual of white noise, in dB."""
    noise = make_noise(16000, random_state=0)
    enhancer.set_params(stft=SMALL_STFT)
    left = enhancer.fit([noise]).transform([noise])[0][4000:]
    return 10 * np.log10(np.mean(left**2) / np.mean(noise[4000:] ** 2))


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (SpectralSubtraction(1.0), SpectralSubtraction(3.0)),
        (SpectralSubtraction(floor=0.2), SpectralSubtraction(floor=0.01)),
        (SpectralSubtraction(exponent=1.0), SpectralSubtraction(exponent=0.5)),
        (WienerFilter(0.5), WienerFilter(0.98)),
        (WienerFilter(min_prior_snr=-6), WienerFilter(min_prior_snr=-20)),
        (LogMMSE(0.5), LogMMSE(0.98)),
        (LogMMSE(min_prior_snr=-6), LogMMSE(min_prior_snr=-20)),
        (LogMMSE(attenuation_limit=6), LogMMSE()),
    ],
)
def test_parameters_do_what_their_names_say(less, more):
    assert residual(clone(more)) < residual(clone(less)) - 1 < -1


@pytest.mark.parametrize("method", [WienerFilter, LogMMSE])
@pytest.mark.parametrize("decibels", [-20.0, -10.0])
def test_residual_noise_follows_from_the_least_prior_snr(method, decibels):
    x = make_noise(16000, random_state=0)
    enhancer = method(min_prior_snr=decibels, stft=SMALL_STFT).fit([x])
    prior = 10 ** (decibels / 10)
    assert enhancer.separate([x])[0].mask.min() >= prior / (1 + prior) - 1e-6


def test_over_subtraction_zero_removes_nothing():
    [x] = mixtures(n=1, seconds=0.5)[0]
    enhancer = SpectralSubtraction(0, stft=SMALL_STFT).fit([x])
    np.testing.assert_allclose(enhancer.transform([x])[0], x, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("estimate", ["mmse-spp", "first-frames", "profile"])
def test_blocks_give_the_same_mask_whatever_the_estimate(method, estimate):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [1e-6 * rng.standard_normal(8000), np.zeros(8000), rng.standard_normal(8000)]
    )
    noise = 1e-12 * rng.standard_normal(4000) if estimate == "profile" else None
    enhancer = method(noise_profile=noise, noise_estimate=estimate, stft=SMALL_STFT)
    whole = enhancer.set_params(block_seconds=None).fit([x]).separate([x])[0]
    for seconds in (0.2, 0.5):
        blocks = enhancer.set_params(block_seconds=seconds).fit([x]).separate([x])[0]
        np.testing.assert_array_equal(blocks.mask, whole.mask)


@pytest.mark.parametrize("method", METHODS)
def test_the_mask_of_a_frame_depends_on_no_later_frame(method):
    [x] = mixtures(n=1, seconds=1.0)[0]
    changed = x.copy()
    changed[8192:] = 100 * changed[8192:][::-1]
    enhancer = method(stft=SMALL_STFT).fit([x])
    one, other = (s.mask for s in enhancer.separate([x, changed]))
    # Frames of 256 samples centered at multiples of 64, in groups of four.
    n_before = (8192 - 128) // 64 // 4 * 4
    np.testing.assert_array_equal(one[:, :n_before], other[:, :n_before])
    assert not np.array_equal(one, other)
