"""Model files for ``--model``."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from helpers.instances import small

from skvae import ISNMF, STFT, LogMMSE, SpeechVAE, VAENMFEnhancer
from skvae.datasets import make_dataset
from skvae.storage import names, pretrained
from skvae.storage.pretrained import save_pretrained


@pytest.fixture(scope="module")
def clean():
    return make_dataset(2, (0.3, 0.4), snr=0, random_state=0)[1]


@pytest.fixture
def model(corpus, clean):
    enhancer = small(VAENMFEnhancer).set_params(random_state=0).fit(clean)
    save_pretrained(enhancer, corpus / "tiny.safetensors")
    return corpus / "tiny.safetensors"


def enhanced(folder):
    return {
        path.relative_to(folder).as_posix(): soundfile.read(path)[0]
        for path in folder.rglob("*.*")
    }


@pytest.mark.slow
def test_enhance_takes_a_file(corpus, skvae, model):
    for jobs in (1, 2):
        words = ("enhance", corpus / "noisy", "-o", corpus / f"out{jobs}")
        status, _, err = skvae(*words, "--model", model, "--jobs", jobs)
        assert status == 0
        assert f"with {model}: " in err
    one, two = enhanced(corpus / "out1"), enhanced(corpus / "out2")
    assert one.keys() == {"one.wav", "two.flac", "sub/three.wav"}
    for name, samples in one.items():
        np.testing.assert_array_equal(samples, two[name])


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_model_that_cannot_be_loaded_is_told_once(corpus, skvae, clean, jobs):
    model = corpus / "quiet.safetensors"
    # Without PyTorch, which two processes would import for nothing.
    save_pretrained(small(ISNMF).set_params(random_state=0).fit(clean), model)
    model.write_bytes(model.read_bytes()[:-100])
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--jobs", jobs)
    status, _, err = skvae(*words, "--model", model)
    assert status == 2
    [line] = err.splitlines()
    assert line.startswith("skvae enhance: --model: ")
    assert "the end is missing" in line
    assert not [path for path in (corpus / "out").rglob("*") if path.is_file()]
    assert "Traceback" not in err
    if jobs == 2:
        assert "Traceback" in skvae(*words, "--model", model, "-v")[2]


def test_enhance_gives_what_the_loaded_enhancer_gives(corpus, skvae, model):
    noisy, _ = soundfile.read(corpus / "noisy/one.wav")
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "o.wav")
    skvae(*words, "--model", model, "--preset", "strong")
    [expected] = pretrained.load_pretrained(model).transform([noisy])
    got, _ = soundfile.read(corpus / "o.wav")
    np.testing.assert_allclose(got, expected, atol=1 / 2**15)


def test_a_model_works_at_its_own_rate_whatever_that_of_the_file(corpus, skvae, clean):
    quiet = LogMMSE(stft=STFT(512, sample_rate=8000)).fit(clean)
    save_pretrained(quiet, corpus / "quiet.safetensors")
    words = ("enhance", corpus / "noisy", "--model", corpus / "quiet.safetensors")
    assert skvae(*words, "-o", corpus / "out")[0] == 0
    for name, samples in enhanced(corpus / "out").items():
        assert len(samples) == soundfile.info(corpus / "noisy" / name).frames


def test_the_limit_is_that_of_the_command_or_of_the_file(corpus, skvae, clean):
    enhancer = LogMMSE(attenuation_limit=1.0).fit(clean)
    save_pretrained(enhancer, corpus / "quiet.safetensors")
    soundfile.write(
        corpus / "n.wav", 0.1 * np.random.default_rng(0).normal(size=16000), 16000
    )
    levels = []
    for limit in ([], ["--attenuation-limit", 12]):
        out = corpus / f"{len(limit)}.wav"
        words = ("enhance", corpus / "n.wav", "-o", out, *limit)
        assert skvae(*words, "--model", corpus / "quiet.safetensors")[0] == 0
        levels.append(np.std(soundfile.read(out)[0]) / 0.1)
    assert levels[0] > 0.8
    assert levels[1] < 0.6


def test_evaluate_takes_a_file(corpus, skvae, model):
    # A file at another rate must not load the model again.
    samples, rate = soundfile.read(corpus / "noisy/one.wav")
    for folder in ("noisy", "clean"):
        soundfile.write(corpus / folder / "one.wav", samples[::2], rate // 2)
    status, out, _ = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--model", model, "--metrics", "si_sdr", "--quiet"),
    )
    assert status == 0
    assert out.splitlines()[0] == "noisy"
    assert str(model) in out.splitlines()


def test_demo_takes_a_file_of_its_rate(corpus, skvae, model, clean):
    status, out, _ = skvae("demo", "-o", corpus / "demo", "--model", model)
    assert status == 0
    assert "SI-SDR" in out
    slow = LogMMSE(stft=STFT(512, sample_rate=8000)).fit(clean)
    save_pretrained(slow, corpus / "slow.safetensors")
    words = ("demo", "-o", corpus / "slow", "--model", corpus / "slow.safetensors")
    status, _, err = skvae(*words)
    assert status == 1
    assert "works at 8000 Hz" in err


def test_models_of_the_package_are_listed_with_what_is_known(
    corpus, skvae, clean, monkeypatch
):
    folder = corpus / "packaged"
    folder.mkdir()
    monkeypatch.setattr(names, "WEIGHTS", folder)
    save_pretrained(
        small(ISNMF).fit(clean),
        folder / "tiny.safetensors",
        description="A tiny one",
        training_data="synthetic speech",
        license="CC BY 4.0",
        attributions=["Speech by A. Nybody"],
        figures={"SI-SDR at 0 dB": 1.5, "speed": "fast"},
        date="2026-11-20",
    )
    digits = hashlib.sha256((folder / "tiny.safetensors").read_bytes()).hexdigest()[:12]
    status, out, _ = skvae("models")
    assert status == 0
    lines = [line.strip() for line in out.splitlines()]
    assert lines[5].split("  ")[0] == "tiny"
    assert lines[5].endswith("A tiny one")
    assert lines[6:] == [
        "2026-11-20, 0.0 MB, 16 kHz, CC BY 4.0",
        f"pinned to this file: tiny@{digits}",
        "trained on synthetic speech",
        "SI-SDR at 0 dB: 1.5",
        "speed: fast",
        "credits, required when redistributing: skvae models tiny",
    ]
    status, out, _ = skvae("models", "tiny")
    assert status == 0
    assert out.splitlines() == [
        "tiny: A tiny one",
        "2026-11-20, 0.0 MB, 16 kHz, CC BY 4.0",
        f"pinned to this file: tiny@{digits}",
        "trained on synthetic speech",
        "SI-SDR at 0 dB: 1.5",
        "speed: fast",
        "",
        "credits of the training recordings",
        "* Speech by A. Nybody",
    ]
    assert skvae("models", "wiener")[1].startswith("wiener: Wiener filter")
    assert "there is no such model" in skvae("models", "nobody")[2]
    assert skvae("models", f"tiny@{digits[:6]}")[1] == out
    status, _, err = skvae("models", "tiny@000000")
    assert status == 2 and f"whose 'tiny' is 'tiny@{digits}': pass that" in err
    words = ("enhance", corpus / "noisy", "-o", corpus / "pinned", "--model")
    status, _, err = skvae(*words, f"tiny@{digits}")
    assert status == 0 and f"with tiny@{digits}: " in err
    assert skvae(*words, "tiny@0000000")[0] == 2
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--quiet")
    assert skvae(*words, "--model", "tiny")[0] == 0
    (folder / "tiny.safetensors").write_bytes(b"")
    status, _, err = skvae("models")
    assert status == 1
    assert "it is empty" in err


@pytest.mark.parametrize("verb", ["enhance", "evaluate", "demo"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.safetensors", "there is no such model file"),
        ("./missing", "there is no such model file"),
        ("clean", "choose from spectral-subtraction"),
        ("./noisy", "is a folder"),
        ("text.safetensors", "no safetensors file"),
        ("speech.safetensors", "holds a SpeechVAE, which does not enhance"),
    ],
)
def test_what_is_no_enhancer_ends_the_command(
    corpus, skvae, monkeypatch, verb, name, message, clean
):
    monkeypatch.chdir(corpus)
    (corpus / "text.safetensors").write_text("This is no model.")
    if name.startswith("speech"):
        save_pretrained(small(SpeechVAE).fit(clean), corpus / name)
    words = {
        "enhance": ["noisy", "-o", "out"],
        "evaluate": ["--noisy", "noisy", "--clean", "clean"],
        "demo": ["-o", "demo"],
    }
    status, _, err = skvae(verb, *words[verb], "--model", name)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not (corpus / "out").exists()


def test_a_noise_profile_is_for_methods(corpus, skvae, model):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--model", model)
    status, _, err = skvae(*words, "--noise-profile", corpus / "noisy/one.wav")
    assert status == 2
    assert "has been fitted already" in err


@pytest.mark.slow
def test_a_classical_model_in_a_file_loads_no_torch(corpus, clean):
    save_pretrained(LogMMSE().fit(clean), corpus / "quiet.safetensors")
    script = (
        "import sys; from skvae.cli import main; "
        "status = main(['enhance', 'noisy/one.wav', '-o', 'out.wav', "
        "'--model', 'quiet.safetensors']) or main(['models']); "
        "heavy = {'torch', 'librosa', 'matplotlib', 'numba'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=corpus, check=True)
