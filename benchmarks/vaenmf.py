"""Variants of VAE-NMF: inferences, and single parameters that differ.

    python benchmarks/vaenmf.py --model vae-nmf.safetensors --pairs PAIRS

MODEL is a file that ``skvae train --recipe vae-nmf`` wrote. All variants use its speech
model and its guide, so nothing is trained again. ``--speech-models`` takes files of
other speech models, which replace the one in MODEL:

    skvae train --recipe speech-vae --set features=power ... -o power.safetensors
    python benchmarks/vaenmf.py ... --speech-models power.safetensors

PAIRS is a folder as for ``quality.py``. The script prints the mean SI-SDR and PESQ of
each variant, and paired differences to the unchanged model, with 95 % bootstrap
intervals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command_line import output_file
from quality import read_pairs
from sklearn.frozen import FrozenEstimator
from variants import print_table, published, variant

from skvae import (
    MCEM,
    MCMC,
    VEM,
    GradientVEM,
    Langevin,
    NMFNoise,
    PointEM,
    SmoothNMFNoise,
    StableNoise,
    StudentNoise,
    load_pretrained,
)

METRICS = ("si_sdr", "pesq")

#: Parameters that differ from the model's, by the name of the variant.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "guide: log-MMSE": {"guide": "log-mmse", "guide_weight": 0.2},
    "guide: none": {"guide": None},
    "guide: none, 100 iterations": {"guide": None, "inference": GradientVEM(100)},
    "guide: at the start only": {"guide_weight": 0.0},
    "masks not averaged": {"mask_smoothing": 1},
    "5 bases": {"noise": NMFNoise(5)},
    "10 bases": {"noise": NMFNoise(10)},
    "40 bases": {"noise": NMFNoise(40)},
    "bases not smoothed": {"noise": NMFNoise(smoothing=1)},
    "no gain": {"inference": GradientVEM(50, gain=None)},
    "prior weight 1": {"inference": GradientVEM(50, prior_weight=1.0)},
    "prior weight 2": {"inference": GradientVEM(50, prior_weight=2.0)},
    "25 iterations": {"inference": GradientVEM(25)},
    "100 iterations": {"inference": GradientVEM(100)},
    "200 iterations": {"inference": GradientVEM(200)},
    "learning rate 0.2": {"inference": GradientVEM(50, learning_rate=0.2)},
    "VEM": {"inference": VEM()},
    "VEM, MH-Wiener": {"inference": VEM(reconstruction="mh")},
    "VEM, 25 iterations": {"inference": VEM(25, reconstruction="mh")},
    "VEM, no gain": {"inference": VEM(gain=None, reconstruction="mh")},
    "VEM, encoder not led": {"inference": VEM(guidance=0.0, reconstruction="mh")},
    "MCEM": {"inference": MCEM(50, n_burn_in=15, n_samples=5)},
    "MCEM, MH-Wiener": {
        "inference": MCEM(50, n_burn_in=15, n_samples=5, reconstruction="mh")
    },
    "point estimates": {"inference": PointEM(50)},
    "Langevin": {"inference": Langevin(50)},
    "Student's t": {"noise": StudentNoise()},
    "alpha-stable": {"noise": StableNoise()},
    "smooth activations": {"noise": SmoothNMFNoise()},
    "MCMC": {"inference": MCMC()},
    # One draw of the latent variables instead of the paper's ten.
    "gradient VEM, as in the paper": {
        **published("gradient"),
        "inference": GradientVEM.as_published().set_params(n_samples=1),
    },
    "VEM, as in the paper": published("vem"),
    "VEM, log-expectation": {
        **published("vem"),
        "inference": VEM.as_published().set_params(encoder_input="log-expectation"),
    },
    "VEM, heuristic": {
        **published("vem"),
        "inference": VEM.as_published().set_params(covariance=False),
    },
    "MCEM, as in the paper": published("mcem"),
    "MCMC, as in the paper": published("mcmc"),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    info, noisy, clean = read_pairs(arguments.pairs)
    model = load_pretrained(arguments.model)
    variants = {name: VARIANTS[name] for name in arguments.variants}
    for path in arguments.speech_models:
        speech = FrozenEstimator(load_pretrained(path))
        variants[f"speech model: {path.stem}"] = {"vae": speech}
    systems = [
        (name, lambda changes=changes: variant(model, changes).fit(clean[:1]))
        for name, changes in variants.items()
    ]
    print_table(
        systems, noisy, clean, METRICS,
        info=info, n_jobs=arguments.n_jobs, csv=arguments.csv,
    )  # fmt: skip
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="file of a VAE-NMF enhancer")
    parser.add_argument("--pairs", required=True, help="folder of pairs")
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS,
        metavar="NAME", help="variants; the first is the reference of the comparison",
    )  # fmt: skip
    parser.add_argument(
        "--speech-models", nargs="+", type=Path, default=[], metavar="FILE",
        help="files of speech models that replace that of the enhancer",
    )  # fmt: skip
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument(
        "--csv", metavar="OUT", type=output_file,
        help="file for all scores; existing scores are not computed again",
    )  # fmt: skip
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
