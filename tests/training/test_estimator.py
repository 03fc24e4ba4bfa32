"""What all estimators with networks share: checkpoints, warm starts, what is kept."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
import scipy.stats
import soundfile
from helpers.training import made, nested
from sklearn.base import clone
from sklearn.callback import FitCallback
from sklearn.frozen import FrozenEstimator

from skvae import STFT, AudioFile, BiLSTMMask, DNNMask, SpeechVAE
from skvae.datasets import Mixer, make_dataset, make_noise
from skvae.training.fingerprint import facts

SMALL = STFT(n_fft=128)
NOISY, CLEAN = make_dataset(4, (0.2, 0.3), 0.0, random_state=0)
COMMON = {"max_iter": 4, "stft": SMALL, "random_state": 0, "batch_size": 8}
MASK = {"n_mels": 6, "sequence_length": 20}
VAE = {"n_latent": 3, "hidden_layer_sizes": 8}
MODELS = {
    "SpeechVAE": made(SpeechVAE, **VAE, **{**COMMON, "batch_size": 64}),
    "DNNMask": made(
        DNNMask, hidden_layer_sizes=(8, 8), context=3, dropout=0.1, **COMMON, **MASK
    ),
    "BiLSTMMask": made(BiLSTMMask, hidden_layer_sizes=4, dropout=0.1, **COMMON, **MASK),
}
SEQUENCES = {"architecture": "bilstm", "sequence_length": 20, "dropout": 0.1}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
MASKS = pytest.mark.parametrize("model", [MODELS["DNNMask"], MODELS["BiLSTMMask"]])


def make(model, **parameters):
    return clone(model).set_params(**nested(parameters))


def assert_same(one, other):
    assert one.state_.keys() == other.state_.keys()
    for name, array in one.state_.items():
        np.testing.assert_array_equal(array, other.state_[name], err_msg=name)
    for name in ("loss_curve_", "validation_loss_curve_", "best_loss_", "n_iter_"):
        assert getattr(one, name) == getattr(other, name), name


class Killed(BaseException):
    """As abrupt as an exception can be."""


class KillAfter(FitCallback):
    """Ends a fit after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, **arguments):
        if context.task_name == "epoch":
            self.n_epochs -= 1
            if self.n_epochs == 0:
                raise Killed


def interrupt(model, n_epochs, *data):
    with pytest.raises(Killed):
        clone(model).set_callbacks(KillAfter(n_epochs)).fit(*data)


# Checkpoints.


@pytest.mark.parametrize(
    "model",
    [*MODELS.values(), made(SpeechVAE, **VAE, **COMMON, **SEQUENCES)],
    ids=[*MODELS, "BiLSTM VAE"],
)
def test_interrupted_training_ends_as_if_it_had_not_been(model, tmp_path):
    uninterrupted = clone(model).fit(CLEAN)
    resumable = make(model, checkpoint=tmp_path / "training.npz")
    interrupt(resumable, 1, CLEAN)
    # The epoch that was the last one is shown again, then comes another.
    interrupt(resumable, 3, CLEAN)
    assert_same(clone(resumable).fit(CLEAN), uninterrupted)
    assert_same(clone(resumable).fit(CLEAN), uninterrupted)  # done: nothing is left


@MASKS
def test_interrupted_training_on_pairs_goes_on_too(model, tmp_path):
    resumable = make(model, checkpoint=tmp_path / "training.npz")
    interrupt(resumable, 2, NOISY, CLEAN)
    assert_same(
        clone(resumable).fit(NOISY, CLEAN), make(model, max_iter=4).fit(NOISY, CLEAN)
    )


def killed_example(path):
    """A fit, in a process that will not live to see its end."""
    # A frozen distribution is another object in each process.
    mixer = Mixer([make_noise(9000, random_state=0)], snr=scipy.stats.norm(0, 5))
    return make(MODELS["BiLSTMMask"], mixer=mixer, max_iter=9, checkpoint=path)


