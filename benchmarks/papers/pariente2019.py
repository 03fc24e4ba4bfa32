"""Figures 1 and 2 and Table 1 of Pariente et al. (2019): VEM and MCEM.

    python benchmarks/papers/pariente2019.py --data DATA --models MODELS

The script prints the SDR at an SNR of 0 dB

- against the number of draws, for the heuristic, MCEM and VEM (Figure 1),
- against iterations and against time, with the ratio of the costs of VEM and MCEM
  (Figure 2),
- for three ways to reconstruct the speech (Table 1).

DATA is the open corpus, with speech/ and noise/. With --corpus timit-demand, it is a
folder with timit/ and demand/, as in the paper. The models are vae-power, which is that
of the paper, and vae-nmf, whose encoder reads logarithms. Figure 2 uses vae-power.

M. Pariente, A. Deleforge, E. Vincent: A statistically principled and computationally
efficient approach to speech enhancement using variational autoencoders, INTERSPEECH
2019.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas
from common.corpora import (
    Material,
    demand_noises,
    find_material,
    mixed,
    open_noises,
    open_speech,
    open_training,
    timit_speech,
    timit_training,
)
from common.figures import draw_means, new_figure, save, style, tidy
from common.models import NOTHING, Models
from common.report import Report
from common.run import Run, parse
from common.scores import Tables
from common.tables import ALL, Claim, align, grid, means
from sklearn.frozen import FrozenEstimator

from skvae import MCEM, VEM, VAENMFEnhancer
from skvae.datasets import Corpus
from skvae.evaluation.summary import summarize

METRICS = ("sdr", "si_sdr")

#: SNR of the paper in dB.
SNR = 0.0

#: Numbers of draws per expectation in Figure 1.
DRAWS = (1, 2, 5, 10)

#: Numbers of draws of the two methods in Figure 2 and Table 1.
DRAWS_OF_VEM, DRAWS_OF_MCEM = 1, 5

#: Number of iterations, and iterations that Figure 2 shows. The SDR after k iterations
#: is that of an inference with k iterations, which draws the same random numbers.
MAX_ITER = 100
LOOKS = (1, 2, 3, 5, 8, 12, 20, 35, 60, 100)

#: Fraction of the pairs for Figure 2, which needs an inference for each of its points.
CONVERGING_SHARE = 0.5

#: Time of an iteration: two numbers of iterations, number of pairs and of rounds.
FEW_ITERATIONS, MANY_ITERATIONS, N_TIMED, N_ROUNDS = 1, 11, 3, 7

#: Maximum difference in dB to the final SDR that counts as converged.
TOLERANCE = 0.5

SPEECH_MODELS = ("vae-power", "vae-nmf")

#: Speech models that read logarithms, for which there is an additional VEM.
READ_LOGARITHMS = ("vae-nmf",)

#: VEM whose encoder gets the same kind of input as in training.
EXPECTED_LOG = "VEM, E[log]"

#: Methods in the order of their colors.
METHODS = ("heuristic", "MCEM", "VEM", EXPECTED_LOG)

#: SDR in dB, from Table 1. The paper gives no other numbers for its figures.
PAPER = {
    "VEM, MH-Wiener": 11.8,
    "VEM, S-Wiener": 11.4,
    "VEM, Z-Wiener": 11.4,
    "heuristic, MH-Wiener": 6.4,
    "heuristic, S-Wiener": 5.8,
    "heuristic, Z-Wiener": 5.8,
    "MCEM, MH-Wiener": 11.9,
}
PAPER_RATIO, PAPER_SECONDS = 36, {"VEM": 0.055, "MCEM": 0.753}

DIFFERENCES = (
    "Inference: 100 iterations instead of the stopping criterion of Leglaive et al. "
    "(2018).",
    "Speech models: vae-power has the network of the paper (64 latent variables, 128 "
    "hidden units) and was trained at random levels. vae-nmf is the speech model of "
    "the package, which reads logarithms of powers with a floor.",
    f"Not in the paper: {EXPECTED_LOG!r} is VEM whose encoder gets exp(E[log |s|^2]) "
    "instead of E|s|^2. An encoder that reads logarithms was trained on this input.",
)


def open_material(run: Run) -> Material:
    pairs = mixed(
        open_speech(run.data),
        open_noises(run.data, "test"),
        [SNR],
        run.scale.pairs,
        run.seed,
    )
    told = ("Data: open recordings instead of TIMIT and DEMAND.",)
    return Material(lambda: open_training(run.data), {"pairs": pairs}, told)


def timit_material(run: Run) -> Material:
    pairs = mixed(
        timit_speech(run.data),
        demand_noises(run.data),
        [SNR],
        run.scale.pairs,
        run.seed,
    )
    told = ("The pairs of sentences and noises are drawn again.",)
    return Material(lambda: timit_training(run.data), {"pairs": pairs}, told)


CORPORA = {"open": open_material, "timit-demand": timit_material}


def main(argv: Sequence[str] | None = None) -> int:
    run = parse("pariente2019", __doc__, CORPORA, argv)
    material = find_material(CORPORA, run)
    pairs = material.sets["pairs"]
    report = Report(run, material, METRICS)
    tables: Tables = {}
    for speech in SPEECH_MODELS:
        systems = {
            name: _maker(report.models, speech, inference)
            for name, inference in inferences(speech).items()
        }
        scored = report.scores.tables({speech: pairs}, systems)
        if scored:
            scored |= report.scores.tables({speech: pairs}, {"noisy": lambda: None})
            scored |= {(speech, a): scored[speech, b] for a, b in SAME.items()}
        tables |= scored
    if not tables:
        raise SystemExit("no speech model exists: run without --no-training.")
    report.note("Differences in set-up", [*material.differences, *DIFFERENCES])
    found = means(tables, METRICS, paper=paper_numbers())
    for speech in dict.fromkeys(name for name, _ in tables):
        rows = found[found["set"] == speech]
        report.add(
            f"{speech}: SDR in dB by draws per expectation (Figure 1)",
            grid(by_draws(rows), "sdr", "system", "group"),
        )
        is_way = rows["system"].str.endswith("-Wiener")
        report.add(
            f"{speech}: SDR in dB by reconstruction (Table 1), ours [95 % interval] / "
            "the paper's",
            grid(rows[is_way], "sdr", "system", "metric"),
        )
    first = next(name for name, _ in tables)
    some = spread(pairs, CONVERGING_SHARE)
    curves = converge(run, report, first, some)
    if curves is None:
        report.judge(claims(), tables)
    else:
        asked = [*claims(), *claims_of_looks(curves)]
        report.judge(asked, tables | curves.tables)
    for speech in SPEECH_MODELS:
        best = f"MCEM, {DRAWS_OF_MCEM}", f"VEM, {DRAWS_OF_VEM}"
        report.by_noise(tables, speech, *best)
    more: dict[str, Any] = {}
    if curves is not None:
        ratios, text = cost(curves)
        report.add(
            f"{first}: ratio of the costs of MCEM and VEM (Figure 2), on {len(some)} "
            "of the pairs",
            text,
        )
        curves.means.to_csv(run.path("-convergence.csv"), index=False)
        more["seconds_of_an_iteration"] = curves.seconds
        more["cost_ratio"] = ratios
    report.finish(found, tables, **more)
    draw(run, found, curves)
    return 0


def inferences(speech: str) -> dict[str, Any]:
    """Return the inferences of Figure 1, and the others of Table 1, by name."""
    reads_logarithms = speech in READ_LOGARITHMS
    found: dict[str, Any] = {}
    for n in DRAWS:
        found[f"heuristic, {n}"] = vem(n_samples=n, covariance=False)
        found[f"MCEM, {n}"] = mcem(MAX_ITER, n)
        found[f"VEM, {n}"] = vem(n_samples=n)
        if reads_logarithms:
            found[f"{EXPECTED_LOG}, {n}"] = vem(
                n_samples=n, encoder_input="log-expectation"
            )
    for name, is_covariance in (("VEM", True), ("heuristic", False)):
        for way in "sz":
            found[f"{name}, {way.upper()}-Wiener"] = vem(
                covariance=is_covariance, reconstruction=way
            )
    return found


def vem(max_iter: int = MAX_ITER, **parameters: Any) -> VEM:
    """Return VEM in the form of the paper, with some other parameters."""
    return VEM.as_published().set_params(max_iter=max_iter, **parameters)


def mcem(max_iter: int, n_samples: int) -> MCEM:
    """Return MCEM with a burn-in that is three times as long as the draws."""
    return MCEM.as_published().set_params(
        max_iter=max_iter, n_burn_in=3 * n_samples, n_samples=n_samples
    )


#: Rows of Table 1 that are also points of Figure 1.
SAME = {
    "VEM, MH-Wiener": f"VEM, {DRAWS_OF_VEM}",
    "heuristic, MH-Wiener": f"heuristic, {DRAWS_OF_VEM}",
    "MCEM, MH-Wiener": f"MCEM, {DRAWS_OF_MCEM}",
}


def make(models: Models, speech: str, inference: Any) -> VAENMFEnhancer:
    """Create VAE-NMF as in the paper: no guide, no smoothing of the mask, ten bases."""
    model = models.load(speech)
    vae = getattr(model, "vae_", model)
    if not isinstance(vae, FrozenEstimator):
        vae = FrozenEstimator(vae)
    enhancer = VAENMFEnhancer.as_published("vem", vae, random_state=0)
    enhancer.set_params(inference=models.shortened(inference))
    return enhancer.fit(NOTHING)


def _maker(models: Models, speech: str, inference: Any) -> Callable[[], Any]:
    return lambda: make(models, speech, inference)


def by_draws(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Select the means of Figure 1: system is the method, group the number of draws."""
    parts = rows["system"].str.rsplit(", ", n=1, expand=True)
    is_number = parts[1].fillna("").str.isdigit()
    rows = rows[is_number].assign(system=parts[0], group=parts[1])
    return rows.sort_values(
        ["system", "group"], key=lambda c: c.astype(int) if c.name == "group" else c
    )


