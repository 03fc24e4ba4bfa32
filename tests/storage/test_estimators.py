from __future__ import annotations

import inspect
import json
import warnings

import numpy as np
import pytest
from helpers.instances import SMALL_STFT, public_estimators, small
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

import skvae
from skvae import (
    ISNMF,
    ISTFT,
    MCEM,
    MCMC,
    RPCA,
    STFT,
    BiLSTMMask,
    DenoisingVAE,
    DNNMask,
    GradientVEM,
    LogMMSE,
    NoiseAwareVAE,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
    WienerFilter,
)
from skvae.datasets import Mixer, make_dataset, make_noise
from skvae.storage.classes import public_classes
from skvae.storage.estimators import NOT_KEPT, check_parameters, describe, rebuild


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(2, (0.15, 0.2), snr=0, random_state=0)


@pytest.fixture(scope="module")
def speech(pairs):
    return small(SpeechVAE).set_params(random_state=0).fit(pairs[1])


def again(estimator, **options):
    """Estimator after a round trip through JSON and arrays."""
    description, arrays = describe(estimator, **options)
    return rebuild(json.loads(json.dumps(description)), arrays)


def fitted(estimator, pairs):
    if isinstance(estimator, ISTFT):
        return estimator.fit(STFT().transform(pairs[0]))
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    return estimator.fit(*pairs)


def results(estimator, pairs):
    """Results of all methods of an estimator that return arrays."""
    noisy, clean = pairs
    if isinstance(estimator, ISTFT):
        noisy = STFT().transform(noisy)
    if hasattr(estimator, "separate"):
        separations = estimator.separate(noisy)
        return [part for s in separations for part in (s.enhanced, s.mask)]
    made = [np.asarray(item) for item in estimator.transform(noisy)]
    if hasattr(estimator, "inverse_transform"):
        made += estimator.inverse_transform(made)
        made.append(np.asarray(estimator.score(noisy, clean)))
    return made


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def kept_parameters(estimator):
    """Parameters that a file holds, those of parts included, by their names."""
    return {
        # The parameters of a part have names of their own.
        name: type(value) if isinstance(value, BaseEstimator) else repr(value)
        for name, value in estimator.get_params().items()
        if not {*name.split("__")} & NOT_KEPT
    }


def assert_same(one, other, pairs):
    """Check class, parameters (except those that are not kept) and results."""
    assert type(one) is type(other)
    assert kept_parameters(one) == kept_parameters(other)
    assert_equal(results(one, pairs), results(other, pairs))


@pytest.mark.parametrize("cls", public_estimators(), ids=lambda cls: cls.__name__)
def test_every_estimator_comes_back_as_it_was(cls, pairs):
    estimator = fitted(small(cls), pairs)
    rebuilt = again(estimator)
    assert_same(estimator, rebuilt, pairs)
    assert vars(rebuilt).keys() == vars(estimator).keys()
    clone(rebuilt).fit(*(STFT().transform(p) if cls is ISTFT else p for p in pairs))


def test_every_public_estimator_is_known():
    public = {
        name
        for name in skvae.__all__
        if inspect.isclass(getattr(skvae, name))
        and issubclass(getattr(skvae, name), BaseEstimator)
        and not inspect.isabstract(getattr(skvae, name))
    }
    assert public == set(public_classes())


