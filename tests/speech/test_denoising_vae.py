"""DenoisingVAE as an estimator; its networks have tests of their own."""

from __future__ import annotations

import pickle
import pickletools

import numpy as np
import pytest
import torch
from helpers.training import made
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skvae import STFT, BiLSTMMask, DenoisingVAE, DNNMask, SpeechVAE
from skvae.datasets import Mixer, make_noise, make_speech, mix_at_snr
from skvae.training.noisy_batches import Pair, mixtures_in_order
from skvae.training.on_mixtures import MixtureTrainer

SMALL = STFT(n_fft=256)


@pytest.fixture(scope="module")
def pairs():
    """Utterances in the noise of a machine at 0 dB."""
    rng = np.random.default_rng(0)
    clean = [make_speech(6000 + 100 * k, random_state=k) for k in range(8)]
    noises = [make_noise(len(x), "machine", random_state=rng) for x in clean]
    noisy = [mix_at_snr(x, n, 0.0, rng) for x, n in zip(clean, noises, strict=True)]
    return noisy, clean


SIZES = {"hidden_layer_sizes": (8, 8), "n_mels": 16}


def make(**parameters):
    defaults = {
        "n_latent": 4,
        "max_iter": 2,
        "batch_size": 4,
        "sequence_length": 40,
        "stft": SMALL,
        "random_state": 0,
    }
    return made(DenoisingVAE, **{**defaults, **SIZES, **parameters})


def make_masks(**parameters):
    defaults = {"max_iter": 2, "batch_size": 4, "sequence_length": 40}
    shared = {"stft": SMALL, "random_state": 5}
    return made(BiLSTMMask, **{**defaults, **shared, **SIZES, **parameters})


def fitted(pairs, **parameters):
    noisy, clean = pairs
    return make(**parameters).fit(noisy[2:], clean[2:])


@pytest.fixture(scope="module")
def dvae(pairs):
    """Trained for as long as a test may take."""
    many_steps = {"max_iter": 11, "sequence_length": 20, "n_combinations": 4}
    return fitted(pairs, learning_rate=1e-2, averaging=0.9, **many_steps)


@pytest.fixture(scope="module")
def untrained(pairs):
    return fitted(pairs, max_iter=1, learning_rate=1e-12)


@pytest.fixture(scope="module")
def masks(pairs):
    noisy, clean = pairs
    return make_masks().fit(noisy[2:], clean[2:])


def assert_same_weights(one, other):
    assert one.state_.keys() == other.state_.keys()
    for name, array in one.state_.items():
        np.testing.assert_array_equal(array, other.state_[name])


def test_training_explains_unseen_speech_better(dvae, untrained, pairs):
    noisy, clean = (part[:2] for part in pairs)
    # A fifth of the bound, some hundred nats a frame.
    assert dvae.score(noisy, clean) > 0.8 * untrained.score(noisy, clean)
    assert dvae.loss_curve_[-1] < 0.8 * dvae.loss_curve_[0]
    # What is said depends on what is heard; how much so, on the rounding too.
    assert dvae.score(noisy, clean) > dvae.score(noisy, [x[::-1] for x in clean]) + 20


def masked_error(model, noisy, clean):
    """Error of masked power, over that of the mixture."""
    errors = []
    for x, s in zip(SMALL.transform(noisy), SMALL.transform(clean), strict=True):
        [batch] = mixtures_in_order([Pair(x, s)], x.n_frames, seed=0)
        [mask] = model.networks().estimate(batch.noisy).mask
        mask = mask.numpy().T
        error = np.abs(mask * x.data - s.data) ** 2
        errors.append(error.sum() / (np.abs(x.data - s.data) ** 2).sum())
    return np.mean(errors)


@pytest.mark.parametrize("target", ["perceptual", "psa", "msa"])
def test_the_mask_takes_noise_away(pairs, target):
    model = fitted(pairs, max_iter=8, learning_rate=1e-2, averaging=0.9, target=target)
    assert masked_error(model, *(part[:2] for part in pairs)) < 0.6


