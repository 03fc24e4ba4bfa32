"""Training on mixtures: what is mixed, when it changes, what does not matter."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from helpers.instances import SMALL_STFT
from helpers.training import nested
from sklearn.base import clone

from skvae import STFT, AudioFile, BiLSTMMask, DNNMask, Training
from skvae.datasets import Mixer, make_dataset, make_noise
from skvae.signal.framing import Framing
from skvae.training.loop import Optimization
from skvae.training.noisy_batches import DynamicMixture, Pair
from skvae.training.on_mixtures import MixtureTrainer

NOISY, CLEAN = make_dataset(5, (0.3, 0.5), 0.0, random_state=0)
NOISES = [
    make_noise(5000 + 3000 * k, kind, random_state=k)
    for k, kind in enumerate(("pink", "hum", "wind"))
]
COMMON = {"n_mels": 8, "stft": SMALL_STFT, "random_state": 0}
SMALL = BiLSTMMask(
    hidden_layer_sizes=4,
    training=Training(2, batch_size=4, sequence_length=30),
    **COMMON,
)
DENSE = DNNMask((8, 8), dropout=0.2, training=Training(2), **COMMON)


def make(**parameters):
    return clone(SMALL).set_params(**nested(parameters))


def assert_same_weights(one, other):
    for name, array in one.state_.items():
        np.testing.assert_array_equal(array, other.state_[name], err_msg=name)


def written(folder, waveforms):
    """The same as 16-bit files, and as what they hold."""
    folder.mkdir()
    files = []
    for k, x in enumerate(waveforms):
        soundfile.write(
            folder / f"{k}.flac", x / (1 + np.abs(x).max()), 16000, "PCM_16"
        )
        files.append(AudioFile(folder / f"{k}.flac"))
    return files, [np.asarray(file) for file in files]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return {
        name: written(folder / name, waveforms)
        for name, waveforms in (("x", NOISY), ("s", CLEAN), ("n", NOISES))
    }


# What the weights do not depend on.


def test_mixing_does_not_depend_on_the_cache_nor_on_where_audio_is(corpus, tmp_path):
    (files, arrays), (noise_files, noises) = corpus["s"], corpus["n"]
    folder = noise_files[0].path.rpartition("/")[0]
    wanted = make(mixer=Mixer(noises), max_cache_mb=0.0).fit(arrays)
    for X, noise, megabytes in (
        (files, noise_files, 0.0),
        (files, noise_files, 0.03),
        (files, noise_files, 10.0),
        (files, noises, 10.0),
        (files, folder, 10.0),
        (SMALL_STFT.transform(files), noise_files, 10.0),
        (SMALL_STFT.transform(arrays), noises, 10.0),
    ):
        model = make(mixer=Mixer(noise), max_cache_mb=megabytes).fit(X)
        assert_same_weights(model, wanted)


def test_augmented_mixing_does_not_depend_on_the_cache(corpus):
    (files, arrays), (noise_files, noises) = corpus["s"], corpus["n"]
    options = {"augment": True, "synthetic": 0.3}
    wanted = make(mixer=Mixer(noises, **options)).fit(arrays)
    model = make(mixer=Mixer(noise_files, **options), max_cache_mb=0.0).fit(files)
    assert_same_weights(model, wanted)


def test_pairs_do_not_depend_on_the_cache_nor_on_where_audio_is(corpus):
    (noisy_files, noisy), (files, clean) = corpus["x"], corpus["s"]
    wanted = make(max_cache_mb=0.0).fit(noisy, clean)
    for X, y, megabytes in (
        (noisy_files, files, 0.0),
        (noisy_files, files, 0.03),
        (noisy_files, clean, 10.0),
        (SMALL_STFT.transform(noisy_files), files, 10.0),
        (SMALL_STFT.transform(noisy), SMALL_STFT.transform(clean), 10.0),
    ):
        assert_same_weights(make(max_cache_mb=megabytes).fit(X, y), wanted)


def test_sixteen_bits_are_the_same_as_floats():
    integers = [np.rint(x * 30000).astype(np.int16) for x in CLEAN]
    floats = [x / np.float32(32768) for x in integers]
    assert_same_weights(make().fit(integers), make().fit(floats))


@pytest.mark.parametrize("data", [(CLEAN,), (NOISY, CLEAN)], ids=["mixed", "pairs"])
def test_the_level_of_the_recordings_does_not_matter(data):
    louder = [[np.float32(128) * x for x in waveforms] for waveforms in data]
    one, other = make().fit(*data), make().fit(*louder)
    for name, array in one.state_.items():
        np.testing.assert_allclose(array, other.state_[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("data", [(CLEAN,), (NOISY, CLEAN)], ids=["mixed", "pairs"])
def test_spectrograms_of_numbers_are_trained_on_like_waveforms(data, monkeypatch):
    calls = []
    synthesise = Framing.synthesise

    def counted(*arguments):
        calls.append(arguments)
        return synthesise(*arguments)

    stored = [
        [s.replace(s.data) for s in SMALL_STFT.transform(waveforms)]
        for waveforms in data
    ]
    monkeypatch.setattr(Framing, "synthesise", counted)
    found, wanted = make().fit(*stored), make().fit(*data)
    for name, array in wanted.state_.items():
        np.testing.assert_allclose(array, found.state_[name], atol=1e-4, err_msg=name)
    # Once for each utterance that is to be mixed, not for each cut of it.
    assert len(calls) == (len(CLEAN) if len(data) == 1 else 0)


@pytest.mark.parametrize(
    "model",
    [
        make(dropout=0.2),
        make(precision="bfloat16"),
        DENSE,
    ],
    ids=["bilstm", "bfloat16", "dense"],
)
@pytest.mark.parametrize("data", [(CLEAN,), (NOISY, CLEAN)], ids=["mixed", "pairs"])
def test_a_seed_gives_the_same_bits_whatever_is_around_it(model, data):
    def states():
        _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
        return keys.tolist(), position, torch.random.get_rng_state().tolist()

    before, n_threads = states(), torch.get_num_threads()
    one = clone(model).fit(*data)
    torch.set_num_threads(2)
    try:
        other = clone(model).fit(*data)
    finally:
        torch.set_num_threads(n_threads)
    assert_same_weights(one, other)
    assert one.loss_curve_ == other.loss_curve_
    assert states() == before
    third = clone(model).set_params(random_state=1).fit(*data)
    assert third.loss_curve_ != one.loss_curve_


# What is mixed.


def stopped(monkeypatch, model, *data):
    """The trainer of a fit that stops before its first epoch."""
    found = []

    def keep(self, network):
        found.append(self)
        raise StopIteration

    monkeypatch.setattr(MixtureTrainer, "train", keep)
    with pytest.raises(StopIteration):
        model.fit(*data)
    [trainer] = found
    return trainer


def streams(monkeypatch, model, *data):
    """Functions that give an epoch of what a fit trains and validates on."""
    trainer = stopped(monkeypatch, model, *data)
    if not trainer.validation:
        return trainer.batches, None
    return trainer.batches, lambda: trainer.validation_batches(3)


def noises_of(batches):
    return [batch.noisy + batch.clean - 2 * batch.cross for batch in batches]


def test_steps_are_as_the_parameters_say(monkeypatch):
    model = make(learning_rate=0.02, decay=0.3, averaging=0.7)
    trainer = stopped(monkeypatch, model, CLEAN)
    # A slow beginning and short steps are what recurrent networks need.
    wanted = Optimization(
        0.02, warm_up=50, decay=0.3, averaging=0.7, max_gradient_norm=5.0
    )
    assert trainer.optimization() == wanted


def test_epochs_differ_but_not_those_of_validation(monkeypatch):
    model = make(validation_fraction=0.4, n_combinations=1)
    training, validation = streams(monkeypatch, model, CLEAN)
    first, second = noises_of(training()), noises_of(training())
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.shape != other.shape or (one - other).abs().max() > 0.1
    one, other = list(validation()), list(validation())
    assert len(one) == 2
    for a, b in zip(one, other, strict=True):
        assert all(map(torch.equal, a, b))


def test_pairs_are_trained_on_as_they_are(monkeypatch):
    model = make(validation_fraction=0.0, n_combinations=1, sequence_length=1000)
    training, validation = streams(monkeypatch, model, NOISY, CLEAN)
    assert validation is None
    batches = list(training())
    assert sum(len(batch.lengths) for batch in batches) == len(CLEAN)
    shares = sorted(
        (clean[:n].sum() / noisy[:n].sum()).item()
        for batch in batches
        for noisy, clean, n in zip(batch.noisy, batch.clean, batch.lengths, strict=True)
    )
    wanted = sorted(
        np.sum(np.abs(s.frames()) ** 2) / np.sum(np.abs(x.frames()) ** 2)
        for x, s in zip(
            SMALL_STFT.transform(NOISY), SMALL_STFT.transform(CLEAN), strict=True
        )
    )
    assert shares == pytest.approx(wanted, rel=1e-3)


def test_whole_utterances_are_held_out(monkeypatch):
    trainers = [
        stopped(monkeypatch, model, *data)
        for model, data in (
            (make(validation_fraction=0.4), (CLEAN,)),
            (make(validation_fraction=0.4), (NOISY, CLEAN)),
            (make(), (CLEAN[:1],)),
        )
    ]
    (mixed, held_out), (pairs, held_out_pairs), (single, none) = (
        (trainer.training, trainer.validation) for trainer in trainers
    )
    assert all(isinstance(source, DynamicMixture) for source in (*mixed, *held_out))
    assert all(isinstance(source, Pair) for source in (*pairs, *held_out_pairs))
    assert len(mixed) == len(pairs) == 3
    lengths = [source.clean.length for source in (*mixed, *held_out)]
    assert sorted(lengths) == sorted(map(len, CLEAN))
    assert (len(single), none) == (1, [])


def test_a_mixer_is_left_as_it_is(corpus):
    files, _ = corpus["n"]
    mixer = Mixer(list(files), random_state=3)
    make(mixer=mixer).fit(CLEAN)
    assert mixer.noise == files
    assert all(type(item) is AudioFile for item in mixer.noise)


class Hiss:
    """The least that mixes: no estimator."""

    def speech_length(self, n_samples):
        return n_samples

    def mix(self, clean, rng, n_samples):
        speech = np.asarray(clean)[:n_samples]
        return speech + rng.standard_normal(n_samples, np.float32), speech


def test_anything_that_mixes_is_a_mixer():
    assert make(mixer=Hiss()).fit(CLEAN).n_iter_ == 2


def test_noise_that_fits_into_the_cache_is_read_once():
    class Recording:
        sample_rate, dtype, n_reads = 16000, np.dtype(np.float32), 0

        def __len__(self):
            return len(NOISES[0])

        def __array__(self, dtype=None, copy=None):
            self.n_reads += 1
            return NOISES[0]

    recordings = [Recording() for _ in range(3)]
    make(mixer=Mixer(recordings)).fit(CLEAN)
    assert [recording.n_reads for recording in recordings] == [1, 1, 1]


@pytest.mark.parametrize("in_folder", [False, True])
def test_noise_of_another_rate_is_refused_before_anything_is_mixed(
    tmp_path, in_folder, monkeypatch
):
    monkeypatch.setattr(DynamicMixture, "cut", None)
    for name, rate in (("a", 16000), ("b", 44100)):
        soundfile.write(tmp_path / f"{name}.wav", NOISES[0], rate)
    noise = [AudioFile(tmp_path / f"{name}.wav") for name in "ab"]
    mixer = Mixer(str(tmp_path) if in_folder else noise)
    with pytest.raises(ValueError, match="one sample rate, got 16000 Hz and 44100 Hz"):
        make(mixer=mixer).fit(CLEAN)


def test_synthetic_noise_has_the_rate_of_the_speech(monkeypatch):
    rates = set()

    def noted(n_samples, kind, sample_rate, random_state):
        rates.add(sample_rate)
        return make_noise(n_samples, kind, sample_rate, random_state)

    monkeypatch.setattr("skvae.datasets.mixing.mixer.make_noise", noted)
    make(stft=STFT(n_fft=128, sample_rate=8000), max_iter=1).fit(CLEAN)
    assert rates == {8000}


# Speech that says nothing.


@pytest.mark.parametrize("model", [make(), DENSE], ids=["bilstm", "dense"])
def test_silence_clicks_and_single_samples_are_trained_on(model):
    silent = np.zeros(6000, np.float32)
    click = silent.copy()
    click[3000] = 1.0
    paused = np.concatenate([np.zeros(8000, np.float32), CLEAN[0]])
    hostile = [silent, click, paused, np.ones(100, np.float32), silent[:1]]
    for data in (
        (hostile,),
        ([*hostile, *CLEAN],),
        (hostile, hostile),
        ([x + 1 for x in hostile], hostile),
        (hostile, [-x for x in hostile]),
        ([silent],),
    ):
        fitted = clone(model).fit(*data)
        assert np.isfinite(fitted.loss_curve_).all()
        assert all(np.isfinite(array).all() for array in fitted.state_.values())


def test_pauses_as_long_as_sequences_do_no_harm():
    # Silent cuts have no ratio that a noise could be given beside other speech.
    paused = [np.concatenate([np.zeros(6000, np.float32), x]) for x in CLEAN]
    model = make(n_combinations=4, batch_size=8, max_iter=4).fit(paused)
    assert np.isfinite(model.loss_curve_).all()


# Errors.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_combinations": 0}, r"`n_combinations` must be an integer in \[1"),
        ({"decay": 1.5}, r"`decay` must be a number in \[0, 1\] .*, got 1.5"),
        ({"averaging": 1}, r"`averaging` must be .* \[0, 1\) or None, got 1"),
        ({"averaging": -0.1}, "`averaging` must be a number"),
        ({"precision": "float16"}, "`precision` must be one of .* got 'float16'"),
        ({"mixer": "noise"}, "`mixer` must be None or a Mixer, got 'noise'"),
        ({"mixer": Mixer}, "`mixer` must be None or a Mixer, got <class"),
        ({"mixer": Mixer(snr="loud")}, "`snr` must be a number.* got 'loud'"),
        ({"mixer": Mixer([])}, "`noise` must hold at least one waveform"),
        ({"mixer": Mixer([NOISES[0] * np.nan])}, "the noise must be finite"),
        ({"sequence_length": 0}, r"`sequence_length` must be an integer in \[1"),
        ({"batch_size": 2.5}, "`batch_size` must be an integer"),
        ({"max_iter": 0}, "`max_iter` must be an integer"),
        ({"n_iter_no_change": 0}, "`n_iter_no_change` must be an integer"),
        ({"learning_rate": 0}, "`learning_rate` must be a number"),
        ({"validation_fraction": 1}, r"`validation_fraction` must be .* \[0, 1\) or"),
        ({"dropout": 1}, r"`dropout` must be a number in \[0, 1\), got 1"),
        ({"max_cache_mb": -1}, "`max_cache_mb` must be a number"),
        ({"warm_start": 3}, "`warm_start` must be one of True, False, None, got 3"),
        ({"training": 3}, "`training` must be None or a Training, got 3"),
        ({"device": "abacus"}, "`device` must be"),
        ({"verbose": -1}, "`verbose` must be a number"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(CLEAN)


def test_audio_that_holds_no_numbers_is_named_when_it_is_read(tmp_path):
    spoiled = CLEAN[1].copy()
    spoiled[-1] = np.nan
    soundfile.write(tmp_path / "spoiled.wav", spoiled, 16000, "FLOAT")
    with pytest.raises(ValueError, match=r"spoiled.wav.* must be finite"):
        make().fit([CLEAN[0], AudioFile(tmp_path / "spoiled.wav"), CLEAN[2]])