def variants():
    """Estimators whose parts or parameters are unusual."""
    window = np.hanning(258)[1:-1]
    noise = make_noise(2000, random_state=0)
    yield "window", LogMMSE(stft=STFT(256, 64, window=window))
    yield "window-tuple", LogMMSE(stft=STFT(8, 4, window=(1.0,) * 8))
    yield "other rate", LogMMSE(stft=STFT(256, sample_rate=8000))
    yield (
        "wiener with noise",
        WienerFilter(noise_profile=noise, noise_estimate="profile"),
    )
    yield "isnmf with noise", small(ISNMF).set_params(noise_profile=noise)
    yield "rpca with noise", small(RPCA).set_params(noise_profile=noise)
    options = {"training": Training(1), "stft": SMALL_STFT}
    yield "sizes", SpeechVAE(2, (8, 4), level=(1.0, 3.0), **options)
    yield "list of sizes", SpeechVAE(2, [8], **options)
    yield "bilstm", SpeechVAE(2, 4, architecture="bilstm", **options)
    masks = small(BiLSTMMask)
    yield "encoder", small(DenoisingVAE).set_params(encoder=masks)
    yield "one task", small(DenoisingVAE).set_params(multitask=False)
    yield "jointly", small(NoiseAwareVAE).set_params(scheme="joint")
    enhancer = small(VAENMFEnhancer)
    yield (
        "mcem",
        clone(enhancer).set_params(inference=MCEM(1, n_burn_in=1, n_samples=2)),
    )
    rate = MCMC(2, 1, rate=(0.5, None))
    yield "mcmc", clone(enhancer).set_params(inference=rate)
    yield "vae-nmf with noise", clone(enhancer).set_params(noise__noise_profile=noise)
    yield (
        "denoising",
        clone(enhancer).set_params(vae=small(DenoisingVAE), inference=GradientVEM(1)),
    )


@pytest.mark.parametrize(
    "estimator", [pytest.param(value, id=name) for name, value in variants()]
)
def test_unusual_ones_come_back_too(estimator, pairs):
    estimator = fitted(clone(estimator), pairs)
    if getattr(estimator, "noise_estimate", None) == "profile":
        rebuilt = again(estimator)
        assert rebuilt.noise_estimate == "auto"
        assert_equal(results(estimator, pairs), results(rebuilt, pairs))
    else:
        assert_same(estimator, again(estimator), pairs)


def test_what_is_in_use_is_kept_once_and_stays_frozen(pairs, speech):
    masks = fitted(small(BiLSTMMask), pairs)
    enhancer = small(VAENMFEnhancer).set_params(
        vae=FrozenEstimator(speech), guide=FrozenEstimator(masks), random_state=0
    )
    description, arrays = describe(enhancer.fit(pairs[1]))
    assert description["parameters"]["vae"] == {"fitted": "vae_"}
    assert description["parameters"]["guide"] == {"fitted": "guide_"}
    assert len(arrays) == len(speech.state_) + len(masks.state_)
    rebuilt = rebuild(description, arrays)
    assert rebuilt.vae is rebuilt.vae_
    assert rebuilt.guide is rebuilt.guide_
    assert isinstance(rebuilt.vae, FrozenEstimator)
    assert_equal(results(enhancer, pairs), results(rebuilt, pairs))
    assert rebuilt.fit(pairs[0]).vae_ is rebuilt.vae  # it is not trained again


def test_models_inside_models_are_kept(pairs, speech):
    aware = NoiseAwareVAE(FrozenEstimator(speech), training=Training(1))
    aware.set_params(random_state=0).fit(*pairs)
    enhancer = small(VAENMFEnhancer).set_params(vae=FrozenEstimator(aware))
    enhancer.set_params(random_state=0).fit(pairs[1])
    rebuilt = again(enhancer)
    assert_equal(results(enhancer, pairs), results(rebuilt, pairs))
    assert rebuilt.vae_.vae is rebuilt.vae_.vae_


def test_what_only_training_needs_is_not_kept(pairs, tmp_path):
    noise = make_noise(16000, random_state=0)
    masks = FrozenEstimator(fitted(small(BiLSTMMask), pairs))
    estimator = small(DenoisingVAE).set_params(
        encoder=masks,
        mixer=Mixer(noise=[noise]),
        training__checkpoint=str(tmp_path / "c.npz"),
        device="cpu",
        verbose=False,
        random_state=3,
    )
    estimator.fit(pairs[1])
    description, arrays = describe(estimator)
    for node in (description, description["parameters"]["training"]):
        assert not node["parameters"].keys() & NOT_KEPT
    assert len(arrays) == len(estimator.state_)
    rebuilt = rebuild(description, arrays)
    assert rebuilt.mixer is None
    assert rebuilt.training.checkpoint is None
    assert rebuilt.random_state == 3
    # The settings are kept, but not what was learned with them.
    assert not isinstance(rebuilt.encoder, FrozenEstimator)
    assert not hasattr(rebuilt.encoder, "state_")
    assert rebuilt.encoder.hidden_layer_sizes == masks.hidden_layer_sizes