def test_an_alpha_of_none_balances_and_another_one_changes_the_weights(pairs):
    one = fitted(pairs)
    assert_same_weights(one, fitted(pairs, alpha=5.0))
    assert_same_weights(
        fitted(pairs, target="psa"), fitted(pairs, target="psa", alpha=30.0)
    )
    other = fitted(pairs, alpha=1.0)
    assert not np.array_equal(one.state_["mask.bias"], other.state_["mask.bias"])


def test_without_multi_task_learning_there_is_no_mask(pairs):
    model = fitted(pairs, multitask=False)
    assert not [name for name in model.state_ if "mask" in name]
    assert model.networks().estimate(torch.ones(3, 129)).mask is None
    other = fitted(pairs, multitask=False, target="psa", alpha=1e6)
    assert_same_weights(model, other)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_ones(pairs):
    def states():
        _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
        return keys.tolist(), position, torch.random.get_rng_state().tolist()

    before = states()
    one, other, third = (
        fitted(pairs, dropout=0.2, random_state=seed) for seed in (0, 0, 1)
    )
    one.transform(pairs[0][:1])
    one.score(pairs[0][:1], pairs[1][:1])
    one.sample(20)
    assert states() == before
    assert one.loss_curve_ == other.loss_curve_
    assert_same_weights(one, other)
    assert not np.array_equal(one.state_["mask.weight"], third.state_["mask.weight"])


def test_clean_speech_is_mixed_as_it_goes(pairs):
    clean = pairs[1][2:]
    models = [
        make(mixer=mixer).fit(clean) for mixer in (Mixer(snr=0.0), Mixer(snr=0.0), None)
    ]
    assert_same_weights(*models[:2])
    assert models[0].loss_curve_ != models[2].loss_curve_
    for model in models:
        assert np.isfinite(model.loss_curve_).all()


def test_shapes_follow_the_kind_of_input(dvae, pairs):
    noisy = pairs[0][:3]
    Z = dvae.transform(noisy)
    for z, s, variance in zip(
        Z, SMALL.transform(noisy), dvae.inverse_transform(Z), strict=True
    ):
        assert z.shape == (s.n_frames, 4)
        assert variance.shape == s.shape[::-1]
        assert z.dtype == variance.dtype == np.float32
    array = np.stack([x[:4000] for x in noisy])
    Z = dvae.transform(array)
    np.testing.assert_array_equal(Z, np.stack(dvae.transform(list(array))))
    assert dvae.inverse_transform(Z).shape == (*Z.shape[:2], 129)
    assert dvae.sample(50, random_state=0).shape == (129, 50)


def test_spectrograms_equal_waveforms(pairs):
    noisy, clean = pairs
    one = make().fit(noisy[2:6], clean[2:6])
    other = make().fit(SMALL.fit_transform(noisy[2:6]), SMALL.transform(clean[2:6]))
    assert_same_weights(one, other)
    for z, again in zip(
        one.transform(noisy[:2]), one.transform(SMALL.transform(noisy[:2])), strict=True
    ):
        np.testing.assert_array_equal(z, again)
    assert one.score(noisy, clean) == one.score(
        SMALL.transform(noisy), SMALL.transform(clean)
    )


def test_utterances_do_not_depend_on_their_company(dvae, pairs):
    together = dvae.transform(pairs[0][:3])
    for k in range(3):
        np.testing.assert_array_equal(dvae.transform([pairs[0][k]])[0], together[k])


@pytest.mark.parametrize("gain", [1e-6, 0.01, 100.0])
def test_the_level_of_the_recording_does_not_matter(dvae, pairs, gain):
    noisy, clean = pairs[0][0].astype(float), pairs[1][0].astype(float)
    assert dvae.level_ == 1
    one, other = dvae.transform([noisy, gain * noisy])
    np.testing.assert_allclose(one, other, atol=1e-4)
    louder = dvae.score([gain * noisy], [gain * clean])
    assert louder == pytest.approx(dvae.score([noisy], [clean]), rel=1e-4)


def test_the_networks_compute_what_the_estimator_says(dvae, pairs):
    [spectrogram] = SMALL.transform(pairs[0][:1])
    V = np.abs(spectrogram.frames()) ** 2
    power = torch.from_numpy((V / V.mean()).astype(np.float32))
    networks = dvae.networks()
    mean, log_variance, mask = networks.estimate(power)
    np.testing.assert_allclose(mean, dvae.transform(pairs[0][:1])[0], atol=1e-4)
    assert log_variance.shape == mean.shape
    assert mask.shape == power.shape
    assert 0 <= mask.min() <= mask.max() <= 1
    assert not any(weight.requires_grad for weight in networks.parameters())


