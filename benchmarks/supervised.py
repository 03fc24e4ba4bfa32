r"""Comparison of methods that learn from noise with VAE-NMF, which does not.

    skvae train --recipe benchmarks/recipes/dnn-irm.toml --clean DATA/speech/train \
        --noise DATA/noise/train -o MODELS/dnn-irm.safetensors
    ...
    python benchmarks/supervised.py --models MODELS --pairs PAIRS

MODELS is a folder of model files with the names of the recipes. Systems without a file
are skipped, with a message. To resume an interrupted training, run the same command
again; training uses a GPU if there is one. PAIRS is a folder as for ``quality.py``. The
script prints the means of each system, and paired differences to the first system, with
95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from command_line import output_file
from quality import read_pairs
from variants import print_table, published, settings_of, variant

from skvae import DnVAENMFEnhancer, GradientVEM, load_pretrained

METRICS = ("si_sdr", "sdr", "pesq", "estoi")


class System(NamedTuple):
    """A row of the table: model file, and parameters that differ from the file."""

    file: str
    changes: dict[str, Any] | None = None


#: The inference of the papers. One draw of the latent variables replaces the paper's
#: ten, which would take nine times as long. Variants with few iterations use ten draws.
_MANY = GradientVEM.as_published().set_params(n_samples=1)
_FEW = GradientVEM.as_published().set_params(max_iter=10)
#: VAE-NMF as published: without a guide and without smoothing of the mask.
_ALONE = {**published("gradient"), "inference": _MANY}
#: DnVAE-NMF as published: random initial noise, and the Wiener gain alone.
_PUBLISHED = {**settings_of(DnVAENMFEnhancer.as_published()), "inference": _MANY}
_EARLY = {**_PUBLISHED, "inference": _FEW}
#: The default with another prior.
_EQ_2, _FIXED = {"prior": "standard"}, {"prior": "fixed"}

SYSTEMS = {
    "DNN-IRM": System("dnn-irm"),
    "BiLSTM-MSA": System("bilstm-msa"),
    "BiLSTM-PSA": System("bilstm-psa"),
    "BiLSTM, perceptual": System("bilstm-perceptual"),
    "VAE-NMF": System("vae-nmf", _ALONE),
    "VAE-NMF, BiLSTM": System("vae-nmf-bilstm", _ALONE),
    "VAE-NMF, NAE in two steps": System("nae-two-step", _ALONE),
    "VAE-NMF, NAE jointly": System("nae-joint", _ALONE),
    "VAE-NMF, led by a mask": System("vae-nmf"),
    "DnVAE-NMF without multi-task, 200 its": System(
        "dnvae-nmf-single-task", _PUBLISHED
    ),
    "DnVAE-NMF without multi-task, 10 its": System("dnvae-nmf-single-task", _EARLY),
    "DnVAE-NMF, fixed, 200 its": System("dnvae-nmf-psa", {**_PUBLISHED, **_FIXED}),
    "DnVAE-NMF, Eq. 2, 200 its": System("dnvae-nmf-psa", {**_PUBLISHED, **_EQ_2}),
    "DnVAE-NMF, Eq. 9, 200 its": System("dnvae-nmf-psa", _PUBLISHED),
    "DnVAE-NMF, fixed, 10 its": System("dnvae-nmf-psa", {**_EARLY, **_FIXED}),
    "DnVAE-NMF, Eq. 2, 10 its": System("dnvae-nmf-psa", {**_EARLY, **_EQ_2}),
    "DnVAE-NMF, Eq. 9, 10 its": System("dnvae-nmf-psa", _EARLY),
    "DnVAE-NMF (PSA), fixed, mask": System("dnvae-nmf-psa", _FIXED),
    "DnVAE-NMF (PSA), Eq. 2, mask": System("dnvae-nmf-psa", _EQ_2),
    "DnVAE-NMF (PSA), Eq. 9, mask": System("dnvae-nmf-psa"),
    "DnVAE-NMF (PSA), its mask alone": System("dnvae-nmf-psa", {"mask_weight": 1.0}),
    "DnVAE-NMF, long training, its mask alone": System(
        "dnvae-nmf", {"mask_weight": 1.0}
    ),
    "DnVAE-NMF, long training, fixed": System("dnvae-nmf", _FIXED),
    "DnVAE-NMF, long training, Eq. 2": System("dnvae-nmf", _EQ_2),
    "DnVAE-NMF, long training, random start": System("dnvae-nmf", {"start": "random"}),
    "DnVAE-NMF, long training, Eq. 9": System("dnvae-nmf"),
    "VAE-NMF, led by the former": System("best"),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    info, noisy, clean = read_pairs(arguments.pairs)
    systems = list(present(arguments.models, arguments.systems, clean))
    print_table(
        systems, noisy, clean, METRICS,
        info=info, n_jobs=arguments.n_jobs, csv=arguments.csv,
    )  # fmt: skip
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", required=True, type=Path, help="folder of models")
    parser.add_argument("--pairs", required=True, help="folder of pairs")
    parser.add_argument(
        "--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS,
        metavar="NAME", help="systems; the first is the reference of the comparison",
    )  # fmt: skip
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument(
        "--csv", metavar="OUT", type=output_file,
        help="file for all scores; existing scores are not computed again",
    )  # fmt: skip
    return parser.parse_args(argv)


def present(
    folder: Path, names: Sequence[str], clean: list[Any]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the systems whose model file exists, each with a function to create it."""
    for name in names:
        file, changes = SYSTEMS[name]
        path = folder / f"{file}.safetensors"
        if not path.exists():
            print(f"{name}: left out, there is no {path}", file=sys.stderr)
            continue
        yield name, lambda path=path, changes=changes: made(path, changes, clean)


def made(path: Path, changes: dict[str, Any] | None, clean: list[Any]) -> Any:
    model = load_pretrained(path)
    return model if changes is None else variant(model, changes).fit(clean[:1])


if __name__ == "__main__":
    sys.exit(main())
