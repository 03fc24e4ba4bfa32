"""Limits of the attenuation: what they cost, and what they leave in the pauses.

    python benchmarks/presets.py --pairs PAIRS --models best

PAIRS is a folder as for ``quality.py``; choices are made on the pairs of
``validation_pairs.py``. For each `attenuation_limit` in dB the script prints SI-SDR,
PESQ and ESTOI; "pauses", the mean change of the level in frames without speech, in dB;
and "black", the percentage of these frames that are more than 60 dB below the loudest
frame of the output. Intervals are 95 % bootstrap intervals whose clusters are the kinds
of noise. The last table holds paired differences to no limit. The presets of ``skvae
enhance`` were chosen by these tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pandas
from command_line import model_name, output_file
from quality import load, read_pairs

from skvae.base import BaseEnhancer
from skvae.datasets import AudioFile
from skvae.evaluation.scores import evaluate
from skvae.evaluation.summary import compare, format_summary, summarize
from skvae.utils.presets import PRESETS

LIMITS = (6.0, 12.0, 18.0, 24.0, 30.0)
METRICS = ("si_sdr", "pesq", "estoi")
COLUMNS = (*METRICS, "pauses", "black")

#: Level in dB below which a frame of the clean speech counts as a pause, and one of the
#: output as black, relative to the loudest frame.
PAUSE, BLACK = -45, -60
FRAME = 320


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    info, noisy, clean = read_pairs(arguments.pairs)
    tables: dict[str, pandas.DataFrame] = {}
    for name in arguments.models:
        model = load(name, None).set_params(attenuation_limit=None)
        masks = [separation.mask for separation in model.separate(noisy)]
        for limit in [*arguments.limits, None]:
            enhanced = apply(model, noisy, masks, limit)
            scores = evaluate(None, enhanced, clean, METRICS, info=info)
            pairs = zip(noisy, clean, enhanced, strict=True)
            scores[["pauses", "black"]] = [in_pauses(*pair) for pair in pairs]
            tables[title(name, limit)] = scores
            if arguments.csv is not None:
                rows = [table.assign(system=key) for key, table in tables.items()]
                pandas.concat(rows).to_csv(arguments.csv)
    print(format_summary(summarize(tables, metrics=COLUMNS, cluster="environment")))
    print("\npaired differences to no limit")
    for name in arguments.models:
        parts = [
            compare(
                tables[title(name, limit)],
                tables[title(name, None)],
                metrics=COLUMNS,
                cluster="environment",
            ).assign(system=title(name, limit))
            for limit in arguments.limits
        ]
        rows = pandas.concat(parts).drop(columns=["mean", "other"])
        rows = rows.rename(columns={"difference": "mean", "dropped": "undefined"})
        first = ["system", *(key for key in rows if key != "system")]
        print(format_summary(rows[first].assign(errors=0)))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", required=True, help="folder of pairs")
    parser.add_argument(
        "--models", nargs="+", default=["best"], metavar="MODEL", type=model_name
    )
    parser.add_argument(
        "--limits", nargs="+", type=float, default=list(LIMITS), metavar="DB"
    )
    parser.add_argument("--csv", metavar="OUT", type=output_file)
    return parser.parse_args(argv)


def title(name: str, limit: float | None) -> str:
    """Name of a model with a limit, and of the preset with this limit."""
    preset = [key for key, value in PRESETS.items() if value == limit]
    text = "no limit" if limit is None else f"{limit:g} dB"
    return f"{name}, {text}" + "".join(f" ({key})" for key in preset)


def apply(
    model: BaseEnhancer,
    noisy: list[AudioFile],
    masks: list[np.ndarray],
    limit: float | None,
) -> list[np.ndarray]:
    """Enhance as `attenuation_limit` does, without finding the masks again."""
    least = 0.0 if limit is None else 10 ** (-limit / 20)
    spectrograms = model.stft_.transform(noisy)
    return [
        X.replace(X.data * np.maximum(mask, least)).to_waveform()
        for X, mask in zip(spectrograms, masks, strict=True)
    ]


def in_pauses(noisy: np.ndarray, clean: np.ndarray, enhanced: np.ndarray) -> list:
    """Change of the level in pauses in dB, and the percentage of black frames."""
    before, speech, after = (levels(np.asarray(x)) for x in (noisy, clean, enhanced))
    pauses = speech < speech.max() + PAUSE
    if not pauses.any():
        return [np.nan, np.nan]
    black = after[pauses] < after.max() + BLACK
    return [(after - before)[pauses].mean(), 100 * black.mean()]


def levels(x: np.ndarray) -> np.ndarray:
    """Level of each frame of 20 ms in dB."""
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    return 10 * np.log10(np.square(frames).mean(1) + 1e-12)


if __name__ == "__main__":
    sys.exit(main())
