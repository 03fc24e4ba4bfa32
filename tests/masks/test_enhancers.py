"""Supervised masks: they learn, ignore the level, and see what they should."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.instances import SMALL_STFT
from helpers.training import made
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skvae import ISTFT, BiLSTMMask, DNNMask, Training
from skvae.datasets import Mixer, make_dataset, make_noise
from skvae.metrics import mean_si_sdr
from skvae.training.precision import knows_bfloat16

NOISY, CLEAN = make_dataset(12, (0.8, 1.2), 0.0, random_state=0)
TEST, TRAIN = slice(0, 4), slice(4, None)
TRAINING = {
    "max_iter": 8,
    "n_mels": 20,
    "batch_size": 4,
    "sequence_length": 60,
    "averaging": 0.9,
    "validation_fraction": 0.0,
    "stft": SMALL_STFT,
    "random_state": 0,
}
DENSE = {"hidden_layer_sizes": (32, 32), "context": 5, "learning_rate": 5e-3}
RECURRENT = {"hidden_layer_sizes": 16, "learning_rate": 1e-2}
LEARNERS = {
    **{
        name: made(DNNMask, exponent=exponent, **DENSE, **TRAINING)
        for name, exponent in (("irm", 0.5), ("wiener", 1.0))
    },
    **{
        target: made(BiLSTMMask, target=target, **RECURRENT, **TRAINING)
        for target in ("perceptual", "psa", "msa")
    },
}

SIZES = "hidden_layer_sizes"

#: What a second of training must win, in dB of SI-SDR.
MARGIN = 3.0


@pytest.mark.slow
@pytest.mark.parametrize("data", [(CLEAN,), (NOISY, CLEAN)], ids=["mixed", "pairs"])
@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS.keys())
def test_a_second_of_training_wins_three_decibels(learner, data):
    data = [waveforms[TRAIN] for waveforms in data]
    trained = clone(learner).fit(*data)
    none = Training(1, learning_rate=1e-12, validation_fraction=0.0)
    untrained = clone(learner).set_params(training=none).fit(*data)
    score = trained.score(NOISY[TEST], CLEAN[TEST])
    assert score > untrained.score(NOISY[TEST], CLEAN[TEST]) + MARGIN
    assert score > mean_si_sdr(CLEAN[TEST], NOISY[TEST]) + MARGIN


def small(cls, **parameters):
    settings = {
        "hidden_layer_sizes": (8, 8),
        "n_mels": 8,
        "max_iter": 2,
        "stft": SMALL_STFT,
        "random_state": 0,
    }
    return made(cls, **{**settings, **parameters})


@pytest.fixture(scope="module", params=[DNNMask, BiLSTMMask])
def enhancer(request):
    return small(request.param).fit(NOISY[:4], CLEAN[:4])


def test_masks_are_shares_and_parts_sum_to_the_input(enhancer):
    for x, result in zip(NOISY[TEST], enhancer.separate(NOISY[TEST]), strict=True):
        assert result.mask.min() >= 0
        assert result.mask.max() <= 1
        assert result.mask.std() > 0
        assert result.mask_std is None
        np.testing.assert_allclose(result.enhanced + result.noise, x, atol=1e-6)


@pytest.mark.parametrize("gain", [1e-15, 1e-3, 100.0, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masks_ignore_the_level(enhancer, gain, dtype):
    x = NOISY[0].astype(dtype)
    one, other = enhancer.transform([x, dtype(gain) * x])
    assert one.dtype == other.dtype == dtype
    np.testing.assert_allclose(other / dtype(gain), one, atol=1e-5)


@pytest.mark.parametrize("gain", [1e-19, 1e-20, 1e-22, 1e-30, 1e-40])
def test_what_is_too_quiet_for_its_precision_is_silence(enhancer, gain):
    [enhanced] = enhancer.transform([np.float32(gain) * NOISY[0]])
    assert np.isfinite(enhanced).all()
    assert np.abs(enhanced).max() <= 2 * gain


def test_hostile_recordings_come_out_finite_and_as_long(enhancer):
    hostile = [
        np.zeros(1, np.float32),
        np.ones(1),
        np.full(7, 0.5, np.float32),
        np.zeros(5000),
        np.full(5000, -1, np.int16),
        np.eye(1, 5000, 2500)[0],
    ]
    enhanced = enhancer.transform(hostile)
    for x, y in zip(hostile, enhanced, strict=True):
        assert (len(y), y.dtype) == (len(x), x.dtype)
        assert np.isfinite(y).all()
    assert not enhanced[3].any()
    with pytest.raises(ValueError, match="utterance 1 must be finite"):
        enhancer.transform([NOISY[0], np.array([0.0, np.nan])])
    with pytest.raises(ValueError, match="clean speech of utterance 2 must be finite"):
        clone(enhancer).fit(NOISY[:3], [*CLEAN[:2], np.full(len(NOISY[2]), np.inf)])
    with pytest.raises(ValueError, match=r"utterance 0 has \d+ samples in X but 10"):
        clone(enhancer).fit(NOISY[:1], [CLEAN[0][:10]])


def changed_frames(enhancer):
    """Frames whose mask another sound in the middle changes, of how many."""
    x = make_noise(16000, random_state=0)
    [spectrogram] = enhancer.stft_.transform([x])
    frames = spectrogram.frames().copy()
    middle = len(frames) // 2
    # Its bins in the opposite order: the level stays.
    frames[middle] = frames[middle, ::-1]
    masks = [
        result.mask.T
        for result in enhancer.separate([spectrogram, spectrogram.replace(frames.T)])
    ]
    differs = np.abs(masks[0] - masks[1]).max(1) > 1e-7
    return np.flatnonzero(differs) - middle, len(frames)


def test_dense_networks_see_a_few_frames_and_lstms_the_whole():
    dense = small(DNNMask, context=7, hidden_layer_sizes=(64, 64)).fit(CLEAN[:2])
    frames, _ = changed_frames(dense)
    assert frames.tolist() == list(range(-3, 4))
    frames, _ = changed_frames(small(BiLSTMMask).fit(CLEAN[:2]))
    assert frames.min() < -20
    assert frames.max() > 20


def test_bands_are_those_of_log_mel_features(enhancer):
    from skvae import LogMel

    [x] = NOISY[:1]
    [spectrogram] = SMALL_STFT.transform([x])
    V = np.abs(spectrogram.frames()) ** 2
    filters = enhancer.state_["features.filters"]
    np.testing.assert_allclose(filters.sum(0), 1, rtol=1e-5)
    [features] = LogMel(8, stft=SMALL_STFT).transform([x])
    # Up to the area of each band.
    difference = np.log(V @ filters) - features
    assert difference.std(0).max() < 1e-3


def test_features_are_standardized_over_what_is_trained_on():
    enhancer = small(DNNMask, validation_fraction=0.0, n_combinations=1)
    enhancer.set_params(training__sequence_length=1000).fit(NOISY, CLEAN)
    logarithms = []
    for spectrogram in SMALL_STFT.transform(NOISY):
        V = np.abs(spectrogram.frames()) ** 2
        bands = V / V.mean() @ enhancer.state_["features.filters"]
        logarithms.append(np.log(bands + 1e-6))
    logarithms = np.concatenate(logarithms)
    mean, scale = (enhancer.state_[f"features.{name}"] for name in ("mean", "scale"))
    np.testing.assert_allclose(mean, logarithms.mean(0), atol=1e-3)
    assert scale == pytest.approx((logarithms - logarithms.mean(0)).std(), rel=1e-3)


def test_training_on_silence_makes_no_other_sound_an_extreme():
    enhancer = small(DNNMask).fit([np.zeros(6000)], [np.zeros(6000)])
    assert enhancer.state_["features.scale"] >= 1e-3
    [result] = enhancer.separate(NOISY[:1])
    assert np.isfinite(result.mask).all()


def test_the_defaults_are_the_papers_networks():
    dense = DNNMask()
    assert dense.hidden_layer_sizes == (512,) * 5
    assert (dense.context, dense.n_mels) == (11, 100)
    assert dense.exponent == 0.5
    assert len(BiLSTMMask().hidden_layer_sizes) == 3
    config = small(DNNMask, context=3).fit(CLEAN[:2]).config_
    assert (config.architecture, config.hidden, config.context) == ("dense", (8, 8), 3)
    config = small(BiLSTMMask, dropout=0.25).fit(CLEAN[:2]).config_
    assert (config.architecture, config.hidden, config.n_bands) == ("bilstm", (8, 8), 8)
    assert config.dropout == 0.25


@pytest.mark.parametrize("cls", [DNNMask, BiLSTMMask])
@pytest.mark.parametrize("data", [(CLEAN,), (NOISY, CLEAN)], ids=["mixed", "pairs"])
def test_a_pipeline_gives_what_the_enhancer_alone_gives(cls, data):
    data = [waveforms[:4] for waveforms in data]
    alone = small(cls).fit(*data)
    pipeline = Pipeline(
        [
            ("stft", SMALL_STFT),
            ("enhance", small(cls, stft=None)),
            ("istft", ISTFT()),
        ]
    ).fit(*data)
    for name, array in alone.state_.items():
        np.testing.assert_array_equal(array, pipeline["enhance"].state_[name])
    for one, other in zip(
        alone.transform(NOISY[TEST]), pipeline.transform(NOISY[TEST]), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("cls", [DNNMask, BiLSTMMask])
def test_a_search_finds_sizes_and_ratios(cls):
    grid = {"hidden_layer_sizes": [4, 8], "mixer__snr": [0.0, (0.0, 5.0)]}
    search = GridSearchCV(
        small(cls, mixer=Mixer()), grid, cv=2, error_score="raise", refit=True
    ).fit(NOISY[:4], CLEAN[:4])
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    # Pairs are not mixed: only the size makes a difference.
    assert scores[0] == scores[1] != scores[2] == scores[3]
    best = search.best_params_["hidden_layer_sizes"]
    assert search.best_estimator_.config_.hidden == (best,)


@pytest.mark.parametrize(
    ("cls", "variants"),
    [
        (BiLSTMMask, {"target": ["perceptual", "psa", "msa"]}),
        (DNNMask, {"exponent": [0.5, 1.0], "context": [1, 3]}),
    ],
)
def test_every_parameter_of_training_leads_elsewhere(cls, variants):
    shared = {
        "mixer": [Mixer(snr=20.0)],
        "n_combinations": [1],
        "sequence_length": [30],
        "dropout": [0.3],
        "precision": ["bfloat16"] if knows_bfloat16("cpu") else [],
        "decay": [1.0],
        "averaging": [0.0],
    }
    weights = [
        small(cls, **{name: value}).fit(CLEAN[:3]).state_["mask.weight"]
        for name, values in {**variants, **shared}.items()
        for value in values
    ]
    for k, one in enumerate(weights):
        assert all(not np.array_equal(one, other) for other in weights[:k])


#: Weights stay where they started: losses can be compared.
STANDING = {"learning_rate": 1e-12, "max_iter": 1, "n_combinations": 1}


@pytest.mark.parametrize("cls", [DNNMask, BiLSTMMask])
def test_units_are_left_out_in_training_and_not_in_validation(cls):
    plain, dropping = (
        small(cls, dropout=dropout, **STANDING).fit(NOISY, CLEAN)
        for dropout in (0.0, 0.5)
    )
    assert dropping.validation_loss_curve_ == pytest.approx(
        plain.validation_loss_curve_, rel=1e-5
    )
    assert dropping.loss_curve_ != pytest.approx(plain.loss_curve_, rel=1e-5)


@pytest.mark.parametrize("cls", [DNNMask, BiLSTMMask])
def test_padding_is_no_part_of_the_loss(cls):
    whole = {**STANDING, "sequence_length": 1000, "validation_fraction": 0.0}
    alone, together = (
        small(cls, batch_size=size, **whole).fit(NOISY, CLEAN).loss_curve_
        for size in (1, len(NOISY))
    )
    assert together == pytest.approx(alone, rel=1e-4)


def test_blocks_of_a_long_recording_agree_with_the_whole():
    x = np.concatenate(NOISY[:6])
    enhancer = small(BiLSTMMask, max_iter=4, block_seconds=None).fit(CLEAN[:4])
    [whole] = enhancer.transform([x])
    [blocks] = enhancer.set_params(block_seconds=2.0).transform([x])
    assert np.corrcoef(whole, blocks)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("cls", "parameters", "message"),
    [
        (BiLSTMMask, {"target": "irm"}, "`target` must be one of 'perceptual', 'psa'"),
        (BiLSTMMask, {SIZES: 0}, rf"`{SIZES}` must be an integer in \[1, 65536\]"),
        (BiLSTMMask, {SIZES: (8, 8.5)}, f"`{SIZES}` must be an integer"),
        (BiLSTMMask, {SIZES: ()}, f"`{SIZES}` must have 1 to 100 layers"),
        (BiLSTMMask, {"n_mels": 2.5}, "`n_mels` must be an integer .* got 2.5"),
        (DNNMask, {"context": 4}, "`context` must be an odd number, got 4"),
        (DNNMask, {"context": 0}, "`context` must be an integer"),
        (
            DNNMask,
            {"exponent": 0},
            r"`exponent` must be a number in \[0.01, 10\], got 0",
        ),
        (DNNMask, {SIZES: -1}, f"`{SIZES}` must be an integer"),
        (DNNMask, {SIZES: None}, f"`{SIZES}` must be an integer .* got None"),
    ],
)
def test_parameters_out_of_range_are_named(cls, parameters, message):
    with pytest.raises(ValueError, match=message):
        small(cls, **parameters).fit(CLEAN[:2])


@pytest.mark.gpu
@pytest.mark.parametrize("cls", [DNNMask, BiLSTMMask])
def test_masks_trained_on_cuda_load_on_a_cpu(cls):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    enhancer = small(cls, device="cuda", dropout=0.1).fit(NOISY[TRAIN], CLEAN[TRAIN])
    on_gpu = enhancer.transform(NOISY[TEST])
    enhancer.set_params(device="cpu")
    for one, other in zip(enhancer.transform(NOISY[TEST]), on_gpu, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    cpu = small(cls).fit(NOISY[TRAIN], CLEAN[TRAIN])
    assert enhancer.best_loss_ == pytest.approx(cpu.best_loss_, rel=0.2)
