"""SpeechVAE as an estimator; its networks have tests of their own."""

from __future__ import annotations

import pickle
import pickletools

import numpy as np
import pytest
import torch
from helpers.training import made
from sklearn.base import clone
from sklearn.callback import FitCallback
from sklearn.pipeline import make_pipeline

import skvae.training.estimator as estimators
from skvae import ISTFT, STFT, SpeechVAE
from skvae.datasets import make_noise, make_speech
from skvae.speech import vae as vae_module
from skvae.training.clean_batches import Utterance
from skvae.training.trainer import split

SMALL = STFT(n_fft=256)


@pytest.fixture(scope="module")
def speech():
    return [make_speech(8000 + 200 * k, random_state=k) for k in range(24)]


@pytest.fixture(scope="module")
def noises():
    kinds = ("white", "pink", "hum", "wind", "machine", "clicks")
    return [make_noise(8000, kind, random_state=k) for k, kind in enumerate(kinds)]


def make(**parameters):
    defaults = {
        "n_latent": 4,
        "hidden_layer_sizes": 16,
        "max_iter": 2,
        "stft": SMALL,
        "random_state": 0,
    }
    return made(SpeechVAE, **{**defaults, **parameters})


@pytest.fixture(scope="module")
def vae(speech):
    """Trained for as long as a test may take."""
    return make(n_latent=8, hidden_layer_sizes=64, max_iter=12).fit(speech[:20])


@pytest.fixture(scope="module")
def bilstm(speech):
    return make(architecture="bilstm", batch_size=4, sequence_length=20).fit(speech[:8])


MODELS = ["vae", "bilstm"]


def test_training_lowers_the_loss_by_a_third_and_noise_scores_below_speech(
    vae, speech, noises
):
    untrained = make(n_latent=8, hidden_layer_sizes=64, max_iter=1, learning_rate=1e-12)
    before = untrained.fit(speech[:20]).score(speech[20:])
    after = vae.score(speech[20:])
    assert after > before * 2 / 3
    assert after < 0
    for noise in noises:
        assert vae.score([noise]) < after - 20


@pytest.mark.slow
def test_features_of_all_kinds_and_both_architectures_learn(speech):
    for parameters in (
        {"features": "power"},
        {"features": "both"},
        {"architecture": "bilstm", "batch_size": 2},
        {"activation": "relu", "hidden_layer_sizes": (24, 16), "dropout": 0.1},
    ):
        model = make(max_iter=4, learning_rate=5e-3, **parameters).fit(speech[:12])
        for losses in (model.loss_curve_, model.validation_loss_curve_):
            assert losses[-1] < losses[0] - 10


def test_the_score_is_minus_the_validation_loss(speech):
    model = make(max_iter=4).fit(speech)
    utterances, _ = model._utterances(speech)
    _, validation = split(utterances, 0.2, np.random.default_rng(model.seed_))
    held_out = [
        x
        for x, utterance in zip(speech, utterances, strict=True)
        if any(utterance is other for other in validation)
    ]
    assert len(held_out) == 5
    assert model.score(held_out) == pytest.approx(-model.best_loss_, rel=0.02)


def test_whole_utterances_are_held_out(speech, monkeypatch):
    seen = {"training": set(), "validation": set()}

    def spy(name, original):
        def wrapped(utterances, *arguments):
            seen[name] |= {id(utterance.spectrogram) for utterance in utterances}
            return original(utterances, *arguments)

        return wrapped

    for name, stream in (
        ("training", "shuffled_frames"),
        ("validation", "frames_in_order"),
    ):
        original = getattr(vae_module, stream)
        monkeypatch.setattr(vae_module, stream, spy(name, original))
    make(validation_fraction=0.25).fit(speech)
    assert not seen["training"] & seen["validation"]
    assert len(seen["training"]) == 18
    assert len(seen["validation"]) == 6


@pytest.mark.parametrize(
    ("n_utterances", "fraction", "n_validated"), [(1, 0.2, 0), (2, 0.9, 1), (4, 0, 0)]
)
def test_something_is_always_trained_on(speech, n_utterances, fraction, n_validated):
    model = make(validation_fraction=fraction).fit(speech[:n_utterances])
    assert len(model.validation_loss_curve_) == (2 if n_validated else 0)
    curve = model.validation_loss_curve_ if n_validated else model.loss_curve_[-1:]
    assert model.best_loss_ == min(curve)


