from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pandas
import pytest
from scipy.optimize import brentq

from skvae import evaluate
from skvae.datasets import make_dataset
from skvae.evaluation import intervals
from skvae.evaluation.intervals import estimate_mean
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
    scores = rng.gamma(2.0, size=40)
    # Hesterberg's percentiles for n = 40, with t(39, 0.975) = 2.0227: tail 0.02026.
    means = [np.mean(rng.choice(scores, 40)) for _ in range(20000)]
    expected = np.quantile(means, [0.02026, 0.97974])
    row = summarize(pandas.DataFrame({"sdr": scores}), n_resamples=20000).iloc[0]
    np.testing.assert_allclose([row["low"], row["high"]], expected, atol=0.03)


def hall_interval(mean, sums, counts, t):
    """Interval whose ends have Hall's statistic at the quantiles of Student's t."""
    n = len(sums)
    residuals = sums - mean * counts
    error = np.sqrt(n / (n - 1) * np.sum(residuals**2)) / counts.sum()
    skewness = np.mean(residuals**3) / np.mean(residuals**2) ** 1.5
    a = skewness / np.sqrt(n)

    def above(truth, quantile):
        x = (mean - truth) / error
        return x + a * x**2 / 3 + a**2 * x**3 / 27 + a / 6 - quantile

    far = mean - 99 * error, mean + 99 * error
    return [brentq(above, *far, args=(quantile,)) for quantile in (t, -t)]


def test_the_interval_of_few_scores_contains_that_of_hall():
    rng = np.random.default_rng(1)
    for n, t in ((5, 2.77645), (12, 2.20099), (29, 2.04841)):
        scores = rng.exponential(size=n)
        hall = hall_interval(scores.mean(), scores, np.ones(n), t)
        row = summarize(pandas.DataFrame({"sdr": scores})).iloc[0]
        # Long on the right, where the percentiles end early; on the left they may not.
        assert row["high"] == pytest.approx(hall[1], abs=1e-3)
        assert row["low"] <= hall[0] + 1e-3
    symmetric = pandas.DataFrame({"sdr": [*np.arange(-10.0, 11), 1e-9, -1e-9]})
    row = summarize(symmetric).iloc[0]
    t_interval = 2.0739 * symmetric["sdr"].std() / np.sqrt(23)
    assert row["high"] == pytest.approx(t_interval, rel=0.05)
    assert row["low"] == pytest.approx(-t_interval, rel=0.05)


def promised_coverage():
    """Rows of the table in the docstring: kind of scores, and coverage by n."""
    text = inspect.getdoc(summarize)
    rows = re.findall(r"^(\w[\w ]+?)  +(0\.\d\d) +(0\.\d\d) +(0\.\d\d)$", text, re.M)
    numbers = {kind: [float(x) for x in values] for kind, *values in rows}
    assert len(numbers) == 4
    return [
        (kind, n, coverage)
        for kind, row in numbers.items()
        for n, coverage in zip((5, 10, 30), row, strict=True)
    ]


