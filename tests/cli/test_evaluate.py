"""``skvae evaluate``."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shlex
import shutil
import stat
import sys

import numpy as np
import pandas
import pytest
import soundfile

import skvae as package
from skvae import compare, load_pretrained, save_pretrained
from skvae.cli import evaluate, evaluate_report, main
from skvae.cli.parsers import evaluate as parser
from skvae.datasets import make_dataset
from skvae.evaluation.layout import STYLES
from skvae.metrics import METRICS, si_sdr
from skvae.utils import workers

RATE = 16000
SNRS, PLACES = [0.0, 5.0, 5.0, 0.0, 5.0], ["car", "car", "street", "street", "rain"]


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def both(folder):
    return "evaluate", "--clean", folder / "clean", "--noisy", folder / "noisy"


def tables(out):
    """Lines of each table below its title, split into the group and the rest."""
    found = {}
    for part in out.strip().split("\n\n")[:-1]:
        title, header, *lines = part.splitlines()
        # Names of groups contain single spaces; columns are separated by two.
        rows = dict(line.strip().split("  ", 1) for line in lines)
        found[title] = header.split(), {k: v.split() for k, v in rows.items()}
    return found


@pytest.fixture
def pairs(tmp_path):
    """A folder as ``skvae mix`` writes it, and its waveforms."""
    noisy, clean = make_dataset(5, duration=(1.0, 1.2), snr=0.0, random_state=0)
    noisy = [
        s + 10 ** (-snr / 20) * (x - s)
        for x, s, snr in zip(noisy, clean, SNRS, strict=True)
    ]
    for folder, waveforms in (("noisy", noisy), ("clean", clean)):
        (tmp_path / folder).mkdir()
        for k, waveform in enumerate(waveforms):
            path = tmp_path / folder / f"pair_{k}.wav"
            soundfile.write(path, 0.1 * waveform, RATE, "FLOAT")
    write_table(tmp_path, PLACES)
    return tmp_path, noisy, clean


def write_table(folder, places, n=5):
    with open(folder / "pairs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["pair", "environment", "noise_file", "snr_db"])
        for k in range(n):
            writer.writerow([f"pair_{k}", places[k], f"{places[k]}.wav", SNRS[k]])


def test_the_input_and_models_are_scored_row_by_row(corpus, skvae):
    table = corpus / "rows.csv"
    models = ("log-mmse", "wiener")
    status, out, _ = skvae(
        *both(corpus),
        *("--model", models[0], "--model", models[1], "--quiet"),
        *("--metrics", "si_sdr,sdr", "-o", table),
    )
    assert status == 0
    assert list(tables(out)) == [
        "noisy",
        *("log-mmse", "log-mmse minus noisy", "wiener", "wiener minus noisy"),
    ]
    rows = read(table)
    assert [row["system"] for row in rows] == 3 * ["noisy"] + [
        model for model in models for _ in range(3)
    ]
    before, *after = (
        [float(row["si_sdr"]) for row in rows if row["system"] == system]
        for system in ("noisy", *models)
    )
    assert all(y > x for ys in after for x, y in zip(before, ys, strict=True))


def test_tables_group_by_what_a_table_of_pairs_tells(pairs, skvae):
    folder, noisy, clean = pairs
    output = folder / "rows.csv"
    status, out, err = skvae(
        *both(folder), "--model", "wiener", "--metrics", "si_sdr", "--csv", output
    )
    assert (status, "warning" in err) == (0, False)
    scores = np.array([si_sdr(*pair) for pair in zip(clean, noisy, strict=True)])
    wanted = {
        "all": range(5),
        "0 dB": [0, 3],
        "5 dB": [1, 2, 4],
        "car": [0, 1],
        "rain": [4],
        "street": [2, 3],
    }
    header, found = tables(out)["noisy"]
    assert header == ["n", "si_sdr"]
    assert list(found) == list(wanted)
    for name, members in wanted.items():
        assert int(found[name][0]) == len(members)
        mean = scores[list(members)].mean()
        assert float(found[name][1]) == pytest.approx(mean, abs=0.006)
    # Paired: the mean of differences, whose interval excludes zero.
    rows = read(output)
    gains = [
        float(after["si_sdr"]) - float(before["si_sdr"])
        for before, after in zip(rows[:5], rows[5:], strict=True)
    ]
    _, found = tables(out)["wiener minus noisy"]
    assert list(found) == list(wanted)
    n, mean, low, high = (float(word.strip("[],")) for word in found["all"])
    assert n == 5
    assert mean == pytest.approx(np.mean(gains), abs=0.006)
    assert 0 < low < mean < high
    assert [(float(row["snr"]), row["noise"]) for row in rows] == 2 * list(
        zip(SNRS, PLACES, strict=True)
    )


def test_without_a_table_the_ratio_is_measured_and_kinds_are_not_told(pairs, skvae):
    folder, _, _ = pairs
    (folder / "pairs.csv").unlink()
    output = folder / "rows.csv"
    words = (*both(folder), "--model", "wiener", "--metrics", "si_sdr", "-o", output)
    _, out, _ = skvae(*words)
    assert list(tables(out)["wiener"][1]) == ["all", "0 dB", "5 dB"]
    rows = read(output)
    measured = [float(row["snr"]) for row in rows]
    np.testing.assert_allclose(measured, 2 * SNRS, atol=1e-3)
    assert "noise" not in rows[0]


@pytest.mark.parametrize("n", [4, 0])
def test_a_table_of_other_pairs_is_told_of_and_not_used(pairs, skvae, n):
    folder, _, _ = pairs
    write_table(folder, PLACES, n)
    status, out, err = skvae(*both(folder), "--metrics", "si_sdr")
    assert status == 0
    assert f"warning: {folder / 'pairs.csv'} is not used" in err
    assert list(tables(out)["noisy"][1]) == ["all", "0 dB", "5 dB"]


def test_noise_that_was_made_goes_by_its_kind(pairs, skvae):
    folder, _, _ = pairs
    write_table(folder, ["synthetic", *PLACES[1:]])
    _, out, _ = skvae(*both(folder), "--metrics", "si_sdr", "--quiet")
    assert "synthetic.wav" in tables(out)["noisy"][1]


def test_what_mix_writes_is_understood(corpus, skvae):
    skvae(
        *("mix", "--clean", corpus / "clean", "--synthetic", 1, "--snr", -5, 10),
        *("-o", corpus / "pairs", "--quiet", "--copies", 2),
    )
    status, out, err = skvae(
        *both(corpus / "pairs"), "--metrics", "si_sdr", "--quiet", "--jobs", 1
    )
    assert (status, err) == (0, "")
    groups = list(tables(out)["noisy"][1])
    assert groups[:3] == ["all", "-5 dB", "10 dB"]
    assert len(groups) > 3


def test_many_ratios_are_told_in_ranges():
    ratios = np.array(
        [-7.3, -5.0, -0.1, 0.0, 1.2, 2.6, 4.9, 5.0, 11.0, 14.6, 17, np.inf]
    )
    names = [name for _, name in evaluate_report._snr_labels(ratios)]
    assert names == [
        *("-10 to -5 dB", "-5 to 0 dB", "-5 to 0 dB"),
        *4 * ["0 to 5 dB"],
        *("5 to 10 dB", "10 to 15 dB", "10 to 15 dB", "15 to 20 dB", "no ratio known"),
    ]
    few = [name for _, name in evaluate_report._snr_labels(ratios[[1, 2, 6, -1]])]
    assert few == ["-5 dB", "0 dB", "5 dB", "no ratio known"]
    order = sorted(set(evaluate_report._snr_labels(ratios)))
    assert [name for _, name in order][:2] == ["-10 to -5 dB", "-5 to 0 dB"]
    assert order[-1][1] == "no ratio known"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_another_tool_made_is_scored_with_and_without_its_input(
    corpus, skvae, suffix
):
    for name in ("one.wav", "two.flac", "sub/three.wav"):
        samples, rate = soundfile.read(corpus / "noisy" / name)
        target = (corpus / "theirs" / name).with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, 0.7 * samples, rate)
    theirs = ("--enhanced", corpus / "theirs", "--metrics", "si_sdr", "--quiet")
    status, out, _ = skvae(*both(corpus), *theirs)
    assert status == 0
    assert list(tables(out)) == ["noisy", "enhanced", "enhanced minus noisy"]
    n, gain, *_ = tables(out)["enhanced minus noisy"][1]["all"]
    assert (n, abs(float(gain)) < 0.02) == ("3", True)
    status, out, _ = skvae("evaluate", "--clean", corpus / "clean", *theirs)
    assert status == 0
    assert list(tables(out)) == ["enhanced"]
    assert list(tables(out)["enhanced"][1]) == ["all"]


def test_the_enhancer_is_chosen_by_rate_and_what_a_metric_cannot_is_told(corpus, skvae):
    for folder in ("noisy", "clean"):
        samples, _ = soundfile.read(corpus / folder / "one.wav")
        soundfile.write(corpus / folder / "one.wav", samples[::2], 8000)
    for model in ("wiener", "is-nmf"):
        table = corpus / f"{model}.csv"
        status, _, err = skvae(
            *(*both(corpus), "--model", model, "-o", table, "--quiet"),
            *("--metrics", "si_sdr,pesq"),
        )
        assert status == 1
        assert f"failed: {corpus / 'noisy/one.wav'}: pesq" in err
        rows = read(table)
        assert len(rows) == 6
        assert all(row["si_sdr"] for row in rows)
        eight = [row for row in rows if "one.wav" in row["file"]]
        assert "16000" in eight[0]["error"]
        # A trained model works at its own rate, for which PESQ is defined.
        assert bool(eight[1]["pesq"]) == (model == "is-nmf")


def test_names_that_mean_two_files_are_refused(corpus, skvae):
    samples, rate = soundfile.read(corpus / "noisy/one.wav")
    soundfile.write(corpus / "noisy/one.flac", samples, rate)
    status, _, err = skvae(*both(corpus))
    assert status == 1
    assert "several files called one" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "missing/rows.csv"], "there is no such folder"),
        (["-o", "."], "is a folder"),
        (["-o", ""], "the name of the file is empty"),
        (["-o", "rows.wav"], "ends like a recording"),
        (["-o", "rows.json"], "--format json prints the summary"),
        (["--reference", "nothing"], "there is no such model"),
        (["--reference", "enhanced"], "needs --enhanced DIR"),
        (["--jobs", "0"], "--jobs must not be 0"),
        (["--model", "nothing"], "there is no such model"),
        (["--metrics", "loudness"], "si_sdr"),
        (["--metrics", ","], "at least one"),
    ],
)
def test_mistakes_are_found_before_the_work(corpus, skvae, words, message):
    status, _, err = skvae(*both(corpus), *words)
    assert status == 2
    assert message in err


def test_nothing_that_exists_is_replaced_without_a_word(corpus, skvae):
    output = corpus / "rows.csv"
    words = (*both(corpus), "--metrics", "si_sdr", "--quiet", "-o", output)
    for kept in (output, corpus / "rows.json"):
        kept.write_text("kept")
        status, out, err = skvae(*words)
        assert (status, out) == (2, "")
        assert f"-o {kept}: it exists: choose another name, or replace it with" in err
        assert kept.read_text() == "kept"
        assert skvae(*words, "--overwrite")[0] == 0
        assert len(read(output)) == 3
        output.unlink()


def test_an_input_is_never_replaced(corpus, skvae):
    (corpus / "pairs.csv").write_text("pair\n")
    kept = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    (corpus / "link.csv").symlink_to(corpus / "noisy/one.wav")
    os.link(corpus / "clean/one.wav", corpus / "hard.csv")
    for name in ("link.csv", "hard.csv", "pairs.csv"):
        status, _, err = skvae(
            *both(corpus), "--metrics", "si_sdr", "--overwrite", "-o", corpus / name
        )
        assert status == 2
        assert "one of the inputs" in err
    assert all(path.read_bytes() == data for path, data in kept.items())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files")
def test_pipes_and_devices_are_not_replaced(corpus, skvae):
    pipe, link = corpus / "pipe.csv", corpus / "link.csv"
    os.mkfifo(pipe)
    # No real device: without the check, the test would replace that of the machine.
    link.symlink_to("/dev/null")
    for name in (pipe, link):
        status, _, err = skvae(*both(corpus), "--overwrite", "-o", name)
        assert status == 2
        assert "a device, a pipe or a socket" in err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()


def test_a_table_that_another_run_wrote_meanwhile_stays(corpus, skvae, monkeypatch):
    output = corpus / "rows.csv"
    report = evaluate.format_report

    def write_and_report(*arguments):
        output.write_text("theirs")
        return report(*arguments)

    monkeypatch.setattr(evaluate, "format_report", write_and_report)
    status, out, err = skvae(*both(corpus), "--metrics", "si_sdr", "-o", output)
    assert status == 1
    assert "it exists" in err
    assert "noisy" in out
    assert output.read_text() == "theirs"
    assert not (corpus / "rows.json").exists()


def test_the_table_is_kept_if_nobody_reads_the_report(corpus, skvae, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    output = corpus / "rows.csv"
    with monkeypatch.context() as context:
        context.setattr(sys, "stdout", Closed())
        context.setattr(sys, "stderr", io.StringIO())
        words = (*both(corpus), "--metrics", "si_sdr", "--quiet", "-o", output)
        assert main([str(word) for word in words]) == 1
    assert len(read(output)) == 3


def test_models_are_compared_with_models(pairs, skvae):
    folder, _, _ = pairs
    output = folder / "rows.csv"
    words = (*both(folder), "--metrics", "si_sdr", "--quiet", "-o", output)
    status, out, _ = skvae(*words, "--model", "log-mmse", "--reference", "wiener")
    assert status == 0
    assert list(tables(out)) == [
        *("noisy", "log-mmse", "log-mmse minus noisy", "log-mmse minus wiener"),
        *("wiener", "wiener minus noisy"),
    ]
    # Paired, from the rows of the table.
    rows = pandas.read_csv(output)
    scores = rows.pivot(index="utterance", columns="system", values="si_sdr")
    gains = scores["log-mmse"] - scores["wiener"]
    n, mean, low, high = (
        float(word.strip("[],"))
        for word in tables(out)["log-mmse minus wiener"][1]["all"]
    )
    assert n == 5
    assert mean == pytest.approx(gains.mean(), abs=0.006)
    assert low < mean < high
    # The same from the table of the file.
    [row] = (
        compare(rows, "wiener", "si_sdr")
        .query("system == 'log-mmse'")
        .to_dict("records")
    )
    assert row["low"] == pytest.approx(low, abs=0.006)
    # A reference that is a model already is not scored twice.
    models = ("--model", "wiener", "--reference", "wiener", "--overwrite")
    _, out, _ = skvae(*words, *models)
    assert list(tables(out)) == ["noisy", "wiener", "wiener minus noisy"]


def test_models_are_compared_with_the_files_of_another_tool(corpus, skvae):
    shutil.copytree(corpus / "noisy", corpus / "theirs")
    words = ("--enhanced", corpus / "theirs", "--metrics", "si_sdr", "--quiet")
    models = ("--model", "wiener", "--reference", "enhanced")
    status, out, _ = skvae(*both(corpus), *words, *models)
    assert status == 0
    found = tables(out)
    assert list(found)[-1] == "wiener minus enhanced"
    assert found["wiener minus enhanced"] == found["wiener minus noisy"]


def test_groups_that_are_too_small_have_no_interval(pairs, skvae):
    folder, _, _ = pairs
    _, out, _ = skvae(*both(folder), "--metrics", "si_sdr", "--quiet")
    _, rows = tables(out)["noisy"]
    for name, (_, _, *bounds) in rows.items():
        assert (bounds == ["[n", "too", "small]"]) == (name != "all")


def test_the_report_has_the_format_that_is_asked_for(pairs, skvae):
    folder, _, _ = pairs
    words = (*both(folder), "--model", "wiener", "--metrics", "si_sdr", "--quiet")
    found = {
        style: skvae(*words, "--format", style)[1]
        for style in ("text", "markdown", "latex", "csv", "json")
    }
    _, [_, mean, low, high] = next(iter(tables(found["text"])["noisy"][1].items()))
    cell = f"{mean} {low} {high}"
    assert f"| all | 5 | {cell} |" in found["markdown"]
    assert "### wiener minus noisy\n\n| group | n | SI-SDR (dB) |" in found["markdown"]
    assert found["latex"].count(r"\begin{tabular}") == 3
    assert r"group & n & SI-SDR (dB) \\" in found["latex"]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert [row["system"] for row in rows] == ["noisy"] * 6 + ["wiener"] * 12
    assert {row["reference"] for row in rows} == {"", "noisy"}
    assert f"{float(rows[0]['value']):.2f}" == mean
    report = json.loads(found["json"])
    assert list(report) == ["settings", "means", "differences"]
    assert json.loads(skvae(*words, "--json")[1])["means"] == report["means"]
    assert [row["system"] for row in report["means"]] == ["noisy"] * 6 + ["wiener"] * 6
    [first, *_, last] = report["differences"]
    assert (first["reference"], first["group"], first["sign"]) == ("noisy", "all", 1)
    assert first["difference"] == pytest.approx(float(rows[12]["value"]))
    assert (last["n"], last["low"], last["sign"]) == (2, None, None)
    assert last["note"] == "n too small"
    assert report["settings"]["systems"]["wiener"]["model"] == "wiener"


def test_the_settings_travel_with_the_table(corpus, skvae):
    model, table = corpus / "mine.safetensors", corpus / "rows.csv"
    save_pretrained(load_pretrained("wiener", smoothing=0.5), model)
    words = (
        *(*both(corpus), "--model", model, "--reference", "log-mmse"),
        *("--metrics", "si_sdr,stoi", "-o", table, "--quiet"),
    )
    assert skvae(*words)[0] == 0
    settings = json.loads((corpus / "rows.json").read_text())
    assert settings["command"] == shlex.join(["skvae", *map(str, words)])
    assert settings["metrics"] == ["si_sdr", "stoi"]
    assert settings["reference"] == "log-mmse"
    assert settings["versions"]["skvae"] == package.__version__
    assert settings["versions"]["numpy"] == np.__version__
    assert settings["intervals"]["random_state"] == 0
    assert settings["errors"] == 0
    assert settings["table"] == {
        "name": "rows.csv",
        "rows": 9,
        "sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
    }
    ours, method = settings["systems"][str(model)], settings["systems"]["log-mmse"]
    assert ours["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    [enhancer] = ours["enhancers"]
    assert enhancer["class"].endswith("WienerFilter")
    assert enhancer["parameters"]["smoothing"] == 0.5
    assert enhancer["sample_rate"] == RATE
    assert isinstance(enhancer["seed"], int)
    assert (method["file"], method["sha256"]) == (None, None)
    assert method["enhancers"][0]["class"].endswith("LogMMSE")
    assert settings["systems"]["noisy"] == {"folder": str(corpus / "noisy")}


def test_something_must_be_scored_and_models_need_noise(corpus, skvae):
    clean = ("evaluate", "--clean", corpus / "clean")
    for words in ((), ("--enhanced", corpus / "noisy", "--model", "wiener")):
        status, _, err = skvae(*clean, *words)
        assert status == 2
        assert "--noisy DIR" in err


def test_files_without_a_partner_are_named(corpus, skvae):
    (corpus / "clean/one.wav").unlink()
    status, _, err = skvae(*both(corpus))
    assert status == 1
    assert "1 of 3 files" in err
    assert "one" in err
    (corpus / "less").mkdir()
    (corpus / "noisy/two.flac").rename(corpus / "less/two.flac")
    (corpus / "noisy/one.wav").unlink()
    status, _, err = skvae(*both(corpus), "--enhanced", corpus / "less")
    assert status == 1
    assert "only one has sub/three, two" in err


def test_a_scheduler_that_is_not_there_is_told_of(corpus, skvae, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers.workers.__wrapped__, "__defaults__", (None, None, 0.5))
    status, _, err = skvae(*both(corpus), "--dask", "127.0.0.1:1")
    assert status == 1
    assert "--dask: no dask scheduler answers at '127.0.0.1:1'" in err


def test_the_help_names_all_metrics_and_formats():
    assert tuple(METRICS) == parser.METRICS
    assert (*STYLES, "csv", "json") == parser.FORMATS
