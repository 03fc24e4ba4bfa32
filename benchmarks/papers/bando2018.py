"""Tables 1 and 2 of Bando et al. (2018): VAE-NMF in known and in unseen noise.

    python benchmarks/papers/bando2018.py --data DATA --models MODELS

The script prints the SDR of VAE-NMF with MCMC, DNN-IRM, RPCA and the input, by
environment. DNN-IRM was trained on the kinds of noise of Table 1 ("known"), but not on
those of Table 2 ("unseen").

The data depend on --corpus:

open        DATA is the open corpus, with speech/ and noise/.
chime4      DATA contains chime4/ and demand/, as in the paper. chime4/ needs
            isolated_ext/, the speech as received by the microphones, which
            CHiME4_simulate_data of the challenge writes.
voicebank   DATA is VoiceBank-DEMAND with its log. All its test noises are unseen.

The models are vae-nmf and dnn-irm.

Y. Bando, M. Mimura, K. Itoyama, K. Yoshii, T. Kawahara: Statistical speech enhancement
based on probabilistic integration of variational autoencoder and non-negative matrix
factorization, ICASSP 2018.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pandas
from common.corpora import (
    MADE_AS_THEY_LEARN,
    WRITTEN_ONCE,
    Material,
    chime_training,
    demand_noises,
    find_material,
    mixed,
    open_sets,
    open_training,
    some,
    subfolder,
    voicebank_material,
)
from common.figures import draw_groups, new_figure, save
from common.models import Models
from common.report import Report
from common.run import Run, parse
from common.scores import Tables
from common.tables import ALL, Claim, grid, means
from variants import published

from skvae import MCMC, load_pretrained
from skvae.datasets import Corpus, load_chime

METRICS = ("sdr", "si_sdr", "pesq")

#: SNR of the paper for DEMAND in dB. That of its CHiME-3 pairs is similar (5.8).
SNR = 5.0

#: Environments of the paper: subway, cafe, town square and living room.
DEMAND = ("TMETRO", "PCAFETER", "SPSQUARE", "DLIVING")

INPUT = "input"


def _by_place(*values: float) -> dict[str, float]:
    """Return a row of Table 2."""
    return dict(zip((ALL, *DEMAND), values, strict=True))


#: SDR in dB, from Tables 1 and 2.
PAPER = {
    "known": {
        "VAE-NMF": {ALL: 10.06, "BUS": 9.40, "CAF": 10.55, "PED": 11.04, "STR": 9.27},
        "DNN-IRM": {ALL: 10.87, "BUS": 8.89, "CAF": 11.87, "PED": 12.82, "STR": 9.89},
        "RPCA": {ALL: 7.45, "BUS": 6.04, "CAF": 8.03, "PED": 9.07, "STR": 6.68},
        INPUT: {ALL: 5.90, "BUS": 3.15, "CAF": 7.09, "PED": 8.72, "STR": 4.65},
    },
    "unseen": {
        "VAE-NMF": _by_place(11.05, 10.28, 9.90, 12.15, 11.88),
        "DNN-IRM": _by_place(9.76, 9.09, 9.13, 10.60, 10.24),
        "RPCA": _by_place(6.92, 6.37, 6.27, 6.91, 8.14),
        INPUT: _by_place(5.10, 5.13, 5.13, 5.10, 5.05),
    },
}

#: The form of the paper: without a guide and without smoothing of the mask.
PLAIN = published("mcmc")

#: The sampler of the paper, and with one or both changes of the package: five
#: Metropolis steps of z per sweep, and a weak prior of the bases.
PUBLISHED = MCMC.as_published()
STEPS, PRIOR, BOTH = "VAE-NMF, five steps", "VAE-NMF, weak prior", "VAE-NMF, both"
SAMPLERS = {
    "VAE-NMF": PUBLISHED,
    STEPS: MCMC(rate=PUBLISHED.rate),
    PRIOR: MCMC(n_latent_steps=PUBLISHED.n_latent_steps),
    BOTH: MCMC(),
}

#: The package's default with the same speech model.
PACKAGE = "VAE-NMF, the package's"

DIFFERENCES = (
    "Speech model: from the recipe vae-nmf, with 32 latent variables and logarithms as "
    "input, instead of 10 latent variables and powers.",
    "DNN-IRM: from the recipe dnn-irm.",
    f"Not in the paper: {STEPS!r} uses five Metropolis steps for the latent variables "
    f"per sweep instead of one. {PRIOR!r} uses a weak prior of the bases. {BOTH!r} "
    f"combines both, which is the default of MCMC(). {PACKAGE!r} is the enhancer of "
    "the recipe vae-nmf: gradient VEM with 20 bases, guided by a mask network that was "
    "trained on synthetic noise, with smoothed masks.",
)


def open_material(run: Run) -> Material:
    told = (
        f"Data: open recordings, all at {SNR:g} dB, instead of CHiME-3 (5.8 dB on "
        "average) and DEMAND (5 dB). About an hour and a half of training speech "
        "instead of 15 hours of WSJ0.",
        MADE_AS_THEY_LEARN,
    )
    return Material(lambda: open_training(run.data), open_sets(run, [SNR]), told)


def chime_material(run: Run) -> Material:
    pairs = load_chime(subfolder(run.data, "chime4"), "dt05")
    speech = Corpus("CHiME", pairs.clean, None, pairs.utterances, pairs.speakers)
    sets = {
        "known": some(pairs, run.scale.pairs, run.seed),
        "unseen": mixed(
            speech,
            demand_noises(run.data, DEMAND),
            [SNR],
            run.scale.pairs,
            run.seed + 1,
        ),
    }
    told = (
        "The speech model was trained on the speech of tr05 instead of all of WSJ0.",
        "The reference for the scores is the speech at microphone 5.",
        WRITTEN_ONCE,
    )
    return Material(lambda: chime_training(run.data), sets, told)


CORPORA = {
    "open": open_material,
    "chime4": chime_material,
    "voicebank": voicebank_material,
}


def main(argv: Sequence[str] | None = None) -> int:
    run = parse("bando2018", __doc__, CORPORA, argv)
    material = find_material(CORPORA, run)
    report = Report(run, material, METRICS)
    tables = report.scores.tables(material.sets, systems(report.models))
    report.note("Differences in set-up", [*material.differences, *DIFFERENCES])
    found = means(tables, METRICS, by="noise", paper=paper_numbers())
    for name in material.sets:
        rows = found[found["set"] == name]
        report.add(
            f"{name} noise: SDR in dB, ours [95 % interval] / the paper's",
            grid(rows, "sdr", "group", "system"),
        )
        report.add(f"{name} noise: the paper's table", paper_table(name))
        overall = rows[rows["group"] == ALL]
        report.add(
            f"{name} noise: all metrics", grid(overall, None, "system", "metric")
        )
    report.judge(claims(), tables)
    for name in material.sets:
        report.by_noise(tables, name, "VAE-NMF", "RPCA")
    report.finish(found, tables)
    draw(run, found, tables)
    return 0


def systems(models: Models) -> dict[str, Callable[[], Any]]:
    """Return the systems by name, each with a function to create it."""
    sampled = {
        name: lambda sampler=sampler: models.variant(
            "vae-nmf", {**PLAIN, "inference": sampler}
        )
        for name, sampler in SAMPLERS.items()
    }
    return {
        "VAE-NMF": sampled.pop("VAE-NMF"),
        "DNN-IRM": lambda: models.load("dnn-irm"),
        "RPCA": lambda: load_pretrained("rpca"),
        INPUT: lambda: None,
        **sampled,
        PACKAGE: lambda: models.load("vae-nmf"),
    }


def claims() -> list[Claim]:
    """List the findings of the paper, and further questions."""
    pairs = {
        "known": [("DNN-IRM", "VAE-NMF"), ("VAE-NMF", "RPCA"), ("VAE-NMF", INPUT)],
        "unseen": [("VAE-NMF", "DNN-IRM"), ("VAE-NMF", "RPCA"), ("VAE-NMF", INPUT)],
    }
    asked = [
        *((STEPS, "VAE-NMF"), (PRIOR, "VAE-NMF"), (BOTH, "VAE-NMF")),
        *((BOTH, "DNN-IRM"), (BOTH, "RPCA"), (PACKAGE, "DNN-IRM"), (PACKAGE, BOTH)),
    ]
    return [
        Claim(name, *pair, "sdr", PAPER[name][pair[0]][ALL] - PAPER[name][pair[1]][ALL])
        for name, found in pairs.items()
        for pair in found
    ] + [Claim(name, *pair, "sdr") for name in pairs for pair in asked]


def paper_numbers() -> dict[tuple[str, str, str, str], float]:
    return {
        (name, system, group, "sdr"): value
        for name, table in PAPER.items()
        for system, values in table.items()
        for group, value in values.items()
    }


def paper_table(name: str) -> str:
    return pandas.DataFrame(PAPER[name]).to_string()


def draw(run: Run, found: pandas.DataFrame, tables: Tables) -> None:
    names = list(dict.fromkeys(name for name, _ in tables))
    n_groups = found.groupby("set")["group"].nunique().max()
    # Width per group of systems, and space for the legend.
    width = 4.0 + 0.7 * n_groups
    figure, axes = new_figure(len(names), 1, width, 3.6 * len(names))
    for name, ax in zip(names, axes[:, 0], strict=True):
        shown = [system for other, system in tables if other == name]
        rows = found[(found["set"] == name) & (found["metric"] == "sdr")]
        draw_groups(ax, rows, shown, INPUT)
        ax.set_ylabel("SDR (dB)")
        ax.set_title(f"{name} noise", loc="left")
    axes[0, 0].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, run.path(".png"))


if __name__ == "__main__":
    sys.exit(main())