def claims() -> list[Claim]:
    """List the findings of the paper."""
    few, many = DRAWS[0], DRAWS[-1]
    found = []
    for speech in SPEECH_MODELS:
        found += [
            Claim(speech, f"VEM, {few}", f"heuristic, {few}", "sdr", 11.8 - 6.4),
            Claim(
                speech,
                f"MCEM, {DRAWS_OF_MCEM}",
                f"VEM, {DRAWS_OF_VEM}",
                "sdr",
                11.9 - 11.8,
                expected=0,
            ),
            Claim(speech, f"VEM, {many}", f"VEM, {few}", "sdr", expected=0),
            # Only the signs are known, from Figure 1.
            Claim(speech, f"MCEM, {many}", f"MCEM, {few}", "sdr", expected=1),
            Claim(speech, f"VEM, {few}", f"MCEM, {few}", "sdr", expected=1),
            Claim(speech, f"MCEM, {many}", f"VEM, {many}", "sdr", expected=1),
        ]
        found += [
            Claim(
                speech,
                f"{name}, MH-Wiener",
                f"{name}, {way}-Wiener",
                "sdr",
                PAPER[f"{name}, MH-Wiener"] - PAPER[f"{name}, {way}-Wiener"],
            )
            for name in ("VEM", "heuristic")
            for way in "SZ"
        ]
        found += [
            Claim(speech, f"{EXPECTED_LOG}, {few}", f"VEM, {few}", "sdr"),
            Claim(speech, f"{EXPECTED_LOG}, {few}", f"MCEM, {DRAWS_OF_MCEM}", "sdr"),
            Claim(speech, f"VEM, {few}", "noisy", "sdr"),
        ]
    return found