@pytest.mark.parametrize(("kind", "n", "promised"), promised_coverage())
def test_the_coverage_is_what_the_docstring_promises(kind, n, promised):
    rng = np.random.default_rng(n)
    n_sets, size = 1000, 6

    def draw(shape):
        if kind.startswith("normal"):
            return rng.normal(size=shape)
        return rng.exponential(size=shape) - 1

    covered = 0
    for _ in range(n_sets):
        scores, clusters = draw(n), np.arange(n)
        if "clusters" in kind:
            scores = (scores[:, None] + rng.normal(size=(n, size))).ravel()
            clusters = np.repeat(clusters, size)
        found = estimate_mean(scores, clusters, 0.95, 400, rng)
        covered += found.low <= 0 <= found.high
    # Three standard errors of the simulation, and the rounding in the docstring.
    spread = 3 * np.sqrt(promised * (1 - promised) / n_sets) + 0.005
    assert covered / n_sets == pytest.approx(promised, abs=spread)


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
    assert (alone.pop("clusters") == alone["n"]).all()
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
    low, high = np.quantile(means, [0.00096, 0.99904])
    hall = hall_interval(
        np.concatenate(kept).mean(),
        np.array([x.sum() for x in kept]),
        np.array([len(x) for x in kept]),
        2.7764,
    )
    expected = min(low, hall[0]), max(high, hall[1])
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
    monkeypatch.setattr(intervals, "_INDICES_AT_ONCE", 1000)
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


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_fewer_than_five_scores_have_a_mean_and_no_interval(n):
    rng = np.random.default_rng(n)
    table = pandas.DataFrame({"si_sdr": rng.normal(50, 1, n)})
    means, gains = summarize(table), compare(table, table - 50)
    for found in (means, gains):
        bounds = found.loc[0, ["low", "high"]].astype(float)
        assert np.isnan(bounds).all() == (n < 5)
        assert found.loc[0, "note"] == ("n too small" if n < 5 else "")
        assert found.loc[0, "n"] == n
    assert means.loc[0, "mean"] == pytest.approx(table["si_sdr"].mean())
    # All differences are 50, but a sign is that of an interval.
    sign = gains.loc[0, "sign"]
    assert (sign is pandas.NA) if n < 5 else (sign == 1)
    assert gains["sign"].dtype == "Int64"
    for text in (format_summary(means), format_comparison(gains)):
        assert ("[n too small]" in text) == (n < 5)
        assert "nan" not in text


def test_clusters_that_are_few_are_counted_and_told():
    rng = np.random.default_rng(11)
    noise = np.repeat(np.arange(12), 10)
    table = pandas.DataFrame({"noise": noise, "si_sdr": rng.normal(noise, 1)})
    other = table.assign(si_sdr=table["si_sdr"] + rng.normal(1, 1, 120))
    for n, note in ((4, "too few clusters"), (5, "few clusters"), (9, "few clusters")):
        rows = noise < n
        means = summarize(table[rows], cluster="noise")
        gains = compare(other[rows], table[rows], cluster="noise")
        for found in (means, gains):
            row = found.iloc[0]
            assert row["n"] == 10 * n
            assert row["clusters"] == n
            assert row["note"] == note
            assert np.isnan(row["low"]) == (n < 5)
        text = format_summary(means)
        assert text.splitlines()[0].split() == ["n", "clusters", "si_sdr"]
        assert ("[too few clusters]" in text) == (n < 5)
        told = "* fewer than 10 clusters: the interval is approximate"
        assert (text.splitlines()[-1] == told) == (n >= 5)
        assert text.count("]*") == (n >= 5)
    many = summarize(table, cluster="noise")
    assert many["note"].tolist() == [""]
    assert "*" not in format_summary(many)


def systems(n=12):
    rng = np.random.default_rng(12)
    noisy = pandas.DataFrame({"snr": np.resize([0, 5], n), "sdr": rng.normal(5, 3, n)})
    return {
        "noisy": noisy,
        "one": noisy.assign(sdr=noisy["sdr"] + rng.normal(1, 0.2, n)),
        "two": noisy.assign(sdr=noisy["sdr"] + rng.normal(-1, 0.2, n)),
    }


def test_a_dict_or_a_list_of_tables_is_summarized_system_by_system():
    tables = systems()
    found = summarize(tables, by="snr")
    assert list(found.columns[:3]) == ["system", "snr", "metric"]
    assert found["system"].tolist() == [name for name in tables for _ in range(3)]
    parts = [summarize(table, by="snr") for table in tables.values()]
    pandas.testing.assert_frame_equal(
        found.drop(columns="system"), pandas.concat(parts, ignore_index=True)
    )
    numbered = summarize(list(tables.values()), by="snr")
    assert numbered["system"].unique().tolist() == [0, 1, 2]
    assert numbered.drop(columns="system").equals(found.drop(columns="system"))


@pytest.mark.parametrize("by", [None, "system", ["system", "snr"], "snr"])
def test_there_is_no_mean_over_systems(by):
    tables = systems()
    together = pandas.concat(
        [table.assign(system=name) for name, table in tables.items()]
    )
    found = summarize(together, by=by)
    assert "all" not in found["system"].tolist()
    expected = summarize(tables, by=None if by in (None, "system") else "snr")
    pandas.testing.assert_frame_equal(found, expected)