@pytest.mark.parametrize("name", MODELS)
def test_shapes_follow_the_kind_of_input(name, request, speech):
    model = request.getfixturevalue(name)
    Z = model.transform(speech[:3])
    spectrograms = SMALL.transform(speech[:3])
    assert isinstance(Z, list)
    for z, s, bound, variance in zip(
        Z,
        spectrograms,
        model.score_samples(speech[:3]),
        model.inverse_transform(Z),
        strict=True,
    ):
        assert z.shape == (s.n_frames, model.n_latent)
        assert bound.shape == (s.n_frames,)
        assert variance.shape == s.shape[::-1]
        assert {z.dtype, bound.dtype, variance.dtype} == {np.dtype(np.float32)}
    array = np.stack([x[:4000] for x in speech[:3]])
    n_frames = SMALL.transform([array[0]])[0].n_frames
    Z = model.transform(array)
    assert Z.shape == (3, n_frames, model.n_latent)
    assert model.inverse_transform(Z).shape == (3, n_frames, 129)
    assert model.score_samples(array).shape == (3, n_frames)
    for one, other in (
        (Z, model.transform(list(array))),
        (Z, model.transform(SMALL.fit_transform(array))),
        (model.score_samples(array), model.score_samples(list(array))),
    ):
        np.testing.assert_array_equal(one, np.stack(other))


@pytest.mark.parametrize("name", MODELS)
def test_spectrograms_equal_waveforms(name, request, speech):
    model = request.getfixturevalue(name)
    again = clone(model).fit(SMALL.fit_transform(speech[: len(_fitted_on(model))]))
    for key, array in model.state_.items():
        np.testing.assert_array_equal(again.state_[key], array)
    for one, other in zip(
        model.transform(speech[20:]),
        model.transform(SMALL.transform(speech[20:])),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def _fitted_on(model):
    return range(8 if model.architecture == "bilstm" else 20)


@pytest.mark.parametrize("name", MODELS)
def test_utterances_do_not_depend_on_their_company(name, request, speech):
    model = request.getfixturevalue(name)
    for method in (model.transform, model.score_samples):
        together = method(speech[:4])
        for k in range(4):
            np.testing.assert_array_equal(method([speech[k]])[0], together[k])


@pytest.mark.parametrize("gain", [1e-10, 2.0**-7, 1e3])
@pytest.mark.parametrize("name", MODELS)
def test_the_level_of_the_recording_does_not_matter(name, request, speech, gain):
    model = request.getfixturevalue(name)
    x = speech[20]
    for dtype, tolerance in ((np.float32, 1e-3), (np.float64, 1e-4)):
        one, other = model.transform([x.astype(dtype), dtype(gain) * x.astype(dtype)])
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_sixteen_bits_are_the_same_as_floats(vae, speech):
    integers = np.rint(speech[20] * 32767).astype(np.int16)
    one, other = vae.transform([integers, integers / np.float32(32768)])
    np.testing.assert_array_equal(one, other)


def test_blocks_of_a_long_recording_change_nothing(vae, speech, monkeypatch):
    whole, score = vae.transform(speech[:1])[0], vae.score(speech[:1])
    monkeypatch.setattr("skvae.training.clean_batches.BLOCK_FRAMES", 50)
    np.testing.assert_allclose(vae.transform(speech[:1])[0], whole, atol=1e-4)
    assert vae.score(speech[:1]) == pytest.approx(score, rel=0.02)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"architecture": "bilstm", "batch_size": 2, "dropout": 0.2}],
    ids=["feedforward", "bilstm"],
)
def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_ones(
    speech, parameters
):
    def states():
        _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
        return keys.tolist(), position, torch.random.get_rng_state().tolist()

    before = states()
    one, other = (make(**parameters).fit(speech[:6]) for _ in range(2))
    third = make(**{**parameters, "random_state": 1}).fit(speech[:6])
    for method in (one.transform, one.score_samples):
        method(speech[:1])
    one.sample(20)
    assert states() == before
    assert one.loss_curve_ == other.loss_curve_
    for name, array in one.state_.items():
        np.testing.assert_array_equal(array, other.state_[name])
    assert not np.array_equal(
        one.state_["log_variance.weight"], third.state_["log_variance.weight"]
    )


