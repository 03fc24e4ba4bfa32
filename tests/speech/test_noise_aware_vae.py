"""NoiseAwareVAE as an estimator; its networks have tests of their own."""

from __future__ import annotations

import pickle
import pickletools

import numpy as np
import pytest
import torch
from helpers.training import made, nested
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skvae import (
    STFT,
    VEM,
    DenoisingVAE,
    GradientVEM,
    NMFNoise,
    NoiseAwareVAE,
    SpeechVAE,
    VAENMFEnhancer,
)
from skvae.datasets import Mixer, make_noise, make_speech, mix_at_snr
from skvae.metrics import mean_si_sdr

SMALL = STFT(n_fft=256)


@pytest.fixture(scope="module")
def pairs():
    """Utterances in the noise of a machine at 0 dB."""
    rng = np.random.default_rng(0)
    clean = [make_speech(6000 + 200 * k, random_state=k) for k in range(9)]
    noises = [make_noise(len(x), "machine", random_state=rng) for x in clean]
    noisy = [mix_at_snr(x, n, 0.0, rng) for x, n in zip(clean, noises, strict=True)]
    return noisy, clean


def make_vae(architecture="feedforward", **parameters):
    defaults = {"n_latent": 4, "hidden_layer_sizes": 16, "max_iter": 2, "stft": SMALL}
    if architecture == "bilstm":
        defaults.update(hidden_layer_sizes=8, batch_size=4, sequence_length=40)
    return made(SpeechVAE, architecture=architecture, **{**defaults, **parameters})


def make(vae, scheme="two-step", **parameters):
    defaults = {"max_iter": 2, "batch_size": 4, "sequence_length": 40, "stft": SMALL}
    parameters = {**defaults, "random_state": 0, **parameters}
    return NoiseAwareVAE(vae, scheme).set_params(**nested(parameters))


@pytest.fixture(scope="module")
def vae(pairs):
    many_steps = {"max_iter": 25, "batch_size": 32, "learning_rate": 5e-3}
    model = make_vae(hidden_layer_sizes=32, random_state=0, **many_steps)
    return model.fit(pairs[1][2:])


@pytest.fixture(scope="module")
def bilstm(pairs):
    return make_vae("bilstm", random_state=0).fit(pairs[1][2:])


def fitted(pairs, vae, scheme="two-step", **parameters):
    noisy, clean = pairs
    if scheme == "two-step":
        vae = FrozenEstimator(vae)
    return make(vae, scheme, **parameters).fit(noisy[2:], clean[2:])


LONGER = {"max_iter": 10, "sequence_length": 20, "n_combinations": 3}


@pytest.fixture(scope="module")
def nae(pairs, vae):
    return fitted(pairs, vae, learning_rate=1e-2, averaging=0.9, **LONGER)


ENCODER = ("encoder.", "latent_mean.", "latent_log_variance.", "feature_")
MODELS = ["vae", "bilstm"]


def assert_same_weights(one, other):
    assert one.state_.keys() == other.state_.keys()
    for name, array in one.state_.items():
        np.testing.assert_array_equal(array, other.state_[name])


@pytest.mark.parametrize("name", MODELS)
def test_two_steps_leave_the_speech_model_as_it_is(name, request, pairs):
    vae = request.getfixturevalue(name)
    before = {name: array.copy() for name, array in vae.state_.items()}
    model = fitted(pairs, vae, learning_rate=1e-2, dropout=0.1)
    assert model.vae_.estimator is vae
    assert model.level_ == vae.level_ == 5
    for key, array in before.items():
        np.testing.assert_array_equal(vae.state_[key], array)
        if not key.startswith(ENCODER):
            np.testing.assert_array_equal(model.state_[key], array)
            continue
        np.testing.assert_array_equal(model.state_[f"clean.{key}"], array)
        is_read = key.startswith("feature_")
        assert np.array_equal(model.state_[key], array) is is_read, key


def test_the_noise_aware_encoder_comes_nearer_to_what_the_clean_speech_gives(
    nae, vae, pairs
):
    noisy, clean = (part[:2] for part in pairs)
    wanted = vae.transform(clean)
    errors = [
        np.mean([np.square(z - w).mean() for z, w in zip(found, wanted, strict=True)])
        for found in (nae.transform(noisy), vae.transform(noisy))
    ]
    assert errors[0] < 0.7 * errors[1]
    assert nae.best_loss_ < 0.9 * nae.validation_loss_curve_[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_direction_decides_how_sure_the_posterior_is(name, request, pairs):
    vae = request.getfixturevalue(name)
    widths = []
    for direction in ("noisy||clean", "clean||noisy"):
        options = {"learning_rate": 1e-2, "averaging": 0.9, "max_iter": 8}
        model = fitted(pairs, vae, direction=direction, **options)
        V = np.abs(SMALL.transform(pairs[0][:1])[0].frames()) ** 2
        power = torch.from_numpy((5 * V / V.mean()).astype(np.float32))
        widths.append(model.networks().encode(power)[1].mean().item())
    assert widths[1] > widths[0] + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["feedforward", "bilstm"])