def claims_of_looks(curves: Curves) -> list[Claim]:
    """Compare the methods at each point of Figure 2, and each with its last point."""
    [name] = {name for name, _ in curves.tables}
    *_, last = curves.looks
    found = [Claim(name, f"VEM, {k}", f"MCEM, {k}", "sdr") for k in curves.looks]
    return found + [
        Claim(name, f"{method}, {last}", f"{method}, {k}", "sdr")
        for method in curves.scores
        for k in curves.looks[-3:-1]
    ]


def paper_numbers() -> dict[tuple[str, str, str, str], float]:
    return {
        (speech, system, ALL, "sdr"): value
        for speech in SPEECH_MODELS
        for system, value in PAPER.items()
    }


class Curves(NamedTuple):
    """Content of Figure 2.

    Attributes
    ----------
    looks : tuple of int
        Numbers of iterations.
    tables : dict of (str, str) to DataFrame
        Scores by test set and system, such as "VEM, 8".
    scores : dict of str to ndarray, shape (n_looks, n_pairs)
        SDR of each method.
    means : DataFrame
        Mean SDR with intervals.
    seconds : dict of str to float
        Time of an iteration of each method, per second of audio.
    """

    looks: tuple[int, ...]
    tables: Tables
    scores: dict[str, np.ndarray]
    means: pandas.DataFrame
    seconds: dict[str, float]


