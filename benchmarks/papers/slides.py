"""Tables of the slides: SI-SDR against SNR, in white noise and in recorded noise.

    python benchmarks/papers/slides.py --data DATA --models MODELS

The script compares VAE-NMF with a noise-aware encoder, trained in two steps (NAE) and
jointly, with VAE-NMF, spectral subtraction (SS) and the Wiener filter (WF), at -10 to
10 dB SNR.

DATA is the open corpus, with speech/ and noise/. With --corpus voicebank, it is a
folder with voicebank/ and demand/, or VoiceBank-DEMAND itself for white noise only. The
models are vae-nmf, nae-two-step and nae-joint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
from common.corpora import (
    MADE_AS_THEY_LEARN,
    WRITTEN_ONCE,
    Material,
    WhiteNoise,
    demand_noises,
    find_material,
    mixed,
    open_noises,
    open_speech,
    open_training,
    subfolder,
    voicebank_training,
)
from common.figures import LABELS, draw_means, new_figure, save, style, tidy
from common.models import Models
from common.report import Report
from common.run import Run, parse
from common.scores import Tables
from common.tables import ALL, Claim, grid, means
from variants import published

from skvae import load_pretrained
from skvae.datasets import Corpus, load_voicebank_demand

METRICS = ("si_sdr", "pesq", "estoi")

SNRS = (-10.0, -5.0, 0.0, 5.0, 10.0)

NOISY = "noisy"

#: SI-SDR in dB at these SNRs, from the two tables of the slides.
PAPER = {
    "white": {
        "NAE": (10.98, 12.76, 12.18, 12.98, 13.32),
        "VAE-NMF": (10.65, 11.45, 12.32, 13.24, 12.95),
        "SS": (6.77, 8.29, 8.78, 8.91, 10.03),
        "WF": (8.11, 8.24, 9.45, 9.27, 9.19),
        "joint": (10.18, 11.25, 11.98, 12.87, 13.01),
    },
    "recorded": {
        "NAE": (11.66, 12.09, 12.67, 13.17, 12.93),
        "VAE-NMF": (10.93, 13.17, 12.36, 13.18, 12.59),
        "SS": (7.89, 10.81, 10.90, 11.19, 11.01),
        "WF": (8.07, 10.24, 11.32, 11.27, 11.19),
        "joint": (10.90, 12.13, 12.19, 12.38, 12.56),
    },
}

#: The form of the slides: MCEM, with a gain per frame.
PLAIN = published("mcem")

#: VAE-NMF with a guide, which is not in the slides.
LED = "VAE-NMF, led by a mask"

DIFFERENCES = (
    "SNRs: VoiceBank-DEMAND has SNRs of 2.5 to 17.5 dB, and the slides do not explain "
    "how they obtain mixtures at -10 to 10 dB. Some of their gains over the mixture "
    "exceed 20 dB. Compare the order of the systems, not the numbers.",
    "SS and WF: those of the package, which track the noise, instead of a noise "
    "estimate from the first frames.",
    "Networks: from the recipes nae-two-step, nae-joint and vae-nmf.",
    f"Not in the slides: {LED!r} is the enhancer of the recipe vae-nmf. Its mask "
    "network was trained on synthetic noise, including white noise.",
)


def open_material(run: Run) -> Material:
    speech = open_speech(run.data)
    sets = {
        "white": _in_white(speech, run),
        "recorded": mixed(
            speech,
            open_noises(run.data, "test"),
            SNRS,
            run.scale.pairs,
            run.seed + 1,
        ),
    }
    told = (
        "Data: open recordings instead of VoiceBank-DEMAND. NAE and joint were trained "
        "on other recorded noise.",
        MADE_AS_THEY_LEARN,
    )
    return Material(lambda: open_training(run.data), sets, told)


def voicebank_material(run: Run) -> Material:
    folder = subfolder(run.data, "voicebank")
    # The noise of the corpus is not used, so its log is not needed.
    pairs = load_voicebank_demand(folder, "test", log=False)
    speech = Corpus("VoiceBank", pairs.clean, None, pairs.utterances, pairs.speakers)
    sets = {"white": _in_white(speech, run)}
    if (run.data / "demand").is_dir():
        noises = demand_noises(run.data)
        sets["recorded"] = mixed(speech, noises, SNRS, run.scale.pairs, run.seed + 1)
    return Material(lambda: voicebank_training(run.data), sets, (WRITTEN_ONCE,))


def _in_white(speech: Corpus, run: Run) -> Corpus:
    n_each = max(1, round(run.scale.pairs / len(SNRS)))
    noises = {"white": [WhiteNoise(run.seed)]}
    return mixed(speech, noises, SNRS, n_each * len(SNRS), run.seed)


CORPORA = {"open": open_material, "voicebank": voicebank_material}


def main(argv: Sequence[str] | None = None) -> int:
    run = parse("slides", __doc__, CORPORA, argv)
    material = find_material(CORPORA, run)
    report = Report(run, material, METRICS)
    tables = report.scores.tables(material.sets, systems(report.models))
    report.note("Differences in set-up", [*material.differences, *DIFFERENCES])
    found = means(tables, METRICS, by="snr", paper=paper_numbers())
    for name in material.sets:
        rows = found[found["set"] == name]
        for metric in METRICS[:2]:
            report.add(
                f"{name} noise: {LABELS[metric]} at each SNR in dB, ours [95 % "
                "interval] / the slides'",
                grid(rows, metric, "system", "group"),
            )
    report.judge(claims(), tables)
    report.finish(found, tables)
    draw(run, found, tables)
    return 0


def systems(models: Models) -> dict[str, Callable[[], Any]]:
    """Return the systems by name, each with a function to create it."""
    return {
        "NAE": lambda: models.variant("nae-two-step", PLAIN),
        "joint": lambda: models.variant("nae-joint", PLAIN),
        "VAE-NMF": lambda: models.variant("vae-nmf", PLAIN),
        "SS": lambda: load_pretrained("spectral-subtraction"),
        "WF": lambda: load_pretrained("wiener"),
        NOISY: lambda: None,
        LED: lambda: models.load("vae-nmf"),
    }


def claims() -> list[Claim]:
    """List the findings of the slides, averaged over the SNRs."""
    pairs = [
        *(("NAE", "VAE-NMF"), ("NAE", "joint"), ("VAE-NMF", "joint")),
        *(("NAE", "SS"), ("NAE", "WF"), ("VAE-NMF", "SS"), ("VAE-NMF", "WF")),
        ("WF", "SS"),
    ]
    found = [
        Claim(name, a, b, "si_sdr", float(np.mean(values[a]) - np.mean(values[b])))
        for name, values in PAPER.items()
        for a, b in pairs
    ]
    asked = [("NAE", "VAE-NMF"), ("NAE", "joint"), ("NAE", "WF")]
    return [
        *found,
        *(Claim(name, *pair, "pesq") for name in PAPER for pair in asked),
        *(Claim(name, LED, "NAE", "si_sdr") for name in PAPER),
    ]


def paper_numbers() -> dict[tuple[str, str, str, str], float]:
    found = {}
    for name, table in PAPER.items():
        for system, values in table.items():
            found[name, system, ALL, "si_sdr"] = round(float(np.mean(values)), 2)
            for snr, value in zip(SNRS, values, strict=True):
                found[name, system, f"{snr:g}", "si_sdr"] = value
    return found


def draw(run: Run, found: pandas.DataFrame, tables: Tables) -> None:
    names = list(dict.fromkeys(name for name, _ in tables))
    figure, axes = new_figure(
        len(names), 2, 9.5, 3.4 * len(names), sharex=True, sharey="col"
    )
    for name, row in zip(names, axes, strict=True):
        shown = [system for other, system in tables if other == name]
        for metric, ax in zip(METRICS, row, strict=False):
            ours = found[(found["set"] == name) & (found["metric"] == metric)]
            _draw_lines(ax, ours[ours["group"] != ALL], shown)
            ax.set_title(f"{name} noise", loc="left")
            ax.set_ylabel(LABELS[metric])
    for ax in axes[-1]:
        ax.set_xlabel("SNR of the mixture (dB)")
    axes[0, -1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, run.path(".png"))


def _draw_lines(ax: Any, found: pandas.DataFrame, shown: list[str]) -> None:
    others = [system for system in shown if system != NOISY]
    for system in shown:
        rows = found[found["system"] == system]
        snrs = rows["group"].astype(float)
        k = others.index(system) if system in others else 0
        draw_means(ax, snrs, rows, system, **style(k, is_reference=system == NOISY))
    ax.set_xticks(SNRS)
    tidy(ax)


if __name__ == "__main__":
    sys.exit(main())
