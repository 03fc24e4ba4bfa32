r"""Choice of the number of iterations from the mixture.

    python benchmarks/validation_pairs.py PAIRS --data DATA --pairs 147 \
        --environments all
    python benchmarks/iterations.py --pairs PAIRS --csv iterations.csv

The script enhances each mixture with "vae-nmf" and several numbers of iterations. It
also computes quantities that do not need the clean speech. In this list, the speech and
the residual are those of the guide's mask:

    snr         ratio of speech to residual in dB
    fluctuation standard deviation of the power of the residual over time, in dB
    movement    mean change of the spectrum of the residual between frames, in dB
    activity    fraction of the mixture's power that is speech
    length      length of the mixture in seconds
    descent     decrease of the cost per iteration, between the first and the second
                number of iterations, relative to the decrease before

The script prints

1. the rank correlations of these quantities with the gain from more iterations,
2. the means for every fixed number of iterations,
3. the gain over the best fixed number, with intervals of paired differences: of an
   oracle that knows the clean speech, and of rules that are trained and tested on
   different environments.

The rules are a threshold of one quantity, which is selected in training, and a linear
model of the scores in all quantities.
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

#: Numbers of iterations.
NUMBERS = (12, 25, 50, 100, 200)

QUANTITIES = ("snr", "fluctuation", "movement", "activity", "length", "descent")

#: Floor of the power, relative to the mean of the mixture.
FLOOR = 1e-6

#: L2 penalty of the linear model, whose inputs have unit variance.
RIDGE = 10.0


def look(guide: Any, inference: Any, noisy: Any) -> dict[str, float]:
    """Compute the quantities of a mixture."""
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
    """Learn a threshold of one quantity that selects one of two numbers."""
    best, rule = scores.mean(axis=0).max(), (0, -np.inf, 0, scores.mean(0).argmax())
    for k, column in enumerate(quantities.T):
        order = np.argsort(column)
        below = np.cumsum(scores[order], axis=0)
        above = below[-1] - below
        # Each side contains at least a tenth of the mixtures.
        for i in range(len(order) // 10, len(order) - len(order) // 10):
            score = (below[i].max() + above[i].max()) / len(order)
            if score > best:
                threshold = (column[order[i]] + column[order[i + 1]]) / 2
                best = score
                rule = (k, threshold, below[i].argmax(), above[i].argmax())
    k, threshold, low, high = rule
    return lambda x: np.where(x[:, k] < threshold, low, high)


def linear_rule(quantities: np.ndarray, scores: np.ndarray) -> Callable:
    """Learn a linear model, and select the number with the highest predicted score."""
    mean, scale = quantities.mean(axis=0), quantities.std(axis=0) + 1e-9
    inputs = (quantities - mean) / scale
    # Without the mean over the numbers, which depends on the mixture only.
    relative = scores - scores.mean(axis=1, keepdims=True)
    gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (relative - relative.mean(axis=0)))
    return lambda x: ((x - mean) / scale @ weights + relative.mean(axis=0)).argmax(1)


def chosen_elsewhere(
    learn: Callable, quantities: np.ndarray, scores: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Choose a number for each mixture, with a rule from the other environments."""
    choice = np.zeros(len(scores), int)
    for group in np.unique(groups):
        held_out = groups == group
        rule = learn(quantities[~held_out], scores[~held_out])
        choice[held_out] = rule(quantities[held_out])
    return choice


def fixed_rule(quantities: np.ndarray, scores: np.ndarray) -> Callable:
    """Select the same number for all mixtures, the best on average."""
    best = scores.mean(axis=0).argmax()
    return lambda x: np.full(len(x), best)


def report(known: pandas.DataFrame, tables: dict[int, pandas.DataFrame]) -> str:
    """Format the results."""
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
        lines += ["", f"{name}, compared with {numbers[fixed]} iterations for all"]
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
        help="file for all scores; existing scores are not computed again",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    info, noisy, clean = read_pairs(arguments.pairs)
    model = load_pretrained(arguments.model)

    def inference(max_iter: int) -> Any:
        parameters = {**model.inference.get_params(), "max_iter": max_iter}
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