def spread(pairs: Corpus, share: float) -> Corpus:
    """Select a fraction of the pairs, evenly spaced."""
    n = max(2, round(share * len(pairs)))
    return pairs[np.unique(np.linspace(0, len(pairs) - 1, n).round().astype(int))]


def converge(run: Run, report: Report, speech: str, pairs: Corpus) -> Curves | None:
    """Score both methods after some iterations, and measure the time per iteration."""
    most = run.scale.max_iter or MAX_ITER
    looks = tuple(k for k in LOOKS if k <= most)
    name = f"{speech}, convergence"
    methods: dict[str, Callable[[int], Any]] = {
        "VEM": lambda k: vem(k, n_samples=DRAWS_OF_VEM),
        "MCEM": lambda k: mcem(k, DRAWS_OF_MCEM),
    }
    systems = {
        f"{method}, {k}": _maker(report.models, speech, inference(k))
        for method, inference in methods.items()
        for k in looks
    }
    tables = report.scores.tables({name: pairs}, systems)
    if len(tables) < len(systems):
        return None
    scores = {
        method: np.array([tables[name, f"{method}, {k}"]["sdr"] for k in looks])
        for method in methods
    }
    found = means(tables, ["sdr"])
    found[["system", "iterations"]] = found["system"].str.split(", ", expand=True)
    found["iterations"] = found["iterations"].astype(int)
    timing = run.path("-timing.csv")
    if not timing.exists():
        makers = {
            method: lambda k, inference=inference: make(
                report.models, speech, inference(k)
            )
            for method, inference in methods.items()
        }
        report.record.add_computation()
        time_iterations(makers, pairs, most).to_csv(timing, index=False)
    seconds = pandas.read_csv(timing).groupby("method", sort=False)["seconds"].median()
    curves = found.drop(columns="group")
    return Curves(looks, tables, scores, curves, seconds.to_dict())


def time_iterations(
    makers: dict[str, Callable[[int], Any]], pairs: Corpus, most: int
) -> pandas.DataFrame:
    """Measure the time of an iteration of each method, in alternating rounds.

    The difference between a longer and a shorter inference excludes the work at the
    start and at the end. CPU time excludes waiting for other processes.
    """
    few, many = FEW_ITERATIONS, min(MANY_ITERATIONS, most)
    waveforms = [np.asarray(noisy) for noisy in pairs.noisy[:N_TIMED]]
    seconds = sum(map(len, waveforms)) / pairs.noisy[0].sample_rate
    enhancers = {
        (method, k): maker(k) for method, maker in makers.items() for k in (few, many)
    }
    least = time.get_clock_info("process_time").resolution
    records = []
    # The first round is a warm-up.
    for round_number in range(N_ROUNDS + 1):
        spent = {}
        for key, enhancer in enhancers.items():
            begin = time.process_time()
            enhancer.transform(waveforms)
            spent[key] = time.process_time() - begin
        records += [
            {
                "round": round_number,
                "method": method,
                "seconds": max(spent[method, many] - spent[method, few], least)
                / (many - few)
                / seconds,
            }
            for method in makers
            if round_number > 0
        ]
    return pandas.DataFrame(records)


