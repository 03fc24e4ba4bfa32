"""Quality of the enhancers on pairs of noisy and clean speech.

    python benchmarks/quality.py --pairs PAIRS --models spectral-subtraction wiener

PAIRS is a folder with clean/, noisy/ and pairs.csv, whose columns are pair, speaker,
environment, noise_file, snr_db and seconds; ``validation_pairs.py`` creates one. The
script prints a table for all pairs, and one for each SNR or noise: means with 95 %
bootstrap intervals. The first row is the noisy speech. The last table contains paired
differences to the noisy speech. They show small gains even if the intervals of the
means overlap.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

import pandas
from command_line import model_name, output_file

from skvae.datasets import AudioFile, find_audio, load_pairs
from skvae.evaluation.scores import DEFAULT_METRICS, evaluate
from skvae.evaluation.summary import compare, format_summary, summarize
from skvae.storage.pretrained import list_models, load_pretrained

#: Options of --by: column of pairs.csv, and format of the titles.
GROUPS = {"snr": ("snr_db", "{} dB"), "noise": ("environment", "{}")}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    info, noisy, clean = read_pairs(arguments.pairs)
    speech = None if arguments.speech is None else find_audio(arguments.speech)
    tables = {}
    for name in ["noisy", *arguments.models]:
        enhancer = None if name == "noisy" else load(name, speech)
        tables[name] = evaluate(
            enhancer,
            noisy,
            clean,
            arguments.metrics,
            info=info,
            n_jobs=arguments.n_jobs,
            verbose=not arguments.quiet,
        )
        if arguments.csv is not None:
            # After each model, so that no scores are lost if a later one fails.
            rows = [table.assign(model=model) for model, table in tables.items()]
            pandas.concat(rows).to_csv(arguments.csv)
    print(report(tables, arguments.by))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [model.name for model in list_models()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", required=True, help="folder of pairs")
    parser.add_argument(
        "--models", nargs="+", default=names, metavar="MODEL", type=model_name,
        help=f"any of {', '.join(names)}, or files that `skvae train` wrote; default: "
        "all of the former",
    )  # fmt: skip
    parser.add_argument(
        "--speech", metavar="FOLDER", help="clean speech to fit models on"
    )
    parser.add_argument("--by", choices=GROUPS, default="snr")
    parser.add_argument(
        "--metrics", nargs="+", default=list(DEFAULT_METRICS), metavar="NAME"
    )
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument(
        "--csv", metavar="OUT", type=output_file,
        help="file for the score of every pair",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser.parse_args(argv)


def read_pairs(
    folder: str,
) -> tuple[pandas.DataFrame, list[AudioFile], list[AudioFile]]:
    """Return the table of the pairs, the noisy files and the clean files."""
    pairs = pandas.read_csv(os.path.join(folder, "pairs.csv"))
    corpus = load_pairs(folder, sample_rate=None)
    info = pairs[["speaker", "environment", "noise_file", "snr_db"]]
    return info, corpus.noisy, corpus.clean


def load(name: str, speech: list[AudioFile] | None):
    """Return a fitted model; the speech is only for models that learn."""
    learns = any(model.name == name and model.learns for model in list_models())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        return load_pretrained(name, clean=speech if learns else None)


def report(tables: dict[str, pandas.DataFrame], by: str) -> str:
    """Format the means, the differences to the noisy speech, and the times."""
    column, title = GROUPS[by]
    summary = pandas.concat(
        summarize(table, by=column).assign(model=model)
        for model, table in tables.items()
    )
    parts = []
    for group in summary[column].drop_duplicates():
        rows = summary[summary[column] == group]
        rows = model_first(rows.drop(columns=column))
        name = "all pairs" if group == "all" else title.format(group)
        parts += [name, "-" * len(name), format_summary(rows), ""]

    others = {model: table for model, table in tables.items() if model != "noisy"}
    if not others:
        return "\n".join(parts[:-1])
    over_noisy = pandas.concat(
        differences(table, tables["noisy"]).assign(model=model)
        for model, table in others.items()
    )
    name = "paired differences to noisy"
    parts += [name, "-" * len(name), format_summary(model_first(over_noisy)), ""]

    width = max(map(len, tables))
    parts.append("seconds of work per second of audio, median over the pairs")
    parts += [
        f"{model.rjust(width)}  {table['rtf'].median():.4f}"
        for model, table in others.items()
    ]
    return "\n".join(parts)


def differences(table: pandas.DataFrame, other: pandas.DataFrame) -> pandas.DataFrame:
    """Compute paired differences, in the form of a summary."""
    compared = compare(table, other).drop(columns=["mean", "other"])
    names = {"difference": "mean", "dropped": "undefined"}
    return compared.rename(columns=names).assign(errors=0)


def model_first(rows: pandas.DataFrame) -> pandas.DataFrame:
    others = [column for column in rows if column != "model"]
    return rows[["model", *others]]


if __name__ == "__main__":
    sys.exit(main())
