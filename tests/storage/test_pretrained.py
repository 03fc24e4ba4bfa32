from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.instances import small
from helpers.training import nested
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skvae import (
    ISNMF,
    ISTFT,
    STFT,
    BiLSTMMask,
    LogMMSE,
    SpeechVAE,
    VAENMFEnhancer,
)
from skvae.datasets import make_dataset
from skvae.metrics import mean_si_sdr
from skvae.storage import names
from skvae.storage.model_files import read_summary
from skvae.storage.pretrained import (
    find_model_file,
    has_own_rate,
    list_models,
    load_pretrained,
    save_pretrained,
)
from skvae.storage.recipe_files import NOT_SAID, find_recipe, read_recipe

#: Maximum size of all models of the package together.
MAX_MEGABYTES = 12

SMALL = {"is-nmf": {"n_components": 8, "max_iter": 20, "n_adapt_iter": 20}}


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(2, (1.0, 1.5), snr=0, random_state=0)


METHODS = [model.name for model in list_models() if model.file is None]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_fitted_and_makes_speech_cleaner(name, pairs):
    noisy, clean = pairs
    params = SMALL.get(name, {})
    enhancer = load_pretrained(name, clean=clean, **params)
    assert enhancer.get_params().items() >= params.items()
    enhanced = enhancer.transform(noisy)
    assert mean_si_sdr(clean, enhanced) > mean_si_sdr(clean, noisy)


def test_a_model_that_learns_warns_of_synthetic_speech_and_is_reproducible():
    with pytest.warns(UserWarning, match="fitted on synthetic speech"):
        enhancer = load_pretrained("is-nmf", n_components=2, max_iter=1)
    with pytest.warns(UserWarning, match="fitted on synthetic speech"):
        again = load_pretrained("is-nmf", n_components=2, max_iter=1)
    np.testing.assert_array_equal(enhancer.components_, again.components_)


def test_unknown_names_are_told_the_known_ones():
    message = r"must be one of 'spectral-sub.*: did you mean 'wiener'\?"
    with pytest.raises(ValueError, match=message):
        load_pretrained("wienr")
    with pytest.raises(ValueError, match="did you mean 'log-mmse'"):
        load_pretrained("log_mmse")
    with pytest.raises(ValueError, match=r"'smothing' for .*'smoothing'"):
        load_pretrained("wiener", smothing=0.5)
    with pytest.raises(ValueError, match="'zzz' for estimator WienerFilter: it has"):
        load_pretrained("wiener", zzz=0.5)


