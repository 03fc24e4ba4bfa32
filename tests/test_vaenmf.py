"""VAENMFEnhancer and its inferences as objects; the mathematics is tested elsewhere."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline

from skvae import (
    ISTFT,
    MCEM,
    MCMC,
    STFT,
    VEM,
    GradientVEM,
    SpeechVAE,
    VAENMFEnhancer,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.inference import INFERENCES, make_inference
from skvae.metrics import mean_si_sdr

# Few iterations of each, for speed.
QUICK = {
    "vem": VEM(15),
    "gradient": GradientVEM(30),
    "mcem": MCEM(8, n_burn_in=5, n_samples=5),
    "mcmc": MCMC(30, 10),
}


@pytest.fixture(scope="module")
def pairs():
    """Utterances in the noise of a machine at 0 dB."""
    rng = np.random.default_rng(0)
    clean = [make_speech(16000 + 800 * k, random_state=100 + k) for k in range(6)]
    noises = [make_noise(len(x), "machine", random_state=rng) for x in clean]
    noisy = [mix_at_snr(x, n, 0.0, rng) for x, n in zip(clean, noises, strict=True)]
    return noisy, clean


@pytest.fixture(scope="module")
def speech():
    model = SpeechVAE(
        *(8, 64),
        floor=1e-2,
        batch_size=64,
        learning_rate=3e-3,
        max_iter=30,
        random_state=0,
    )
    clean = [make_speech(24000, random_state=k) for k in range(24)]
    return FrozenEstimator(model.fit(clean))


def fitted(speech, inference, **options):
    options = {"n_components": 2, "random_state": 0, **options}
    return VAENMFEnhancer(speech, inference, **options).fit([np.zeros(10, np.float32)])


@pytest.mark.parametrize(
    ("name", "gain"), [("vem", 0.3), ("gradient", 1.5), ("mcem", 1.5), ("mcmc", 0.1)]
)
def test_every_inference_gains_within_a_few_iterations(pairs, speech, name, gain):
    noisy, clean = (part[:3] for part in pairs)
    score = fitted(speech, QUICK[name]).score(noisy, clean)
    assert score > mean_si_sdr(clean, noisy) + gain


@pytest.mark.parametrize("name", QUICK)
def test_scaling_the_input_scales_the_output(pairs, speech, name):
    enhancer = fitted(speech, QUICK[name])
    waveform = pairs[0][0].astype(np.float64)
    [one] = enhancer.transform([waveform])
    for factor in (1e-5, 100.0):
        [other] = enhancer.transform([factor * waveform])
        np.testing.assert_allclose(other / factor, one, atol=1e-3 * np.abs(one).max())


@pytest.mark.parametrize("name", QUICK)
def test_separations_hold_spread_iterations_and_history(pairs, speech, name):
    [separation] = fitted(speech, QUICK[name]).separate(pairs[0][:1])
    assert separation.mask_std.shape == separation.mask.shape
    assert 0 <= separation.mask_std.min() <= separation.mask_std.max() <= 0.5
    assert separation.mask_std.max() > 0.01
    assert separation.n_iter == len(separation.history) > 1
    assert np.isfinite(separation.history).all()


def test_s_wiener_has_no_spread(pairs, speech):
    enhancer = fitted(speech, VEM(5, reconstruction="s"))
    assert enhancer.separate(pairs[0][:1])[0].mask_std is None


@pytest.mark.parametrize("name", INFERENCES)
def test_a_name_is_the_object_with_its_defaults(name):
    inference = make_inference(name)
    assert type(inference) is INFERENCES[name]
    assert inference.get_params() == INFERENCES[name]().get_params()
    assert clone(inference).get_params() == inference.get_params()


@pytest.mark.parametrize(
    ("inference", "message"),
    [
        ("gibbs", "`inference` must be one of 'vem', 'gradient', 'mcem', 'mcmc'"),
        (VEM, "an object such as MCEM\\(\\)"),
        (VEM(0), "`n_iter` must be an integer"),
        (VEM(reconstruction="x"), "`reconstruction` must be one of 'mh', 's', 'z'"),
        (VEM(encoder_input="log"), "`encoder_input`"),
        (VEM(tol=-1), "`tol`"),
        (GradientVEM(learning_rate=0), "`learning_rate`"),
        (MCEM(n_samples=0), "`n_samples`"),
        (MCEM(exponent=2), "`exponent`"),
        (MCMC(rate=1.0), "`rate` must be a pair"),
        (MCMC(shape=(0, 1)), "`shape\\[0\\]`"),
    ],
)
def test_wrong_inferences_are_refused_in_fit(speech, inference, message):
    with pytest.raises(ValueError, match=message):
        fitted(speech, inference)


def test_a_frozen_model_is_used_as_it_is(pairs, speech):
    enhancer = fitted(speech, VEM(2))
    assert enhancer.vae_ is speech


def test_an_unfitted_model_is_cloned_and_fitted_from_the_seed(pairs):
    model = SpeechVAE(2, 8, max_iter=1)
    one, other, third = (
        VAENMFEnhancer(model, VEM(2), random_state=seed).fit(pairs[1][:3])
        for seed in (1, 1, 2)
    )
    assert not hasattr(model, "state_")
    for name, array in one.vae_.state_.items():
        np.testing.assert_array_equal(array, other.vae_.state_[name])
    assert any(
        not np.array_equal(array, third.vae_.state_[name])
        for name, array in one.vae_.state_.items()
    )


def test_a_fitted_model_that_is_not_frozen_is_fitted_again_with_a_warning(pairs):
    model = SpeechVAE(2, 8, max_iter=1, random_state=0).fit(pairs[1][:2])
    state = dict(model.state_)
    with pytest.warns(UserWarning, match="FrozenEstimator"):
        enhancer = VAENMFEnhancer(model, VEM(2)).fit(pairs[1][2:5])
    assert enhancer.vae_ is not model
    for name, array in state.items():
        np.testing.assert_array_equal(array, model.state_[name])


@pytest.mark.parametrize("vae", ["speech", STFT(), 3])
def test_what_is_no_speech_model_is_refused(pairs, vae):
    with pytest.raises(ValueError, match="`vae` must be a speech model"):
        VAENMFEnhancer(vae).fit(pairs[1][:1])


def test_the_analysis_is_the_models_and_another_is_refused(pairs):
    stft = STFT(512, 128, sample_rate=8000)
    model = SpeechVAE(2, 8, max_iter=1, stft=stft, random_state=0).fit(pairs[1][:2])
    frozen = FrozenEstimator(model)
    enhancer = VAENMFEnhancer(frozen, VEM(2)).fit(pairs[1][:1])
    assert enhancer.stft_.framing() == stft.framing()
    assert enhancer.stft_.sample_rate == 8000
    with pytest.raises(ValueError, match="differs from STFT"):
        VAENMFEnhancer(frozen, VEM(2), stft=STFT()).fit(pairs[1][:1])
    with pytest.raises(ValueError, match="differs from STFT"):
        VAENMFEnhancer(frozen, VEM(2)).fit(STFT().fit_transform(pairs[1][:1]))


def test_a_noise_recording_starts_the_bases(pairs, speech):
    rng = np.random.default_rng(0)
    clean = pairs[1][:3]
    noises = [make_noise(len(x), "hum", random_state=rng) for x in clean]
    noisy = [
        x + n * np.sqrt(np.mean(x**2) / np.mean(n**2))
        for x, n in zip(clean, noises, strict=True)
    ]
    told = fitted(speech, VEM(3), noise=make_noise(32000, "hum", random_state=rng))
    assert told.noise_components_.shape == (2, 513)
    plain = fitted(speech, VEM(3))
    assert plain.noise_components_ is None
    assert told.score(noisy, clean) > plain.score(noisy, clean) + 0.5


def test_pipeline_and_enhancer_give_the_same(pairs, speech):
    noisy, clean = pairs
    alone = fitted(speech, VEM(4))
    pipe = Pipeline(
        [
            ("stft", STFT()),
            ("enhance", VAENMFEnhancer(speech, VEM(4), n_components=2, random_state=0)),
            ("istft", ISTFT()),
        ]
    ).fit(clean[:1])
    for one, other in zip(
        alone.transform(noisy[:2]), pipe.transform(noisy[:2]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_inferences_and_their_parameters_can_be_searched(pairs, speech):
    noisy, clean = (part[:6] for part in pairs)
    search = GridSearchCV(
        VAENMFEnhancer(speech, VEM(3), n_components=2, random_state=0),
        [
            {"inference": ["vem", MCEM(2, n_burn_in=2, n_samples=2)]},
            {"inference__n_iter": [1, 8]},
        ],
        cv=GroupKFold(2),
        error_score="raise",
    )
    search.fit(noisy, clean, groups=[0, 0, 1, 1, 2, 2])
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_pickle_enhances_alike_and_holds_arrays(pairs, speech):
    enhancer = fitted(speech, GradientVEM(5))
    data = pickle.dumps(enhancer)
    assert b"torch" not in data
    for one, other in zip(
        enhancer.transform(pairs[0][:1]),
        pickle.loads(data).transform(pairs[0][:1]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["vem", "gradient"])
def test_blocks_hand_on_their_noise_and_come_close_to_the_whole(pairs, speech, name):
    long = [np.concatenate(pairs[0][:6])]
    [whole] = fitted(speech, QUICK[name]).transform(long)
    [blocks] = fitted(speech, QUICK[name], block_seconds=2.0).transform(long)
    assert len(whole) == len(blocks)
    assert mean_si_sdr([whole], [blocks]) > 5


@pytest.mark.gpu
@pytest.mark.parametrize("name", QUICK)
def test_cuda_enhances_as_well_as_the_cpu(pairs, speech, name):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, clean = (part[:3] for part in pairs)
    scores = [
        fitted(speech, QUICK[name], device=device).score(noisy, clean)
        for device in ("cpu", "cuda")
    ]
    assert abs(scores[0] - scores[1]) < 0.5
