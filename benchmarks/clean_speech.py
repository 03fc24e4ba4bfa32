"""What the models do to speech that is clean, or nearly so.

    python benchmarks/clean_speech.py --data DATA --csv scores.csv

A model should leave clean speech as it is. The script mixes DATA/speech/valid with the
noises that ``validation_pairs.py`` reserves, at 20, 30 and 40 dB. Every utterance has
the same noise at each SNR, and the last table is for the speech without noise. The
script prints the SI-SDR in dB and the PESQ (wide band) of each model, and the paired
differences to the input. Intervals are 95 % bootstrap intervals whose clusters are the
kinds of noise, or the speakers where there is no noise.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas
from command_line import model_name, output_file
from quality import load, model_first
from validation_pairs import ENVIRONMENTS

from skvae.datasets import find_audio
from skvae.datasets.mixing.pairs import LabeledPair, mix_pairs, take_turns
from skvae.evaluation.scores import evaluate
from skvae.evaluation.summary import compare, format_summary, summarize
from skvae.storage.pretrained import list_models

SNRS = (20.0, 30.0, 40.0, math.inf)
METRICS = ("si_sdr", "pesq")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    speech = None if arguments.speech is None else find_audio(arguments.speech)
    models = {name: load(name, speech) for name in arguments.models}
    scores = []
    for snr in arguments.snrs:
        info, noisy, clean = make_pairs(arguments.data, snr, arguments)
        tables = {}
        for name in ["noisy", *models]:
            tables[name] = evaluate(
                models.get(name),
                noisy,
                clean,
                METRICS,
                info=info,
                n_jobs=arguments.n_jobs,
                verbose=not arguments.quiet,
            )
            scores.append(tables[name].assign(model=name))
            if arguments.csv is not None:
                # After each model, so that no scores are lost if a later one fails.
                pandas.concat(scores).to_csv(arguments.csv)
        title = "without noise" if math.isinf(snr) else f"{snr:g} dB"
        text = report(tables, is_clean=math.isinf(snr))
        print(f"{title}\n{'-' * len(title)}\n{text}\n", flush=True)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [model.name for model in list_models()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of speech/ and noise/")
    parser.add_argument(
        "--models", nargs="+", default=names, metavar="MODEL", type=model_name,
        help=f"any of {', '.join(names)}, or model files; default: all of the former",
    )  # fmt: skip
    parser.add_argument(
        "--speech", metavar="FOLDER", help="clean speech to fit models on"
    )
    parser.add_argument(
        "--snrs", nargs="+", type=float, default=list(SNRS), metavar="DB",
        help="SNRs in dB; inf means no noise; default: 20 30 40 inf",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", type=int, default=None, help="number of pairs; default: one for "
        "each utterance",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument(
        "--csv", metavar="OUT", type=output_file, help="file for the score of each pair"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser.parse_args(argv)


def make_pairs(
    data: str, snr: float, arguments: argparse.Namespace
) -> tuple[pandas.DataFrame, list[np.ndarray], list[np.ndarray]]:
    """Mix the pairs of one SNR: table, noisy speech and clean speech."""
    rows, noisy, clean = [], [], []
    for pair in mixtures(data, snr, arguments):
        row = (pair.speaker, pair.utterance, pair.environment, pair.noise, snr)
        rows.append(row)
        clean.append(pair.clean)
        noisy.append(pair.clean if math.isinf(snr) else pair.noisy)
    columns = ["speaker", "utterance", "environment", "noise_file", "snr_db"]
    return pandas.DataFrame(rows, columns=columns), noisy, clean


def mixtures(
    data: str, snr: float, arguments: argparse.Namespace
) -> Iterator[LabeledPair]:
    # The generator starts anew, so that only the SNR differs between two calls.
    rng = np.random.default_rng(arguments.seed)
    speech = take_turns(find_audio(os.path.join(data, "speech", "valid")), rng)
    noise = os.path.join(data, "noise", "train")
    noises = {
        name: find_audio(os.path.join(noise, name)) for name in ENVIRONMENTS["steady"]
    }
    n_pairs = len(speech) if arguments.pairs is None else arguments.pairs
    order = [speech[k % len(speech)] for k in range(n_pairs)]
    return mix_pairs(order, noises, [0.0 if math.isinf(snr) else snr], rng)


def report(tables: dict[str, pandas.DataFrame], *, is_clean: bool) -> str:
    """Format the means, and the paired differences to the input.

    The SI-SDR of an input without noise is infinite, so there is no difference to it.
    """
    cluster = "speaker" if is_clean else "environment"
    models = {name: table for name, table in tables.items() if name != "noisy"}
    means = pandas.concat(
        summarize(table, cluster=cluster).assign(model=name)
        for name, table in (models if is_clean else tables).items()
    )
    metrics = METRICS[1:] if is_clean else METRICS
    differences = pandas.concat(
        compare(table, tables["noisy"], metrics=metrics, cluster=cluster)
        .drop(columns=["mean", "other"])
        .rename(columns={"difference": "mean", "dropped": "undefined"})
        .assign(errors=0, model=name)
        for name, table in models.items()
    )
    return "\n".join(
        [
            format_summary(model_first(means)),
            "\npaired differences to the input",
            format_summary(model_first(differences)),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