def test_models_without_training_do_not_load_torch():
    # Not pandas, which scikit-learn imports if it is installed.
    names = [name for name in METHODS if not has_own_rate(name)]
    code = (
        "import sys, numpy, skvae.storage.pretrained as p\n"
        f"for name in {names}: p.load_pretrained(name).transform([numpy.ones(2000)])\n"
        "print(sorted({'torch', 'librosa', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def corpus():
    return make_dataset(3, (0.3, 0.4), snr=0, random_state=0)


@pytest.fixture(scope="module")
def enhancer(corpus):
    return small(VAENMFEnhancer).set_params(random_state=0).fit(corpus[1])


@pytest.fixture
def path(tmp_path, enhancer):
    """File of an enhancer."""
    path = tmp_path / "small.safetensors"
    save_pretrained(enhancer, path)
    return path


@pytest.mark.parametrize("cls", [LogMMSE, ISNMF, BiLSTMMask, VAENMFEnhancer])
def test_a_loaded_enhancer_gives_the_same_bits(cls, corpus, tmp_path):
    noisy, clean = corpus
    enhancer = small(cls).set_params(random_state=0).fit(noisy, clean)
    save_pretrained(enhancer, tmp_path / "a.safetensors")
    loaded = load_pretrained(tmp_path / "a.safetensors")
    for one, other in zip(
        enhancer.transform(noisy), loaded.transform(noisy), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_half_precision_hardly_changes_the_result(corpus, tmp_path):
    noisy, clean = corpus
    enhancer = small(BiLSTMMask).set_params(hidden_layer_sizes=32, random_state=0)
    enhancer.fit(noisy, clean)
    sizes = {}
    for dtype in ("float32", "float16"):
        path = tmp_path / f"{dtype}.safetensors"
        save_pretrained(enhancer, path, dtype=dtype)
        sizes[dtype] = path.stat().st_size
        change = load_pretrained(path).score(noisy, clean) - enhancer.score(
            noisy, clean
        )
        assert abs(change) <= {"float32": 0.0, "float16": 0.02}[dtype]
    assert sizes["float16"] < 0.6 * sizes["float32"]


def test_a_loaded_enhancer_is_an_estimator_like_others(path, enhancer, corpus):
    noisy, clean = corpus
    loaded = load_pretrained(path)
    expected = enhancer.transform(noisy)
    pipeline = make_pipeline(STFT(256), loaded, ISTFT())
    for same in (pickle.loads(pickle.dumps(loaded)), pipeline):
        for one, other in zip(expected, same.transform(noisy), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(
        clone(enhancer).fit(clean).transform(noisy),
        clone(loaded).fit(clean).transform(noisy),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    loaded.set_params(attenuation_limit=1.0)
    for x, y in zip(noisy, loaded.transform(noisy), strict=True):
        assert np.linalg.norm(y) > 0.8 * np.linalg.norm(x)


def test_a_loaded_speech_model_serves_as_a_frozen_one(enhancer, corpus, tmp_path):
    noisy, clean = corpus
    path = tmp_path / "speech.safetensors"
    save_pretrained(enhancer.vae_, path)
    frozen = FrozenEstimator(load_pretrained(path))
    again = clone(enhancer).set_params(vae=frozen, random_state=enhancer.seed_)
    assert again.fit(clean).vae_ is frozen
    save_pretrained(again, path)
    assert len(load_pretrained(path).transform(noisy)) == len(noisy)


def test_training_goes_on_where_it_ended(corpus, tmp_path):
    _, clean = corpus
    path = tmp_path / "speech.safetensors"
    vae = small(SpeechVAE).set_params(random_state=0, training__max_iter=5).fit(clean)
    save_pretrained(vae, path)
    more = nested({"warm_start": True, "max_iter": 2, "learning_rate": 1e-4})
    tuned = load_pretrained(path, **more)
    first = tuned.fit(clean).loss_curve_[0]
    vae.set_params(**more).fit(clean)
    assert first == vae.loss_curve_[0]
    cold = small(SpeechVAE).set_params(training__max_iter=1).fit(clean)
    assert first < cold.best_loss_
    for name, weight in vae.state_.items():
        np.testing.assert_array_equal(weight, tuned.state_[name])


def test_parameters_can_be_given_with_the_file(path, enhancer):
    loaded = load_pretrained(
        path, n_jobs=2, attenuation_limit=6, inference__max_iter=1, device="cpu"
    )
    assert (loaded.n_jobs, loaded.attenuation_limit) == (2, 6)
    assert loaded.inference.max_iter == 1
    assert enhancer.inference.max_iter == 3
    assert load_pretrained(path, stft=None).stft is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_job": 2}, "'n_job' for estimator VAENMFEnhancer: did you mean 'n_jobs'"),
        ({"inference__max_itr": 2}, "did you mean 'inference__max_iter'"),
        ({"zzz": 2}, "'zzz' for estimator VAENMFEnhancer: `get_params` lists"),
        ({"stft": STFT(512)}, "`stft` cannot be changed"),
        ({"stft__n_fft": 512}, "`stft__n_fft` cannot be changed"),
        ({"noise": np.ones(99)}, "`noise` must be None or a noise model"),
        ({"noise__noise_profile": np.ones(99)}, "`noise__noise_profile` cannot be"),
        ({"device": "tpu"}, "`device`"),
        ({"n_jobs": 0}, "`n_jobs` must not be 0"),
        ({"attenuation_limit": -1}, "`attenuation_limit` must be"),
        ({"inference": "magic"}, "`inference` must be one of"),
        ({"inference__max_iter": 0}, "`max_iter` must be"),
        ({"clean": [np.ones(99)]}, "`clean` is for methods that are fitted here"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(path, params, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(path, **params)


def test_parameters_that_contradict_what_was_learned_are_refused(tmp_path, corpus):
    path = tmp_path / "a.safetensors"
    save_pretrained(small(ISNMF).fit(corpus[1]), path)
    with pytest.raises(ValueError, match=r"of shape \(5, 129\), got \(4, 129\)"):
        load_pretrained(path, n_components=5)


@pytest.mark.gpu
def test_a_model_that_was_fitted_on_a_cpu_enhances_on_a_gpu(path, enhancer, corpus):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, _ = corpus
    for one, other in zip(
        enhancer.transform(noisy),
        load_pretrained(path, device="cuda").transform(noisy),
        strict=True,
    ):
        assert one.shape == other.shape


def test_paths_of_nothing_say_so(tmp_path, monkeypatch):
    for path in (tmp_path / "a", str(tmp_path / "a"), "./a", "a.safetensors"):
        with pytest.raises(FileNotFoundError, match="there is no such model file"):
            load_pretrained(path)
    with pytest.raises(ValueError, match="is a folder"):
        load_pretrained(tmp_path)
    (tmp_path / "magic").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must be one of 'spectral-subtraction'"):
        load_pretrained("magic")
    for nothing in (None, 3, b"wiener", ["wiener"]):
        with pytest.raises(ValueError, match="must be a name or a path"):
            load_pretrained(nothing)


def test_a_name_is_a_name_before_it_is_a_file(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.rename("wiener")
    assert find_model_file("wiener") is None
    assert find_model_file("./wiener") == Path("wiener")
    assert find_model_file(Path("wiener")) == Path("wiener")
    Path("wiener").rename("mine")
    assert isinstance(load_pretrained("mine"), VAENMFEnhancer)


@pytest.fixture
def packaged(tmp_path, monkeypatch, enhancer):
    """Folder in which the package looks for models."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    monkeypatch.setattr(names, "WEIGHTS", folder)
    save_pretrained(
        enhancer,
        folder / "tiny.safetensors",
        description="A tiny one",
        training_data="synthetic speech",
        license="CC BY 4.0",
        attributions=["A. Nybody"],
        figures={"SI-SDR at 0 dB (dB)": 1.5},
    )
    (folder / "README.rst").write_text("no model")
    return folder


def test_models_of_the_package_have_names(packaged, enhancer, corpus):
    assert names.model_names() == [*METHODS, "tiny"]
    model = list_models()[-1]
    assert (model.name, model.description) == ("tiny", "A tiny one")
    assert not model.learns
    assert model.file.card.attributions == ("A. Nybody",)
    assert model.file.card.figures == {"SI-SDR at 0 dB (dB)": 1.5}
    assert model.file.n_bytes == (packaged / "tiny.safetensors").stat().st_size
    assert has_own_rate("tiny")
    loaded = load_pretrained("tiny", attenuation_limit=3)
    assert loaded.attenuation_limit == 3
    assert loaded.seed_ == enhancer.seed_
    with pytest.raises(ValueError, match="'rpca', 'tiny', or the path"):
        load_pretrained("tini")


def test_a_damaged_model_of_the_package_is_no_hindrance_to_others(packaged):
    (packaged / "tiny.safetensors").write_bytes(b"")
    assert isinstance(load_pretrained("log-mmse"), LogMMSE)
    with pytest.raises(ValueError, match="it is empty"):
        load_pretrained("tiny")
    with pytest.raises(ValueError, match="it is empty"):
        list_models()


def test_the_card_has_the_name_of_the_file_unless_told_otherwise(packaged, enhancer):
    save_pretrained(enhancer, packaged / "other.safetensors", name="Another")
    names = [model.file.card.name for model in list_models() if model.file]
    assert names == ["Another", "tiny"]


def test_the_cards_of_the_package_say_all_that_they_should():
    models = [model for model in list_models() if model.file is not None]
    for model in models:
        card = model.file.card
        assert card.name == model.name
        assert "music" in card.description
        assert card.training_data
        assert card.license == "CC BY 4.0"
        assert card.attributions
        assert card.figures
        load_pretrained(model.name)
    assert sum(model.file.n_bytes for model in models) <= MAX_MEGABYTES * 1e6


@pytest.mark.parametrize("name", ["best", "vae-nmf"])
def test_names_that_are_promises_are_kept_and_made_by_their_recipes(name):
    model = load_pretrained(name)
    recipe = read_recipe(find_recipe(name))
    assert list_models()[names.model_names().index(name)].file is not None
    card = read_summary(find_model_file(name)).card
    assert card.description == recipe.card.description
    told = model.get_params()
    for key, value in recipe.estimator.get_params().items():
        parts = key.split("__")
        if "mixer" in parts or parts[-1] in NOT_SAID or hasattr(value, "get_params"):
            continue  # not in a file, or an estimator whose parameters follow
        assert told[key] == (0 if parts[-1] == "random_state" else value), key
    noisy, clean = make_dataset(3, snr=0, random_state=1)
    gain = model.score(noisy, clean) - mean_si_sdr(clean, noisy)
    assert gain > 3


def test_neither_lists_nor_classical_models_load_torch(packaged, tmp_path):
    path = tmp_path / "quiet.safetensors"
    save_pretrained(LogMMSE().fit([np.ones(10)]), path)
    code = (
        "import pathlib, sys, numpy, skvae.storage.pretrained as p\n"
        "from skvae.storage import names\n"
        "names.WEIGHTS = pathlib.Path(sys.argv[1])\n"
        "assert p.list_models()[-1].name == 'tiny'\n"
        "p.load_pretrained(sys.argv[2]).transform([numpy.ones(2000)])\n"
        "print(sorted({'torch', 'librosa', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, packaged, path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "[]"


def test_a_pinned_name_is_the_model_of_that_hash_only(packaged):
    found = names.file_hash(packaged / "tiny.safetensors")
    for pin in (found[:6], found[:12], found):
        assert find_model_file(f"tiny@{pin}") == packaged / "tiny.safetensors"
        assert isinstance(load_pretrained(f"tiny@{pin}"), VAENMFEnhancer)
        assert has_own_rate(f"tiny@{pin}")
    other = "f" if found[0] != "f" else "e"
    for pin, message in (
        (
            other * 6,
            f"not in this version .* whose 'tiny' is .tiny@{found[:12]}",
        ),
        (found[:3], "at least 6 of the digits"),
        (found[:11] + "x", "at least 6 of the digits"),
    ):
        with pytest.raises(ValueError, match=message):
            load_pretrained(f"tiny@{pin}")
    with pytest.raises(ValueError, match="is a method without a file"):
        load_pretrained("wiener@3fa9c1")


def test_shipped_models_have_a_date():
    for path in names.packaged().values():
        assert read_summary(path).card.date >= "2026-11-20"


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", 3])
def test_a_date_that_is_none_is_refused(tmp_path, date):
    path = tmp_path / "quiet.safetensors"
    with pytest.raises(ValueError, match="`date` must be a"):
        save_pretrained(LogMMSE().fit([np.ones(10)]), path, date=date)
    assert not path.exists()