def test_numbers_of_numpy_become_those_of_python(pairs):
    estimator = RPCA(gain=np.float32(0.5), max_iter=np.int64(5)).fit(pairs[0])
    rebuilt = again(estimator)
    assert (rebuilt.gain, rebuilt.max_iter) == (0.5, 5)
    assert (type(rebuilt.gain), type(rebuilt.max_iter)) == (float, int)
    assert_equal(results(estimator, pairs), results(rebuilt, pairs))


def test_a_generator_becomes_the_seed_that_was_drawn(pairs):
    enhancer = small(ISNMF).set_params(random_state=np.random.default_rng(0))
    enhancer.fit(pairs[1])
    rebuilt = again(enhancer)
    assert rebuilt.random_state is None
    assert rebuilt.seed_ == enhancer.seed_
    assert_equal(results(enhancer, pairs), results(rebuilt, pairs))


def test_the_width_of_an_array_is_kept():
    X = np.random.default_rng(0).standard_normal((3, 500))
    rebuilt = again(WienerFilter().fit(X))
    with pytest.raises(ValueError, match="expecting 500 features"):
        rebuilt.transform(X[:, 1:])


def test_what_scikit_learn_leaves_behind_is_not_in_the_way(pairs):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.ones((2, 3)), columns=["a", "b", "c"])
    assert again(WienerFilter().fit(frame)).n_features_in_ == 3


def test_half_precision_comes_back_as_single(pairs, speech):
    _, arrays = describe(speech, dtype="float16")
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    rebuilt = again(speech, dtype="float16")
    for name, weight in speech.state_.items():
        assert rebuilt.state_[name].dtype == np.float32
        np.testing.assert_array_equal(
            rebuilt.state_[name], weight.astype(np.float16).astype(np.float32)
        )


def test_only_weights_of_networks_are_kept_in_half_precision(pairs):
    enhancer = fitted(small(ISNMF), pairs)
    assert_same(enhancer, again(enhancer, dtype="float16"), pairs)


def test_a_rebuilt_estimator_shares_nothing_with_the_description(pairs, speech):
    description, arrays = describe(speech)
    text = json.dumps(description)
    rebuilt = rebuild(description, arrays)
    rebuilt.set_params(training__max_iter=99, level=(0.0, 1.0)).loss_curve_.append(0.0)
    assert json.dumps(description) == text


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (make_pipeline(STFT(), LogMMSE()), "save the one inside"),
        (FrozenEstimator(LogMMSE()), "save the one inside"),
        (DummyRegressor(), "only estimators of skvae, and of classes derived"),
        (MCEM(), "only estimators of skvae"),
        ("wiener", "only estimators of skvae"),
        (LogMMSE(), "not fitted"),
        (SpeechVAE(), "not fitted"),
    ],
)
def test_what_cannot_be_kept_is_refused(estimator, message):
    with pytest.raises(ValueError, match=message):
        describe(estimator)


def spoilt_weights(estimator):
    estimator.state_ = {**estimator.state_}
    name = next(iter(estimator.state_))
    estimator.state_[name] = np.full_like(estimator.state_[name], np.nan)


def large_weights(estimator):
    estimator.state_ = {k: np.full_like(v, 1e5) for k, v in estimator.state_.items()}


