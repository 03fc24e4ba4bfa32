"""Enhancers of other packages on the command line: only those that the user names."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from helpers.strangers import Gate, SpectrumGate

from skvae import save_pretrained
from skvae.cli import enhancers
from skvae.datasets import load_audio
from skvae.storage.model_files import read_model

GATE = "helpers.strangers:Gate"
SPECTRUM = "helpers.strangers:SpectrumGate"

RECIPE = """
name = "gated"

[estimator]
class = "helpers.strangers:SpectrumGate"
threshold = 3.0
"""


@pytest.fixture(autouse=True)
def forgotten():
    """Each test makes its own enhancers."""
    enhancers.make_enhancer.cache_clear()


@pytest.fixture
def model(corpus):
    clean = [load_audio(corpus / "clean" / name)[0] for name in ("one.wav", "two.flac")]
    path = corpus / "gate.safetensors"
    save_pretrained(SpectrumGate(3.0, random_state=0).fit(clean), path)
    return path


def assert_enhanced_by(gate, corpus, folder):
    for name in ("one.wav", "two.flac", "sub/three.wav"):
        noisy, _ = soundfile.read(corpus / "noisy" / name, dtype="float32")
        [wanted] = gate.transform([noisy])
        got, _ = soundfile.read(corpus / folder / name)
        np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_class_enhances_without_a_file(corpus, skvae, jobs):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--jobs", jobs)
    words = (*words, "--preset", "strong")
    status, _, err = skvae(*words, "--model", GATE)
    assert status == 0, err
    assert f"with {GATE}" in err
    assert_enhanced_by(Gate().fit([np.zeros(1)]), corpus, "out")


def test_a_class_that_learns_says_what_it_was_fitted_on(corpus, skvae):
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "out.wav")
    status, _, err = skvae(*words, "--model", SPECTRUM)
    assert status == 0, err
    assert err.count("was fitted on synthetic speech") == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_uses_a_class_that_the_user_allows(corpus, skvae, model, jobs):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--jobs", jobs)
    words = (*words, "--preset", "strong")
    status, _, err = skvae(*words, "--model", model)
    assert status != 0
    assert f"--allow-class {SPECTRUM} on the command line" in err
    assert not list(corpus.glob("out/**/*.*"))
    status, _, err = skvae(*words, "--model", model, "--allow-class", SPECTRUM)
    assert status == 0, err
    assert_enhanced_by(read_model(model, classes=[SpectrumGate]), corpus, "out")


def test_models_of_such_files_are_described_without_their_class(skvae, model):
    status, out, _ = skvae("models", model)
    assert status == 0
    assert SPECTRUM in out
    status, out, _ = skvae("models", GATE)
    assert (status, out) == (0, f"{GATE}: a class outside skvae\n")


def test_classes_are_evaluated_like_models(corpus, skvae, model):
    status, out, err = skvae(
        *("evaluate", "--clean", corpus / "clean", "--noisy", corpus / "noisy"),
        *("--model", GATE, "--model", model, "--allow-class", SPECTRUM),
        *("--metrics", "si_sdr", "--quiet"),
    )
    assert status == 0, err
    assert f"{GATE} minus noisy" in out
    assert f"{model} minus noisy" in out


def test_a_recipe_trains_a_class_that_the_user_allows(corpus, skvae):
    (corpus / "gated.toml").write_text(RECIPE)
    words = (
        *("train", "--recipe", corpus / "gated.toml", "--clean", corpus / "clean"),
        *("-o", corpus / "m.safetensors", "--set", "threshold=4"),
    )
    status, _, err = skvae(*words)
    assert status == 2
    assert f"--allow-class {SPECTRUM} on the command line" in err
    status, _, err = skvae(*words, "--allow-class", SPECTRUM)
    assert status == 0, err
    trained = read_model(corpus / "m.safetensors", classes=[SpectrumGate])
    assert trained.threshold == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "helpers.nowhere:Gate"], "--model: helpers.nowhere:Gate cannot"),
        (["--model", "helpers.strangers:Door"], "cannot be imported"),
        (["--model", "os:system"], "--model: os:system must be a class derived"),
        (["--model", "skvae.speech.vae:SpeechVAE"], "must be an enhancer"),
        (["--allow-class", "os:system"], "--allow-class: os:system must be a class"),
        (["--allow-class", "Gate"], "--allow-class: 'Gate' must have the form"),
    ],
)
def test_what_is_no_class_of_an_enhancer_is_a_mistake(corpus, skvae, words, message):
    source, target = corpus / "noisy/one.wav", corpus / "out.wav"
    status, _, err = skvae("enhance", source, "-o", target, *words)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not target.exists()
