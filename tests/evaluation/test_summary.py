from __future__ import annotations

import warnings

import numpy as np
import pandas
import pytest

import skvae.evaluation.summary
from skvae import evaluate
from skvae.datasets import make_dataset
from skvae.evaluation.summary import (
    compare,
    format_comparison,
    format_summary,
    summarize,
)

FAST = ["si_sdr", "sdr"]


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(4, (1.0, 1.5), snr=[0, 5], random_state=0)


def made_table(rng, n=40):
    table = pandas.DataFrame(
        {
            "snr": np.resize([0, 5], n),
            "noise": np.resize(["hum", "hum", "wind"], n),
            "si_sdr": rng.normal(5, 3, n),
            "pesq": rng.normal(2, 0.3, n),
            "error": [None] * n,
        }
    )
    table.loc[3, ["si_sdr", "pesq"]] = np.nan
    table.loc[3, "error"] = "broken"
    table.loc[5, "pesq"] = np.nan
    return table


def test_summary_holds_plain_means_and_counts_of_every_group():
    table = made_table(np.random.default_rng(0))
    summary = summarize(table, by=["snr", "noise"])
    assert len(summary) == 2 * (1 + 4)
    for _, row in summary.iterrows():
        rows = table
        if row["snr"] != "all":
            rows = table[
                (table["snr"] == row["snr"]) & (table["noise"] == row["noise"])
            ]
        scores = rows[row["metric"]]
        assert row["mean"] == pytest.approx(scores.mean())
        assert row["low"] < row["mean"] < row["high"]
        assert row["n"] == scores.notna().sum()
        assert row["n"] + row["undefined"] + row["errors"] == len(rows)
    counts = summary[["undefined", "errors"]][:2].to_numpy().tolist()
    assert counts == [[0, 1], [1, 1]]


def test_the_interval_agrees_with_a_slow_bootstrap():
    rng = np.random.default_rng(1)
    scores = rng.gamma(2.0, size=25)
    # Hesterberg's percentiles for n = 25, with t(24, 0.975) = 2.0639: tail 0.01755.
    means = [np.mean(rng.choice(scores, 25)) for _ in range(20000)]
    expected = np.quantile(means, [0.01755, 0.98245])
    row = summarize(pandas.DataFrame({"sdr": scores}), n_resamples=20000).iloc[0]
    np.testing.assert_allclose([row["low"], row["high"]], expected, atol=0.03)


@pytest.mark.parametrize("n", [8, 25])
def test_the_interval_covers_the_true_mean_as_often_as_it_says(n):
    rng = np.random.default_rng(2)
    n_tables, confidence = 400, 0.9
    truth = 2.0
    table = pandas.DataFrame(
        {
            "table": np.repeat(np.arange(n_tables), n),
            "sdr": rng.gamma(truth, size=n_tables * n),
        }
    )
    # Groups share the resamples; the data differ.
    summary = summarize(table, "table", "sdr", confidence, n_resamples=400)[1:]
    covered = ((summary["low"] <= truth) & (truth <= summary["high"])).mean()
    # 3 standard errors of the simulation, and a skewed law on the lower side.
    assert 0.86 - 0.01 < covered < 0.9 + 0.045


def clustered(rng, n_tables, n_clusters, size):
    """Scores of mean 3 that vary more between clusters than within them."""
    shape = (n_tables, n_clusters, size)
    table, noise = (np.broadcast_to(np.indices(shape)[k], shape) for k in (0, 1))
    scores = 3 + 2 * rng.normal(size=(*shape[:2], 1)) + rng.normal(size=shape)
    columns = {"table": table, "noise": noise, "sdr": scores}
    return pandas.DataFrame({name: values.ravel() for name, values in columns.items()})


def test_an_interval_of_clusters_covers_the_mean_over_other_clusters_too():
    table = clustered(np.random.default_rng(2), 300, 8, 10)

    def coverage(cluster):
        found = summarize(table, "table", "sdr", 0.9, 400, cluster=cluster)[1:]
        return ((found["low"] <= 3) & (found["high"] >= 3)).mean()

    assert coverage(None) < 0.5
    assert 0.9 - 0.05 < coverage("noise") < 0.9 + 0.05