def test_joint_training_teaches_both_encoders(pairs, architecture):
    noisy, clean = (part[2:] for part in pairs)
    untrained, model = (
        fitted(pairs, make_vae(architecture), "joint", averaging=0.9, **options)
        for options in (
            {"max_iter": 1, "learning_rate": 1e-12},
            {**LONGER, "learning_rate": 1e-2},
        )
    )
    assert model.vae_ is None
    assert model.best_loss_ < 0.6 * untrained.best_loss_
    assert model.score(noisy, clean) > 0.7 * untrained.score(noisy, clean)
    # With the other encoder it is a model of clean speech, and knows it better.
    swapped = clone(model)
    vars(swapped).update(vars(model))
    swapped.state_ = {
        name: model.state_.get(f"clean.{name}", array)
        for name, array in model.state_.items()
    }
    assert swapped.score(clean, clean) > model.score(clean, clean)


@pytest.mark.parametrize("weight", ["clean_weight", "noisy_weight"])
def test_weights_of_joint_training_weigh(pairs, weight):
    one, other = (
        fitted(pairs, make_vae(), "joint", **{weight: value}) for value in (1.0, 0.0)
    )
    assert other.loss_curve_[0] < 0.8 * one.loss_curve_[0]


def test_the_divergence_of_joint_training_can_be_left_out(pairs):
    one, other = (
        fitted(pairs, make_vae(), "joint", divergence_weight=weight)
        for weight in (1.0, 0.0)
    )
    assert other.loss_curve_[0] < one.loss_curve_[0]


def test_an_unfitted_model_is_cloned_and_fitted_from_the_seed(pairs):
    noisy, clean = pairs
    speech = make_vae()
    one, other, third = (
        make(speech, random_state=seed).fit(noisy[2:], clean[2:]) for seed in (0, 0, 1)
    )
    assert not hasattr(speech, "state_")
    assert_same_weights(one, other)
    assert_same_weights(one.vae_, other.vae_)
    name = "log_variance.weight"
    np.testing.assert_array_equal(one.state_[name], one.vae_.state_[name])
    assert not np.array_equal(one.state_[name], third.state_[name])
    # Noisy speech beside the clean one does not change the first step.
    seeded = clone(speech).set_params(random_state=one.vae_.random_state)
    assert_same_weights(one.vae_, seeded.fit(clean[2:]))


def test_a_fitted_model_that_is_not_frozen_is_fitted_again_with_a_warning(pairs, vae):
    with pytest.warns(UserWarning, match="`vae` is fitted already"):
        model = make(clone(vae).set_params(training__max_iter=1).fit(pairs[1][:3])).fit(
            pairs[1][2:5]
        )
    assert isinstance(model.vae_, SpeechVAE)


@pytest.mark.parametrize("scheme", ["two-step", "joint"])
@pytest.mark.parametrize("architecture", ["feedforward", "bilstm"])
def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_ones(
    pairs, scheme, architecture
):
    def states():
        _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
        return keys.tolist(), position, torch.random.get_rng_state().tolist()

    before = states()
    clean = pairs[1][2:7]
    options = {"dropout": 0.2, "max_iter": 1, "mixer": Mixer(snr=0.0)}
    vae = make_vae(architecture, max_iter=1)
    one, other = (make(vae, scheme, **options).fit(clean) for _ in range(2))
    one.transform(pairs[0][:1])
    one.score(pairs[0][:1], pairs[1][:1])
    assert states() == before
    assert_same_weights(one, other)


def test_shapes_follow_the_kind_of_input(nae, pairs):
    noisy = pairs[0][:3]
    Z = nae.transform(noisy)
    for z, s, variance in zip(
        Z, SMALL.transform(noisy), nae.inverse_transform(Z), strict=True
    ):
        assert z.shape == (s.n_frames, 4)
        assert variance.shape == s.shape[::-1]
    array = np.stack([x[:4000] for x in noisy])
    np.testing.assert_array_equal(
        nae.transform(array), np.stack(nae.transform(list(array)))
    )
    assert nae.sample(50, random_state=0).shape == (129, 50)
    for z, again in zip(Z, nae.transform(SMALL.transform(noisy)), strict=True):
        np.testing.assert_array_equal(z, again)