def test_the_cache_changes_nothing(speech, tmp_path):
    import soundfile

    from skvae.datasets import AudioFile

    files = []
    for k, x in enumerate(speech[:6]):
        soundfile.write(tmp_path / f"{k}.flac", x, 16000, "PCM_16")
        files.append(AudioFile(tmp_path / f"{k}.flac"))
    reference = make(max_cache_mb=0.0).fit([np.asarray(file) for file in files])
    for X, megabytes in (
        (files, 0.0),
        (files, 0.05),
        (files, 10.0),
        (SMALL.transform(files), 10.0),
    ):
        model = make(max_cache_mb=megabytes).fit(X)
        for name, array in reference.state_.items():
            np.testing.assert_array_equal(model.state_[name], array)


def test_early_stopping_returns_the_best_epoch(speech):
    # Large steps on little data: the validation loss turns.
    parameters = {"learning_rate": 0.03, "hidden_layer_sizes": 64, "random_state": 1}
    model = make(max_iter=60, n_iter_no_change=4, **parameters).fit(speech[:6])
    curve = model.validation_loss_curve_
    best = int(np.argmin(curve)) + 1
    assert model.n_iter_ == len(curve) == len(model.loss_curve_) == best + 4 < 60
    assert model.best_loss_ == min(curve)
    again = make(max_iter=best, **parameters).fit(speech[:6])
    for name, array in model.state_.items():
        np.testing.assert_array_equal(again.state_[name], array)


@pytest.mark.parametrize("name", MODELS)
def test_pickles_hold_arrays_and_nothing_of_torch(name, request, speech):
    model = request.getfixturevalue(name)
    wanted = model.transform(speech[:2])  # the networks are built by now
    data = pickle.dumps(model)
    words = [str(argument) for _, argument, _ in pickletools.genops(data)]
    assert not [word for word in words if "torch" in word]
    weights = sum(array.nbytes for array in model.state_.values())
    assert len(data) < weights + 10_000
    again = pickle.loads(data)
    for one, other in zip(again.transform(speech[:2]), wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.score(speech[:2]) == model.score(speech[:2])


def test_networks_are_built_once_and_anew_after_another_fit(speech):
    model = make().fit(speech[:4])
    networks = model.networks()
    assert model.networks() is networks
    assert model.networks(dtype="float64") is not networks
    attributes = dict(vars(model))
    model.transform(speech[:1])
    assert vars(model) == attributes
    model.fit(speech[4:8])
    assert model.networks() is not networks
    key = len(estimators._NETWORKS)
    del model
    assert len(estimators._NETWORKS) == key - 1


def test_networks_are_what_the_estimator_computes_with(vae, speech):
    [block] = Utterance(SMALL.transform(speech[:1])[0]).blocks(vae.level_)
    assert block.mean() == pytest.approx(5.0, rel=1e-5)
    for dtype, tolerance in (("float32", 0), ("float64", 1e-4)):
        networks = vae.networks(dtype=dtype)
        power = torch.from_numpy(block).to(getattr(torch, dtype))
        mean, log_variance = networks.encode(power)
        assert mean.shape == log_variance.shape == (len(block), 8)
        z = vae.transform(speech[:1])[0]
        np.testing.assert_allclose(mean.numpy(), z, atol=tolerance)
        decoded = networks.decode(mean).exp().numpy()
        np.testing.assert_allclose(
            decoded, vae.inverse_transform([z])[0], rtol=tolerance
        )
        z = torch.zeros(3, 2, 8, dtype=power.dtype, requires_grad=True)
        networks.decode(z).sum().backward()
        assert z.grad.abs().max() > 0
        assert not any(weight.requires_grad for weight in networks.parameters())


def test_warm_start_continues_where_training_ended(speech):
    model = make(max_iter=8, warm_start=True, random_state=3).fit(speech[:12])
    first = model.best_loss_
    model.set_params(training__max_iter=4, training__learning_rate=5e-4).fit(
        speech[:12]
    )
    assert model.n_iter_ == len(model.loss_curve_) == 4
    assert model.best_loss_ < first
    cold = clone(model).set_params(training__warm_start=False).fit(speech[:12])
    assert model.best_loss_ < cold.best_loss_


def test_warm_start_never_returns_worse_weights_than_it_was_given(speech):
    model = make(max_iter=8, warm_start=True, random_state=3).fit(speech[:12])
    before = dict(model.state_)
    model.set_params(training__learning_rate=1.0, training__max_iter=2).fit(speech[:12])
    for name, array in before.items():
        np.testing.assert_array_equal(model.state_[name], array)


def test_a_loaded_model_can_be_continued(speech):
    model = pickle.loads(pickle.dumps(make(warm_start=True).fit(speech[:4])))
    mean = model.state_["feature_mean"]
    model.fit(speech[4:10])
    np.testing.assert_array_equal(model.state_["feature_mean"], mean)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": 8}, "networks VAEConfig.*hidden=\\(16,\\)"),
        ({"features": "power"}, "features='power'"),
        ({"features": "both"}, "features='both'"),
        ({"floor": 1e-2}, "floor=0.01"),
        ({"stft": STFT(n_fft=256, hop_length=128)}, "STFT"),
        ({"stft": STFT(n_fft=256, sample_rate=8000)}, "sample rate"),
    ],
)
def test_warm_start_refuses_another_architecture(speech, parameters, message):
    model = make(warm_start=True).fit(speech[:4]).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(speech[:4])
    model.set_params(training__warm_start=False).fit(speech[:4])