def test_a_score_needs_clean_speech_of_equal_lengths(dvae, pairs):
    noisy, clean = pairs
    with pytest.raises(ValueError, match="y must be the clean speech"):
        dvae.score(noisy)
    with pytest.raises(ValueError, match="utterance 0 has 6000 samples in X but 10"):
        dvae.score(noisy[:1], [clean[0][:10]])


# Starting from an enhancer by masks


def test_the_encoder_starts_from_that_of_a_frozen_enhancer(pairs, masks):
    model = fitted(
        pairs, encoder=FrozenEstimator(masks), max_iter=1, learning_rate=1e-12
    )
    [spectrogram] = SMALL.transform(pairs[0][:1])
    V = np.abs(spectrogram.frames()) ** 2
    power = torch.from_numpy((V / V.mean()).astype(np.float32))
    [separation] = masks.separate(pairs[0][:1])
    mask = model.networks().estimate(power).mask
    np.testing.assert_allclose(mask.numpy(), separation.mask.T, atol=1e-4)
    # The rest is random, and the decoder begins at the mean of the speech.
    other = fitted(pairs, max_iter=1, learning_rate=1e-12)
    bias = model.state_["log_variance.bias"]
    assert np.corrcoef(bias, other.state_["log_variance.bias"])[0, 1] > 0.9
    assert masks.state_ is FrozenEstimator(masks).state_


def test_an_enhancer_that_is_not_fitted_is_fitted_first(pairs, masks):
    noisy, clean = pairs
    encoder = make_masks()
    one = fitted(pairs, encoder=encoder)
    assert not hasattr(encoder, "state_")
    # Both from the enhancer's own seed, on the same data.
    assert_same_weights(one, fitted(pairs, encoder=encoder))
    start = fitted(pairs, encoder=encoder, max_iter=1, learning_rate=1e-12)
    np.testing.assert_allclose(
        start.state_["mask.weight"], masks.state_["mask.weight"], atol=1e-6
    )
    with pytest.warns(UserWarning, match="`encoder` is fitted already"):
        again = make(encoder=clone(encoder).fit(noisy[2:], clean[2:]))
        again.fit(noisy[2:], clean[2:])
    assert_same_weights(one, again)


def test_a_start_without_multi_task_learning_leaves_the_mask_behind(pairs, masks):
    model = fitted(pairs, encoder=FrozenEstimator(masks), multitask=False)
    assert not [name for name in model.state_ if "mask" in name]


@pytest.mark.parametrize(
    "encoder",
    [
        make_masks(hidden_layer_sizes=(8, 9)),
        make_masks(hidden_layer_sizes=8),
        make_masks(n_mels=17),
        DNNMask((8, 8), n_mels=16),
        3,
    ],
)
def test_what_the_encoder_cannot_start_from_is_refused(pairs, encoder):
    message = r"`encoder` must be .* BiLSTMMask\(hidden_layer_sizes=\(8, 8\), n_mels=16"
    with pytest.raises(ValueError, match=message):
        make(encoder=encoder).fit(pairs[1][:2])


def test_the_analysis_is_that_of_the_frozen_enhancer(pairs, masks):
    frozen = FrozenEstimator(masks)
    model = make(encoder=frozen, stft=None).fit(pairs[1][:3])
    assert model.stft_.framing() == SMALL.framing()
    with pytest.raises(ValueError, match=r"`encoder` was fitted with STFT\(n_fft=256"):
        make(encoder=frozen, stft=STFT(n_fft=512)).fit(pairs[1][:3])
    unfitted = FrozenEstimator(make_masks())
    with pytest.raises(Exception, match="not fitted"):
        make(encoder=unfitted).fit(pairs[1][:3])


# Going on


def test_warm_start_continues_where_training_ended(pairs):
    noisy, clean = pairs
    model = fitted(pairs, warm_start=True, max_iter=4, learning_rate=1e-2)
    first = model.best_loss_
    model.set_params(training__learning_rate=2e-3).fit(noisy[2:], clean[2:])
    assert model.best_loss_ < first
    model.set_params(n_latent=5)
    with pytest.raises(ValueError, match="`warm_start` cannot continue"):
        model.fit(noisy[2:], clean[2:])


