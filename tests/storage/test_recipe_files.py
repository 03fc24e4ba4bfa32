"""Recipes: the estimators that they describe, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.instances import small
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

import skvae
from skvae import STFT, SpeechVAE, Training, VAENMFEnhancer, save_pretrained
from skvae.datasets import Augmentation, Mixer, make_speech
from skvae.storage.names import recipe_names
from skvae.storage.recipe_files import find_recipe, parts, read_recipe

PACKAGE = Path(skvae.__file__).parent

FULL = """
name = "full"
description = "All there is"
training_data = "speech of nobody"
license = "CC0"
attributions = ["A. Nybody", "N. Obody"]
dtype = "float16"

[estimator]
class = "VAENMFEnhancer"
inference = "gradient"
attenuation_limit = 20

[estimator.noise]
class = "NMFNoise"
n_components = 3

[estimator.stft]
class = "STFT"
n_fft = 256
sample_rate = 8000

[estimator.vae]
class = "SpeechVAE"
hidden_layer_sizes = [64, 32]
level = { low = 0.0, high = 5.0 }

[estimator.guide]
class = "BiLSTMMask"
random_state = 3
block_seconds = "none"

[estimator.guide.training]
max_iter = 4
learning_rate = 0.01

[estimator.guide.mixer]
class = "Mixer"
snr = { low = -5.0, high = 15.0 }
level = [0, 3.0, { low = -6.0, high = 6.0 }]
noiseless = 0.05

