"""``skvae enhance``."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from skvae.metrics import si_sdr

MODELS = ["spectral-subtraction", "wiener", "log-mmse", "is-nmf", "rpca"]


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_brings_a_file_closer_to_the_clean_one(corpus, skvae, model):
    out = corpus / "out.wav"
    status, _, _ = skvae(
        "enhance", corpus / "noisy/one.wav", "-o", out, "--model", model
    )
    assert status == 0
    clean, noisy, enhanced = (
        soundfile.read(path)[0]
        for path in (corpus / "clean/one.wav", corpus / "noisy/one.wav", out)
    )
    assert si_sdr(clean, enhanced) > si_sdr(clean, noisy) + 1


def test_folders_keep_their_structure_and_files_their_format(corpus, skvae):
    status, out, err = skvae("enhance", corpus / "noisy", "-o", corpus / "out")
    assert status == 0
    assert out == ""
    assert files_below(corpus / "out") == ["one.wav", "sub/three.wav", "two.flac"]
    for name in files_below(corpus / "out"):
        before, after = (soundfile.info(corpus / d / name) for d in ("noisy", "out"))
        for part in ("samplerate", "channels", "frames", "format", "subtype"):
            assert getattr(before, part) == getattr(after, part)
    lines = err.splitlines()
    assert len(lines) == 4
    assert "times real time" in lines[0]
    assert lines[-1].startswith("enhanced 3 files with log-mmse: ")


def test_several_inputs_go_into_one_folder(corpus, skvae):
    skvae(
        "enhance",
        corpus / "noisy/one.wav",
        corpus / "noisy/sub",
        "-o",
        corpus / "out",
        "--quiet",
    )
    assert files_below(corpus / "out") == ["one.wav", "three.wav"]


def test_a_second_run_does_only_what_is_missing(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out")
    skvae(*words)
    (corpus / "out/one.wav").unlink()
    kept = corpus / "out/two.flac"
    os.utime(kept, (0, 0))
    status, _, err = skvae(*words)
    assert status == 0
    assert (corpus / "out/one.wav").exists()
    assert kept.stat().st_mtime == 0
    assert "enhanced 1 file " in err
    assert "2 there already" in err
    skvae(*words, "--overwrite", "--quiet")
    assert kept.stat().st_mtime > 0


def test_an_output_folder_inside_the_input_folder_is_no_input(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "noisy/enhanced", "--quiet")
    assert skvae(*words)[0] == 0
    assert skvae(*words, "--overwrite")[0] == 0
    assert not (corpus / "noisy/enhanced/enhanced").exists()


def test_two_jobs_give_what_one_gives(corpus, skvae):
    for jobs in (1, 2):
        skvae(
            *("enhance", corpus / "noisy", "-o", corpus / f"out{jobs}"),
            *("--jobs", jobs, "--quiet"),
        )
    for name in files_below(corpus / "out1"):
        assert (corpus / "out1" / name).read_bytes() == (
            corpus / "out2" / name
        ).read_bytes()


def test_what_learns_is_fitted_once_for_all_rates_and_workers(corpus, skvae):
    for name, rate in (("a.wav", 8000), ("b.wav", 44100)):
        soundfile.write(corpus / "noisy" / name, np.ones(rate // 4) * 0.1, rate)
    words = ["enhance", "noisy", "-o", "out", "--model", "is-nmf", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "skvae", *words],
        cwd=corpus,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("synthetic") == 1


def test_an_input_named_twice_is_one(corpus, skvae):
    path = corpus / "noisy/one.wav"
    assert skvae("enhance", path, path, "-o", corpus / "out", "--quiet")[0] == 0


def test_a_bad_file_is_reported_and_the_others_are_done(corpus, skvae):
    (corpus / "noisy/bad.wav").write_bytes(b"no audio")
    soundfile.write(corpus / "noisy/nan.wav", [np.nan] * 99, 16000, subtype="FLOAT")
    soundfile.write(corpus / "noisy/empty.wav", [], 16000)
    status, _, err = skvae("enhance", corpus / "noisy", "-o", corpus / "out")
    assert status == 1
    assert files_below(corpus / "out") == ["one.wav", "sub/three.wav", "two.flac"]
    failures = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 3
    assert any("nan.wav" in line and "NaN or inf" in line for line in failures)
    assert "Traceback" not in err
    assert "3 failed" in err


def test_nothing_is_left_of_a_file_that_failed(corpus, skvae):
    soundfile.write(corpus / "nan.wav", [0.0] * 99 + [np.nan], 16000, subtype="FLOAT")
    skvae("enhance", corpus / "nan.wav", "-o", corpus / "out")
    assert list((corpus / "out").iterdir()) == []


def test_the_attenuation_limit_leaves_some_noise(corpus, skvae):
    noisy = 0.1 * np.random.default_rng(0).standard_normal(32000)
    soundfile.write(corpus / "noise.wav", noisy, 16000)
    levels = []
    for limit in (["--attenuation-limit", 6], []):
        out = corpus / f"out{len(levels)}.wav"
        skvae("enhance", corpus / "noise.wav", "-o", out, "--quiet", *limit)
        levels.append(np.std(soundfile.read(out)[0][8000:]) / 0.1)
    assert 0.49 < levels[0] < 0.7
    assert levels[1] < 0.4


def test_a_noise_profile_is_used(corpus, skvae):
    rng = np.random.default_rng(0)
    words = ("enhance", corpus / "noisy/one.wav", "--quiet", "--model", "wiener")
    levels = []
    for scale in (0.01, 0.3):
        noise = scale * rng.standard_normal(44100)
        path = corpus / f"profile{scale}.wav"
        soundfile.write(path, noise, 44100)
        profile = ("--noise-profile", path, "--overwrite")
        assert skvae(*words, "-o", corpus / "out.wav", *profile)[0] == 0
        levels.append(np.std(soundfile.read(corpus / "out.wav")[0]))
    assert levels[1] < 0.8 * levels[0]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["missing.wav", "-o", "out"], 1, "there is no such file or folder"),
        (["noisy", "-o", "out.wav"], 2, "name a folder"),
        (["noisy/one.wav", "noisy/two.flac", "-o", "o.wav"], 2, "name a folder"),
        (["noisy/one.wav", "-o", "noisy"], 1, "would be overwritten"),
        (["noisy/one.wav", "clean/one.wav", "-o", "out"], 1, "would both write"),
        (["noisy", "-o", "out", "--model", "magic"], 2, "choose from spectral-sub"),
        (["noisy", "-o", "out", "--jobs", "0"], 2, "--jobs must not be 0"),
        (["noisy", "-o", "out", "--attenuation-limit", "-3"], 2, "at least 0 dB"),
        (["noisy", "-o", "out", "--attenuation-limit", "inf"], 2, "at least 0 dB"),
        (["noisy", "-o", "out", "--noise-profile", "no.wav"], 2, "--noise-profile"),
        (["noisy/one.wav", "-o", "out.flac"], 2, "end it likewise"),
        (["noisy", "-o", "a.txt"], 2, "is a file"),
        (["empty", "-o", "out"], 1, "empty"),
        (["noisy"], 2, "-o/--output"),
    ],
)
def test_mistakes_get_a_sentence_and_a_status(
    corpus, skvae, monkeypatch, words, status, message
):
    monkeypatch.chdir(corpus)
    (corpus / "empty").mkdir()
    (corpus / "a.txt").write_text("")
    given, _, err = skvae("enhance", *words)
    assert given == status
    assert message in err
    assert "Traceback" not in err


def test_a_classical_method_loads_neither_torch_nor_librosa(corpus):
    script = (
        "import sys; from skvae.cli import main; "
        "status = main(['enhance', 'noisy/one.wav', '-o', 'out.wav', "
        "'--model', 'wiener']); "
        "heavy = {'torch', 'librosa', 'matplotlib', 'numba'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=corpus, check=True)