def test_a_single_system_has_a_name_where_it_is_asked_for():
    table = systems()["one"].assign(system="one")
    assert "system" not in summarize(table)
    assert "system" not in compare(table, table)
    found = summarize(table, by=["system", "snr"])
    assert found["system"].tolist() == ["one"] * 3
    assert found["snr"].tolist() == ["all", 0, 5]


def test_each_system_is_compared_with_the_one_that_is_named():
    tables = systems()
    found = compare(tables, "noisy")
    assert found["system"].tolist() == ["one", "two"]
    assert found["sign"].tolist() == [1, -1]
    alone = compare(tables["one"], tables["noisy"])
    pandas.testing.assert_frame_equal(found[:1].drop(columns="system"), alone)
    # By number, and with a table from elsewhere.
    listed = list(tables.values())
    assert compare(listed, 0)["system"].tolist() == [1, 2]
    assert compare(listed, listed[2])["difference"].tolist()[2] == 0
    with pytest.raises(ValueError, match=r"name of a system.*'noisy'.*got 'three'"):
        compare(tables, "three")
    with pytest.raises(ValueError, match="name of a system"):
        compare(tables, tables)
    with pytest.raises(ValueError, match="name of a system"):
        compare(tables["one"], "noisy")
    for wrong in ({}, [], "scores.csv", {"one": "scores.csv"}, None):
        with pytest.raises(ValueError, match="`table` must be a table of `evaluate`"):
            summarize(wrong)


def test_systems_in_one_file_are_paired_by_utterance(tmp_path):
    labels = pandas.Index([f"{k}" for k in range(12)], name="utterance")
    together = pandas.concat(
        [
            table.set_index(labels).assign(system=name, file=f"{name}.wav")
            for name, table in systems().items()
        ]
    )
    together.to_csv(tmp_path / "scores.csv")
    expected = compare(systems(), "noisy", by="snr")
    for options in ({}, {"index_col": 0}):
        table = pandas.read_csv(tmp_path / "scores.csv", **options)
        found = compare(table, "noisy", by="snr")
        pandas.testing.assert_frame_equal(found, expected)
        assert table["system"].nunique() == 3  # it is not changed
    with pytest.raises(ValueError, match="`other` must contain one system"):
        compare(table, table)


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


@pytest.mark.parametrize("style", ["markdown", "latex"])
def test_tables_for_papers_hold_the_same_cells(style):
    tables = {"a_b|c": systems()["one"], "50 % & more": systems()["two"]}
    means = summarize(tables, by="snr")
    plain, table = format_summary(means), format_summary(means, style=style)
    for cell in re.findall(r"-?\d+\.\d\d \[.*?\]", plain):
        shown = re.sub(r"-(?=\d)", "$-$", cell) if style == "latex" else cell
        assert shown in table
    assert "SDR (dB)" in table
    lines = table.splitlines()
    if style == "markdown":
        assert lines[0] == "| system | SNR (dB) | n | SDR (dB) |"
        assert lines[1] == "|:---|:---|---:|---:|"
        assert lines[2].startswith(r"| a\_b\|c | all | 12 | ")
        assert len(lines) == 2 + 6
    else:
        assert lines[:2] == [r"\begin{tabular}{llrr}", r"\toprule"]
        assert lines[2] == r"system & SNR (dB) & n & SDR (dB) \\"
        assert r"50 \% \& more & 0 & 6 & " in table
        assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
        assert all(line.endswith(r" \\") for line in lines[4:10])
    small = compare(tables["a_b|c"][:3], tables["50 % & more"][:3])
    assert "[n too small]" in format_comparison(small, style=style)
    gaps = summarize(tables["a_b|c"].assign(sdr=np.nan))
    assert "12 undefined, 0 errors" in format_summary(gaps, style)


def test_styles_are_checked():
    table = systems()["one"]
    with pytest.raises(ValueError, match="`style` must be one of"):
        format_summary(summarize(table), style="html")
    with pytest.raises(ValueError, match="`style` must be one of"):
        format_comparison(compare(table, table), style="html")
