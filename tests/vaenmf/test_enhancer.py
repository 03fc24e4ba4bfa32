"""VAENMFEnhancer and its inferences as objects; the mathematics is tested elsewhere."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import soxr
import torch
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
    DenoisingVAE,
    DNNMask,
    GradientVEM,
    LogMMSE,
    NMFNoise,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
    load_pretrained,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import mean_si_sdr
from skvae.signal.bandwidth import band_edge
from skvae.vaenmf.base import unfrozen
from skvae.vaenmf.inference import Inference, Posterior
from skvae.vaenmf.inferences import INFERENCES, make_inference
from skvae.vaenmf.noise import Noise, NoiseModel

# Few iterations of each, for speed.
QUICK = {
    "vem": VEM(15),
    "gradient": GradientVEM(30, learning_rate=0.2),
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
        training=Training(30, batch_size=64, learning_rate=3e-3),
        random_state=0,
    )
    clean = [make_speech(24000, random_state=k) for k in range(24)]
    return FrozenEstimator(model.fit(clean))


def fitted(speech, inference, **options):
    """The inference by itself; who guides it has tests of its own."""
    alone = {"guide": None, "mask_smoothing": 1}
    options = {"noise": NMFNoise(2), "random_state": 0, **alone, **options}
    return VAENMFEnhancer(speech, inference, **options).fit([np.zeros(10, np.float32)])


@pytest.mark.parametrize(
    # Gains of a model that was trained for seconds: VEM's, between 1 and 6 dB, depend
    # on its seed and on the processor that it was trained on.
    ("name", "gain"),
    [("vem", 0.3), ("gradient", 5.0), ("mcem", 5.0), ("mcmc", 3.0)],
)
def test_every_inference_gains_within_a_few_iterations(pairs, speech, name, gain):
    noisy, clean = pairs
    score = fitted(speech, QUICK[name], guide="log-mmse").score(noisy, clean)
    assert score > mean_si_sdr(clean, noisy) + gain


@pytest.mark.parametrize("name", QUICK)
def test_scaling_the_input_scales_the_output(pairs, speech, name):
    enhancer = fitted(speech, QUICK[name])
    waveform = pairs[0][0].astype(np.float64)
    [one] = enhancer.transform([waveform])
    for factor in (1e-5, 100.0):
        [other] = enhancer.transform([factor * waveform])
        np.testing.assert_allclose(other / factor, one, atol=1e-3 * np.abs(one).max())


def narrowed(x):
    """What is left of a waveform that was made at 8 kHz."""
    return soxr.resample(soxr.resample(x, 16000, 8000), 8000, 16000)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("guide", [None, "log-mmse"])
def test_what_is_above_the_edge_of_a_narrow_band_does_not_count(
    pairs, speech, name, guide
):
    enhancer = fitted(speech, QUICK[name], guide=guide)
    [spectrogram] = STFT().transform([narrowed(pairs[0][0])])
    edge = band_edge(np.abs(spectrogram.frames()) ** 2)
    assert 200 < edge < 260
    rest = spectrogram.data.copy()
    rest[260:] *= 1e-3
    one, other = enhancer.separate([spectrogram, spectrogram.replace(rest)])
    assert one.history == other.history
    assert one.mask.shape == one.mask_std.shape == spectrogram.data.shape
    if guide is None:
        above = one.mask[edge:]
        np.testing.assert_array_equal(above, np.broadcast_to(above[0], above.shape))
    np.testing.assert_allclose(one.mask[:edge], other.mask[:edge], rtol=1e-6)


@pytest.mark.slow
def test_a_narrow_band_is_enhanced_nearly_as_well_as_the_whole():
    """Of weights that are the same everywhere, trained for longer than seconds.

    Without an image for the encoder and a likelihood of what is there, the inferences
    lose 4 dB on average, and gradient VEM alone 10 dB.
    """
    rng = np.random.default_rng(0)
    clean = [make_speech(14000 + 800 * k, random_state=100 + k) for k in range(4)]
    noises = [
        make_noise(len(x), kind, random_state=rng)
        for x, kind in zip(clean, 2 * ["machine", "white"], strict=True)
    ]
    noisy = [mix_at_snr(x, n, 0.0, rng) for x, n in zip(clean, noises, strict=True)]
    wanted, seen = ([narrowed(x) for x in part] for part in (clean, noisy))
    losses = []
    for inference in QUICK.values():
        enhancer = load_pretrained("vae-nmf")
        enhancer.set_params(inference=inference, random_state=0)
        # What the whole band holds above the edge is not to be enhanced here.
        whole = [narrowed(x) for x in enhancer.transform(noisy)]
        narrow = enhancer.transform(seen)
        losses.append(mean_si_sdr(wanted, whole) - mean_si_sdr(wanted, narrow))
    assert max(losses) < 3.5
    assert np.mean(losses) < 2


def test_blocks_of_other_bands_go_on_from_each_other(pairs, speech):
    x = np.concatenate([narrowed(pairs[0][0]), pairs[0][1], narrowed(pairs[0][2])])
    enhancer = fitted(speech, QUICK["gradient"], block_seconds=0.7)
    [separation] = enhancer.separate([x])
    np.testing.assert_allclose(separation.enhanced + separation.noise, x, atol=1e-5)


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
        ("gibbs", "`inference` must be one of 'vem', 'gradient', 'point', 'langevin'"),
        (VEM, "an object such as MCEM\\(\\)"),
        (VEM(0), "`max_iter` must be an integer"),
        (VEM(reconstruction="x"), "`reconstruction` must be one of 'gradient', 'mh'"),
        (VEM(encoder_input="log"), "`encoder_input`"),
        (VEM(guidance=2), "`guidance`"),
        (VEM(tol=-1), "`tol`"),
        (GradientVEM(learning_rate=0), "`learning_rate`"),
        (GradientVEM(hold="z"), "`hold` must be one of None, 'latent', 'noise'"),
        (MCEM(n_samples=0), "`n_samples`"),
        (MCMC(rate=1.0), "`rate` must be a pair"),
        (MCMC(shape=(0, 1)), "`shape\\[0\\]`"),
    ],
)
def test_wrong_inferences_are_refused_in_fit(speech, inference, message):
    with pytest.raises(ValueError, match=message):
        fitted(speech, inference)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (NMFNoise(0), "`n_components` must be an integer"),
        (NMFNoise(smoothing=4), "`smoothing` must be odd, got 4"),
        (NMFNoise(exponent=2), "`exponent`"),
        (3, "`noise` must be None or a noise model"),
        (np.ones(9), "`noise` must be None or a noise model"),
    ],
)
def test_wrong_noise_models_are_refused_in_fit(speech, noise, message):
    with pytest.raises(ValueError, match=message):
        fitted(speech, "vem", noise=noise)


def test_parameters_of_parts_may_be_changed_after_fit_and_are_checked(pairs, speech):
    enhancer = fitted(speech, "vem")
    [separation] = enhancer.set_params(inference__max_iter=3).separate(pairs[0][:1])
    assert separation.n_iter == 3
    enhancer.set_params(noise__n_components=5)
    assert enhancer._noise_model().n_components == 5
    with pytest.raises(ValueError, match="`tol`"):
        enhancer.set_params(inference__tol=-1).transform(pairs[0][:1])


class SomeNoise(NoiseModel):
    """A noise model of somebody else, known beforehand."""

    def __init__(self, level=1.0):
        self.level = level

    def start(self, V, generator, *, frames=None, state=None):
        return KnownNoise(self.level, V, frames)


class KnownNoise(Noise):
    def __init__(self, level, V, frames):
        self.V_b, self.frames = level * torch.ones_like(V), frames

    def power(self, out=None):
        return self.V_b.clone() if out is None else out.copy_(self.V_b)

    def update(self, V, variances, gain, memory):
        pass

    def update_from_power(self, power, V_b, parts):
        pass

    def state(self, n_bins):
        return None


@pytest.mark.parametrize("name", ["vem", "gradient", "mcem"])
def test_a_noise_model_is_one_class(pairs, speech, name):
    loud, quiet = (
        fitted(speech, QUICK[name], noise=SomeNoise(level)).separate(pairs[0][:1])[0]
        for level in (100.0, 1e-6)
    )
    assert loud.mask.mean() < 0.5 < quiet.mask.mean()


def test_an_inference_that_draws_the_noise_refuses_a_model_that_cannot_be_drawn(speech):
    with pytest.raises(ValueError, match="MCMC draws the noise, which SomeNoise"):
        fitted(speech, "mcmc", noise=SomeNoise())


def test_vem_refuses_a_speech_model_with_a_prior_of_its_own():
    with pytest.raises(ValueError, match="VEM assumes a standard normal prior"):
        VAENMFEnhancer(DenoisingVAE(), "vem").fit([np.ones(1000)])


@pytest.mark.parametrize("name", INFERENCES)
def test_the_published_form_has_neither_guide_nor_smoothing(name):
    enhancer = VAENMFEnhancer.as_published(name, mask_smoothing=5)
    assert type(enhancer.inference) is INFERENCES[name]
    assert (
        enhancer.inference.get_params() == INFERENCES[name].as_published().get_params()
    )
    assert enhancer.noise.smoothing == 1
    assert enhancer.noise.n_components in (5, 8, 10)
    assert enhancer.guide is None
    assert enhancer.mask_smoothing == 5


def test_a_frozen_model_is_used_as_it_is(pairs, speech):
    enhancer = fitted(speech, VEM(2))
    assert enhancer.vae_ is speech


def test_an_unfitted_model_is_cloned_and_fitted_from_the_seed(pairs):
    model = SpeechVAE(2, 8, training=Training(1))
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
    model = SpeechVAE(2, 8, training=Training(1), random_state=0).fit(pairs[1][:2])
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
    model = SpeechVAE(2, 8, training=Training(1), stft=stft, random_state=0).fit(
        pairs[1][:2]
    )
    frozen = FrozenEstimator(model)
    enhancer = VAENMFEnhancer(frozen, VEM(2)).fit(pairs[1][:1])
    assert enhancer.stft_.framing() == stft.framing()
    assert enhancer.stft_.sample_rate == 8000
    with pytest.raises(ValueError, match="differs from STFT"):
        VAENMFEnhancer(frozen, VEM(2), stft=STFT()).fit(pairs[1][:1])
    with pytest.raises(ValueError, match="differs from STFT"):
        VAENMFEnhancer(frozen, VEM(2)).fit(STFT().fit_transform(pairs[1][:1]))


class Heard(Inference):
    """Says what it is started from: takes all of it for speech, or half."""

    def __init__(self, mask=0.25):
        self.mask = mask

    @classmethod
    def as_published(cls):
        return cls()

    def infer(self, V, prior, noise, generator):
        Heard.guided, Heard.V = prior.guided, V
        mask = torch.full_like(V, self.mask)
        return Posterior(mask, None, None, noise, None, [0.0])


def masks(enhancer, noisy):
    return [separation.mask for separation in enhancer.separate(noisy)]


def test_latent_variables_start_from_what_the_guide_takes_for_speech(pairs, speech):
    [noisy] = pairs[0][:1]
    enhancer = fitted(speech, Heard(), guide="log-mmse", guide_weight=0.0)
    [mask] = masks(enhancer, [noisy])
    np.testing.assert_array_equal(mask, np.float32(0.25))
    [of_guide] = masks(LogMMSE().fit([noisy]), [noisy])
    np.testing.assert_allclose(
        Heard.guided.numpy(), of_guide.T**2 * Heard.V.numpy(), rtol=1e-4
    )
    masks(fitted(speech, Heard()), [noisy])
    assert Heard.guided is None


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_the_mask_is_a_weighted_geometric_mean_with_the_guides(pairs, speech, weight):
    noisy = pairs[0][:2]
    enhancer = fitted(speech, Heard(), guide="log-mmse", guide_weight=weight)
    of_guide = masks(LogMMSE().fit(noisy), noisy)
    for mask, m in zip(masks(enhancer, noisy), of_guide, strict=True):
        np.testing.assert_allclose(mask, 0.25 ** (1 - weight) * m**weight, rtol=1e-4)


def test_masks_are_averaged_over_frames(pairs, speech):
    noisy = pairs[0][:1]
    rough, smooth = (
        masks(fitted(speech, "gradient", mask_smoothing=n), noisy)[0] for n in (1, 3)
    )
    padded = np.pad(rough, ((0, 0), (1, 1)), mode="edge")
    mean = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    np.testing.assert_allclose(smooth, mean, atol=1e-5)


def test_a_name_of_the_guide_is_the_enhancer(pairs, speech):
    noisy = pairs[0][:1]
    named, given, frozen = (
        fitted(speech, VEM(3), guide=guide)
        for guide in ("log-mmse", LogMMSE(), FrozenEstimator(LogMMSE().fit(noisy)))
    )
    for other in (given, frozen):
        np.testing.assert_array_equal(masks(named, noisy)[0], masks(other, noisy)[0])


def test_a_guide_that_learns_is_fitted_on_the_pairs(pairs, speech):
    noisy, clean = (part[:4] for part in pairs)
    guide = DNNMask(8, training=Training(1))
    enhancer = VAENMFEnhancer(speech, VEM(2), guide=guide, random_state=0)
    enhancer.fit(noisy, clean)
    assert not hasattr(guide, "state_")
    assert enhancer.guide_.n_iter_ == 1
    alone = clone(guide).set_params(random_state=enhancer.guide_.random_state)
    alone.fit(noisy, clean)
    for name, array in alone.state_.items():
        np.testing.assert_array_equal(array, enhancer.guide_.state_[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guide": "wiener"}, "`guide` must be one of 'log-mmse', got 'wiener'"),
        ({"guide": STFT()}, '`guide` must be "log-mmse", an enhancer such as'),
        ({"guide_weight": 1.5}, "`guide_weight`"),
        ({"mask_smoothing": 2}, "`mask_smoothing` must be an odd number, got 2"),
    ],
)
def test_wrong_guides_are_refused(speech, options, message):
    with pytest.raises(ValueError, match=message):
        fitted(speech, VEM(2), **options)


def test_a_guide_with_another_analysis_is_refused(pairs, speech):
    guide = FrozenEstimator(LogMMSE(stft=STFT(512)).fit(pairs[0][:1]))
    with pytest.raises(ValueError, match="`guide` was fitted with STFT"):
        fitted(speech, VEM(2), guide=guide)


def test_guided_vem_reads_what_the_guide_heard(pairs, speech):
    noisy = pairs[0][:1]
    free, guided, led = (
        fitted(
            speech,
            VEM(6, guidance=guidance, reconstruction="s"),
            guide="log-mmse",
            guide_weight=0.0,
        )
        for guidance in (0.0, 0.5, 1.0)
    )
    of_guide = masks(LogMMSE().fit(noisy), noisy)[0]
    distances = [
        np.abs(masks(enhancer, noisy)[0] - of_guide).mean()
        for enhancer in (free, guided, led)
    ]
    assert distances[0] > distances[1] > distances[2]
    # Without a guide there is nothing to read.
    one, other = (
        masks(fitted(speech, VEM(6, guidance=guidance)), noisy)[0]
        for guidance in (0.0, 0.5)
    )
    np.testing.assert_array_equal(one, other)


def test_a_noise_recording_starts_the_bases(speech):
    """Its worth in decibels depends on a model that was trained for seconds."""
    rng = np.random.default_rng(0)
    known, heard = (make_noise(32000, "hum", random_state=rng) for _ in range(2))
    told = fitted(speech, VEM(1), noise=NMFNoise(2, noise_profile=known))
    plain = fitted(speech, VEM(1))
    assert told.noise_.components_.shape == (2, 513)
    assert plain.noise_.components_ is None
    V = np.abs(STFT().fit_transform([heard])[0].data.T) ** 2
    V = torch.from_numpy(V / V.mean())
    distances = []
    for enhancer in (told, plain):
        noise = enhancer._noise_model().start(V, torch.Generator().manual_seed(0))
        spectrum, wanted = noise.power().mean(0), V.mean(0)
        distances.append((spectrum / wanted).log().abs().mean().item())
        if enhancer is told:
            bases = torch.from_numpy(told.noise_.components_).to(V)
            torch.testing.assert_close(noise.W, bases / bases.sum(1, keepdim=True))
    assert distances[0] < 0.5 * distances[1]


def test_pipeline_and_enhancer_give_the_same(pairs, speech):
    noisy, clean = pairs
    alone = fitted(speech, VEM(4))
    pipe = Pipeline(
        [
            ("stft", STFT()),
            ("enhance", clone(alone)),
            ("istft", ISTFT()),
        ]
    ).fit(clean[:1])
    for one, other in zip(
        alone.transform(noisy[:2]), pipe.transform(noisy[:2]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_inferences_and_their_parameters_can_be_searched(pairs, speech):
    noisy, clean = (part[:6] for part in pairs)
    search = GridSearchCV(
        VAENMFEnhancer(speech, VEM(3), random_state=0),
        [
            {"inference": ["vem", MCEM(2, n_burn_in=2, n_samples=2)]},
            {"inference": ["vem"], "inference__max_iter": [1, 8]},
            {"noise__n_components": [2, 3], "guide__smoothing": [0.9]},
        ],
        cv=GroupKFold(2),
        error_score="raise",
    )
    search.fit(noisy, clean, groups=[0, 0, 1, 1, 2, 2])
    assert len(search.cv_results_["params"]) == 6
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
    # The guide starts both alike. From random noise they end in different optima of a
    # model that was trained for seconds (-1 to 8 dB, by seed and processor).
    long = [np.concatenate(pairs[0][:6])]
    inference, guide = QUICK[name], "log-mmse"
    [whole] = fitted(speech, inference, guide=guide).transform(long)
    [blocks] = fitted(speech, inference, guide=guide, block_seconds=2.0).transform(long)
    assert len(whole) == len(blocks)
    assert mean_si_sdr([whole], [blocks]) > 5


class Spectral(Inference):
    """Needs no draws: speech is what lies above the mean spectrum of the utterance."""

    @classmethod
    def as_published(cls):
        return cls()

    def infer(self, V, prior, noise, generator):
        frames = 1.0 if noise.frames is None else noise.frames
        counted = V * frames
        n_frames = (counted.sum(-1) > 0).sum(-1)
        mean = counted.sum(-2, keepdim=True) / n_frames[..., None, None]
        mask = V / (V + mean)
        history = n_frames[..., None].tolist()
        return Posterior(mask, mask / 2, prior.encode(V)[0], noise, None, history)


@pytest.fixture
def in_batches(monkeypatch):
    """Padded batches on the CPU too."""
    monkeypatch.setattr(VAENMFEnhancer, "_batch_frames", lambda self: 1000)


def test_a_batch_is_cut_into_its_utterances(pairs, speech, monkeypatch):
    noisy = pairs[0]
    alone = fitted(speech, Spectral()).separate(noisy)
    monkeypatch.setattr(VAENMFEnhancer, "_batch_frames", lambda self: 1000)
    together = fitted(speech, Spectral()).separate(noisy)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.mask, other.mask, rtol=1e-4)
        np.testing.assert_allclose(one.mask_std, other.mask_std, rtol=1e-4)
        np.testing.assert_allclose(one.enhanced, other.enhanced, atol=1e-5)
        assert one.history == other.history == [one.mask.shape[1]]


@pytest.mark.parametrize("name", QUICK)
def test_batches_hold_spread_iterations_and_history(pairs, speech, name, in_batches):
    noisy = pairs[0]
    separations = fitted(speech, QUICK[name]).separate(noisy)
    alone = fitted(speech, QUICK[name]).separate(noisy[:1])
    for one, x in zip(separations, noisy, strict=True):
        np.testing.assert_allclose(one.enhanced + one.noise, x, atol=1e-5)
        assert 0 <= one.mask.min() <= one.mask.max() <= 1
        assert 0.01 < one.mask_std.max() <= 0.5
        assert one.n_iter == len(one.history) == len(alone[0].history)
        assert np.isfinite(one.history).all()


def test_narrow_bands_in_a_batch_are_enhanced_alone(pairs, speech, in_batches):
    narrow, full = [narrowed(x) for x in pairs[0][:2]], pairs[0][2:4]
    enhancer = fitted(speech, QUICK["gradient"], guide="log-mmse")
    one, other, *rest = enhancer.transform([*narrow, *full])
    for found, x in zip((one, other), narrow, strict=True):
        np.testing.assert_array_equal(found, enhancer.transform([x])[0])
    for found, wanted in zip(rest, enhancer.transform(full), strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(enhancer.transform(narrow)[1], other)


def test_batches_enhance_as_well_as_utterances_alone(pairs, speech, in_batches):
    noisy, clean = (part[1:] for part in pairs)
    enhancer = fitted(speech, QUICK["mcem"])
    alone = [enhancer.score(*pair) for pair in zip(zip(noisy), zip(clean), strict=True)]
    assert abs(enhancer.score(noisy, clean) - np.mean(alone)) < 0.5


def test_batches_of_a_recurrent_model_start_from_the_bases_of_a_noise(
    pairs, in_batches
):
    noisy, clean = (part[:3] for part in pairs)
    model = SpeechVAE(
        4, 16, architecture="bilstm", training=Training(3), random_state=0
    )
    enhancer = VAENMFEnhancer(
        *(model, VEM(5, reconstruction="s")),
        noise=NMFNoise(2, noise_profile=make_noise(16000, "machine", random_state=0)),
        random_state=0,
    ).fit(clean)
    for one, x in zip(enhancer.separate(noisy), noisy, strict=True):
        assert one.mask_std is None
        np.testing.assert_allclose(one.enhanced + one.noise, x, atol=1e-6)
        alone = enhancer.separate([x])[0].mask
        assert np.corrcoef(one.mask.ravel(), alone.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("inference", "device", "batched"),
    [
        ("vem", "cuda", True),
        ("mcmc", "cuda:1", True),
        (VEM(tol=1e-3), "cuda", False),
        ("vem", "cpu", False),
        ("vem", "mps", False),
    ],
)
def test_only_a_gpu_gets_batches_and_none_that_end_at_different_times(
    speech, monkeypatch, inference, device, batched
):
    enhancer = VAENMFEnhancer(speech, inference, device=device)
    monkeypatch.setattr("skvae.vaenmf.base.check_device", lambda device, n_jobs: device)
    assert (enhancer._batch_frames() > 0) is batched


@pytest.mark.gpu
@pytest.mark.parametrize("name", QUICK)
def test_cuda_enhances_as_well_as_the_cpu(pairs, speech, name):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, clean = pairs
    scores = [
        # Where the noise starts at random decides on decibels: many starts.
        np.mean(
            [
                fitted(speech, QUICK[name], device=device, random_state=seed).score(
                    noisy, clean
                )
                for seed in range(10)
            ]
        )
        for device in ("cpu", "cuda")
    ]
    assert abs(scores[0] - scores[1]) < 1.0


@pytest.mark.gpu
def test_cuda_takes_long_recordings_in_blocks(pairs, speech):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy = [np.concatenate(pairs[0]), *pairs[0]]
    enhancer = fitted(speech, VEM(5), device="cuda", block_seconds=2.0)
    assert [len(x) for x in enhancer.transform(noisy)] == [len(x) for x in noisy]
    with pytest.raises(ValueError, match="n_jobs"):
        fitted(speech, VEM(5), device="cuda", n_jobs=2)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_guide_computes_where_its_owner_does(pairs, speech, frozen, monkeypatch):
    noisy, clean = pairs
    guide = DNNMask(4, training=Training(1), random_state=0)
    if frozen:
        guide = FrozenEstimator(guide.fit(noisy, clean))
    enhancer = fitted(speech, VEM(1))
    enhancer = clone(enhancer).set_params(guide=guide).fit(noisy, clean)
    asked = []
    estimate = DNNMask._estimate_mask

    def note(self, V, rng, state, device=None):
        asked.append(device)
        return estimate(self, V, rng, state, device)

    monkeypatch.setattr(DNNMask, "_estimate_mask", note)
    expected = enhancer.transform(noisy[:1])
    enhancer.set_params(device="auto").transform(noisy[:1])
    again = enhancer.set_params(device="cpu").transform(noisy[:1])
    assert asked == ["cpu", "auto", "cpu"]
    assert unfrozen(enhancer.guide_).device == "cpu"
    np.testing.assert_array_equal(expected[0], again[0])
