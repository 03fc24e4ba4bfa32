"""DnVAENMFEnhancer; the inferences have tests of their own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import soxr
import torch
from helpers.training import made
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skvae import (
    MCEM,
    MCMC,
    STFT,
    VEM,
    BiLSTMMask,
    DenoisingVAE,
    DnVAENMFEnhancer,
    GradientVEM,
    NMFNoise,
    SpeechVAE,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import mean_si_sdr, si_sdr
from skvae.signal.bandwidth import band_edge
from skvae.speech.prior import STANDARD

SMALL = STFT(n_fft=256)
SHORT = GradientVEM(4, learning_rate=0.2, prior_weight=1.0, gain=None)
NOISE = NMFNoise(2, smoothing=1)


@pytest.fixture(scope="module")
def pairs():
    """Utterances in the noise of a machine at 0 dB."""
    rng = np.random.default_rng(0)
    clean = [make_speech(6000 + 200 * k, random_state=k) for k in range(9)]
    noises = [make_noise(len(x), "machine", random_state=rng) for x in clean]
    noisy = [mix_at_snr(x, n, 0.0, rng) for x, n in zip(clean, noises, strict=True)]
    return noisy, clean


def make_dvae(**parameters):
    sizes = {"n_latent": 4, "hidden_layer_sizes": (8, 8), "n_mels": 16, "max_iter": 2}
    training = {"batch_size": 4, "sequence_length": 20, "averaging": 0.9}
    return made(DenoisingVAE, stft=SMALL, **{**sizes, **training, **parameters})


@pytest.fixture(scope="module")
def dvae(pairs):
    """Trained for as long as a test may take."""
    noisy, clean = pairs
    many_steps = {"max_iter": 9, "n_combinations": 4, "learning_rate": 1e-2}
    model = make_dvae(random_state=0, **many_steps)
    return FrozenEstimator(model.fit(noisy[2:], clean[2:]))


@pytest.fixture(scope="module")
def maskless(pairs):
    model = make_dvae(multitask=False, random_state=0)
    return FrozenEstimator(model.fit(*(part[2:] for part in pairs)))


def fitted(dvae, inference=SHORT, **options):
    options = {"noise": NOISE, "random_state": 0, **options}
    return DnVAENMFEnhancer(dvae, inference, **options).fit([np.zeros(10, np.float32)])


PRIORS = ["encoder", "standard", "fixed"]


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("start", ["mask", "random"])
def test_all_variants_gain_on_unseen_utterances(pairs, dvae, prior, start):
    noisy, clean = (part[:2] for part in pairs)
    score = fitted(dvae, prior=prior, start=start).score(noisy, clean)
    assert score > mean_si_sdr(clean, noisy) + 2


@pytest.mark.parametrize(
    "inference", [MCEM(4, n_burn_in=5, n_samples=5, gain=None), MCMC(20, 10)]
)
def test_other_inferences_follow_the_encoders_prior(pairs, dvae, inference):
    """A narrow prior keeps their draws near its mean, a wide one does not."""
    noisy = pairs[0][:1]
    gains = {
        sigma_z: fitted(dvae, inference, sigma_z=sigma_z, mask_weight=0.0)
        .separate(noisy)[0]
        .mask
        for sigma_z in (0.0, 1e-4, 3.0)
    }
    near = np.abs(gains[0.0] - gains[1e-4]).mean()
    assert near < 0.2 * np.abs(gains[0.0] - gains[3.0]).mean()


#: By how many dB of SI-SDR a short training must beat none.
MARGIN = 1.5


def test_training_beats_the_untrained_networks_by_a_margin(pairs, dvae):
    noisy, clean = pairs
    untrained = make_dvae(random_state=0, max_iter=1, learning_rate=1e-12)
    untrained = FrozenEstimator(untrained.fit(noisy[2:], clean[2:]))
    trained, beginner = (
        fitted(model, None).score(noisy[:2], clean[:2]) for model in (dvae, untrained)
    )
    assert trained > beginner + MARGIN
    assert trained > mean_si_sdr(clean[:2], noisy[:2]) + MARGIN


def test_by_default_it_makes_few_iterations_with_the_encoders_prior(pairs, dvae):
    enhancer = fitted(dvae, None)
    assert enhancer.get_params()["prior"] == "encoder"
    [separation] = enhancer.separate(pairs[0][:1])
    assert separation.n_iter == len(separation.history) == 5
    assert 0 < separation.mask_std.max() <= 0.5
    again = fitted(dvae, enhancer._make_inference())
    np.testing.assert_array_equal(again.transform(pairs[0][:1])[0], separation.enhanced)


def estimates(dvae, noisy):
    """What the encoder says of an utterance, and the power that it sees."""
    [spectrogram] = SMALL.transform([noisy])
    V = np.abs(spectrogram.frames()) ** 2
    power = torch.from_numpy((V / V.mean()).astype(np.float32))
    return dvae.networks().estimate(power), power


def test_a_weight_of_one_gives_the_mask_of_the_encoder(pairs, dvae):
    noisy = pairs[0][0]
    mask = estimates(dvae, noisy)[0].mask.numpy().T
    [separation] = fitted(dvae, mask_weight=1.0).separate([noisy])
    np.testing.assert_allclose(separation.mask, mask, atol=1e-4)


def test_the_mask_is_the_weighted_geometric_mean(pairs, dvae):
    noisy = pairs[0][0]
    mask = estimates(dvae, noisy)[0].mask.numpy().T
    gain, mean, third = (
        fitted(dvae, mask_weight=w).separate([noisy])[0].mask for w in (0.0, 0.5, 1 / 3)
    )
    np.testing.assert_allclose(mean, np.sqrt(mask * gain), atol=1e-4)
    np.testing.assert_allclose(third, mask ** (1 / 3) * gain ** (2 / 3), atol=1e-4)


def latent_means(enhancer, noisy, monkeypatch):
    """Where the latent variables are at the end."""
    found = []
    original = GradientVEM.infer

    def infer(self, *arguments):
        found.append(original(self, *arguments))
        return found[-1]

    monkeypatch.setattr(GradientVEM, "infer", infer)
    enhancer.transform([noisy])
    monkeypatch.setattr(GradientVEM, "infer", original)
    return found[0].z


def test_the_prior_decides_how_far_the_latent_variables_go(pairs, dvae, monkeypatch):
    noisy = pairs[0][0]
    (mean, *_), _ = estimates(dvae, noisy)
    fixed = latent_means(fitted(dvae, prior="fixed"), noisy, monkeypatch)
    torch.testing.assert_close(fixed, mean, atol=1e-4, rtol=0)
    inference = GradientVEM(50, learning_rate=0.1, prior_weight=1.0, gain=None)
    distances = [
        (latent_means(fitted(dvae, inference, **options), noisy, monkeypatch) - mean)
        .abs()
        .mean()
        .item()
        for options in (
            {"sigma_z": 0.0},
            {"sigma_z": 10.0},
            {"prior": "standard"},
        )
    ]
    assert distances[0] < 0.5 * distances[1]
    assert distances[0] < 0.5 * distances[2]


def test_the_encoders_prior_is_that_of_the_paper(pairs, dvae, monkeypatch):
    noisy, priors = pairs[0][0], []
    original = GradientVEM.infer

    def infer(self, V, prior, noise, generator):
        priors.append((V, prior))
        return original(self, V, prior, noise, generator)

    monkeypatch.setattr(GradientVEM, "infer", infer)
    for prior in PRIORS:
        fitted(dvae, prior=prior, sigma_z=0.3).transform([noisy])
    (mean, log_variance, _), power = estimates(dvae, noisy)
    for V, prior in priors:
        torch.testing.assert_close(V, power)
        torch.testing.assert_close(prior.encode(V), (mean, log_variance))
        assert prior.decode(mean).shape == V.shape
    for k in (0, 2):  # (9)
        torch.testing.assert_close(priors[k][1].latent.mean, mean)
        variance = log_variance.exp() + 0.09
        torch.testing.assert_close(priors[k][1].latent.variance, variance)
    assert priors[1][1].latent is STANDARD  # (2)


def test_a_start_from_the_mask_explains_what_it_leaves(pairs, dvae, monkeypatch):
    noisy, starts = pairs[0][0], []
    original = GradientVEM.infer

    def infer(self, V, prior, noise, generator):
        starts.append(noise.power().clone())
        return original(self, V, prior, noise, generator)

    monkeypatch.setattr(GradientVEM, "infer", infer)
    for start in ("mask", "random"):
        fitted(dvae, start=start).transform([noisy])
    estimate, power = estimates(dvae, noisy)
    left = power * (1 - estimate.mask) ** 2

    def divergence(model):
        ratio = (left + 1e-6) / model
        return (ratio - ratio.log() - 1).mean()

    assert divergence(starts[0]) < 0.5 * divergence(starts[1])


def test_models_without_a_mask_have_the_wiener_gain_alone(pairs, maskless):
    noisy = pairs[0][:1]
    [wanted] = fitted(maskless).separate(noisy)
    for options in ({"mask_weight": 0.0}, {"mask_weight": 1.0}, {"start": "mask"}):
        [found] = fitted(maskless, **options).separate(noisy)
        np.testing.assert_array_equal(found.mask, wanted.mask)


@pytest.mark.parametrize("gain", [1e-5, 100.0])
def test_scaling_the_input_scales_the_output(pairs, dvae, gain):
    waveform = pairs[0][0].astype(np.float64)
    one, other = fitted(dvae).transform([waveform, gain * waveform])
    np.testing.assert_allclose(other / gain, one, atol=1e-3 * np.abs(one).max())


def test_an_unfitted_model_is_cloned_and_fitted_on_what_there_is(pairs):
    noisy, clean = pairs
    model = make_dvae(max_iter=1)
    one, other = (
        DnVAENMFEnhancer(model, SHORT, stft=SMALL, random_state=0).fit(*data)
        for data in ((noisy[:4], clean[:4]), (noisy[:4], clean[:4]))
    )
    assert not hasattr(model, "state_")
    seeded = clone(model).set_params(random_state=one.vae_.random_state)
    seeded.fit(noisy[:4], clean[:4])
    for name, array in seeded.state_.items():
        np.testing.assert_array_equal(one.vae_.state_[name], array)
        np.testing.assert_array_equal(other.vae_.state_[name], array)
    with pytest.warns(UserWarning, match="`vae` is fitted already"):
        again = DnVAENMFEnhancer(seeded, SHORT, stft=SMALL).fit(clean[:4])
    assert again.vae_ is not seeded


def test_a_frozen_model_is_used_as_it_is_and_brings_its_analysis(pairs, dvae):
    enhancer = fitted(dvae)
    assert enhancer.vae_ is dvae
    assert enhancer.stft_.framing() == SMALL.framing()
    with pytest.raises(ValueError, match=r"`vae` was fitted with STFT\(n_fft=256"):
        fitted(dvae, stft=STFT())


def test_parameters_of_the_inference_can_be_searched(pairs, dvae):
    noisy, clean = (part[:4] for part in pairs)
    search = GridSearchCV(
        DnVAENMFEnhancer(dvae, SHORT, noise=NOISE, random_state=0),
        [
            {"prior": PRIORS},
            {"noise__n_components": [1]},
            {"mask_weight": [0.0, 0.5], "inference__max_iter": [1, 3]},
        ],
        cv=2,
        error_score="raise",
    ).fit(noisy, clean)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_pickle_enhances_alike_and_holds_arrays(pairs, dvae):
    enhancer = fitted(dvae)
    [wanted] = enhancer.transform(pairs[0][:1])
    data = pickle.dumps(enhancer)
    assert b"torch" not in data
    [found] = pickle.loads(data).transform(pairs[0][:1])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("start", ["mask", "random"])
def test_blocks_hand_on_their_noise_and_come_close_to_the_whole(pairs, dvae, start):
    long = [np.concatenate(pairs[0])]
    [whole] = fitted(dvae, start=start).transform(long)
    [blocks] = fitted(dvae, start=start, block_seconds=1.5).transform(long)
    assert len(whole) == len(blocks)
    assert si_sdr(whole, blocks) > 8


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("start", ["mask", "random"])
def test_batches_enhance_as_well_as_utterances_alone(
    pairs, dvae, monkeypatch, prior, start
):
    noisy, clean = (part[:3] for part in pairs)
    enhancer = fitted(dvae, prior=prior, start=start)
    alone = enhancer.separate(noisy)
    score = enhancer.score(noisy, clean)
    monkeypatch.setattr(DnVAENMFEnhancer, "_batch_frames", lambda self: 1000)
    together = enhancer.separate(noisy)
    assert enhancer.score(noisy, clean) == pytest.approx(score, abs=0.5)
    for one, other, x in zip(together, alone, noisy, strict=True):
        assert one.n_iter == len(one.history) == 4
        np.testing.assert_allclose(one.enhanced + one.noise, x, atol=1e-6)
        assert one.mask.shape == one.mask_std.shape == other.mask.shape
        assert np.corrcoef(one.mask.ravel(), other.mask.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("start", ["mask", "random"])
def test_narrow_bands_are_separated_below_their_edge(pairs, dvae, monkeypatch, start):
    narrow = [
        soxr.resample(soxr.resample(x, 16000, 8000), 8000, 16000) for x in pairs[0][:2]
    ]
    enhancer = fitted(dvae, start=start, mask_weight=0.0)
    alone = enhancer.separate(narrow)
    for one, x in zip(alone, narrow, strict=True):
        [spectrogram] = SMALL.transform([x])
        edge = band_edge(np.abs(spectrogram.frames()) ** 2)
        assert 50 < edge < 66
        assert one.mask.shape == one.mask_std.shape == (129, spectrogram.n_frames)
        above = one.mask[edge:]
        np.testing.assert_array_equal(above, np.broadcast_to(above[0], above.shape))
        # What little there is above the edge does not count.
        rest = spectrogram.data.copy()
        rest[66:] = 0
        [other] = enhancer.separate([spectrogram.replace(rest)])
        np.testing.assert_allclose(one.mask[:edge], other.mask[:edge], rtol=1e-5)
    # In a batch they stay alone.
    monkeypatch.setattr(DnVAENMFEnhancer, "_batch_frames", lambda self: 1000)
    *together, _, _ = enhancer.separate([*narrow, *pairs[0][2:4]])
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_batches_of_models_without_a_mask(pairs, maskless, monkeypatch):
    monkeypatch.setattr(DnVAENMFEnhancer, "_batch_frames", lambda self: 1000)
    for one, x in zip(fitted(maskless).transform(pairs[0]), pairs[0], strict=True):
        assert one.shape == x.shape
        assert np.isfinite(one).all()


@pytest.mark.parametrize(
    ("inference", "device", "batched"),
    [
        (None, "cuda", True),
        (SHORT, "cuda:1", True),
        (GradientVEM(tol=1e-3), "cuda", False),
        (None, "cpu", False),
    ],
)
def test_only_a_gpu_gets_batches_and_none_that_end_at_different_times(
    monkeypatch, inference, device, batched
):
    enhancer = DnVAENMFEnhancer(None, inference, device=device)
    monkeypatch.setattr("skvae.vaenmf.base.check_device", lambda device, n_jobs: device)
    assert (enhancer._batch_frames() > 0) is batched


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vae": SpeechVAE()}, "`vae` must be None or a DenoisingVAE"),
        ({"vae": BiLSTMMask()}, "`vae` must be a speech model"),
        ({"inference": "vem"}, "VEM assumes a standard normal prior"),
        ({"inference": VEM()}, "VEM assumes a standard normal prior"),
        (
            {"inference": "mcem", "prior": "fixed"},
            "`inference` must be None or a GradientVEM where `prior` is 'fixed'",
        ),
        ({"inference": GradientVEM(0)}, "`max_iter` must be an integer"),
        (
            {"inference": GradientVEM(hold="noise"), "prior": "fixed"},
            "`inference` must hold nothing where `prior` is 'fixed'",
        ),
        ({"prior": "gaussian"}, "`prior` must be one of 'encoder', 'standard'"),
        ({"start": "noise"}, "`start` must be one of 'mask', 'random'"),
        ({"sigma_z": -0.1}, "`sigma_z` must be a number"),
        ({"noise": NMFNoise(0)}, "`n_components` must be an integer"),
        ({"mask_weight": 1.1}, "`mask_weight` must be a number"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        DnVAENMFEnhancer(**parameters).fit([np.ones(1000)])


@pytest.mark.gpu
def test_cuda_enhances_as_well_as_the_cpu(pairs, dvae):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, clean = (part[:3] for part in pairs)
    scores = [
        fitted(dvae, device=device).score(noisy, clean) for device in ("cpu", "cuda")
    ]
    assert abs(scores[0] - scores[1]) < 0.5