[estimator.guide.mixer.augment]
class = "Augmentation"
sums = 0.5
"""


def written(folder, text):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.toml")), ids=lambda path: path.name
)
def test_every_recipe_of_the_package_is_valid(path):
    recipe = read_recipe(path)
    assert recipe.card.name == path.stem
    assert recipe.card.description
    assert not hasattr(recipe.estimator, "stft_")


def test_the_recipes_of_the_package_are_there_by_name(tmp_path, monkeypatch):
    known = {
        *("band-split-mask", "best", "bilstm-mask", "dnn-mask", "dnvae-nmf"),
        *("speech-vae", "vae-nmf"),
    }
    assert known == {*recipe_names()}
    for name in recipe_names():
        assert find_recipe(name).stem == name
        assert read_recipe(name).card.name == name
    with pytest.raises(ValueError, match="guesswork: there is no such recipe; choose"):
        find_recipe("guesswork")
    with pytest.raises(ValueError, match="must be a name or a path, got 3"):
        find_recipe(3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best").write_text("")
    assert find_recipe("best").name == "best.toml"
    assert find_recipe("./best") == find_recipe(Path("best")) == Path("best")


def test_vae_nmf_learns_no_recorded_noise():
    recipe = read_recipe("vae-nmf")
    assert recipe.mixers == ()  # no mixer takes recordings
    mixers = [p for _, p in parts(recipe.estimator) if isinstance(p, Mixer)]
    assert [mixer.noise for mixer in mixers] == [None]


def test_a_recipe_makes_what_it_says(tmp_path):
    card, dtype, estimator, mixers = read_recipe(written(tmp_path, FULL))
    assert card == (
        *("full", "All there is", "speech of nobody", "CC0"),
        *(("A. Nybody", "N. Obody"), {}, ""),
    )
    assert dtype == "float16"
    assert isinstance(estimator, VAENMFEnhancer)
    assert (estimator.noise.n_components, estimator.inference) == (3, "gradient")
    assert estimator.stft.get_params() == STFT(256, sample_rate=8000).get_params()
    assert isinstance(estimator.vae, SpeechVAE)
    assert list(estimator.vae.hidden_layer_sizes) == [64, 32]
    assert estimator.vae.level == (0.0, 5.0)
    assert estimator.guide.random_state == 3
    assert estimator.guide.block_seconds is None
    wanted = Training(4, learning_rate=0.01)
    assert estimator.guide.training.get_params() == wanted.get_params()
    assert estimator.guide.mixer.snr == (-5.0, 15.0)
    assert estimator.guide.mixer.level == [0, 3.0, (-6.0, 6.0)]
    assert isinstance(estimator.guide.mixer.augment, Augmentation)
    assert estimator.guide.mixer.augment.sums == 0.5
    assert mixers == ("guide__mixer",)


def test_what_is_not_said_is_the_default(tmp_path):
    text = 'name = "short"\n[estimator]\nclass = "BiLSTMMask"'
    card, dtype, estimator, mixers = read_recipe(written(tmp_path, text))
    assert (card.license, card.attributions, dtype) == ("", (), "float32")
    default = skvae.BiLSTMMask().get_params(deep=False)
    got = estimator.get_params(deep=False)
    # Every estimator that learns from mixtures has a mixer, which can get noise.
    assert isinstance(got.pop("mixer"), Mixer)
    assert default.pop("mixer") is None
    assert got == default
    assert mixers == ("mixer",)


@pytest.mark.parametrize(
    ("name", "part"), [("VAENMFEnhancer", "vae"), ("NoiseAwareVAE", "vae")]
)
def test_parts_that_would_be_made_in_fit_are_made_outright(tmp_path, name, part):
    text = f'name = "short"\n[estimator]\nclass = "{name}"'
    estimator = read_recipe(written(tmp_path, text)).estimator
    assert isinstance(getattr(estimator, part), SpeechVAE)


def test_a_mixer_may_stay_synthetic(tmp_path):
    text = FULL.replace("noiseless = 0.05", 'noise = "synthetic"')
    recipe = read_recipe(written(tmp_path, text))
    assert recipe.estimator.guide.mixer.noise is None
    assert recipe.mixers == ()


def test_a_frozen_part_comes_from_its_file_beside_the_recipe(tmp_path, monkeypatch):
    speech = [make_speech(4000, random_state=k) for k in range(2)]
    vae = small(SpeechVAE).set_params(random_state=0).fit(speech)
    save_pretrained(vae, tmp_path / "speech.safetensors")
    text = (
        'name = "built"\n[estimator]\nclass = "VAENMFEnhancer"\n'
        '[estimator.vae]\nfrozen = "speech.safetensors"'
    )
    path = written(tmp_path, text)
    monkeypatch.chdir("/")
    estimator = read_recipe(path).estimator
    assert isinstance(estimator.vae, FrozenEstimator)
    np.testing.assert_array_equal(
        estimator.vae.transform(speech)[0], vae.transform(speech)[0]
    )
    assert [name for name, _ in parts(estimator)] == [""]


def test_parts_are_yielded_by_the_names_that_set_them(tmp_path):
    estimator = read_recipe(written(tmp_path, FULL)).estimator
    found = dict(parts(estimator))
    assert set(found) == {
        *("", "stft", "vae", "noise", "guide", "guide__training", "guide__mixer"),
        "guide__mixer__augment",
    }
    for name, part in found.items():
        assert isinstance(part, BaseEstimator)
        assert part is (estimator.get_params()[name] if name else estimator)


def test_parameters_may_be_changed(tmp_path):
    path = written(tmp_path, FULL)
    changes = {
        "noise__n_components": 7,
        "vae__hidden_layer_sizes": 16,
        "vae__training__max_iter": 5,
        "guide__training__max_iter": 6,
        "guide__mixer__snr": {"low": 0, "high": 1},
        "guide__mixer__augment": False,
        "vae__stft": {"class": "STFT", "n_fft": 256},
    }
    estimator = read_recipe(path, changes).estimator
    assert estimator.noise.n_components == 7
    assert estimator.vae.hidden_layer_sizes == 16
    assert estimator.vae.training.max_iter == 5
    wanted = Training(6, learning_rate=0.01)
    assert estimator.guide.training.get_params() == wanted.get_params()
    assert estimator.vae.stft.n_fft == 256
    assert estimator.guide.mixer.snr == (0, 1)
    assert estimator.guide.mixer.augment is False
    assert estimator.guide.mixer.level == [0, 3.0, (-6.0, 6.0)]


HEAD = 'name = "x"\n'
MASK = HEAD + '[estimator]\nclass = "BiLSTMMask"\n'
VAENMF = HEAD + '[estimator]\nclass = "VAENMFEnhancer"\n'
WRONG = {
    "no TOML": ("[estimator", "is no TOML file"),
    "bytes": ("\x00", "is no TOML file"),
    "empty": ("", "`name` must be the name of the model, got nothing"),
    "no estimator": (HEAD, "`estimator` must be a table, got nothing"),
    "no table": (HEAD + 'estimator = "LogMMSE"', "`estimator` must be a table"),
    "no class": (HEAD + "[estimator]", "`estimator.class` must be one of STFT"),
    "class": (HEAD + '[estimator]\nclass = "Magic"', "got 'Magic'"),
    "class of Python": (HEAD + '[estimator]\nclass = "os.system"', "got 'os.system'"),
    "class number": (HEAD + "[estimator]\nclass = 3", "got 3"),
    "no learner": (
        HEAD + '[estimator]\nclass = "STFT"',
        "`estimator.class` must be an enhancer or a model of speech, got 'STFT'",
    ),
    "top key": ('license = "x"\nsize = 3\n' + MASK, "`size` is no key of a recipe"),
    "text": ("license = 3\n" + MASK, "`license` must be a string, got 3"),
    "attributions": ('attributions = "me"\n' + MASK, "`attributions` must be a list"),
    "attribution": ("attributions = [3]\n" + MASK, "`attributions` must be a list"),
    "dtype": ('dtype = "int8"\n' + MASK, "`dtype` must be one of float32"),
    "misspelled key": (MASK + "n_mel = 3", "BiLSTMMask: did you mean 'n_mels'?"),
    "misspelled class": (
        'name = "x"\n[estimator]\nclass = "BiLSTMask"',
        "names no class, 'BiLSTMask': did you mean 'BiLSTMMask'",
    ),
    "key": (MASK + "widths = 3", "`estimator.widths` is no parameter of BiLSTMMask"),
    "type": (MASK + 'n_mels = "big"', "`estimator`: `n_mels` must be an integer"),
    "truth": (MASK + "n_mels = true", "`n_mels` must be an integer"),
    "sizes": (
        MASK + "hidden_layer_sizes = [8, 0]",
        "`estimator`: `hidden_layer_sizes` must be an integer in [1, 65536], got 0",
    ),
    "range": (MASK + "dropout = 2", "`dropout` must be a number in [0, 1), got 2"),
    "training": (MASK + "training = 3", "`training` must be None or a Training, got 3"),
    "key of training": (
        MASK + "training = { epochs = 3 }",
        "`estimator.training.epochs` is no parameter of Training",
    ),
    "range of training": (
        MASK + "training = { max_iter = 0 }",
        "`estimator.training`: `max_iter` must be an integer in [1, 100000] or None",
    ),
    "training that is not used": (
        HEAD + '[estimator]\nclass = "SpeechVAE"\ntraining = { decay = 0.5 }',
        "`estimator`: `training` must have decay=None, since a SpeechVAE does not",
    ),
    "option": (MASK + 'target = "loud"', "`target` must be one of"),
    "date": (MASK + "n_mels = 2020-01-01", "`estimator.n_mels` must be a number, a"),
    "nested list": (MASK + "n_mels = [[1]]", "`estimator.n_mels[0]` must be a number"),
    "seed": (MASK + 'random_state = "x"', "`random_state` must be an integer"),
    "table": (MASK + "n_mels = {high = 3}", "`estimator.n_mels` must be a table with"),
    "device": (
        MASK + 'device = "cuda"',
        "`estimator.device` is a parameter of a single",
    ),
    "checkpoint": (
        MASK + 'training = {checkpoint = "x"}',
        "`estimator.training.checkpoint` is a parameter of",
    ),
    "noise": (VAENMF + 'noise = "x.wav"', "`noise` must be None or a noise model"),
    "no mixer": (MASK + "mixer = 3", "`mixer` must be None or a Mixer, got 3"),
    "noise of a mixer": (
        MASK + '[estimator.mixer]\nclass = "Mixer"\nnoise = "noise/"',
        '`estimator.mixer.noise` must be "synthetic", or left out',
    ),
    "ratio": (
        MASK + '[estimator.mixer]\nclass = "Mixer"\nsnr = "low"',
        "`estimator.mixer`: `snr` must be a number",
    ),
    "augmentation": (
        MASK + '[estimator.mixer]\nclass = "Mixer"\naugment = "much"',
        "`estimator.mixer`: `augment` must be True, False",
    ),
    "of an augmentation": (
        MASK + '[estimator.mixer]\nclass = "Mixer"\n'
        '[estimator.mixer.augment]\nclass = "Augmentation"\nsums = 2',
        "`estimator.mixer.augment`: `sums` must be a number in [0, 1]",
    ),
    "wrong part": (
        VAENMF + '[estimator.vae]\nclass = "BiLSTMMask"',
        "`estimator`: `vae` must be a speech model",
    ),
    "no file": (
        VAENMF + '[estimator.vae]\nfrozen = "gone.safetensors"',
        "gone.safetensors: there is no such model file",
    ),
    "frozen number": (
        VAENMF + "[estimator.vae]\nfrozen = 3",
        "`estimator.vae.frozen` must be the name of a model file, got 3",
    ),
    "frozen method": (
        VAENMF + '[estimator.guide]\nfrozen = "wiener"',
        "is a method without training",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_with_the_file_and_the_key(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": 3}, "`estimator.widths` is no parameter"),
        ({"encoder__n_mels": 3}, "there is no table [estimator.encoder]"),
        ({"n_mels": "big"}, "`n_mels` must be an integer"),
        ({"training__epochs": 3}, "`estimator.training.epochs` is no parameter"),
        ({"guide__training__max_iter": 3}, "there is no table [estimator.guide]"),
        ({"class": "SpeechVAE"}, "`class` is no parameter"),
        ({"guide__class": "DNNMask"}, "`guide__class` is no parameter"),
        ({"device": "cuda"}, "is a parameter of a single training"),
    ],
)
def test_changes_that_cannot_be_are_told(tmp_path, changes, message):
    text = FULL if "guide__class" in changes else MASK
    with pytest.raises(ValueError) as caught:
        read_recipe(written(tmp_path, text), changes)
    assert message in str(caught.value)