def test_clean_speech_beside_noisy_is_what_is_learned_and_scored(speech, noises):
    noisy = [x[:8000] + n for x, n in zip(speech, noises, strict=False)]
    clean = [x[:8000] for x in speech[: len(noisy)]]
    model, reference = make().fit(noisy, clean), make().fit(clean)
    for name, array in reference.state_.items():
        np.testing.assert_array_equal(model.state_[name], array)
    assert model.score(noisy, clean) == model.score(clean)
    assert model.score(noisy) < model.score(clean)
    pipeline = make_pipeline(STFT(n_fft=256), make(stft=None)).fit(noisy, clean)
    np.testing.assert_array_equal(
        pipeline[-1].state_["latent_mean.bias"], model.state_["latent_mean.bias"]
    )
    with pytest.raises(ValueError, match="utterance 0 has 8000 samples in X but 10"):
        make().fit(noisy, [x[:10] for x in clean])


def test_samples_have_the_variance_of_the_model_and_sound(vae):
    spectrogram = vae.sample(400, random_state=0)
    assert spectrogram.shape == (129, 400)
    P = np.abs(spectrogram.data) ** 2
    generator = np.random.default_rng(1)
    z = generator.standard_normal((2000, 8)).astype(np.float32)
    variance = vae.inverse_transform([z])[0].mean(0)
    # Means of heavy tails: within a factor of two and a half, over all bins.
    ratio = np.log(P.mean(1) / variance)
    assert np.abs(ratio).mean() < np.log(2.5)
    assert np.array_equal(spectrogram.data, vae.sample(400, 0).data)
    assert not np.array_equal(spectrogram.data, vae.sample(400, 1).data)
    [waveform] = ISTFT().fit_transform([spectrogram])
    assert np.isfinite(waveform).all()
    for n_frames in (vae.stft_.framing().n_frames(1), 2, 17):
        assert vae.sample(n_frames).n_frames == n_frames


def test_digital_silence_and_clicks_do_no_harm(speech):
    silent = np.zeros(6000, np.float32)
    click = silent.copy()
    click[3000] = 1.0
    half = np.concatenate([np.zeros(8000, np.float32), speech[0]])
    hostile = [silent, click, half, np.ones(100, np.float32), silent[:1]]
    for parameters in (
        {},
        {"features": "power", "floor": 1e-10, "activation": "relu"},
        {"features": "both", "floor": 1e-10},
        {"architecture": "bilstm", "batch_size": 2},
    ):
        model = make(**parameters).fit([*hostile, *speech[:3]])
        assert np.isfinite(model.loss_curve_).all()
        for x in hostile:
            for values in (
                model.transform([x])[0],
                model.score_samples([x])[0],
                model.inverse_transform(model.transform([x]))[0],
            ):
                assert np.isfinite(values).all()
    make().fit([silent])


