"""``skvae evaluate``, ``models``, ``demo``, and the command as such."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest
import soundfile

import skvae as package


def test_evaluate_scores_the_input_and_the_model(corpus, skvae):
    table = corpus / "rows.csv"
    status, out, _ = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--model", "log-mmse", "--metrics", "si_sdr,sdr", "--csv", table),
    )
    assert status == 0
    assert "noisy" in out
    assert "log-mmse" in out
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    before, after = (
        [float(row["si_sdr"]) for row in rows if row["system"] == system]
        for system in ("noisy", "log-mmse")
    )
    assert all(y > x for x, y in zip(before, after, strict=True))


def test_evaluate_scores_what_another_tool_made(corpus, skvae):
    skvae("enhance", corpus / "noisy", "-o", corpus / "out", "--quiet")
    status, out, _ = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--enhanced", corpus / "out", "--metrics", "si_sdr", "--quiet"),
    )
    assert status == 0
    titles = [line for line in out.splitlines() if line in ("noisy", "enhanced")]
    assert titles == ["noisy", "enhanced"]


def test_evaluate_chooses_by_rate_and_tells_what_a_metric_cannot(corpus, skvae):
    for folder in ("noisy", "clean"):
        samples, _ = soundfile.read(corpus / folder / "one.wav")
        soundfile.write(corpus / folder / "one.wav", samples[::2], 8000)
    for model in ("wiener", "is-nmf"):
        table = corpus / f"{model}.csv"
        words = ("--noisy", corpus / "noisy", "--clean", corpus / "clean")
        skvae(
            *("evaluate", *words, "--model", model, "--csv", table, "--quiet"),
            *("--metrics", "si_sdr,pesq"),
        )
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6
        assert all(row["si_sdr"] for row in rows)
        eight = [row for row in rows if "one.wav" in row["file"]]
        assert "16000" in eight[0]["error"]
        # What learns works at its own rate, at which there is a PESQ.
        assert bool(eight[1]["pesq"]) == (model == "is-nmf")


def test_evaluate_refuses_names_that_mean_two_files(corpus, skvae):
    samples, rate = soundfile.read(corpus / "noisy/one.wav")
    soundfile.write(corpus / "noisy/one.flac", samples, rate)
    status, _, err = skvae(
        "evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"
    )
    assert status == 1
    assert "several files called one" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--csv", "missing/rows.csv"], "there is no such folder"),
        (["--jobs", "0"], "--jobs must not be 0"),
    ],
)
def test_evaluate_finds_mistakes_before_the_work(corpus, skvae, words, message):
    folders = ("--noisy", corpus / "noisy", "--clean", corpus / "clean")
    status, _, err = skvae("evaluate", *folders, *words)
    assert status == 2
    assert message in err


def test_evaluate_says_which_files_have_no_partner(corpus, skvae):
    (corpus / "clean/one.wav").unlink()
    status, _, err = skvae(
        "evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"
    )
    assert status == 1
    assert "1 of 3 files" in err
    assert "one" in err


def test_evaluate_knows_its_metrics(corpus, skvae):
    status, _, err = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--metrics", "loudness"),
    )
    assert status == 2
    assert "loudness" in err
    assert "si_sdr" in err


def test_models_are_listed_a_line_each(skvae):
    status, out, _ = skvae("models")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names == ["spectral-subtraction", "wiener", "log-mmse", "is-nmf", "rpca"]
    assert out.count("(default)") == 1


def test_demo_writes_what_it_promises_and_gains(tmp_path, skvae):
    pytest.importorskip("matplotlib")
    status, out, _ = skvae("demo", "-o", tmp_path / "demo")
    assert status == 0
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written == {"noisy.wav", "enhanced.wav", "clean.wav", "spectrograms.png"}
    [line] = [line for line in out.splitlines() if line.startswith("SI-SDR")]
    before, after = map(float, line.split()[-2:])
    assert after > before + 3
    assert soundfile.info(tmp_path / "demo/noisy.wav").duration == 5


def test_demo_goes_on_without_the_extras(tmp_path, skvae, monkeypatch):
    for module in ("matplotlib", "pesq"):
        monkeypatch.setitem(sys.modules, module, None)
    status, out, _ = skvae("demo", "-o", tmp_path / "demo")
    assert status == 0
    assert 'pip install "skvae[plot]"' in out
    assert 'pip install "skvae[pesq]"' in out
    assert "SI-SDR" in out
    assert not (tmp_path / "demo/spectrograms.png").exists()


def test_demo_says_where_it_cannot_write(tmp_path, skvae):
    (tmp_path / "file").write_text("")
    status, _, err = skvae("demo", "-o", tmp_path / "file")
    assert status == 1
    assert str(tmp_path / "file") in err


def test_the_command_and_the_module_are_one():
    for words in (["-m", "skvae", "--version"],):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"skvae {package.__version__}\n"


@pytest.mark.parametrize("words", [["--snr", "nan"], ["--seed", "-1"]])
def test_demo_refuses_what_it_cannot_make(tmp_path, skvae, words):
    status, _, err = skvae("demo", "-o", tmp_path / "demo", *words)
    assert status == 2
    assert words[0] in err
    assert "Traceback" not in err


@pytest.mark.parametrize("verb", ["enhance", "evaluate", "models", "demo"])
def test_help_is_there_for_every_verb(skvae, verb):
    status, out, _ = skvae(verb, "--help")
    assert status == 0
    assert f"usage: skvae {verb}" in out


def test_no_verb_is_a_mistake(skvae):
    status, _, err = skvae()
    assert status == 2
    assert "COMMAND" in err