def test_training_goes_on_from_a_checkpoint_to_the_same_bits(
    pairs, tmp_path, monkeypatch
):
    whole = fitted(pairs, max_iter=4)
    path = tmp_path / "dvae.npz"
    epochs = []
    shuffled = MixtureTrainer._shuffled

    def interrupt(self, *arguments):
        epochs.append(1)
        if len(epochs) == 6:  # the first two look at what there is to read
            raise RuntimeError("interrupted")
        return shuffled(self, *arguments)

    monkeypatch.setattr(MixtureTrainer, "_shuffled", interrupt)
    with pytest.raises(RuntimeError, match="interrupted"):
        fitted(pairs, max_iter=4, checkpoint=path)
    monkeypatch.setattr(MixtureTrainer, "_shuffled", shuffled)
    resumed = fitted(pairs, max_iter=4, checkpoint=path)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert_same_weights(resumed, whole)


def test_a_checkpoint_knows_the_weights_of_a_frozen_enhancer(pairs, masks, tmp_path):
    noisy, clean = pairs
    path = tmp_path / "dvae.npz"
    fitted(pairs, encoder=FrozenEstimator(masks), checkpoint=path)
    other = make_masks().fit(noisy[3:], clean[3:])
    with pytest.raises(ValueError, match="another training"):
        fitted(pairs, encoder=FrozenEstimator(other), checkpoint=path)


def test_pickles_hold_arrays_and_nothing_of_torch(dvae, pairs):
    wanted = dvae.transform(pairs[0][:1])
    data = pickle.dumps(dvae)
    words = [str(argument) for _, argument, _ in pickletools.genops(data)]
    assert not [word for word in words if "torch" in word]
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.transform(pairs[0][:1])[0], wanted[0])


def test_silence_clicks_and_single_samples_do_no_harm(pairs):
    silent = np.zeros(6000, np.float32)
    click = silent.copy()
    click[3000] = 1.0
    hostile = [silent, click, np.ones(100, np.float32), silent[:1]]
    for y in (None, [0.5 * x for x in (*hostile, *pairs[1][:2])]):
        model = make().fit([*hostile, *pairs[1][:2]], y)
        assert np.isfinite(model.loss_curve_).all()
        for x in hostile:
            assert np.isfinite(model.transform([x])[0]).all()
            assert np.isfinite(model.score([x], [x]))
    make().fit([silent])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_latent": 0}, "`n_latent` must be an integer"),
        ({"hidden_layer_sizes": (8, 0)}, "`hidden_layer_sizes` must be an integer"),
        ({"hidden_layer_sizes": ()}, "`hidden_layer_sizes` must have 1 to 100 layers"),
        ({"n_mels": 0}, "`n_mels` must be an integer"),
        ({"multitask": 2}, "`multitask` must be one of True, False"),
        ({"target": "irm"}, "`target` must be one of 'perceptual', 'psa', 'msa'"),
        ({"alpha": 0.0}, "`alpha` must be a number in"),
        ({"floor": 0.0}, "`floor` must be a number"),
        ({"dropout": 1.0}, "`dropout` must be a number in"),
        ({"precision": "float16"}, "`precision` must be one of"),
        ({"mixer": SpeechVAE()}, "`mixer` must be None or a Mixer"),
        ({"device": "abacus"}, "`device` must be"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit([np.ones(1000)])


@pytest.mark.gpu
def test_a_model_trained_on_cuda_loads_on_a_cpu(pairs):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, clean = pairs
    model = fitted(pairs, device="cuda", max_iter=5)
    on_gpu = model.transform(noisy[:2]), model.score(noisy[:2], clean[:2])
    model = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    for one, other in zip(model.transform(noisy[:2]), on_gpu[0], strict=True):
        # LSTMs on a GPU multiply with ten bits of mantissa.
        np.testing.assert_allclose(one, other, atol=1e-2)
    assert model.score(noisy[:2], clean[:2]) == pytest.approx(on_gpu[1], rel=0.05)
