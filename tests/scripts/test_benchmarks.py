from __future__ import annotations

import shutil
import sys

import numpy as np
import pandas
import pytest
import soundfile
from helpers import scripts
from helpers.music import make_chords

from skvae import (
    VEM,
    DenoisingVAE,
    DNNMask,
    DnVAENMFEnhancer,
    GradientVEM,
    MaskEstimate,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
    WienerFilter,
    load_pretrained,
    save_pretrained,
)
from skvae.cli import main
from skvae.datasets import make_dataset, make_noise, make_speech
from skvae.datasets.mixing.pairs import COLUMNS
from skvae.storage.names import model_names, recipe_names
from skvae.storage.recipe_files import read_recipe

pytestmark = pytest.mark.slow

FOLDER = scripts.ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch):
    """Scripts import from scripts of the same folder."""
    monkeypatch.syspath_prepend(FOLDER)


def script(name):
    return scripts.load(f"benchmarks/{name}.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Synthetic recordings, laid out like the real ones."""
    root = tmp_path_factory.mktemp("data")

    def write(folder, file, waveform):
        path = root.joinpath(*folder)
        path.mkdir(parents=True, exist_ok=True)
        soundfile.write(path / file, waveform, 16000)

    for k in range(5):
        waveform = make_speech(16000, random_state=k)
        write(("speech", "valid", f"speaker{k % 2}"), f"{k}.flac", waveform)
    sets = script("validation_pairs").ENVIRONMENTS
    for k, environment in enumerate(name for names in sets.values() for name in names):
        noise = make_noise(24000, "pink", random_state=k)
        write(("noise", "train", environment), "a.flac", noise)
    write(("noise", "train", "not set aside"), "a.flac", noise)
    return root


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Four pairs at two ratios, as validation_pairs.py writes them."""
    folder = tmp_path_factory.mktemp("pairs")
    noisy, clean = make_dataset(4, (1.0, 1.2), snr=0, random_state=0)
    rows = []
    for k, pair in enumerate(zip(noisy, clean, strict=True)):
        for side, waveform in zip(("noisy", "clean"), pair, strict=True):
            (folder / side).mkdir(exist_ok=True)
            soundfile.write(folder / side / f"pair_{k}.wav", 0.5 * waveform, 16000)
        snr = [-5, 10][k % 2]
        noise = ["hum", "hiss"][k // 2]
        rows.append((f"pair_{k}", "someone", noise, f"{noise}.flac", snr, 1.0))
    columns = ["pair", "speaker", "environment", "noise_file", "snr_db", "seconds"]
    pandas.DataFrame(rows, columns=columns).to_csv(folder / "pairs.csv", index=False)
    return folder


def test_quality_prints_a_table_for_each_snr(pairs, tmp_path, capsys):
    quality = script("quality")
    arguments = [
        "--pairs",
        str(pairs),
        "--quiet",
        "--csv",
        str(tmp_path / "out.csv"),
    ]
    assert quality.main([*arguments, "--models", "wiener", "spectral-subtraction"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for title in ("all pairs", "-5 dB", "10 dB"):
        at = lines.index(title)
        assert lines[at + 2].split() == ["model", "n", "si_sdr", "sdr", "pesq", "estoi"]
        models = [line.split()[0] for line in lines[at + 3 : at + 6]]
        assert models == ["noisy", "wiener", "spectral-subtraction"]
    assert "paired differences to noisy" in lines

    table = pandas.read_csv(tmp_path / "out.csv")
    assert table["model"].value_counts().tolist() == [4, 4, 4]
    means = table.groupby("model")["si_sdr"].mean()
    assert means["wiener"] > means["noisy"]
    mean = lines[lines.index("all pairs") + 4].split()[2]
    assert float(mean) == pytest.approx(means["wiener"], abs=0.005)


def test_quality_fits_models_that_learn_on_the_speech_it_is_given(data, monkeypatch):
    quality = script("quality")
    calls = {}
    monkeypatch.setattr(
        quality, "load_pretrained", lambda name, clean: calls.update({name: clean})
    )
    quality.load("is-nmf", ["speech"])
    quality.load("wiener", ["speech"])
    assert calls == {"is-nmf": ["speech"], "wiener": None}


def test_clean_speech_prints_what_is_lost_at_each_snr(data, tmp_path, capsys):
    arguments = ["--data", str(data), "--pairs", "6", "--quiet"]
    arguments += ["--snrs", "30", "inf", "--csv", str(tmp_path / "out.csv")]
    main = script("clean_speech").main
    assert main([*arguments, "--models", "wiener", "log-mmse"]) == 0
    noisy, clean = capsys.readouterr().out.split("without noise")
    for part, models in (
        (noisy, ["noisy", "wiener", "log-mmse"]),
        (clean, ["wiener", "log-mmse"]),  # the input's SI-SDR is infinite
    ):
        means, differences = part.split("paired differences to the input")
        assert [line.split()[0] for line in means.splitlines() if "[" in line] == models
        names = [line.split()[0] for line in differences.splitlines() if "[" in line]
        assert names == ["wiener", "log-mmse"]
    table = pandas.read_csv(tmp_path / "out.csv")
    of_model = table[table["model"] == "noisy"]
    assert of_model["snr_db"].tolist() == 6 * [30.0] + 6 * [np.inf]
    np.testing.assert_allclose(of_model["si_sdr"][:6], 30, atol=0.1)
    # Every utterance has the same noise at each SNR.
    columns = ["utterance", "environment", "noise_file"]
    at_30, at_inf = (of_model[columns].iloc[part] for part in (np.s_[:6], np.s_[6:]))
    assert at_30.values.tolist() == at_inf.values.tolist()
    worst = table[table["model"] == "wiener"]["pesq"].max()
    assert worst < table[table["model"] == "noisy"]["pesq"].max()


def test_above_band_compares_a_steady_gain_with_one_that_follows(
    data, tmp_path, capsys
):
    arguments = ["--speech", str(data / "speech" / "valid"), "--models", "log-mmse"]
    arguments += ["--utterances", "2", "--noises", "white", "--snrs", "15"]
    main = script("above_band").main
    assert main([*arguments, "--csv", str(tmp_path / "out.csv")]) == 0
    table = pandas.read_csv(tmp_path / "out.csv").set_index("model")
    assert table["noise"].tolist() == 6 * ["white"]
    noisy, ours, follows = (
        table.loc[model].reset_index(drop=True)
        for model in ("noisy", "log-mmse", "log-mmse, follow")
    )
    assert (ours["words_pauses"].abs() + 1 < follows["words_pauses"]).all()
    assert (ours["std"] < follows["std"]).all()
    assert (ours["si_sdr"] > noisy["si_sdr"]).all()
    assert "log-mmse - log-mmse, follow" in capsys.readouterr().out


def test_presets_cost_quality_and_keep_pauses(pairs, tmp_path, capsys):
    arguments = ["--pairs", str(pairs), "--models", "spectral-subtraction"]
    arguments += ["--limits", "6", "12", "--csv", str(tmp_path / "out.csv")]
    assert script("presets").main(arguments) == 0
    names = ["6 dB", "12 dB (gentle)", "no limit (strong)"]
    out = capsys.readouterr().out
    means = pandas.read_csv(tmp_path / "out.csv").groupby("system", sort=False)[
        ["si_sdr", "pauses", "black"]
    ]
    table = means.mean()
    assert [*table.index] == [f"spectral-subtraction, {name}" for name in names]
    assert all(name in out for name in table.index)
    assert table["si_sdr"].is_monotonic_increasing
    assert table["pauses"].is_monotonic_decreasing
    assert table["pauses"].iloc[0] == pytest.approx(-6, abs=0.3)


def test_music_counts_both_kinds_of_errors(data, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    (folder / "noise/train/music").mkdir()
    for k in range(2):
        soundfile.write(
            folder / f"noise/train/music/{k}.wav", 0.1 * make_chords(k), 16000
        )
    arguments = ["--data", str(folder), "--models", "wiener", "--pairs", "6"]
    music = script("music")

    def erase(self, V, rng, state):
        return MaskEstimate(np.full_like(V, 0.1))

    monkeypatch.setattr(WienerFilter, "_estimate_mask", erase)
    assert music.main(arguments) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {tuple(row[:-3]): row[-3:] for row in rows if len(row) > 3}
    assert found["music",] == ["2", "2", "-20.0"]
    assert found["steady", "noise"][:2] == ["6", "0"]
    assert found["noisy", "speech"][:2] == ["6", "0"]
    assert ["false", "warnings:", "-"] in rows


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    clean = [make_speech(8000, random_state=k) for k in range(3)]
    quick = Training(1)
    enhancer = VAENMFEnhancer(
        SpeechVAE(2, 8, training=quick), VEM(2), guide=DNNMask(8, training=quick)
    ).fit(clean)
    path = tmp_path_factory.mktemp("models") / "vae-nmf.safetensors"
    save_pretrained(enhancer, path)
    return path


def test_quality_takes_model_files(pairs, model_file, capsys):
    quality = script("quality")
    arguments = ["--pairs", str(pairs), "--metrics", "si_sdr", "--quiet"]
    assert quality.main([*arguments, "--models", str(model_file)]) == 0
    assert str(model_file) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["quality", "peers"])
def test_models_that_are_not_there_are_refused_before_any_work(name, tmp_path, capsys):
    main = script(name).main
    # Nor is there such a folder of pairs.
    arguments = ["--pairs", str(tmp_path / "pairs"), "--models", "wiener"]
    with pytest.raises(SystemExit):
        main([*arguments, "nope"])
    err = capsys.readouterr().err
    known = ", ".join(model_names())
    assert f"--models: must be any of {known}, or model files, got 'nope'." in err
    with pytest.raises(SystemExit):
        main([*arguments, "no.safetensors"])
    err = capsys.readouterr().err
    assert "--models: no.safetensors: there is no such model file." in err


@pytest.mark.parametrize(
    "name", ["quality", "peers", "supervised", "vaenmf", "iterations"]
)
def test_where_the_csv_is_to_go_is_looked_at_before_any_work(name, tmp_path, capsys):
    main = script(name).main
    with pytest.raises(SystemExit):
        main(["--csv", str(tmp_path / "nope" / "scores.csv")])
    err = capsys.readouterr().err
    assert "--csv: " in err and f"got {tmp_path / 'nope'}: make it first." in err
    with pytest.raises(SystemExit):
        main(["--csv", str(tmp_path)])
    assert f"--csv: {tmp_path} is a folder: name a file." in capsys.readouterr().err


def test_vaenmf_compares_variants_of_a_trained_model(pairs, model_file, capsys):
    vaenmf = script("vaenmf")
    model = load_pretrained(str(model_file))
    for changes in vaenmf.VARIANTS.values():
        variant = vaenmf.variant(model, changes)
        variant.fit([np.zeros(10)])
        assert variant.vae_.estimator is model.vae_
        assert changes.items() <= variant.get_params(deep=False).items()
        if "guide" not in changes:
            assert variant.guide_.estimator is model.guide_
    arguments = ["--model", str(model_file), "--pairs", str(pairs)]
    names = ["as it is", "guide: none"]
    assert vaenmf.main([*arguments, "--variants", *names]) == 0
    assert systems_in(capsys.readouterr().out) == names


@pytest.mark.parametrize("inference", ["vem", "gradient", "mcem", "mcmc"])
def test_published_forms_are_those_of_the_package(inference, model_file):
    variants = script("variants")
    changes = variants.published(inference)
    assert set(changes) == {"inference", "noise", "guide", "mask_smoothing"}
    variant = variants.variant(load_pretrained(str(model_file)), changes)
    wanted = VAENMFEnhancer.as_published(inference)
    for name in changes:
        assert repr(getattr(variant, name)) == repr(getattr(wanted, name))
    changes = variants.settings_of(DnVAENMFEnhancer.as_published())
    assert set(changes) == {"inference", "noise", "start", "mask_weight"}


def test_vaenmf_takes_other_speech_models(pairs, model_file, tmp_path, capsys):
    vaenmf = script("vaenmf")
    clean = [make_speech(8000, random_state=k) for k in range(3)]
    other = SpeechVAE(3, 8, features="power", training=Training(1), random_state=0).fit(
        clean
    )
    save_pretrained(other, tmp_path / "power.safetensors")
    csv = tmp_path / "scores.csv"
    vaenmf.main(
        ["--model", str(model_file), "--pairs", str(pairs), "--csv", str(csv),
         "--variants", "as it is", "--speech-models", f"{tmp_path}/power.safetensors"]
    )  # fmt: skip
    assert systems_in(capsys.readouterr().out) == ["as it is", "speech model: power"]
    one, two = (
        rows["si_sdr"].to_numpy()
        for _, rows in pandas.read_csv(csv).groupby("system", sort=False)
    )
    assert (one != two).all()


def systems_in(out):
    """Systems of a table of variants; all but the first are compared with it."""
    lines = out.splitlines()
    names = [line.split("  ")[0] for line in lines if "per second" in line]
    assert lines.count(f"paired differences to {names[0]!r}") == len(names) - 1
    return names


def test_scores_of_variants_that_a_file_holds_are_not_computed_again(
    pairs, model_file, tmp_path, capsys
):
    vaenmf = script("vaenmf")
    csv = tmp_path / "scores.csv"
    arguments = ["--model", str(model_file), "--pairs", str(pairs), "--csv", str(csv)]
    names = ["as it is", "guide: none", "VEM"]
    vaenmf.main([*arguments, "--variants", *names[:2]])
    assert systems_in(capsys.readouterr().out) == names[:2]
    kept = pandas.read_csv(csv, index_col=0)
    assert list(kept["system"].drop_duplicates()) == names[:2]
    kept.loc[kept["system"] == "as it is", "si_sdr"] = 17.0
    kept.to_csv(csv)
    vaenmf.main([*arguments, "--variants", *names])
    again = pandas.read_csv(csv, index_col=0)
    assert (again.loc[again["system"] == "as it is", "si_sdr"] == 17.0).all()
    pandas.testing.assert_frame_equal(again[again["system"] != "VEM"], kept)
    assert systems_in(capsys.readouterr().out) == names


@pytest.fixture
def iterations():
    return script("iterations")


@pytest.mark.parametrize("rule", ["threshold_rule", "linear_rule"])
def test_rules_for_iterations_find_what_there_is_to_find(iterations, rule):
    rng = np.random.default_rng(0)
    quantities = rng.normal(size=(300, 3))
    groups = np.repeat(np.arange(6), 50)
    learn = getattr(iterations, rule)
    # The second quantity tells whether the first or the third number is better.
    scores = rng.normal(0, 0.3, (300, 3)) + rng.normal(0, 5, (300, 1))
    scores[:, 0] += quantities[:, 1]
    scores[:, 2] -= quantities[:, 1]
    choice = iterations.chosen_elsewhere(learn, quantities, scores, groups)
    gain = scores[np.arange(300), choice].mean() - scores.mean(axis=0).max()
    assert gain > 0.6
    # Nothing does: what is learned is worth nothing elsewhere.
    scores = rng.normal(size=(300, 3))
    choice = iterations.chosen_elsewhere(learn, quantities, scores, groups)
    assert abs(scores[np.arange(300), choice].mean() - scores.mean()) < 0.2


def test_iterations_compares_numbers_and_rules_and_keeps_the_scores(
    pairs, model_file, tmp_path, capsys, iterations, monkeypatch
):
    model = load_pretrained(model_file)
    model.set_params(inference=GradientVEM(2))
    save_pretrained(model, tmp_path / "gradient.safetensors")
    monkeypatch.setattr(iterations, "NUMBERS", (2, 3, 4))
    csv = tmp_path / "scores.csv"
    arguments = ["--model", str(tmp_path / "gradient.safetensors"), "--csv", str(csv)]
    assert iterations.main([*arguments, "--pairs", str(pairs)]) == 0
    out = capsys.readouterr().out
    for name in (*iterations.QUANTITIES, "oracle", "threshold rule", "linear rule"):
        assert sum(line.startswith(name) for line in out.splitlines()) == 1
    kept = pandas.read_csv(csv)
    assert len(kept) == 12
    assert np.isfinite(kept[list(iterations.QUANTITIES)].to_numpy()).all()
    scores = kept["si_sdr"].to_numpy().reshape(3, 4)
    gain = scores.max(axis=0).mean() - scores.mean(axis=1).max()
    assert f"{gain:+.2f} [" in out[out.index("oracle") : out.index("fixed rule")]
    iterations.main([*arguments, "--pairs", str(pairs)])
    again = capsys.readouterr().out
    assert again == out[out.index("rank correlation") :]


def test_supervised_knows_a_recipe_for_each_system():
    files = {system.file for system in script("supervised").SYSTEMS.values()}
    recipes = {path.stem for path in FOLDER.glob("recipes/*.toml")}
    assert recipes < files
    assert files - recipes == {"vae-nmf", "dnvae-nmf", "best"} < set(recipe_names())
    for path in FOLDER.glob("recipes/*.toml"):
        assert read_recipe(path).card.name == path.stem


def test_supervised_compares_the_systems_whose_files_are_there(
    pairs, model_file, tmp_path, capsys
):
    supervised = script("supervised")
    shutil.copy(model_file, tmp_path / "vae-nmf.safetensors")
    noisy, clean = make_dataset(3, random_state=0)
    vae = DenoisingVAE(2, 4, target="psa", training=Training(1), random_state=0)
    enhancer = DnVAENMFEnhancer(vae, random_state=0).fit(noisy, clean)
    save_pretrained(enhancer, tmp_path / "dnvae-nmf-psa.safetensors")
    names = [
        "VAE-NMF, led by a mask",
        "DnVAE-NMF, fixed, 10 its",
        "DnVAE-NMF (PSA), its mask alone",
        "BiLSTM-PSA",
    ]
    arguments = ["--models", str(tmp_path), "--pairs", str(pairs)]
    supervised.main([*arguments, "--systems", *names])
    out, err = capsys.readouterr()
    assert systems_in(out) == names[:3]
    assert err.count("left out") == 1 and "BiLSTM-PSA: left out" in err


def test_narrow_bands_tells_what_is_lost_beside_the_whole_band(pairs, capsys):
    narrow_bands = script("narrow_bands")
    arguments = [
        "--pairs",
        str(pairs),
        "--models",
        "wiener",
        "--rates",
        "8000",
        "15000",
    ]
    assert narrow_bands.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    for rate in ("8000 Hz", "15000 Hz"):
        at = lines.index(rate)
        names, means = zip(
            *(line.rsplit("  4  ", 1) for line in lines[at + 3 : at + 6]), strict=True
        )
        assert [name.strip() for name in names] == [
            "noisy", "wiener", "wiener, full band",
        ]  # fmt: skip
        noisy, narrow, whole = (float(mean.split()[0]) for mean in means)
        assert noisy + 1 < whole
        # The difference is that of the two means, up to their rounding.
        [loss] = [float(line.split()[2]) for line in lines[at + 9 : at + 10]]
        assert loss == pytest.approx(narrow - whole, abs=0.011)
    # Without training a method has no band of its own.
    assert abs(loss) < 0.3
    with pytest.raises(SystemExit):
        narrow_bands.main(["--pairs", str(pairs), "--rates", "16000"])
    assert "--rates must be in (0, 16000), got 16000" in capsys.readouterr().err


def test_validation_pairs_are_balanced_reproducible_and_at_their_snr(data, tmp_path):
    maker = script("validation_pairs")
    for name in ("first", "again"):
        out = str(tmp_path / name)
        maker.main([out, "--data", str(data), "--pairs", "24"])
    table = pandas.read_csv(tmp_path / "first" / "pairs.csv")
    assert tuple(table.columns) == COLUMNS
    assert table.groupby(["environment", "snr_db"]).size().tolist() == [1] * 24
    assert table["speaker"][:2].nunique() == 2
    for pair, snr in zip(table["pair"], table["snr_db"], strict=True):
        clean, noisy = (
            soundfile.read(tmp_path / "first" / side / f"{pair}.wav")[0]
            for side in ("clean", "noisy")
        )
        assert np.abs(noisy).max() < 0.99
        ratio = np.sum(clean**2) / np.sum((noisy - clean) ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(snr, abs=0.1)
        again, _ = soundfile.read(tmp_path / "again" / "noisy" / f"{pair}.wav")
        np.testing.assert_array_equal(noisy, again)
    maker.main([str(tmp_path / "all"), "--data", str(data), "--environments", "all"])
    assert (
        pandas.read_csv(tmp_path / "all" / "pairs.csv")["environment"].nunique() == 15
    )
    # What quality.py reads.
    info, noisy, clean = script("quality").read_pairs(str(tmp_path / "first"))
    assert len(info) == len(noisy) == len(clean) == 24


def test_validation_pairs_of_transient_noise_share_no_environment(
    data, tmp_path, capsys
):
    maker = script("validation_pairs")
    steady, transient = (set(names) for names in maker.ENVIRONMENTS.values())
    assert (len(steady), len(transient), len(steady & transient)) == (6, 8, 0)
    out = str(tmp_path / "pairs")
    arguments = ["--data", str(data), "--pairs", "32"]
    maker.main([out, *arguments, "--environments", "transient"])
    table = pandas.read_csv(tmp_path / "pairs" / "pairs.csv")
    assert set(table["environment"]) == transient
    assert table.groupby(["environment", "snr_db"]).size().tolist() == [1] * 32
    capsys.readouterr()
    assert maker.main(["--list"]) == 0
    assert set(capsys.readouterr().out.split()) == steady | transient
    with pytest.raises(SystemExit):
        maker.main([out])
    assert "--list" in capsys.readouterr().err


def test_speed_times_all_in_one_round_and_judges_spectral_subtraction(
    capsys, monkeypatch
):
    speed = script("speed")
    arguments = ["--seconds", "0.5", "--rounds", "3", "--starts", "0"]
    models = ["--models", "wiener", "spectral-subtraction"]
    monkeypatch.setattr(speed, "LIMIT", np.inf)
    assert speed.main([*arguments, *models]) == 0
    out = capsys.readouterr().out
    assert out.count("PASS") == 2
    assert out.count("STFT + ISTFT  ") == 2
    assert "float32" in out
    assert "float64" in out
    monkeypatch.setattr(speed, "LIMIT", 0.0)
    assert speed.main([*arguments, *models]) == 1
    assert capsys.readouterr().out.count("FAIL") == 2


def test_speed_lets_slow_models_sit_out(monkeypatch):
    speed = script("speed")
    monkeypatch.setattr(speed, "PATIENCE", 0.0)
    monkeypatch.setattr(speed, "FEWEST_ROUNDS", 2)
    times = speed.time_rounds({"a": lambda: None, "b": lambda: None}, 5)
    assert [len(spent) for spent in times.values()] == [2, 2]


def test_cold_start_runs_the_command_line_and_is_judged(capsys, monkeypatch):
    speed = script("speed")
    measured = []

    def measure_once(tasks, n_rounds):
        assert n_rounds == 1
        if not measured:
            for task in tasks.values():
                task()
            measured.append({name: np.array([1.0]) for name in tasks})
        return measured[0]

    monkeypatch.setattr(speed, "time_rounds", measure_once)
    for limit in (0.9, 1.1):
        monkeypatch.setattr(speed, "MOST_START", limit)
        assert speed.report_cold_start(1) == (limit > 1)
        out = capsys.readouterr().out
        for what in ("'import torch'", "--model wiener, 1.00 times", "--model best"):
            assert what in out


def test_scaling_judges_the_command_by_real_time_and_by_what_two_jobs_gain(
    capsys, monkeypatch
):
    scaling = script("scaling")
    jobs = []

    def run_here(command, check):
        """With one job, since what two of them do has tests of its own."""
        assert check
        assert command[:3] == [sys.executable, "-m", "skvae"]
        words = [str(word) for word in command[3:]]
        jobs.append(words[words.index("--jobs") + 1])
        words[words.index("--jobs") + 1] = "1"
        assert main(words) == 0

    monkeypatch.setattr(scaling.subprocess, "run", run_here)
    real_times, ratio = scaling.compare_commands("wiener", 2)
    assert jobs == ["2", "1", "1", "2"]
    assert real_times > 0 and ratio > 0
    assert "2 files of 10 s with wiener" in capsys.readouterr().out
    assert scaling.fast_enough(10.0, 0.58)
    assert not scaling.fast_enough(9.9, 0.58)
    assert not scaling.fast_enough(10.0, 0.6)


def test_devices_prints_rates_of_every_system_and_what_came_of_them(
    capsys, monkeypatch
):
    devices = script("devices")
    names = [name for name, _ in devices.systems()]
    assert names == [
        "vae-nmf (gradient VEM)",
        *(f"vae-nmf, {inference}" for inference in ("VEM", "MCEM", "MCMC")),
        "best",
    ]
    monkeypatch.setattr(devices, "SECONDS", 0.5)
    monkeypatch.setattr(
        devices, "systems", lambda: iter([("best", load_pretrained("best"))])
    )
    arguments = ["--device", "cpu", "--utterances", "2", "--on-cpu", "1"]
    assert devices.main(arguments) == 0
    _, line = capsys.readouterr().out.splitlines()
    *_, one, _, other, _ = line.split()
    assert line.startswith("best ") and float(one) == float(other) > 0


def test_many_files_are_done_once_and_judged(capsys, monkeypatch):
    many_files = script("many_files")
    arguments = ["--files", "101", "--jobs", "1", "--model", "spectral-subtraction"]
    assert many_files.MOST_MEMORY == 500

    def judge(memory, seconds):
        monkeypatch.setattr(many_files, "MOST_MEMORY", memory)
        monkeypatch.setattr(many_files, "MOST_SECONDS", seconds)
        return many_files.main(arguments)

    assert judge(500, np.inf) == 0
    assert "PASS: 101 of 101 are there" in capsys.readouterr().out

    def measure(source, target, *options):
        for path in source.rglob("*.wav"):
            (target / path.relative_to(source)).parent.mkdir(
                parents=True, exist_ok=True
            )
            (target / path.relative_to(source)).touch()
        return 100.0, 2.0

    monkeypatch.setattr(many_files, "measure", measure)
    assert judge(100, 2) == 0
    assert judge(99, 2) == 1
    assert judge(100, 1) == 1


def test_a_command_that_fails_is_no_figure(tmp_path):
    measure = script("long_recordings").measure
    with pytest.raises(SystemExit, match="--model wiener ended with 1"):
        measure(tmp_path / "nothing.wav", tmp_path / "out.wav", "wiener")