def test_pauses_do_not_dominate_the_score(vae, speech):
    x = speech[21]
    paused = np.concatenate([np.zeros(8000, np.float32), x])
    assert vae.score([paused]) > vae.score([x]) - 25


class StopAfter(FitCallback):
    """Asks to stop after some epochs, and keeps what it is shown."""

    def __init__(self, n):
        self.n, self.models = n, []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "epoch":
            return False
        self.models.append(fitted_estimator)
        return len(self.models) == self.n


def test_a_callback_sees_a_model_after_each_epoch_and_may_stop(speech):
    callback = StopAfter(3)
    model = make(max_iter=20).set_callbacks(callback).fit(speech[:10])
    assert model.n_iter_ == len(callback.models) == 3
    scores = [shown.score(speech[20:]) for shown in callback.models]
    assert scores[0] < scores[-1] == model.score(speech[20:])


def test_progress_names_each_epoch(speech, capsys):
    make(verbose=1).fit(speech[:4])
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    assert "epoch 2: loss " in lines[1]
    assert "validation" in lines[1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_latent": 0}, "`n_latent` must be an integer"),
        ({"hidden_layer_sizes": 0}, "`hidden_layer_sizes` must be an integer"),
        ({"hidden_layer_sizes": (8, 2.5)}, "`hidden_layer_sizes` must be an integer"),
        ({"hidden_layer_sizes": ()}, "`hidden_layer_sizes` must have 1 to 100 layers"),
        ({"architecture": "gru"}, "`architecture` must be one of"),
        ({"activation": "sin"}, "`activation` must be one of"),
        ({"features": "mel"}, "`features` must be one of"),
        ({"floor": 0.0}, "`floor` must be a number"),
        ({"level": 5.0}, "`level` must be a pair"),
        ({"level": (5.0, 1.0)}, "`level` must be a number"),
        ({"level": (-1.0, 1.0)}, "`level` must be a number"),
        ({"level": (0, 0)}, r"`level` must be a number in \[2e-06"),
        ({"level": (0, 1e300)}, "`level` must be a number"),
        ({"dropout": 1.0}, "`dropout` must be a number in"),
        ({"max_iter": 0}, "`max_iter`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"validation_fraction": 1.0}, "`validation_fraction` must be a number in"),
        ({"n_iter_no_change": 0}, "`n_iter_no_change`"),
        ({"sequence_length": 0}, "`sequence_length`"),
        ({"max_cache_mb": -1}, "`max_cache_mb`"),
        *(
            ({name: value}, f"`training` must have {name}=None, since a SpeechVAE")
            for name, value in (
                ("n_combinations", 2),
                ("decay", 0.1),
                ("averaging", 0.5),
                ("precision", "float32"),
            )
        ),
        ({"device": "abacus"}, "`device` must be"),
        ({"verbose": -1}, "`verbose`"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit([np.ones(1000)])


def test_latent_variables_that_do_not_fit_are_named(vae):
    with pytest.raises(ValueError, match=r"latent variables 1 must have shape"):
        vae.inverse_transform([np.zeros((3, 8)), np.zeros((3, 7))])
    with pytest.raises(ValueError, match=r"latent variables 0 must be finite"):
        vae.inverse_transform([np.full((3, 8), np.nan)])
    with pytest.raises(ValueError, match="`n_frames` must be an integer"):
        vae.sample(0)
    with pytest.raises(ValueError, match="`dtype` must be one of"):
        vae.networks(dtype="float16")


@pytest.mark.gpu
def test_a_model_trained_on_cuda_loads_on_a_cpu(speech):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model = make(device="cuda", max_iter=5).fit(speech[:10])
    on_gpu = model.transform(speech[20:])
    score = model.score(speech[20:])
    model = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    for one, other in zip(model.transform(speech[20:]), on_gpu, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert model.score(speech[20:]) == pytest.approx(score, rel=0.05)
    cpu = make(max_iter=5).fit(speech[:10])
    assert model.best_loss_ == pytest.approx(cpu.best_loss_, rel=0.1)