@pytest.mark.parametrize("gain", [1e-6, 0.01, 100.0])
def test_the_level_of_the_recording_does_not_matter(nae, pairs, gain):
    noisy, clean = pairs[0][0].astype(float), pairs[1][0].astype(float)
    one, other = nae.transform([noisy, gain * noisy])
    np.testing.assert_allclose(one, other, atol=1e-3)
    louder = nae.score([gain * noisy], [gain * clean])
    assert louder == pytest.approx(nae.score([noisy], [clean]), rel=1e-3)


def test_a_score_needs_clean_speech(nae, pairs):
    with pytest.raises(ValueError, match="y must be the clean speech"):
        nae.score(pairs[0])


@pytest.mark.parametrize("inference", [VEM(3), GradientVEM(3)])
@pytest.mark.parametrize("name", MODELS)
def test_it_takes_the_place_of_a_speech_model(name, request, pairs, inference):
    vae = request.getfixturevalue(name)
    options = {"noise": NMFNoise(2), "random_state": 0}
    noisy = pairs[0][:2]
    one, other = (
        VAENMFEnhancer(FrozenEstimator(model), inference, **options)
        .fit([np.zeros(10, np.float32)])
        .transform(noisy)
        for model in (fitted(pairs, vae, learning_rate=1e-2), vae)
    )
    for x, y, mixture in zip(one, other, noisy, strict=True):
        assert np.isfinite(x).all()
        assert np.square(x).sum() < np.square(mixture).sum()
        assert not np.array_equal(x, y)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["two-step", "joint"])
def test_training_wins_two_decibels_over_none_and_over_the_mixture(
    scheme, nae, vae, pairs
):
    untrained = vae  # with its encoder the noise-aware one starts
    if scheme == "joint":
        speech, steps = make_vae(hidden_layer_sizes=32), {"averaging": 0.9, **LONGER}
        nae = fitted(pairs, speech, scheme, learning_rate=1e-2, **steps)
        steps = {"learning_rate": 1e-12, "max_iter": 1}
        untrained = fitted(pairs, speech, scheme, **steps)
    noisy, clean = (part[:2] for part in pairs)
    alone = {
        "guide": None,
        "mask_smoothing": 1,
        "noise": NMFNoise(2),
        "random_state": 0,
    }
    score, start = (
        VAENMFEnhancer(FrozenEstimator(model), GradientVEM(20), **alone)
        .fit(clean[:1])
        .score(noisy, clean)
        for model in (nae, untrained)
    )
    assert score > start + 2
    assert score > mean_si_sdr(clean, noisy) + 2


def test_no_guide_stands_between_the_mixture_and_its_encoder(
    nae, vae, pairs, monkeypatch
):
    heard = []
    original = VEM.infer

    def infer(self, V, prior, noise, generator):
        heard.append((V, prior.guided))
        return original(self, V, prior, noise, generator)

    monkeypatch.setattr(VEM, "infer", infer)
    for model in (nae, vae):
        enhancer = VAENMFEnhancer(FrozenEstimator(model), VEM(1), random_state=0)
        enhancer.fit(pairs[1][:1]).transform(pairs[0][:1])
    assert heard[0][1] is None
    assert heard[1][1].mean() < heard[1][0].mean()


@pytest.mark.parametrize("scheme", ["two-step", "joint"])
def test_an_enhancer_fits_it_on_the_pairs_that_it_gets(pairs, scheme):
    noisy, clean = (part[:4] for part in pairs)
    options = {"noise": NMFNoise(2), "stft": SMALL, "random_state": 0}
    model = make(make_vae(), scheme)
    enhancer = VAENMFEnhancer(model, VEM(2), **options).fit(noisy, clean)
    seeded = make(make_vae(), scheme).fit(noisy, clean)
    assert_same_weights(enhancer.vae_, seeded)


def test_an_enhancer_fits_it_on_clean_speech(pairs):
    options = {"noise": NMFNoise(2), "stft": SMALL, "random_state": 0}
    enhancer = VAENMFEnhancer(make(make_vae()), VEM(2), **options)
    enhancer.fit(pairs[1][:4])
    assert enhancer.vae_.vae_.score(pairs[1][:1]) < 0
    assert len(enhancer.transform(pairs[0][:1])[0]) == len(pairs[0][0])


# Going on


@pytest.mark.parametrize("scheme", ["two-step", "joint"])
def test_warm_start_continues_where_training_ended(pairs, scheme):
    noisy, clean = pairs
    model = make(
        make_vae(), scheme, warm_start=True, max_iter=4, learning_rate=1e-2
    ).fit(noisy[2:], clean[2:])
    first, speech = model.best_loss_, model.vae_
    model.set_params(training__learning_rate=2e-3).fit(noisy[2:], clean[2:])
    assert model.best_loss_ < first
    assert model.vae_ is speech
    model.set_params(vae=make_vae(n_latent=5))
    with pytest.raises(ValueError, match="`warm_start` cannot continue"):
        model.fit(noisy[2:], clean[2:])


