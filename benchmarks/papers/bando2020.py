"""Tables 1 and 2 of Bando et al. (2020): DnVAE-NMF and its variants, and masks.

    python benchmarks/papers/bando2020.py --data DATA --models MODELS

The script prints SDR, PESQ and STOI of masks, VAE-NMF and all variants of DnVAE-NMF.
The systems were trained on the kinds of noise of Table 1 ("known"), but not on those of
Table 2 ("unseen").

The data depend on --corpus:

open        DATA is the open corpus, with speech/ and noise/.
chime4      DATA contains chime4/, timit/ and rouen/, as in the paper. chime4/ needs
            isolated_ext/, the speech as received by the microphones, which
            CHiME4_simulate_data of the challenge writes.
voicebank   DATA is VoiceBank-DEMAND with its log. All its test noises are unseen.

The models are those of benchmarks/recipes/ and, for systems that are not in the paper,
vae-nmf and dnvae-nmf.

Y. Bando, K. Sekiguchi, K. Yoshii: Adaptive neural speech enhancement with a denoising
variational autoencoder, INTERSPEECH 2020.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from common.corpora import (
    MADE_AS_THEY_LEARN,
    WRITTEN_ONCE,
    Material,
    chime_training,
    find_material,
    mixed,
    open_sets,
    open_training,
    some,
    subfolder,
    timit_speech,
    voicebank_material,
)
from common.figures import (
    LABELS,
    MARKERS,
    NEUTRAL_COLOR,
    color,
    new_figure,
    save,
    tidy,
)
from common.models import Models
from common.report import Report
from common.run import Run, parse
from common.scores import Tables
from common.tables import ALL, Claim, grid, means
from supervised import SYSTEMS

from skvae.datasets import load_chime, load_rouen
from skvae.evaluation.summary import compare

#: Includes PESQ on the scale of the paper, -0.5 to 4.5, and on today's scale.
METRICS = ("sdr", "pesq_nb_raw", "stoi", "pesq", "si_sdr")

#: SNRs in dB. Their mean is that of the paper, 7.5 dB.
SNRS = (0.0, 5.0, 10.0, 15.0)

NOISY = "Noisy mixture"

#: Rows of the tables, and their systems in benchmarks/supervised.py.
ROWS = {
    "BiLSTM-MSA": "BiLSTM-MSA",
    "BiLSTM-PSA": "BiLSTM-PSA",
    "VAE-NMF, Eq. (2)": "VAE-NMF, BiLSTM",
    "DnVAE-NMF w/ MTL, fixed": "DnVAE-NMF, fixed, 200 its",
    "DnVAE-NMF w/ MTL, Eq. (2)": "DnVAE-NMF, Eq. 2, 200 its",
    "DnVAE-NMF, Eq. (9)": "DnVAE-NMF without multi-task, 200 its",
    "DnVAE-NMF w/ MTL, Eq. (9)": "DnVAE-NMF, Eq. 9, 200 its",
}

#: The proposal of the paper.
OURS = "DnVAE-NMF w/ MTL, Eq. (9)"

#: Systems that are not in the paper: fewer iterations, and the package's variants.
FEW = "DnVAE-NMF w/ MTL, Eq. (9), 10 its"
PACKAGE = "DnVAE-NMF w/ MTL, Eq. (9), with its mask"
MASK = "the mask of DnVAE-NMF w/ MTL"
LONG = "DnVAE-NMF, long training"
LONG_MASK = f"the mask of {LONG}"
LED = "VAE-NMF, led by a mask"
BEYOND = {
    FEW: "DnVAE-NMF, Eq. 9, 10 its",
    PACKAGE: "DnVAE-NMF (PSA), Eq. 9, mask",
    MASK: "DnVAE-NMF (PSA), its mask alone",
    LONG: "DnVAE-NMF, long training, Eq. 9",
    LONG_MASK: "DnVAE-NMF, long training, its mask alone",
    LED: "VAE-NMF, led by a mask",
}

#: SDR in dB, PESQ and STOI, from Tables 1 and 2.
PAPER = {
    "known": {
        "BiLSTM-MSA": (14.22, 2.74, 0.93),
        "BiLSTM-PSA": (14.62, 2.67, 0.92),
        "VAE-NMF, Eq. (2)": (12.68, 2.56, 0.91),
        "DnVAE-NMF w/ MTL, fixed": (13.75, 2.67, 0.92),
        "DnVAE-NMF w/ MTL, Eq. (2)": (13.04, 2.59, 0.91),
        "DnVAE-NMF, Eq. (9)": (13.88, 2.68, 0.92),
        "DnVAE-NMF w/ MTL, Eq. (9)": (14.20, 2.70, 0.93),
        NOISY: (7.54, 2.18, 0.87),
    },
    "unseen": {
        "BiLSTM-MSA": (12.14, 2.64, 0.87),
        "BiLSTM-PSA": (12.40, 2.48, 0.87),
        "VAE-NMF, Eq. (2)": (12.01, 2.56, 0.88),
        "DnVAE-NMF w/ MTL, fixed": (11.72, 2.55, 0.87),
        "DnVAE-NMF w/ MTL, Eq. (2)": (12.45, 2.57, 0.88),
        "DnVAE-NMF, Eq. (9)": (12.44, 2.59, 0.88),
        "DnVAE-NMF w/ MTL, Eq. (9)": (12.75, 2.65, 0.89),
        NOISY: (7.57, 2.20, 0.83),
    },
}
PAPER_METRICS = ("sdr", "pesq_nb_raw", "stoi")

DIFFERENCES = (
    "Networks: from benchmarks/recipes/, with two BiLSTM layers of 128 units, without "
    "dropout, and with about ten passes over the speech, instead of three layers of "
    "512 units and 200 epochs. DnVAE-NMF uses alpha = 30, which balances its two "
    "errors, instead of 1.",
    "Inference: 200 iterations with one draw of the latent variables instead of ten.",
    "Not in the paper are the rows below the noisy mixture: (1) ten iterations with "
    "ten draws instead of 200 iterations; (2) the package's DnVAE-NMF with five "
    "iterations, whose noise is initialized by its mask and whose result includes the "
    "mask; (3) this mask alone; (4, 5) both after a long training; (6) the package's "
    "VAE-NMF, guided by a mask network that was trained on synthetic noise only.",
)


def open_material(run: Run) -> Material:
    told = (
        "Data: open recordings at 0, 5, 10 and 15 dB (7.5 dB on average, as in the "
        "paper), instead of CHiME-4 and of TIMIT with LITIS ROUEN. 94 minutes of "
        "training speech instead of about 15 hours.",
        MADE_AS_THEY_LEARN,
    )
    return Material(lambda: open_training(run.data), open_sets(run, SNRS), told)


def chime_material(run: Run) -> Material:
    known = load_chime(subfolder(run.data, "chime4"), "et05")
    known = some(known, run.scale.pairs, run.seed).measure_snrs()
    unseen = mixed(
        timit_speech(run.data),
        load_rouen(subfolder(run.data, "rouen")),
        # As in the paper, both sets have the same SNRs.
        known.snrs.tolist(),
        run.scale.pairs,
        run.seed + 1,
    )
    told = ("The reference for the scores is the speech at microphone 5.", WRITTEN_ONCE)
    sets = {"known": known, "unseen": unseen}
    return Material(lambda: chime_training(run.data), sets, told)


CORPORA = {
    "open": open_material,
    "chime4": chime_material,
    "voicebank": voicebank_material,
}


def main(argv: Sequence[str] | None = None) -> int:
    run = parse("bando2020", __doc__, CORPORA, argv)
    material = find_material(CORPORA, run)
    report = Report(run, material, METRICS)
    tables = report.scores.tables(material.sets, systems(report.models))
    report.note("Differences in set-up", [*material.differences, *DIFFERENCES])
    found = means(tables, METRICS, paper=paper_numbers())
    for name in material.sets:
        rows = found[found["set"] == name]
        report.add(
            f"{name} noise: ours [95 % interval] / the paper's",
            grid(rows, None, "system", "metric"),
        )
    report.judge(claims(), tables)
    for name in material.sets:
        report.by_noise(tables, name, OURS, "BiLSTM-PSA")
        report.by_noise(tables, name, PACKAGE, MASK)
    report.finish(found, tables)
    draw(run, tables)
    return 0


def systems(models: Models) -> dict[str, Callable[[], Any]]:
    """Systems by name, each with what makes it: those of the paper first."""
    found: dict[str, Callable[[], Any]] = {}
    for name, system in ROWS.items():
        found[name] = _maker(models, system)
    found[NOISY] = lambda: None
    for name, system in BEYOND.items():
        found[name] = _maker(models, system)
    return found


def _maker(models: Models, system: str) -> Callable[[], Any]:
    file, changes = SYSTEMS[system]
    return lambda: models.variant(file, changes)


def claims() -> list[Claim]:
    """List the findings of the paper, and further questions."""
    others = {
        "known": ["BiLSTM-PSA", "BiLSTM-MSA", "VAE-NMF, Eq. (2)"],
        "unseen": list(ROWS)[:-1],
    }
    found = [
        Claim(name, OURS, other, metric, PAPER[name][OURS][k] - PAPER[name][other][k])
        for name, compared in others.items()
        for k, metric in enumerate(PAPER_METRICS)
        for other in compared
    ]
    # The paper rounds to two digits, so equal numbers are not a finding.
    found = [claim for claim in found if round(claim.paper, 3) != 0]
    asked = [
        *((PACKAGE, MASK), (PACKAGE, OURS), (PACKAGE, "BiLSTM-PSA")),
        (FEW, OURS),
        (LONG, LONG_MASK),
        (LONG, LED),
    ]
    return found + [
        Claim(name, *pair, metric)
        for name in others
        for metric in ("sdr", "pesq")
        for pair in asked
    ]


def paper_numbers() -> dict[tuple[str, str, str, str], float]:
    return {
        (name, system, ALL, metric): value
        for name, table in PAPER.items()
        for system, values in table.items()
        for metric, value in zip(PAPER_METRICS, values, strict=True)
    }


def draw(run: Run, tables: Tables) -> None:
    """Draw the gains over the mixture, which are comparable between corpora."""
    names = list(dict.fromkeys(name for name, _ in tables))
    rows = [system for _, system in tables if system != NOISY]
    shown = list(dict.fromkeys(rows))[::-1]
    figure, axes = new_figure(1, 3, 11.0, 1.4 + 0.36 * len(shown), sharey=True)
    for metric, ax in zip(PAPER_METRICS, axes[0], strict=True):
        for k, name in enumerate(names):
            _draw_gains(ax, tables, name, metric, shown, k, len(names))
        ax.axvline(0, color=NEUTRAL_COLOR, linewidth=1)
        ax.set_xlabel(f"{LABELS[metric]}\ngain over the mixture")
        tidy(ax)
        ax.grid(axis="x", color="0.92")
    axes[0, 0].set_yticks(range(len(shown)), shown)
    handles, labels = axes[0, -1].get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda k: labels[k])
    figure.legend(
        [handles[k] for k in order],
        [labels[k] for k in order],
        loc="outside upper center",
        ncols=len(names),
        frameon=False,
    )
    save(figure, run.path(".png"))


def _draw_gains(
    ax: Any,
    tables: Tables,
    name: str,
    metric: str,
    shown: list[str],
    k: int,
    n_sets: int,
) -> None:
    at = PAPER_METRICS.index(metric)
    places, gains, published = [], [], []
    for place, system in enumerate(shown):
        if (name, system) not in tables:
            continue
        # The first set is above the second.
        places.append(place + 0.3 * ((n_sets - 1) / 2 - k))
        [gain] = compare(tables[name, system], tables[name, NOISY], metric).to_dict(
            "records"
        )
        gains.append([gain[key] for key in ("difference", "low", "high")])
        values = PAPER[name]
        is_published = system in values
        published.append(
            values[system][at] - values[NOISY][at] if is_published else np.nan
        )
    mean, low, high = np.transpose(gains)
    look = {"color": color(k), "marker": MARKERS[k], "linestyle": "none"}
    ax.errorbar(
        mean,
        places,
        xerr=np.nan_to_num([mean - low, high - mean]),
        markersize=4.5,
        capsize=2.5,
        label=f"{name} noise",
        **look,
    )
    ax.plot(
        published,
        places,
        fillstyle="none",
        markersize=7,
        label=f"{name} noise, the paper's corpus",
        **look,
    )


if __name__ == "__main__":
    sys.exit(main())