def cost(curves: Curves) -> tuple[dict[str, float], str]:
    """Compare the costs of MCEM and VEM, as in the paper and up to the same SDR."""
    per_iteration = curves.seconds["MCEM"] / curves.seconds["VEM"]
    own = {
        method: [
            iterations_to_reach(curves.looks, scores, scores[-1] - TOLERANCE)
            for scores in curves.scores[method].T
        ]
        for method in curves.scores
    }
    ratios = np.divide(own["MCEM"], own["VEM"]) * per_iteration
    [row] = summarize(pandas.DataFrame({"ratio": ratios}), metrics="ratio").to_dict(
        "records"
    )
    to_mcem = [
        iterations_to_reach(curves.looks, vem, mcem[-1] - TOLERANCE)
        for vem, mcem in zip(
            curves.scores["VEM"].T, curves.scores["MCEM"].T, strict=True
        )
    ]
    reached = np.isfinite(to_mcem)
    strict = np.divide(own["MCEM"], to_mcem)[reached] * per_iteration
    found = {
        "iteration": per_iteration,
        "mean": row["mean"],
        "low": row["low"],
        "high": row["high"],
        "median": float(np.median(ratios)),
        "share_that_gets_as_far_as_mcem": float(reached.mean()),
        "median_where_it_does": float(np.median(strict)) if len(strict) else None,
    }
    lines = [["", "here", "the paper"]]
    paper = PAPER_SECONDS["MCEM"] / PAPER_SECONDS["VEM"]
    lines += [
        [
            "time of an iteration, MCEM / VEM",
            f"{per_iteration:.1f}",
            f"{paper:.1f}",
        ],
        [
            f"time to {TOLERANCE} dB below the own final SDR, MCEM / VEM, mean",
            f"{row['mean']:.1f} [{row['low']:.1f}, {row['high']:.1f}]",
            str(PAPER_RATIO),
        ],
        ["the same, median", f"{found['median']:.1f}", ""],
        ["pairs on which VEM reaches that SDR of MCEM", f"{reached.mean():.0%}", ""],
        [
            "time to that SDR of MCEM, MCEM / VEM, median of these pairs",
            f"{np.median(strict):.1f}" if len(strict) else "",
            "",
        ],
    ]
    return found, align(lines)


def iterations_to_reach(
    looks: Sequence[int], scores: np.ndarray, target: float
) -> float:
    """Return the interpolated number of iterations to reach a score, or NaN.

    >>> iterations_to_reach([1, 10, 20], np.array([0.0, 4.0, 8.0]), 6.0)
    15.0
    """
    reached = scores >= target
    if not reached.any():
        return np.nan
    k = int(reached.argmax())
    if k == 0:
        return float(looks[0])
    share = (target - scores[k - 1]) / (scores[k] - scores[k - 1])
    return float(looks[k - 1] + share * (looks[k] - looks[k - 1]))


def draw(run: Run, found: pandas.DataFrame, curves: Curves | None) -> None:
    names = list(dict.fromkeys(found["set"]))
    n_columns = len(names) + (0 if curves is None else 2)
    figure, axes = new_figure(1, n_columns, 3.6 * n_columns, 3.9)
    for name, ax in zip(names, axes[0], strict=False):
        rows = by_draws(found[(found["set"] == name) & (found["metric"] == "sdr")])
        for k, method in enumerate(METHODS):
            of_method = rows[rows["system"] == method]
            if len(of_method):
                places = [DRAWS.index(int(n)) for n in of_method["group"]]
                apart = 0.08 * (k - 1)
                draw_means(ax, np.add(places, apart), of_method, method, **style(k))
        ax.set_xticks(range(len(DRAWS)), [str(n) for n in DRAWS])
        ax.set_xlabel("draws per expectation")
        ax.set_title(f"{name}, {run.scale.max_iter or MAX_ITER} iterations", loc="left")
    if curves is not None:
        _draw_curves(axes[0, -2:], curves)
    shown = {}
    for ax in axes[0]:
        ax.set_ylabel("SDR (dB)")
        tidy(ax)
        handles, labels = ax.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    figure.legend(
        shown.values(), shown, loc="outside upper center", ncols=4, frameon=False
    )
    save(figure, run.path(".png"))


def _draw_curves(axes: np.ndarray, curves: Curves) -> None:
    [name] = set(curves.means["set"])
    for method in curves.scores:
        rows = curves.means[curves.means["system"] == method]
        iterations = rows["iterations"].to_numpy()
        times = iterations * curves.seconds[method]
        look = style(METHODS.index(method))
        for ax, places in zip(axes, (iterations, times), strict=True):
            draw_means(ax, places, rows, method, **look)
            ax.set_xscale("log")
            ax.set_title(name, loc="left")
    axes[0].set_xticks(curves.looks, [str(k) for k in curves.looks])
    axes[0].minorticks_off()
    axes[0].set_xlabel("iterations")
    axes[1].set_xlabel("seconds of work per second of audio")


if __name__ == "__main__":
    sys.exit(main())
