r"""Whether the number of iterations can be chosen from the mixture.

    python benchmarks/validation_pairs.py PAIRS --data DATA --pairs 147 \
        --environments all
    python benchmarks/iterations.py --pairs PAIRS --csv iterations.csv

Enhances each mixture by "vae-nmf" with several numbers of iterations, and looks at what
is known of it beforehand or on the way:

    snr         ratio in dB of what the guide takes for speech and what it leaves
    fluctuation standard deviation over time, in dB, of the power that it leaves
    movement    mean change of the spectrum that it leaves from frame to frame, in dB
    activity    share of the power of the mixture that it takes for speech
    length      of the mixture in seconds
    descent     fall of the cost for each iteration from the first number of them to the
                second, relative to that before

Then come rank correlations of these with what more iterations gain; the means of every
fixed number; what an oracle that knows the clean speech would gain over the best fixed
number; and what rules gain that are learned without the environment that they are
judged on: a threshold of one quantity, which is chosen with it, and a linear model of
the scores in all of them. Intervals are of paired differences.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas
from command_line import output_file
from quality import read_pairs
from scipy.stats import spearmanr
from variants import variant

from skvae import GradientVEM, load_pretrained
from skvae.evaluation.scores import evaluate
from skvae.evaluation.summary import compare, format_comparison
from skvae.signal.framing import power

METRICS = ("si_sdr", "pesq")

#: Numbers of iterations to choose from.
NUMBERS = (12, 25, 50, 100, 200)

QUANTITIES = ("snr", "fluctuation", "movement", "activity", "length", "descent")

#: Power below which nothing counts, relative to the mean of the mixture.
FLOOR = 1e-6

#: Weight of the coefficients of the linear model, whose inputs have unit variance.
RIDGE = 10.0


def look(guide: Any, inference: Any, noisy: Any) -> dict[str, float]:
    """What is known of a mixture without the clean speech."""
    waveform = np.asarray(noisy)
    stft = guide.stft_
    [spectrogram] = stft.transform([waveform])
    V = power(spectrogram.frames())
    mask = guide.separate([waveform])[0].mask.T
    left, taken = (1 - mask) ** 2 * V, mask**2 * V
    floor = FLOOR * V.mean()
    levels = 10 * np.log10(left.sum(axis=1) + floor)
    smooth = 10 * np.log10(left + floor)
    history = np.asarray(inference.separate([waveform])[0].history)
    first, second = NUMBERS[0], NUMBERS[1]
    early = (history[0] - history[first - 1]) / first
    late = (history[first - 1] - history[second - 1]) / (second - first)
    return {
        "snr": 10 * np.log10((taken.sum() + floor) / (left.sum() + floor)),
        "fluctuation": levels.std(),
        "movement": np.abs(np.diff(smooth, axis=0)).mean(),
        "activity": taken.sum() / V.sum(),
        "length": len(waveform) / stft.sample_rate,
        "descent": late / early if early > 0 else 0.0,
    }


def threshold_rule(quantities: np.ndarray, scores: np.ndarray) -> Callable:
    """One number below a threshold of one quantity and another above, for the best."""
    best, rule = scores.mean(axis=0).max(), (0, -np.inf, 0, scores.mean(0).argmax())
    for k, column in enumerate(quantities.T):
        order = np.argsort(column)
        below = np.cumsum(scores[order], axis=0)
        above = below[-1] - below
        # Neither side smaller than a tenth.
        for i in range(len(order) // 10, len(order) - len(order) // 10):
            score = (below[i].max() + above[i].max()) / len(order)
            if score > best:
                threshold = (column[order[i]] + column[order[i + 1]]) / 2
                best = score
                rule = (k, threshold, below[i].argmax(), above[i].argmax())
    k, threshold, low, high = rule
    return lambda x: np.where(x[:, k] < threshold, low, high)


def linear_rule(quantities: np.ndarray, scores: np.ndarray) -> Callable:
    """The number whose predicted score is highest."""
    mean, scale = quantities.mean(axis=0), quantities.std(axis=0) + 1e-9
    inputs = (quantities - mean) / scale
    # Less the mean of the numbers: an easy mixture is easy for each of them.
    relative = scores - scores.mean(axis=1, keepdims=True)
    gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (relative - relative.mean(axis=0)))
    return lambda x: ((x - mean) / scale @ weights + relative.mean(axis=0)).argmax(1)


def chosen_elsewhere(
    learn: Callable, quantities: np.ndarray, scores: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """What a rule chooses for each mixture that has learned from other environments."""
    choice = np.zeros(len(scores), int)
    for group in np.unique(groups):
        held_out = groups == group
        rule = learn(quantities[~held_out], scores[~held_out])
        choice[held_out] = rule(quantities[held_out])
    return choice


def fixed_rule(quantities: np.ndarray, scores: np.ndarray) -> Callable:
    """The same number for all, the best on average."""
    best = scores.mean(axis=0).argmax()
    return lambda x: np.full(len(x), best)


def report(known: pandas.DataFrame, tables: dict[int, pandas.DataFrame]) -> str:
    """What the scores say."""
    lines = ["rank correlation with the gain of SI-SDR", ""]
    numbers = list(tables)
    scores = {
        metric: np.column_stack([tables[n][metric] for n in numbers])
        for metric in METRICS
    }
    sdr = scores["si_sdr"]
    steps = list(pairwise(range(len(numbers))))
    titles = "".join(f"{numbers[i]} -> {numbers[j]}".rjust(13) for i, j in steps)
    lines.append(" " * 12 + titles)
    for name in QUANTITIES:
        cells = [
            float(spearmanr(known[name], sdr[:, j] - sdr[:, i]).statistic)
            for i, j in steps
        ]
        lines.append(name.ljust(12) + "".join(f"{cell:13.2f}" for cell in cells))
    lines += ["", "iterations" + "".join(m.rjust(12) for m in METRICS) + "   best for"]
    best_for = np.bincount(sdr.argmax(axis=1), minlength=len(numbers))
    for k, n in enumerate(numbers):
        means = "".join(f"{scores[m][:, k].mean():12.3f}" for m in METRICS)
        lines.append(f"{n:<10}{means}{best_for[k]:8d} mixtures")
    quantities = known[list(QUANTITIES)].to_numpy()
    groups = known["environment"].to_numpy()
    fixed = sdr.mean(axis=0).argmax()
    choices = {"oracle": sdr.argmax(axis=1)}
    for learn in (fixed_rule, threshold_rule, linear_rule):
        name = learn.__name__.replace("_", " ")
        choices[name] = chosen_elsewhere(learn, quantities, sdr, groups)
    for name, choice in choices.items():
        lines += ["", f"{name}, over {numbers[fixed]} iterations for all"]
        chosen = pandas.DataFrame(
            {m: scores[m][np.arange(len(choice)), choice] for m in METRICS}
        )
        other = pandas.DataFrame({m: scores[m][:, fixed] for m in METRICS})
        lines.append(format_comparison(compare(chosen, other)))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", required=True, help="folder of pairs")
    parser.add_argument("--model", default="vae-nmf", help="default: vae-nmf")
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument(
        "--csv", metavar="OUT", type=output_file,
        help="file for all scores, from which they are taken",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    info, noisy, clean = read_pairs(arguments.pairs)
    model = load_pretrained(arguments.model)

    def inference(n_iter: int) -> Any:
        parameters = {**model.inference.get_params(), "n_iter": n_iter}
        changes = {"inference": GradientVEM(**parameters)}
        return variant(model, changes).fit(clean[:1])

    if arguments.csv is not None and os.path.exists(arguments.csv):
        kept = pandas.read_csv(arguments.csv)
    else:
        short = inference(NUMBERS[1])
        known = pandas.DataFrame([look(model.guide_, short, item) for item in noisy])
        parts = []
        for n in NUMBERS:
            table = evaluate(
                inference(n), noisy, clean, METRICS,
                info=info, n_jobs=arguments.n_jobs,
            )  # fmt: skip
            parts.append(pandas.concat([table, known], axis=1).assign(iterations=n))
            print(f"{n} iterations: {table['si_sdr'].mean():.2f} dB", flush=True)
        kept = pandas.concat(parts)
        if arguments.csv is not None:
            kept.to_csv(arguments.csv, index=False)
    tables = {n: rows.reset_index(drop=True) for n, rows in kept.groupby("iterations")}
    print(report(next(iter(tables.values())), tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
