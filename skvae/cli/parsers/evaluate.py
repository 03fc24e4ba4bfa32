"""Arguments of ``skvae evaluate``."""

from __future__ import annotations

import argparse

from skvae.cli.options import STATUS, add_model, add_workers, describe

#: Name of the system that another tool has enhanced.
ENHANCED = "enhanced"

#: Formats of the report.
FORMATS = ("text", "markdown", "latex", "csv", "json")

#: Names of the metrics, ``skvae.metrics.METRICS``, which takes a second to import.
METRICS = ("si_sdr", "sdr", "pesq", "pesq_nb", "pesq_nb_raw", "stoi", "estoi")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    """
    describe(
        parser,
        "Score recordings against the clean ones of the same names: the noisy input, "
        "and the output of models or of another tool. Prints means with 95 % "
        "confidence intervals, and paired differences to the noisy input and to a "
        "--reference: for all files, by signal-to-noise ratio, and by kind of noise. "
        "Both are read from a pairs.csv, as skvae mix writes it, next to the files or "
        "in a folder above them; without one, the ratio is measured, and kinds of "
        "noise are not distinguished.",
        [
            "  skvae mix --clean speech/ --noise noise/ --snr 0 5 10 -o pairs/",
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\",
            "      --model wiener --model log-mmse -o scores.csv",
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\",
            "      --model best --reference vae-nmf --format latex",
            "  skvae evaluate --clean pairs/clean --enhanced theirs/ --metrics pesq",
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\",
            "      --enhanced theirs/ --dask tcp://192.168.0.7:8786",
            STATUS.format(done="scored"),
        ],
    )
    parser.add_argument("--clean", required=True, metavar="DIR", help="clean files")
    parser.add_argument("--noisy", metavar="DIR", help="noisy files")
    parser.add_argument(
        "--enhanced", metavar="DIR", help="files that another tool has enhanced"
    )
    add_model(parser, several=True)
    parser.add_argument(
        "--reference",
        metavar="MODEL",
        help="model with which the others are compared, file by file, and which is "
        f"scored as well; or {ENHANCED}, the files of --enhanced",
    )
    parser.add_argument(
        "--metrics",
        default="si_sdr,sdr,pesq,estoi",
        metavar="NAMES",
        help=f"metrics, separated by commas, from {', '.join(METRICS)} "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        "--csv",
        metavar="CSV",
        help="table of all scores, with a row for each file and system; a file with "
        "the same name and the ending .json gets the settings: models and their "
        "checksums, versions, seeds",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace these files if they exist"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="format of what is printed: text, tables for Markdown or for LaTeX with "
        "booktabs, or all values as CSV or JSON (default: text)",
    )
    parser.add_argument(
        "--json",
        action="store_const",
        const="json",
        dest="format",
        help="the same as --format json",
    )
    add_workers(parser, "score", "scored")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