def test_warm_start_uses_the_analysis_of_the_frozen_model(pairs, vae):
    model = make(FrozenEstimator(vae), stft=None, warm_start=True, max_iter=1)
    assert model.fit(pairs[1][:3]).fit(pairs[1][:3]).stft_.n_fft == SMALL.n_fft


def test_a_checkpoint_ends_at_the_same_bits_and_knows_its_speech_model(
    pairs, vae, tmp_path
):
    path = tmp_path / "nae.npz"
    whole = fitted(pairs, vae, max_iter=3)
    fitted(pairs, vae, max_iter=3, checkpoint=path)
    again = fitted(pairs, vae, max_iter=3, checkpoint=path)
    assert again.loss_curve_ == whole.loss_curve_
    assert_same_weights(again, whole)
    other = clone(vae).set_params(training__max_iter=1).fit(pairs[1][:3])
    other.set_params(training__max_iter=vae.training.max_iter)
    with pytest.raises(ValueError, match="another training"):
        fitted(pairs, other, max_iter=3, checkpoint=path)


def test_pickles_hold_arrays_and_nothing_of_torch(nae, pairs):
    wanted = nae.transform(pairs[0][:1])
    data = pickle.dumps(nae)
    words = [str(argument) for _, argument, _ in pickletools.genops(data)]
    assert not [word for word in words if "torch" in word]
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.transform(pairs[0][:1])[0], wanted[0])


@pytest.mark.parametrize("scheme", ["two-step", "joint"])
def test_silence_clicks_and_single_samples_do_no_harm(pairs, scheme):
    silent = np.zeros(6000, np.float32)
    click = silent.copy()
    click[3000] = 1.0
    hostile = [silent, click, np.ones(100, np.float32), silent[:1]]
    for y in (None, [0.5 * x for x in (*hostile, *pairs[1][:2])]):
        model = make(make_vae(), scheme).fit([*hostile, *pairs[1][:2]], y)
        assert np.isfinite(model.loss_curve_).all()
        for x in hostile:
            assert np.isfinite(model.transform([x])[0]).all()
            assert np.isfinite(model.score([x], [x]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vae": "speech"}, "`vae` must be None or a SpeechVAE, got 'speech'"),
        ({"vae": DenoisingVAE()}, "`vae` must be None or a SpeechVAE"),
        (
            {"vae": make_vae(hidden_layer_sizes=0)},
            "`hidden_layer_sizes` must be an integer",
        ),
        ({"scheme": "both"}, "`scheme` must be one of 'two-step', 'joint'"),
        ({"direction": "forward"}, "`direction` must be one of 'noisy||clean'"),
        ({"clean_weight": -1.0}, "`clean_weight` must be a number"),
        ({"divergence_weight": None}, "`divergence_weight` must be a number"),
        ({"dropout": 1.0}, "`dropout` must be a number in"),
        ({"max_iter": 0}, "`max_iter` must be an integer"),
        ({"mixer": 3}, "`mixer` must be None or a Mixer"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        make(**{"vae": None, **parameters}).fit([np.ones(1000)])


def test_joint_training_refuses_a_frozen_model(pairs, vae):
    with pytest.raises(ValueError, match="`vae` must not be frozen for joint"):
        make(FrozenEstimator(vae), "joint").fit(pairs[1][:3])


def test_the_analysis_is_that_of_the_frozen_model(pairs, vae):
    frozen = FrozenEstimator(vae)
    model = make(frozen, stft=None).fit(pairs[1][:3])
    assert model.stft_.framing() == SMALL.framing()
    with pytest.raises(ValueError, match=r"`vae` was fitted with STFT\(n_fft=256"):
        make(frozen, stft=STFT(n_fft=512)).fit(pairs[1][:3])


@pytest.mark.gpu
@pytest.mark.parametrize("scheme", ["two-step", "joint"])
@pytest.mark.parametrize("architecture", ["feedforward", "bilstm"])
def test_a_model_trained_on_cuda_loads_on_a_cpu(pairs, scheme, architecture):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, clean = pairs
    options = {"dropout": 0.1, "precision": "bfloat16", "device": "cuda"}
    model = make(make_vae(architecture), scheme, **options).fit(noisy[2:], clean[2:])
    on_gpu = model.transform(noisy[:2])
    enhancer = VAENMFEnhancer(FrozenEstimator(model), VEM(3), device="cuda")
    for x in enhancer.fit(clean[:1]).transform(noisy[:2]):
        assert np.isfinite(x).all()
    model = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    for one, other in zip(model.transform(noisy[:2]), on_gpu, strict=True):
        # LSTMs on a GPU multiply with ten bits of mantissa.
        np.testing.assert_allclose(one, other, atol=1e-2)