SPOILT = {
    "attribute": (lambda e: setattr(e, "extra_", 1), "attribute `extra_`, which"),
    "audio": (lambda e: e.set_params(level=np.ones(3)), "`level` is a ndarray"),
    "NaN": (spoilt_weights, "holds NaN or inf"),
    "large": (large_weights, "too large for float16: use float32"),
    "loss": (lambda e: e.loss_curve_.append(np.inf), "`loss_curve_` must be a number"),
    "path": (lambda e: e.set_params(features=json), "`features` is a module"),
    "part": (lambda e: e.set_params(stft=DummyRegressor()), "no estimator of skvae"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_what_would_be_lost_or_changed_is_refused(spoil, message, pairs):
    estimator = small(SpeechVAE).fit(pairs[1])
    spoil(estimator)
    with pytest.raises(ValueError, match=message):
        describe(estimator, dtype="float16")


CHANGED = {
    "sizes": (SpeechVAE, {"n_latent": 3}, "parameters were changed since"),
    "other sizes": (DNNMask, {"context": 5}, "parameters were changed since"),
    "components": (ISNMF, {"n_components": 5}, r"of shape \(5, 129\), got \(4, 129\)"),
    "range": (LogMMSE, {"smoothing": 2}, "`smoothing` must be a number in"),
    "noise": (LogMMSE, {"noise_estimate": "first"}, "`noise_estimate` must be one"),
    "rate": (VAENMFEnhancer, {"inference": MCEM(tol=-1)}, "`tol` must be a number"),
}


@pytest.mark.parametrize(("cls", "params", "message"), CHANGED.values(), ids=CHANGED)
def test_parameters_that_contradict_what_was_learned_are_refused(
    cls, params, message, pairs
):
    estimator = fitted(small(cls), pairs).set_params(**params)
    with pytest.raises(ValueError, match=message):
        again(estimator)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (STFT(n_fft=0), "`n_fft` must be"),
        (STFT(n_fft=2**30), "`n_fft` must be"),
        (STFT(sample_rate=0), "`sample_rate` must be"),
        (skvae.LogMel(n_mels=0), "`n_mels` must be"),
        (MCEM(n_samples=0), "`n_samples` must be"),
        (LogMMSE(stft="hann"), "`stft` must be None or an STFT"),
        (LogMMSE(attenuation_limit=-1), "`attenuation_limit` must be"),
        (LogMMSE(block_seconds=0), "`block_seconds` must be"),
        (LogMMSE(n_jobs=0), "`n_jobs` must not be 0"),
        (LogMMSE(n_jobs="all"), "`n_jobs` must be an integer"),
        (LogMMSE(verbose="much"), "`verbose` must be"),
        (SpeechVAE(device="tpu"), "`device`"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_parameters_out_of_range_are_named(estimator, message):
    with pytest.raises(ValueError, match=message):
        check_parameters(estimator)


# False files: a valid description or its arrays with one change.


def at(*keys):
    """Return a function that changes a nested item of a description."""

    def set_(value):
        def change(description, arrays):
            node = description
            for key in keys[:-1]:
                node = node[key]
            node[keys[-1]] = value

        return change

    return set_


def without(*keys):
    def change(description, arrays):
        node = description
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]

    return change


def array(name, make):
    def change(description, arrays):
        arrays[name] = make(arrays[name])

    return change


def dropped(name):
    return lambda description, arrays: arrays.pop(name)


def large_network(description, arrays):
    for node in (description["parameters"], attributes_of(description)["config_"]):
        node = node.get("config", node)
        node["n_latent"] = 60_000


def tall_network(description, arrays):
    n_layers = 10**4
    description["parameters"]["hidden_layer_sizes"] = [1] * n_layers
    attributes_of(description)["config_"]["config"]["hidden"] = [1] * n_layers


def attributes_of(description):
    return description["attributes"]


MEAN = "state_/latent_mean.weight"
LIES = {
    "no object": (lambda d, a: d.clear(), "must be the attributes and the class"),
    "more than an estimator": (at("code")("x"), "must be the attributes and the"),
    "unfitted": (without("attributes"), "must be the attributes and the class"),
    "unknown class": (at("class")("Popen"), "has the class 'Popen'"),
    "path of a class": (at("class")("os.system"), "has the class 'os.system'"),
    "dunder": (at("class")("__import__"), "has the class '__import__'"),
    "public, but no estimator": (at("class")("AudioFile"), "has the class 'AudioFile'"),
    "class that is no name": (at("class")(["SpeechVAE"]), "has the class"),
    "class of something else": (at("class")("ISNMF"), "ISNMF has no parameter"),
    "unknown parameter": (at("parameters", "evil")(1), "no parameter 'evil'"),
    "checkpoint": (at("parameters", "checkpoint")("/x"), "no parameter 'checkpoint'"),
    "device": (at("parameters", "device")("cuda"), "no parameter 'device'"),
    "nested parameter": (at("parameters", "stft__n_fft")(9), "no parameter"),
    "dunder parameter": (at("parameters", "__class__")(9), "no parameter"),
    "parameter of a wrong type": (at("parameters", "n_latent")("2"), "`n_latent` must"),
    "true for a number": (at("parameters", "n_latent")(True), "`n_latent` must be"),
    "null for a number": (at("parameters", "floor")(None), "`floor` must be"),
    "list for a number": (at("parameters", "floor")([1.0]), "`floor` must be"),
    "array for a number": (
        lambda d, a: (
            a.update(x=np.ones(1)),
            at("parameters", "floor")({"array": "x"})(d, a),
        ),
        "no parameter 'floor'",
    ),
    "object for a number": (at("parameters", "floor")({"a": 1}), "in the wrong place"),
    "empty object": (at("parameters", "floor")({}), "must be the class and the"),
    "weights for a number": (
        at("parameters", "floor")({"weights": {}}),
        "in the wrong place",
    ),
    "frozen parameter": (
        at("parameters", "stft")({"frozen": {}}),
        "in the wrong place",
    ),
    "reference to nothing": (
        at("parameters", "stft")({"fitted": "x"}),
        "must be a frozen estimator",
    ),
    "reference to no estimator": (
        at("parameters", "stft")({"fitted": "seed_"}),
        "must be a frozen estimator",
    ),
    "reference that is no name": (
        at("parameters", "stft")({"fitted": [1]}),
        "in the wrong place",
    ),
    "another estimator as STFT": (
        at("parameters", "stft")({"class": "MCEM", "parameters": {}}),
        "`stft` must be None or an STFT",
    ),
    "parameters without names": (at("parameters")([1]), "parameters must have names"),
    "attributes without names": (at("attributes")(None), "attributes must have names"),
    "unknown attribute": (at("attributes", "evil_")(1), "no attribute 'evil_'"),
    "method": (at("attributes", "fit")(1), "no attribute 'fit'"),
    "dunder attribute": (at("attributes", "__class__")(1), "no attribute '__class__'"),
    "attribute of another class": (
        at("attributes", "components_")(None),
        "no attribute 'components_'",
    ),
    "missing seed": (without("attributes", "seed_"), "lacks the learned attribute"),
    "missing weights": (without("attributes", "state_"), "lacks the learned attribute"),
    "negative seed": (at("attributes", "seed_")(-1), "`seed_` must be an integer"),
    "level of zero": (at("attributes", "level_")(0.0), "`level_` must be a number"),
    "curve of words": (at("attributes", "loss_curve_")(["a"]), r"`loss_curve_\[0\]`"),
    "no curve": (at("attributes", "loss_curve_")(1.0), "`loss_curve_` must be a list"),
    "no STFT": (at("attributes", "stft_")(None), "`stft_` must be an STFT"),
    "huge STFT": (
        at("attributes", "stft_", "parameters", "n_fft")(2**30),
        "`n_fft` must be an integer",
    ),
    "other STFT": (
        at("attributes", "stft_", "parameters", "n_fft")(512),
        "`config_` is",
    ),
    "window of code": (
        at("attributes", "stft_", "parameters", "window")("__import__('os')"),
        "`window` must be one of",
    ),
    "window of no numbers": (
        at("attributes", "stft_", "parameters", "window")([["a"]]),
        "`window` must be a name or an array",
    ),
    "no sizes": (at("attributes", "config_")(None), "`config_` is None"),
    "other sizes": (
        at("attributes", "config_", "config", "n_latent")(3),
        "`config_` is",
    ),
    "unknown activation": (
        at("attributes", "config_", "config", "activation")("exec"),
        "`config_` is",
    ),
    "huge sizes": (
        at("parameters", "n_latent")(2**62),
        r"`n_latent` must be an integer in \[1, 65536\]",
    ),
    "large sizes": (large_network, "`state_` must have"),
    "many layers": (tall_network, "must have 1 to 100 layers"),
    "no weights": (at("attributes", "state_")({"config": {}}), "`state_` lacks"),
    "list of weights": (at("attributes", "state_")([]), "`state_` must be weights"),
    "sizes for weights": (
        at("attributes", "state_")({"config": {MEAN.rpartition("/")[2]: 1}}),
        "`state_` lacks|must have arrays, got 1",
    ),
    "weights of numbers": (
        at("attributes", "state_", "weights", "x")(1),
        "in the wrong place",
    ),
    "unknown weight": (
        lambda d, a: (
            a.update(x=np.ones(1, np.float32)),
            at("attributes", "state_", "weights", "x")({"array": "x"})(d, a),
        ),
        "`state_` has 'x'",
    ),
    "weight missing": (
        lambda d, a: (
            a.pop(MEAN),
            without("attributes", "state_", "weights", "latent_mean.weight")(d, a),
        ),
        "`state_` lacks 'latent_mean.weight'",
    ),
    "array missing": (dropped(MEAN), "which is missing or already used"),
    "array twice": (
        at("attributes", "state_", "weights", "latent_mean.bias")({"array": MEAN}),
        "which is missing or already used",
    ),
    "array without a name": (
        at("attributes", "state_", "weights", "latent_mean.bias")({"array": 1}),
        "which is missing or already used",
    ),
    "array too many": (lambda d, a: a.update(x=np.ones(1)), "which nothing uses"),
    "other shape": (array(MEAN, np.transpose), "of shape"),
    "other dtype": (array(MEAN, lambda a: a.astype(float)), "dtype float32, got"),
    "row": (array(MEAN, lambda a: a[0]), "of shape"),
    # Numbers that give NaN or silence.
    "scale of zero": (
        array("state_/feature_scale", np.zeros_like),
        r"`state_\['feature_scale'\]` must be a number in",
    ),
    "negative scale": (
        array("state_/feature_scale", lambda a: np.asarray(-a)),
        r"`state_\['feature_scale'\]` must be a number in",
    ),
    "tiny scale": (
        array("state_/feature_scale", lambda a: np.full_like(a, 1e-38)),
        r"`state_\['feature_scale'\]` must be a number in",
    ),
    "huge weights": (
        array(MEAN, lambda a: np.full_like(a, 1e30)),
        r"`state_\['latent_mean.weight'\]` must be a number in",
    ),
    "weights of zero": (array(MEAN, np.zeros_like), "has only zeros"),
    "level beyond sound": (at("attributes", "level_")(1e300), "`level_` must be"),
    "level below sound": (at("attributes", "level_")(1e-300), "`level_` must be"),
}


@pytest.fixture(scope="module")
def described(speech):
    return describe(speech)


@pytest.mark.parametrize(("change", "message"), LIES.values(), ids=LIES)
def test_lies_are_found(change, message, described):
    description, arrays = described
    description, arrays = json.loads(json.dumps(description)), dict(arrays)
    change(description, arrays)
    with pytest.raises(ValueError, match=message), warnings.catch_warnings():
        warnings.simplefilter("error")
        rebuild(description, arrays)


OTHER_LIES = {
    "layers": (
        BiLSTMMask,
        at("parameters", "hidden_layer_sizes")(10**12),
        "`hidden_layer_sizes` must be an integer",
    ),
    "filters below zero": (
        BiLSTMMask,
        array("state_/features.filters", np.negative),
        r"`state_\['features.filters'\]` must be a number in",
    ),
    "scale of bands": (
        BiLSTMMask,
        array("state_/features.scale", np.zeros_like),
        r"`state_\['features.scale'\]` must be a number in",
    ),
    "endless iterations": (
        VAENMFEnhancer,
        at("parameters", "inference", "parameters", "max_iter")(10**9),
        "`max_iter` must be an integer",
    ),
    "endless draws": (
        VAENMFEnhancer,
        at("parameters", "inference", "parameters", "n_samples")(10**7),
        "`n_samples` must be an integer",
    ),
    "endless noise": (
        VAENMFEnhancer,
        at("parameters", "noise", "parameters", "n_components")(2**62),
        "`n_components` must be an integer",
    ),
    "endless steps": (
        BiLSTMMask,
        at("parameters", "training", "parameters", "learning_rate")(1e308),
        "`learning_rate` must be a number",
    ),
    "bases beyond sound": (
        ISNMF,
        array("components_", lambda a: np.full(a.shape, 1e300)),
        "`components_` must have no number above",
    ),
    "training that is none": (
        BiLSTMMask,
        at("parameters", "training")({"class": "MCEM", "parameters": {}}),
        "`training` must be None or a Training",
    ),
    "no epochs": (
        BiLSTMMask,
        at("parameters", "training", "parameters", "max_iter")(0),
        "`max_iter` must be an integer",
    ),
    "checkpoint": (
        BiLSTMMask,
        at("parameters", "training", "parameters", "checkpoint")("/x"),
        "Training has no parameter 'checkpoint'",
    ),
    "bands": (
        BiLSTMMask,
        at("parameters", "n_mels")(10**4),
        "`config_` is",
    ),
    "bases": (
        ISNMF,
        at("parameters", "n_components")(10**4),
        r"of shape \(10000, 129\)",
    ),
    "negative bases": (ISNMF, array("components_", np.negative), "no negative numbers"),
    "no bases": (ISNMF, at("attributes", "components_")(None), "must be an array"),
    "no noise": (
        RPCA,
        lambda d, a: (
            a.update(x=np.ones((0, 129))),
            at("attributes", "noise_magnitude_")({"array": "x"})(d, a),
        ),
        r"of shape \('any', 129\)",
    ),
    "update": (
        LogMMSE,
        at("attributes", "_frames_per_update")(0),
        "`_frames_per_update` must be",
    ),
    "no model": (
        VAENMFEnhancer,
        at("attributes", "vae_")({"class": "STFT", "parameters": {}, "attributes": {}}),
        "must be a fitted estimator with the method speech_prior",
    ),
    "model without weights": (
        VAENMFEnhancer,
        without("attributes", "vae_", "attributes", "state_"),
        "SpeechVAE lacks the learned attribute",
    ),
    "model at another rate": (
        VAENMFEnhancer,
        at("attributes", "stft_", "parameters", "sample_rate")(8000),
        "`vae_` was fitted with",
    ),
    "no inference": (
        VAENMFEnhancer,
        at("parameters", "inference")("eval"),
        "`inference` must be one of",
    ),
    "inference of another kind": (
        VAENMFEnhancer,
        at("parameters", "inference")({"class": "STFT", "parameters": {}}),
        "`inference` must be one of",
    ),
    "mixer": (BiLSTMMask, at("parameters", "mixer")(None), "no parameter 'mixer'"),
    "speech that knows no noise": (
        NoiseAwareVAE,
        at("parameters", "vae")({"class": "MCEM", "parameters": {}}),
        "`vae` must be None or a SpeechVAE",
    ),
}


@pytest.mark.parametrize(
    ("cls", "change", "message"), OTHER_LIES.values(), ids=OTHER_LIES
)
def test_lies_about_other_estimators_are_found(cls, change, message, pairs):
    description, arrays = describe(fitted(small(cls), pairs))
    change(description, arrays)
    with pytest.raises(ValueError, match=message):
        rebuild(description, arrays)


def test_a_parameter_that_is_missing_has_its_default(described):
    description, arrays = described
    description = json.loads(json.dumps(description))
    del description["parameters"]["floor"]
    assert rebuild(description, arrays).floor == SpeechVAE().floor
