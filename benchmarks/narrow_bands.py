"""Quality of enhancement for recordings with a narrower band than the model.

    python benchmarks/narrow_bands.py --pairs PAIRS --models best vae-nmf is-nmf

The script resamples the mixtures of PAIRS, a folder as for ``quality.py``, to lower
rates, which removes everything above half of the rate. Each model enhances them at its
own rate, as ``skvae enhance`` does with a file at 8 kHz or a telephone recording at 16
kHz. For comparison, the same model enhances the full band. The script prints the SI-SDR
in dB at the lower rate, with 95 % bootstrap intervals, and the paired difference of the
two, which is the loss due to the missing band.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
import soxr
from quality import differences, load, model_first, read_pairs

from skvae.evaluation.summary import format_summary, summarize
from skvae.metrics import si_sdr

#: Sample rate in Hz of the models and of the pairs.
SAMPLE_RATE = 16000

#: Sample rates of telephones, of old sound cards, and of some voice recorders.
RATES = (8000, 11025, 12000)


def resampled(waveforms: list[np.ndarray], old: int, new: int) -> list[np.ndarray]:
    return [soxr.resample(waveform, old, new) for waveform in waveforms]


def scores(clean: list[np.ndarray], found: list[np.ndarray]) -> pandas.DataFrame:
    """Compute the SI-SDR of each pair, whose lengths may differ after resampling."""
    pairs = zip(clean, found, strict=True)
    values = [si_sdr(s[: len(y)], y[: len(s)]) for s, y in pairs]
    return pandas.DataFrame({"si_sdr": values})


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    _, noisy, clean = read_pairs(arguments.pairs)
    noisy, clean = (
        [np.asarray(x, np.float64) for x in part] for part in (noisy, clean)
    )
    models = {}
    for name in arguments.models:
        models[name] = load(name, None).set_params(n_jobs=arguments.n_jobs)
    whole = {name: model.transform(noisy) for name, model in models.items()}
    for rate in arguments.rates:
        title = f"{rate} Hz"
        print(f"{title}\n{'-' * len(title)}")
        print(report(rate, noisy, clean, models, whole), end="\n\n", flush=True)
    return 0


def report(
    rate: int,
    noisy: list[np.ndarray],
    clean: list[np.ndarray],
    models: dict[str, Any],
    whole: dict[str, list[np.ndarray]],
) -> str:
    """Format the tables of a rate; `whole` contains the results of the full band."""
    target = resampled(clean, SAMPLE_RATE, rate)
    low = resampled(noisy, SAMPLE_RATE, rate)
    seen = resampled(low, rate, SAMPLE_RATE)
    means = [summarize(scores(target, low)).assign(model="noisy")]
    prices = []
    for name, model in models.items():
        of_band, of_whole = (
            scores(target, resampled(found, SAMPLE_RATE, rate))
            for found in (model.transform(seen), whole[name])
        )
        means += [
            summarize(of_band).assign(model=name),
            summarize(of_whole).assign(model=f"{name}, full band"),
        ]
        prices.append(differences(of_band, of_whole).assign(model=name))
    return "\n".join(
        [
            format_summary(model_first(pandas.concat(means))),
            "\npaired differences to the full band",
            format_summary(model_first(pandas.concat(prices))),
        ]
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", required=True, help="folder of pairs")
    parser.add_argument(
        "--models", nargs="+", default=["best", "vae-nmf", "is-nmf"], metavar="MODEL",
        help="names or files; default: best vae-nmf is-nmf",
    )  # fmt: skip
    parser.add_argument(
        "--rates", nargs="+", type=int, default=list(RATES), metavar="HZ",
        help=f"below {SAMPLE_RATE}; default: {' '.join(map(str, RATES))}",
    )  # fmt: skip
    parser.add_argument("--n-jobs", type=int, default=None)
    arguments = parser.parse_args(argv)
    for rate in arguments.rates:
        if not 0 < rate < SAMPLE_RATE:
            parser.error(f"--rates must be in (0, {SAMPLE_RATE}), got {rate}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
