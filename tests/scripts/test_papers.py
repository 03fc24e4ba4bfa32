"""The scripts of the papers' tables, from recordings to figures, on very little."""

from __future__ import annotations

import json
import os
from unittest.mock import Mock

import numpy as np
import pandas
import pytest
import soundfile
from helpers import scripts

from skvae import SpeechVAE, Training, load_pretrained, save_pretrained
from skvae.datasets import AudioFile, Corpus, make_noise, make_speech
from skvae.storage.recipe_files import read_recipe

FOLDER = scripts.ROOT / "benchmarks/papers"

SAMPLE_RATE = 16_000

# Half a second is too short for the intelligibility of some.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
]

#: What a network is trained with here: nothing, nearly.
TRAINING = {
    "n_latent": 2,
    "hidden_layer_sizes": 4,
    "training__max_iter": 1,
    "training__batch_size": 2,
    "training__sequence_length": 16,
}


@pytest.fixture(autouse=True)
def scripts_are_found(monkeypatch):
    # In this order: each goes before those that are there.
    monkeypatch.syspath_prepend(FOLDER.parent)
    monkeypatch.syspath_prepend(FOLDER)


def script(name):
    return scripts.load(f"benchmarks/papers/{name}.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Synthetic recordings, laid out like the open corpus."""
    root = tmp_path_factory.mktemp("data")

    def write(folder, file, waveform):
        path = root.joinpath(*folder)
        path.mkdir(parents=True, exist_ok=True)
        soundfile.write(path / file, waveform, SAMPLE_RATE)

    for split, n_files in (("train", 3), ("test", 2)):
        for k in range(n_files):
            waveform = make_speech(SAMPLE_RATE // 2, random_state=10 * n_files + k)
            write(("speech", split, f"speaker{k % 2}"), f"{k}.flac", waveform)
    for split in ("train", "test", "test_seen"):
        for k, kind in enumerate(("hum", "rain")):
            noise = make_noise(SAMPLE_RATE, "pink", random_state=k)
            write(("noise", split, kind), "a.flac", noise)
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of models, which the first test that wants one trains."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def tiny(monkeypatch):
    """Make quick runs quicker still."""
    from common import run

    monkeypatch.setattr(run, "QUICK", run.Scale(2, 2, None, TRAINING))


@pytest.fixture
def arguments(data, models, tmp_path, tiny):
    return [
        *("--quick", "--data", str(data)),
        *("--models", str(models), "--out", str(tmp_path / "out")),
    ]


def check_results(out, name, sets, systems):
    """Files that a script leaves; the table is returned."""
    endings = ["-findings.csv", "-scores.csv", "-table.csv", ".json", ".png", ".txt"]
    there = {file.name for file in out.iterdir()}
    assert {f"{name}{ending}" for ending in endings} <= there
    assert not [file for file in there if file.startswith(".")]
    record = json.loads((out / f"{name}.json").read_text())
    assert record["setup"]["seed"] == 0
    [here] = record["computed_by"]
    assert here["machine"]["cores"] == os.cpu_count()
    assert here["versions"]["numpy"] == np.__version__
    assert all(len(model["sha256"]) == 64 for model in record["models"].values())
    # What is published tells of no machine's folders.
    text = (out / f"{name}.json").read_text() + (out / f"{name}.txt").read_text()
    assert str(out.parent) not in text
    assert "quick run" in text
    assert (out / f"{name}.png").read_bytes()[1:4] == b"PNG"
    scores = pandas.read_csv(out / f"{name}-scores.csv")
    assert set(scores["set"]) == set(sets)
    assert set(systems) <= set(scores["system"])
    assert scores["error"].isna().all()
    return pandas.read_csv(out / f"{name}-table.csv")


def paper_of(table, name, system, metric, group="all"):
    keys = {"set": name, "system": system, "metric": metric, "group": group}
    rows = table
    for key, value in keys.items():
        rows = rows[rows[key].astype(str) == value]
    [number] = rows["paper"]
    return number


def test_bando2018_makes_its_tables_and_does_nothing_twice(
    arguments, tmp_path, capsys, monkeypatch
):
    paper = script("bando2018")
    assert paper.main(arguments) == 0
    out = tmp_path / "out"
    systems = ["VAE-NMF", "DNN-IRM", "RPCA", "input"]
    name = "bando2018-open-quick"
    table = check_results(out, name, ["known", "unseen"], systems)
    assert paper_of(table, "known", "DNN-IRM", "sdr") == 10.87
    assert paper_of(table, "unseen", "VAE-NMF", "sdr") == 11.05
    assert np.isnan(paper_of(table, "unseen", "VAE-NMF", "sdr", "rain"))
    said = capsys.readouterr().out
    assert "/ 11.05" in said and "12.82" in said
    assert said.rstrip() == (out / f"{name}.txt").read_text().rstrip()

    before = (out / f"{name}-scores.csv").read_bytes()
    monkeypatch.setattr("common.scores.evaluate", None)
    monkeypatch.setattr("common.models.Models._train", None)
    assert paper.main(arguments) == 0
    assert (out / f"{name}-scores.csv").read_bytes() == before
    assert capsys.readouterr().out == said


def test_pariente2019_makes_its_figures_and_does_nothing_twice(
    arguments, tmp_path, capsys, monkeypatch
):
    paper = script("pariente2019")
    monkeypatch.setattr(paper, "DRAWS", (1, 2))
    monkeypatch.setattr(paper, "DRAWS_OF_MCEM", 2)
    monkeypatch.setitem(paper.SAME, "MCEM, MH-Wiener", "MCEM, 2")
    monkeypatch.setattr(paper, "N_ROUNDS", 1)
    monkeypatch.setattr(paper, "SPEECH_MODELS", ("vae-power",))
    assert paper.main(arguments) == 0
    out, name = tmp_path / "out", "pariente2019-open-quick"
    systems = ["VEM, 1", "MCEM, 2", "heuristic, 2", "VEM, S-Wiener", "noisy"]
    sets = ["vae-power", "vae-power, convergence"]
    table = check_results(out, name, sets, systems)
    assert paper_of(table, "vae-power", "MCEM, MH-Wiener", "sdr") == 11.9
    curves = pandas.read_csv(out / f"{name}-convergence.csv")
    assert sorted(curves["iterations"]) == [1, 1, 2, 2]
    scores = pandas.read_csv(out / f"{name}-scores.csv").set_index(["set", "system"])
    # The inference of Figure 2 that is not cut short is that of Figure 1.
    both = [
        scores.loc[key, "sdr"].to_numpy()
        for key in zip(sets, ["VEM, 1", "VEM, 2"], strict=True)
    ]
    np.testing.assert_allclose(*both, rtol=1e-12)
    record = json.loads((out / f"{name}.json").read_text())
    assert set(record["seconds_of_an_iteration"]) == {"VEM", "MCEM"}
    said = capsys.readouterr().out
    assert "36" in said and "11.90" in said

    monkeypatch.setattr("common.scores.evaluate", None)
    monkeypatch.setattr(paper, "time_iterations", None)
    assert paper.main(arguments) == 0
    assert capsys.readouterr().out == said


def test_bando2020_makes_its_tables(arguments, tmp_path, capsys, monkeypatch):
    paper = script("bando2020")
    monkeypatch.setattr(paper, "METRICS", ("sdr", "pesq_nb_raw", "stoi", "pesq"))
    rows = ["VAE-NMF, Eq. (2)", "DnVAE-NMF w/ MTL, fixed", "DnVAE-NMF w/ MTL, Eq. (9)"]
    for table, kept in ((paper.ROWS, rows), (paper.BEYOND, [paper.MASK])):
        for row in set(table) - set(kept):
            monkeypatch.delitem(table, row)
    assert paper.main(arguments) == 0
    name = "bando2020-open-quick"
    sets = ["known", "unseen"]
    table = check_results(tmp_path / "out", name, sets, [*rows, paper.NOISY])
    assert paper_of(table, "unseen", rows[-1], "pesq_nb_raw") == 2.65
    assert paper_of(table, "known", paper.NOISY, "stoi") == 0.87
    assert "/ 12.75" in capsys.readouterr().out


def test_every_row_of_bando2020_is_a_system_with_a_recipe():
    paper = script("bando2020")
    from common.models import find_recipe

    for system in (*paper.ROWS.values(), *paper.BEYOND.values()):
        file, _ = paper.SYSTEMS[system]
        assert read_recipe(find_recipe(file)).card.name == file
    for table in paper.PAPER.values():
        assert set(table) == {*paper.ROWS, paper.NOISY}


def test_slides_make_their_tables_from_what_models_there_are(
    arguments, tmp_path, capsys
):
    paper = script("slides")
    # Five mixtures, one for each ratio.
    assert paper.main([*arguments, "--pairs", "5", "--no-training"]) == 0
    said, told = capsys.readouterr()
    assert "joint: left out" in told
    systems = ["SS", "WF", "noisy"]
    sets = ["white", "recorded"]
    table = check_results(tmp_path / "out", "slides-open-quick", sets, systems)
    assert paper_of(table, "white", "SS", "si_sdr", "-10") == 6.77
    assert paper_of(table, "recorded", "WF", "si_sdr") == pytest.approx(10.42, abs=0.01)
    noisy = table[(table["system"] == "noisy") & (table["metric"] == "si_sdr")]
    ratios = noisy[(noisy["set"] == "white") & (noisy["group"] != "all")]
    np.testing.assert_allclose(ratios["mean"], ratios["group"].astype(float), atol=0.3)
    assert "/ 6.77" in said


def test_what_is_trained_is_kept_as_its_recipe_says(data, models, tiny, tmp_path):
    from common.corpora import open_training
    from common.models import Models
    from common.run import Record, parse

    words = ["--quick", "--data", str(data), "--out", str(tmp_path)]
    run = parse("x", None, {"open": None}, [*words, "--models", str(tmp_path / "new")])
    found = Models(run, lambda: open_training(run.data), Record(run))
    model = found.load("vae-power")
    assert [file.name for file in run.models.iterdir()] == [
        "quick-vae-power.safetensors"
    ]
    assert (model.features, model.n_latent) == ("power", 2)
    assert model.random_state == 0
    # One that has the whole name goes before it.
    (run.models / "quick-vae-power.safetensors").rename(
        run.models / "vae-power.safetensors"
    )
    again = Models(run, None, Record(run)).load("vae-power")
    assert again.n_latent == 2
    both = [load_pretrained(run.models / "vae-power.safetensors"), again]
    assert both[0].score([np.ones(4000)]) == both[1].score([np.ones(4000)])


def test_results_of_another_set_up_are_refused(data, tiny, tmp_path):
    from common.run import Record, parse

    def run(*more):
        words = ["--quick", "--data", str(data), "--out", str(tmp_path), *more]
        return parse("x", None, {"open": None}, [*words, "--models", str(tmp_path)])

    clean = [make_speech(4000, random_state=k) for k in range(3)]
    model = SpeechVAE(2, 4, training=Training(1), random_state=0).fit(clean)
    Record(run()).add_model("a", model, "speech")
    # Another file of the same model is the same model.
    save_pretrained(model, tmp_path / "again.safetensors", description="again")
    again = load_pretrained(tmp_path / "again.safetensors")
    Record(run()).add_model("a", again, "speech")
    with pytest.raises(SystemExit, match="seed 0, not 1"):
        Record(run("--seed", "1"))
    others = [
        SpeechVAE(2, 4, training=Training(1), random_state=1).fit(clean),
        again.set_params(floor=0.5),
    ]
    for other in others:
        with pytest.raises(SystemExit, match="another set-up"):
            Record(run()).add_model("a", other, "speech")


def test_the_record_tells_where_scores_were_made_not_where_they_were_read(
    data, tiny, tmp_path, monkeypatch
):
    from common import run
    from common.scores import Scores

    words = ["--quick", "--data", str(data), "--out", str(tmp_path)]
    parsed = run.parse("x", None, {"open": None}, [*words, "--models", str(tmp_path)])

    def score(n_pairs):
        record = run.Record(parsed)
        scores = Scores(tmp_path / "scores.csv", ["si_sdr"], record)
        scores.table("s", "a", pairs_of(n_pairs), lambda: None)
        record.write()
        told = json.loads((tmp_path / "x-open-quick.json").read_text())["computed_by"]
        return [here["machine"] for here in told]

    monkeypatch.setattr(run, "machine", lambda: "the first")
    assert score(2) == ["the first"]
    monkeypatch.setattr(run, "machine", lambda: "the second")
    assert score(2) == ["the first"]
    assert score(3) == ["the first", "the second"]


def pairs_of(n_pairs, snr=0.0):
    rng = np.random.default_rng(0)
    clean = [rng.standard_normal(800) for _ in range(n_pairs)]
    noisy = [x + rng.standard_normal(800) for x in clean]
    names = [f"{k:03d}" for k in range(n_pairs)]
    return Corpus("x", clean, noisy, names, names, ["hum"] * n_pairs, [snr] * n_pairs)


class Broken:
    """Enhancer that gives up after some utterances."""

    def __init__(self, n_good):
        self.n_good = n_good

    def transform(self, X):
        self.n_good -= len(X)
        if self.n_good < 0:
            raise KeyboardInterrupt
        return X


def test_scoring_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    from common import scores

    monkeypatch.setattr(scores, "CHUNK", 2)
    pairs, nowhere = pairs_of(5), Mock()
    path = tmp_path / "scores.csv"
    with pytest.raises(KeyboardInterrupt):
        scores.Scores(path, ["si_sdr"], nowhere).table(
            "s", "a", pairs, lambda: Broken(3)
        )
    assert len(pandas.read_csv(path)) == 2
    rest = Broken(3)
    table = scores.Scores(path, ["si_sdr"], nowhere).table(
        "s", "a", pairs, lambda: rest
    )
    assert rest.n_good == 0
    whole = scores.Scores(tmp_path / "other.csv", ["si_sdr"], nowhere).table(
        "s", "a", pairs, lambda: None
    )
    np.testing.assert_allclose(table["si_sdr"], whole["si_sdr"], rtol=1e-12)
    assert table["utterance"].tolist() == [f"{k:03d}" for k in range(5)]


def test_scores_of_other_pairs_are_refused(tmp_path):
    from common.scores import Scores

    path = tmp_path / "scores.csv"
    nowhere = Mock()
    Scores(path, ["si_sdr"], nowhere).table("s", "a", pairs_of(2), lambda: None)
    for other in (pairs_of(1), pairs_of(2, snr=5.0)):
        with pytest.raises(SystemExit, match="other pairs"):
            Scores(path, ["si_sdr"], nowhere).table("s", "a", other, lambda: None)


def scored(values, noises="hum"):
    return pandas.DataFrame({"sdr": np.asarray(values, dtype=float), "noise": noises})


@pytest.mark.parametrize(
    ("gain", "told", "finding", "verdict"),
    [
        (1.0, {"paper": 2.0}, "a > b", "as in the paper"),
        (1.0, {"paper": -2.0}, "a > b", "against the paper"),
        (-1.0, {"paper": 2.0}, "a < b", "against the paper"),
        (0.0, {"paper": 2.0}, "a ? b", "open"),
        (0.0, {"paper": 0.1, "expected": 0}, "a ? b", "nothing against"),
        (1.0, {"expected": 0}, "a > b", "against the paper"),
        (-1.0, {"expected": 1}, "a < b", "against the paper"),
        (1.0, {}, "a > b", "not in the paper"),
    ],
)
def test_an_order_is_told_only_where_the_interval_leaves_out_zero(
    gain, told, finding, verdict
):
    from common.tables import Claim, format_claims, judge

    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 30)
    difference = gain + rng.normal(0, 0.5, 30)
    difference += gain - difference.mean()
    tables = {("s", "a"): scored(hard + difference), ("s", "b"): scored(hard)}
    judged = judge([Claim("s", "a", "b", "sdr", **told)], tables)
    [row] = judged.to_dict("records")
    assert row["finding"] == finding
    assert row["verdict"].startswith(verdict)
    assert row["difference"] == pytest.approx(gain, abs=1e-9)
    line = format_claims(judged).splitlines()[1]
    assert line.startswith(finding)
    # Of one kind of noise there is nothing to say of others.
    assert np.isnan([row["noises_low"], row["noises_high"]]).all()
    assert "in these noises" not in row["verdict"]


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_an_order_that_other_noises_may_turn_round_is_one_of_these_noises(spread):
    from common.tables import Claim, format_claims, judge

    rng = np.random.default_rng(0)
    gains = 1 + spread * np.repeat([-1.0, 1.0, -0.8, 0.8, 0.5, -0.5], 20)
    noises = np.repeat(list("abcdef"), 20)
    tables = {
        ("s", "a"): scored(gains + rng.normal(0, 0.1, 120), noises),
        ("s", "b"): scored(np.zeros(120), noises),
    }
    judged = judge([Claim("s", "a", "b", "sdr", 2.0)], tables)
    [row] = judged.to_dict("records")
    assert row["finding"] == "a > b"
    assert row["noises_low"] < row["low"] < row["high"] < row["noises_high"]
    general = spread < 1
    assert (row["noises_low"] > 0) == general
    wanted = "as in the paper" if general else "as in the paper, in these noises"
    assert row["verdict"] == wanted
    assert f"[{row['noises_low']:+.2f}, " in format_claims(judged)


def test_what_was_not_scored_is_not_judged():
    from common.tables import Claim, format_claims, judge

    judged = judge([Claim("s", "a", "b", "sdr", 1.0)], {("s", "a"): scored([1, 2])})
    assert judged.empty
    assert len(format_claims(judged).splitlines()) == 1


@pytest.mark.parametrize(
    ("target", "expected"), [(0.0, 1), (4.0, 10), (6.0, 15), (3.0, 7.75), (9.0, np.nan)]
)
def test_iterations_until_a_score_is_reached(target, expected):
    reach = script("pariente2019").iterations_to_reach
    scores = np.array([0.0, 4.0, 8.0, 5.0])
    np.testing.assert_equal(reach([1, 10, 20, 40], scores, target), expected)


def test_the_ratio_of_costs_counts_iterations_and_their_time():
    paper = script("pariente2019")
    vem = np.array([[0.0, 8.0, 8.0], [0.0, 4.0, 4.0]]).T
    mcem = np.array([[0.0, 4.0, 8.0], [0.0, 4.0, 8.0]]).T
    curves = paper.Curves(
        *((1, 11, 21), {}, {"VEM": vem, "MCEM": mcem}, None),
        seconds={"VEM": 0.01, "MCEM": 0.1},
    )
    found, text = paper.cost(curves)
    # To its final SDR less half a dB MCEM takes 11 + 10 * 3.5 / 4 iterations.
    first, second = 1 + 10 * 7.5 / 8, 1 + 10 * 3.5 / 4
    both = np.array([19.75 / first, 19.75 / second]) * 10
    assert found["mean"] == pytest.approx(both.mean())
    assert found["share_that_gets_as_far_as_mcem"] == 0.5
    assert found["median_where_it_does"] == pytest.approx(both[0])
    assert "50%" in text


def test_some_pairs_are_of_all_noises():
    from common.corpora import some

    noises = ["bus"] * 6 + ["street"] * 3
    files = [AudioFile(f"{k}.wav") for k in range(9)]
    pairs = Corpus("x", files, files, [str(k) for k in range(9)], None, noises)
    chosen = some(pairs, 4, seed=0)
    assert chosen.noises.tolist() == ["bus", "bus", "street", "street"]
    assert some(pairs, 4, seed=0).utterances.tolist() == chosen.utterances.tolist()
    assert len(some(pairs, 100, seed=0)) == 9


def test_white_noise_is_the_same_each_time_it_is_read():
    from common.corpora import WhiteNoise

    noise = WhiteNoise(3, seconds=1)
    samples = np.asarray(noise)
    assert len(noise) == len(samples) == SAMPLE_RATE
    np.testing.assert_array_equal(noise[5:9], samples[5:9])
    power = np.abs(np.fft.rfft(samples)) ** 2
    low, high = power[100:4000].mean(), power[4000:7900].mean()
    assert low / high == pytest.approx(1, abs=0.1)


def test_the_papers_corpora_are_found_in_their_folders(tmp_path, tiny):
    """Trees of empty files but for CHiME's: little is read until it is scored."""
    from common.corpora import find_material
    from common.run import parse

    def touch(*places):
        for place in places:
            path = tmp_path / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    names = ("slides", "pariente2019", "bando2018", "bando2020")
    slides, pariente, bando, bando2020 = map(script, names)
    for side in ("clean", "noisy"):
        for subset in ("test", "train_28spk".replace("_", "set_")):
            folder = "testset" if subset == "test" else subset
            touch(f"voicebank/{side}_{folder}_wav/p1_001.wav")
    for subset in ("testset", "trainset_28spk"):
        (tmp_path / "voicebank" / f"log_{subset}.txt").write_text("p1_001 bus 5\n")
    for k, split in enumerate(("TRAIN", "TEST")):
        for dialect in range(1, 9):
            for name in (
                "SA1",
                "SA2",
                *(f"SX{n}" for n in range(5)),
                "SI1",
                "SI2",
                "SI3",
            ):
                touch(f"timit/{split}/DR{dialect}/F{k}{dialect}/{name}.WAV")
    from skvae.datasets import DEMAND_ENVIRONMENTS

    # As the archives at 16 kHz have it.
    there = set(DEMAND_ENVIRONMENTS) - {"SCAFE"}
    touch(*(f"demand/{place}/ch01.wav" for place in there))
    touch(*(f"rouen/data_rouen/scene{chr(97 + k)}1.wav" for k in range(19)))
    chime = tmp_path / "chime4/data"
    touch("chime4/data/audio/16kHz/backgrounds/BGD_1_BUS.CH5.wav")
    for subset in ("tr05", "dt05", "et05"):
        entry = {"speaker": "F01", "wsj_name": "050C0101", "environment": "BUS"}
        (chime / "annotations").mkdir(exist_ok=True)
        text = json.dumps([entry])
        (chime / "annotations" / f"{subset}_simu.json").write_text(text)
        for place in ("isolated/{}.CH5.wav", "isolated_ext/{}.CH5.Clean.wav"):
            name = place.format(f"{subset}_bus_simu/F01_050C0101_BUS")
            touch(f"chime4/data/audio/16kHz/{name}")
            noise = make_noise(8000, "white", random_state=len(place))
            soundfile.write(chime / "audio/16kHz" / name, noise, SAMPLE_RATE)

    def material(paper, name, corpus):
        words = ["--corpus", corpus, "--data", str(tmp_path), "--models", "m"]
        run = parse(name, None, paper.CORPORA, [*words, "--out", str(tmp_path / "o")])
        return find_material(paper.CORPORA, run)

    found = material(slides, "slides", "voicebank")
    assert list(found.sets) == ["white", "recorded"]
    assert set(found.sets["recorded"].noises) == there
    training = found.training()
    assert len(training.clean) == len(training.noisy) == 1
    found = material(bando, "bando2018", "voicebank")
    assert found.sets["unseen"].noises.tolist() == ["bus"]
    found = material(pariente, "pariente2019", "timit-demand")
    assert set(found.sets["pairs"].snrs) == {0.0}
    # The sentences that all speakers read are not tested on.
    assert not any("SA" in name for name in found.sets["pairs"].utterances)
    assert found.training().noise is None
    for paper, name in ((bando, "bando2018"), (bando2020, "bando2020")):
        found = material(paper, name, "chime4")
        assert list(found.sets) == ["known", "unseen"]
        assert found.sets["known"].noises.tolist() == ["BUS"]
        training = found.training()
        assert len(training.clean) == len(training.noisy) == 1
        told = " ".join(found.differences)
        assert "mixtures of the corpus" in told and "new mixtures" not in told
    assert set(found.sets["unseen"].snrs) == set(found.sets["known"].snrs)
    assert "DLIVING" in material(bando, "bando2018", "chime4").sets["unseen"].noises

    # What is missing is told in one line, also of what is trained on.
    (chime / "annotations/tr05_simu.json").unlink()
    training = material(bando, "bando2018", "chime4").training
    with pytest.raises(SystemExit, match=r"chime4: .*tr05_simu\.json"):
        training()
    (chime / "annotations/dt05_simu.json").unlink()
    with pytest.raises(SystemExit, match=r"chime4: .*dt05_simu\.json"):
        material(bando, "bando2018", "chime4")