def test_clusters_of_one_are_utterances_and_their_order_does_not_count():
    table = made_table(np.random.default_rng(6)).assign(one=lambda t: t.index)
    alone = summarize(table, cluster="one")
    pandas.testing.assert_frame_equal(alone, summarize(table))
    [mixed, sorted_] = (
        summarize(t, metrics="si_sdr", cluster="noise")
        for t in (table, table.sort_values("noise", kind="stable"))
    )
    pandas.testing.assert_frame_equal(mixed, sorted_)
    row = summarize(table[table["noise"] == "hum"], cluster="noise").iloc[0]
    assert np.isnan([row["low"], row["high"]]).all()
    with pytest.raises(ValueError, match="`cluster` must be a column"):
        summarize(table, cluster="speaker")


def test_a_comparison_of_clusters_agrees_with_a_slow_bootstrap():
    rng = np.random.default_rng(7)
    noises = np.repeat(["a", "b", "c", "d", "e"], [3, 9, 5, 5, 7])
    gains = rng.normal(size=len(noises)) + 3 * np.unique(noises, return_inverse=True)[1]
    table = pandas.DataFrame({"noise": noises, "sdr": gains})
    other = table.assign(sdr=0.0)
    other.loc[2, "sdr"] = np.nan
    kept = [gains[(noises == name) & (np.arange(len(gains)) != 2)] for name in "abcde"]
    means = [
        np.concatenate([kept[k] for k in rng.integers(5, size=5)]).mean()
        for _ in range(20000)
    ]
    # Hesterberg's percentiles for n = 5, with t(4, 0.975) = 2.7764: tail 0.00096.
    expected = np.quantile(means, [0.00096, 0.99904])
    row = compare(table, other, n_resamples=20000, cluster="noise").iloc[0]
    np.testing.assert_allclose([row["low"], row["high"]], expected, atol=0.15)
    assert row["difference"] == pytest.approx(np.concatenate(kept).mean())


def test_intervals_shrink_with_n_and_widen_with_confidence():
    rng = np.random.default_rng(3)
    few, many = (pandas.DataFrame({"sdr": rng.normal(size=n)}) for n in (10, 1000))

    def width(table, **kwargs):
        row = summarize(table, **kwargs).iloc[0]
        return row["high"] - row["low"]

    assert width(many) < width(few) / 5
    assert width(few, confidence=0.5) < width(few) < width(few, confidence=0.99)


def test_resampling_is_seeded_and_groups_do_not_touch_each_other(monkeypatch):
    table = made_table(np.random.default_rng(4))
    pandas.testing.assert_frame_equal(summarize(table), summarize(table))
    assert not summarize(table).equals(summarize(table, random_state=1))
    alone = summarize(table[table["snr"] == 5], metrics="pesq").iloc[0]
    among = summarize(table, "snr").query("snr == 5 and metric == 'pesq'").iloc[0]
    assert (alone[["low", "high"]] == among[["low", "high"]]).all()
    # In pieces the random numbers are different.
    whole = summarize(table).loc[0, ["low", "high"]].astype(float)
    monkeypatch.setattr(skvae.evaluation.summary, "_INDICES_AT_ONCE", 1000)
    pieces = summarize(table).loc[0, ["low", "high"]].astype(float)
    np.testing.assert_allclose(whole, pieces, atol=0.2)