@pytest.mark.slow
def test_killed_training_ends_as_if_it_had_not_been(tmp_path):
    path = str(tmp_path / "training.npz")
    command = [sys.executable, __file__, path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for _ in range(3):
            assert process.stdout.readline() == "epoch\n"
        process.kill()
    assert process.returncode not in (0, 1)
    resumed = killed_example(path).fit(CLEAN)
    assert_same(resumed, killed_example(None).fit(CLEAN))


def test_parameters_without_effect_may_change_meanwhile(tmp_path):
    path = str(tmp_path / "training.npz")
    resumable = make(MODELS["BiLSTMMask"], checkpoint=path)
    interrupt(resumable, 2, CLEAN)
    changed = make(
        resumable,
        max_cache_mb=0.0,
        n_jobs=2,
        attenuation_limit=12.0,
        block_seconds=None,
        warm_start=True,
    )
    assert_same(changed.fit(CLEAN), clone(MODELS["BiLSTMMask"]).fit(CLEAN))


MIXER = Mixer([NOISY[0], NOISY[1]], snr=(0.0, 5.0))
OTHERS = {
    "learning rate": {"learning_rate": 2e-3},
    "epochs": {"max_iter": 5},
    "seed": {"random_state": 1},
    "target": {"target": "psa"},
    "STFT": {"stft": STFT(n_fft=128, hop_length=64)},
    "mixer": {"mixer": None},
    "ratios": {"mixer": clone(MIXER).set_params(snr=(0.0, 6.0))},
    "list of ratios": {"mixer": clone(MIXER).set_params(snr=[0.0, 5.0])},
    "order of noises": {"mixer": clone(MIXER).set_params(noise=MIXER.noise[::-1])},
    "augmentation": {"mixer": clone(MIXER).set_params(augment=True)},
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """An interrupted fit, its path and the name of its file's content."""
    path = tmp_path_factory.mktemp("checkpoint") / "training.npz"
    resumable = make(MODELS["BiLSTMMask"], checkpoint=path, mixer=MIXER)
    interrupt(resumable, 1, CLEAN)
    return resumable


def assert_refused(model, *data):
    checkpoint = model.training.checkpoint
    content = checkpoint.read_bytes()
    with pytest.raises(ValueError, match="is the checkpoint of another training"):
        clone(model).fit(*data)
    assert checkpoint.read_bytes() == content


@pytest.mark.parametrize("parameters", OTHERS.values(), ids=OTHERS.keys())
def test_another_training_is_refused(interrupted, parameters):
    assert_refused(make(interrupted, **parameters), CLEAN)


def with_one_sample_changed(waveforms):
    changed = [x.copy() for x in waveforms]
    changed[2][100] += 1e-3
    return changed


@pytest.mark.parametrize(
    "data",
    [
        (CLEAN[::-1],),
        (CLEAN[:-1],),
        (with_one_sample_changed(CLEAN),),
        (NOISY,),
        (NOISY, CLEAN),
    ],
    ids=["order", "fewer", "a sample", "others", "pairs"],
)
def test_other_data_are_refused(interrupted, data):
    assert_refused(interrupted, *data)


def test_noisy_speech_is_data_as_well(tmp_path):
    resumable = make(MODELS["BiLSTMMask"], checkpoint=tmp_path / "training.npz")
    interrupt(resumable, 1, NOISY, CLEAN)
    assert_refused(resumable, with_one_sample_changed(NOISY), CLEAN)
    assert_refused(resumable, NOISY, with_one_sample_changed(CLEAN))
    clone(resumable).fit(NOISY, CLEAN)


def test_another_class_is_refused(tmp_path):
    path = tmp_path / "training.npz"
    interrupt(make(MODELS["SpeechVAE"], checkpoint=path), 1, CLEAN)
    assert_refused(make(MODELS["DNNMask"], checkpoint=path), CLEAN)


class Anonymous:
    """A waveform that reads itself and tells nothing of itself."""

    dtype = np.dtype(np.float32)

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.samples, dtype=dtype)


def test_what_reads_itself_is_known_by_what_it_says_or_else_by_its_samples(tmp_path):
    files = []
    for k, x in enumerate(CLEAN):
        soundfile.write(tmp_path / f"{k}.flac", x, 16000, "PCM_16")
        files.append(AudioFile(tmp_path / f"{k}.flac"))
    resumable = make(MODELS["BiLSTMMask"], checkpoint=tmp_path / "training.npz")
    interrupt(resumable, 1, files)
    assert_refused(resumable, files[::-1])
    assert_refused(resumable, [AudioFile(file.path, 1) for file in files])
    clone(resumable).fit([AudioFile(file.path) for file in files])
    (tmp_path / "training.npz").unlink()
    interrupt(resumable, 1, [*map(Anonymous, CLEAN)])
    assert_refused(resumable, [*map(Anonymous, with_one_sample_changed(CLEAN))])
    clone(resumable).fit([*map(Anonymous, CLEAN)])


@EVERY_MODEL
def test_a_checkpoint_wants_a_seed_and_a_place(model, tmp_path):
    path = tmp_path / "training.npz"
    for random_state in (None, np.random.default_rng(0)):
        with pytest.raises(ValueError, match="`random_state` must be an integer with"):
            make(model, checkpoint=path, random_state=random_state).fit(CLEAN)
    make(model, checkpoint=path, random_state=np.int64(3), max_iter=1).fit(CLEAN)
    for wrong in (tmp_path / "nowhere" / "training.npz", tmp_path):
        with pytest.raises(
            ValueError, match="`checkpoint` must be a file in an existing"
        ):
            make(model, checkpoint=wrong).fit(CLEAN)
    with pytest.raises(ValueError, match="`checkpoint` must be None or a path, got 3"):
        make(model, checkpoint=3).fit(CLEAN)


def test_a_fit_that_starts_from_other_weights_is_another_training(tmp_path):
    model = make(MODELS["DNNMask"], checkpoint=tmp_path / "training.npz")
    model.set_params(training__warm_start=True).fit(CLEAN)
    with pytest.raises(ValueError, match="is the checkpoint of another training"):
        model.fit(CLEAN)
    (tmp_path / "training.npz").unlink()
    resumable = pickle.dumps(model)
    wanted = model.fit(CLEAN).state_
    again = pickle.loads(resumable).fit(CLEAN)  # finished: nothing is left to do
    np.testing.assert_array_equal(again.state_["mask.bias"], wanted["mask.bias"])


def test_models_that_are_frozen_are_told_apart_by_what_they_learned():
    def hashed(model):
        return joblib.hash(facts([FrozenEstimator(model), 3]))

    one, other = (make(MODELS["DNNMask"], random_state=k).fit(CLEAN) for k in (0, 1))
    other.set_params(random_state=0)
    assert hashed(one) != hashed(other)
    assert hashed(one) == hashed(pickle.loads(pickle.dumps(one)))


# Warm starts.


@EVERY_MODEL
def test_warm_start_continues_where_training_ended(model):
    model = make(model, max_iter=10, warm_start=True, learning_rate=1e-2)
    # The losses of pairs that are all trained on can be compared.
    model.set_params(training__validation_fraction=0.0)
    cold = model.fit(NOISY, CLEAN).loss_curve_
    state = model.state_
    warm = model.set_params(training__max_iter=5).fit(NOISY, CLEAN).loss_curve_
    assert model.n_iter_ == len(warm) == 5
    assert warm[0] < cold[0]
    assert np.mean(warm) < np.mean(cold[:5])
    anew = make(model, warm_start=False).fit(NOISY, CLEAN)
    assert anew.loss_curve_[0] == pytest.approx(cold[0], rel=0.01)
    # What is read is standardized once, or the weights would mean something else.
    for name in state:
        if "feature" in name:
            np.testing.assert_array_equal(model.state_[name], state[name])


@EVERY_MODEL
def test_warm_start_never_returns_worse_weights_than_it_was_given(model):
    model = make(model, max_iter=8, warm_start=True, learning_rate=3e-3)
    before = model.fit(NOISY, CLEAN).state_
    model.set_params(training__learning_rate=100.0, training__max_iter=2)
    model.fit(NOISY, CLEAN)
    assert model.best_loss_ < min(model.validation_loss_curve_)
    for name, array in before.items():
        np.testing.assert_array_equal(model.state_[name], array)


@EVERY_MODEL
def test_a_pickled_model_can_be_continued(model):
    again = pickle.loads(pickle.dumps(make(model, warm_start=True).fit(CLEAN)))
    model = pickle.loads(pickle.dumps(again))
    assert_same(again.fit(CLEAN[:4]), model.fit(CLEAN[:4]))


SIZES = {
    "SpeechVAE": {"hidden_layer_sizes": [9, (8, 8)], "n_latent": [2]},
    "DNNMask": {"hidden_layer_sizes": [(9, 9), 8], "n_mels": [7], "context": [5]},
    "BiLSTMMask": {"hidden_layer_sizes": [9, (4, 4)], "n_mels": [7]},
}


@pytest.mark.parametrize("name", SIZES)
def test_warm_start_refuses_other_sizes_and_another_analysis(name):
    model = make(MODELS[name], warm_start=True, max_iter=1).fit(CLEAN)
    state = model.state_
    for parameter, values in SIZES[name].items():
        kept = getattr(model, parameter)
        for value in values:
            model.set_params(**{parameter: value})
            with pytest.raises(
                ValueError, match=r"`warm_start` cannot .* networks .*now"
            ):
                model.fit(CLEAN)
        model.set_params(**{parameter: kept})
    for other, message in (
        (STFT(n_fft=128, hop_length=64), "the STFT .*hop_length=64"),
        (STFT(n_fft=256), "the STFT .*n_fft=256"),
        (STFT(n_fft=128, window="hamming"), "the STFT .*hamming"),
        (STFT(n_fft=128, sample_rate=8000), "the sample rate 16000, now it is 8000"),
    ):
        for stft, X in ((other, CLEAN), (None, other.fit_transform(CLEAN))):
            with pytest.raises(ValueError, match=f"`warm_start` cannot .* {message}"):
                model.set_params(stft=stft).fit(X)
            assert model.stft_.framing() == SMALL.framing()
    assert model.state_ is state
    model.set_params(stft=SMALL).fit(CLEAN)
    model.set_params(stft=STFT(n_fft=256), training__warm_start=False).fit(CLEAN)


# What is kept.


@MASKS
def test_pickles_hold_arrays_and_nothing_of_torch(model):
    model = clone(model).fit(CLEAN)
    wanted = model.transform(NOISY)  # the network is built by now
    data = pickle.dumps(model)
    words = [str(argument) for _, argument, _ in pickletools.genops(data)]
    assert not [word for word in words if "torch" in word]
    weights = sum(array.nbytes for array in model.state_.values())
    assert len(data) < weights + 10_000
    for one, other in zip(pickle.loads(data).transform(NOISY), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@EVERY_MODEL
def test_another_fit_is_what_is_computed_with_afterwards(model):
    model = clone(model).fit(CLEAN)
    before = model.transform(NOISY)[0]
    model.set_params(random_state=1).fit(CLEAN)
    assert not np.array_equal(model.transform(NOISY)[0], before)
    np.testing.assert_array_equal(
        model.transform(NOISY)[0], clone(model).fit(CLEAN).transform(NOISY)[0]
    )


@EVERY_MODEL
def test_the_best_epoch_is_kept_and_told(model):
    model = make(model, max_iter=6).fit(CLEAN)
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_loss_ == min(model.validation_loss_curve_)
    alone = make(model, validation_fraction=0.0).fit(CLEAN)
    assert alone.validation_loss_curve_ == []
    assert alone.best_loss_ == alone.loss_curve_[-1]


if __name__ == "__main__":

    class Tell(KillAfter):
        def on_fit_task_end(self, estimator, context, **arguments):
            if context.task_name == "epoch":
                print("epoch", flush=True)
                time.sleep(0.2)  # or it would be over before it is killed

    killed_example(sys.argv[1]).set_callbacks(Tell(0)).fit(CLEAN)