def test_degenerate_scores_have_honest_intervals():
    def row(scores):
        return summarize(pandas.DataFrame({"sdr": scores})).iloc[0]

    assert np.isnan(row([np.nan, np.nan])["mean"])
    assert row([np.nan, np.nan])["n"] == 0
    single = row([3.0])
    assert single["mean"] == 3
    assert np.isnan(single["low"])
    assert np.isnan(single["high"])
    constant = row([2.0] * 5)
    assert constant["low"] == constant["mean"] == constant["high"] == 2
    silent = row([-np.inf, *np.arange(9.0)])
    assert silent["mean"] == silent["low"] == -np.inf
    assert not np.isnan(silent["high"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(row([-np.inf, np.inf, 1.0])["mean"])


def test_summary_survives_a_csv_file(pairs, tmp_path):
    table = evaluate(None, *pairs, FAST, info={"snr": [0, 5, 0, 5]})
    table.to_csv(tmp_path / "scores.csv")
    again = pandas.read_csv(tmp_path / "scores.csv", index_col=0)
    pandas.testing.assert_frame_equal(
        summarize(again, "snr"), summarize(table, "snr"), check_exact=False
    )


def test_metrics_are_found_in_the_table(pairs):
    def level(clean, enhanced):
        return float(np.mean(enhanced**2))

    table = evaluate(None, *pairs, ["sdr", level], info={"snr": [0, 5, 0, 5]})
    assert summarize(table)["metric"].tolist() == ["sdr", "level"]
    assert summarize(table, metrics="rtf")["metric"].tolist() == ["rtf"]
    with pytest.raises(ValueError, match="`metrics` must be columns"):
        summarize(table[["snr"]])
    with pytest.raises(ValueError, match=r"`metrics` must be columns.*'wer'"):
        summarize(table, metrics=["wer"])
    with pytest.raises(ValueError, match=r"`by` must be columns.*'speaker'"):
        summarize(table, by="speaker")
    with pytest.raises(ValueError, match="`confidence`"):
        summarize(table, confidence=95)
    with pytest.raises(ValueError, match="`n_resamples`"):
        summarize(table, n_resamples=0)


def test_formatted_summary_names_what_has_no_score():
    table = made_table(np.random.default_rng(5))
    lines = format_summary(summarize(table, "snr")).splitlines()
    assert lines[0].split() == ["snr", "n", "si_sdr", "pesq"]
    assert [line.split()[0] for line in lines[1:4]] == ["all", "0", "5"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert "all pesq: 1 undefined, 1 errors" in lines
    assert "5 si_sdr: 0 undefined, 1 errors" in lines


def test_comparison_sees_what_separate_intervals_do_not():
    rng = np.random.default_rng(6)
    difficulty = rng.normal(0, 5, 60)
    table = pandas.DataFrame({"sdr": difficulty + 0.5, "snr": np.resize([0, 5], 60)})
    other = pandas.DataFrame({"sdr": difficulty + rng.normal(0, 0.3, 60)})
    first, second = (summarize(t).iloc[0] for t in (table, other))
    assert first["low"] < second["mean"] < first["high"]
    rows = compare(table, other, by="snr")
    assert rows["sign"].tolist() == [1, 1, 1]
    assert rows["n"].tolist() == [60, 30, 30]
    np.testing.assert_allclose(rows["difference"], rows["mean"] - rows["other"])
    backwards = compare(other, table).iloc[0]
    assert backwards["sign"] == -1
    assert backwards["difference"] == pytest.approx(-rows.loc[0, "difference"])


def test_comparison_of_equals_finds_no_difference():
    table = made_table(np.random.default_rng(7))
    rows = compare(table, table)
    assert (rows[["difference", "low", "high", "sign"]] == 0).all(axis=None)
    assert rows["dropped"].tolist() == [1, 2]
    noise = np.random.default_rng(8).normal(size=(200, 2, 20))
    signs = [
        compare(*(pandas.DataFrame({"sdr": x}) for x in pair), n_resamples=300).loc[
            0, "sign"
        ]
        for pair in noise
    ]
    assert 0.85 < np.mean(np.array(signs) == 0) < 0.995


def test_comparison_refuses_other_utterances():
    table = made_table(np.random.default_rng(9))
    with pytest.raises(ValueError, match="same utterances"):
        compare(table, table[:-1])
    files = [table.assign(file=[f"{x}{k}" for k in range(40)]) for x in "ab"]
    with pytest.raises(ValueError, match="same utterances"):
        compare(*files)


def test_one_utterance_has_a_score_and_no_interval():
    table = pandas.DataFrame({"si_sdr": [5.0]})
    text = format_summary(summarize(table))
    assert "5.00" in text
    assert "nan" not in text


def test_formatted_comparison_has_signs_and_names_what_has_no_pair():
    table = made_table(np.random.default_rng(10))
    worse = table.assign(si_sdr=table["si_sdr"] - 2, pesq=table["pesq"] + 0.25)
    rows = compare(table, worse, by="snr")
    lines = format_comparison(rows).splitlines()
    assert lines[0].split() == ["snr", "n", "si_sdr", "pesq"]
    assert lines[1].split()[1:] == [
        *("39", "+2.00", "[+2.00,", "+2.00]", "-0.250", "[-0.250,", "-0.250]")
    ]
    assert "all pesq: 2 without a pair" in lines
    assert "nan" not in format_comparison(compare(table[:1], worse[:1]))
