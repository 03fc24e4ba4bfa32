"""Coverage of ``mask_std``: how often the true gain is within two deviations.

    python benchmarks/mask_std.py
    python benchmarks/mask_std.py --pairs PAIRS

A calibrated spread contains the truth in 95 % of the bins. The first table is of
mixtures that are drawn from the model itself: latent variables from the prior, the
decoder of "vae-nmf", noise of five random bases. It has two halves, in which the
inference knows the noise, or learns it. With ``--pairs``, a folder of
``validation_pairs.py``, the second table is of real mixtures, enhanced by "vae-nmf",
where the ideal mask of clean speech and noise, |s|^2 / (|s|^2 + |n|^2), stands for the
truth.

The columns are the coverage in %, the root mean square (RMS) of the error of the mask,
and the RMS of its spread. Intervals are those of the mean over mixtures (Student's t).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from quality import read_pairs
from scipy import stats
from sklearn.base import clone
from torch import Tensor
from variants import variant

from skvae import (
    MCEM,
    MCMC,
    STFT,
    VEM,
    GradientVEM,
    Langevin,
    NMFNoise,
    load_pretrained,
)
from skvae.signal.framing import power
from skvae.vaenmf.base import unfrozen
from skvae.vaenmf.inference import Inference
from skvae.vaenmf.nmf_noise import NMF, smooth_bins

#: Frames and bases of a simulated mixture.
N_FRAMES, N_BASES = 150, 5

INFERENCES: dict[str, Inference] = {
    "VEM": VEM(),
    "VEM, MH-Wiener": VEM(reconstruction="mh"),
    "VEM, Z-Wiener": VEM(reconstruction="z"),
    "VEM, as in the paper": VEM.as_published(),
    "gradient VEM": GradientVEM(),
    "gradient VEM, as in the paper": GradientVEM.as_published(),
    "Langevin": Langevin(),
    "Langevin, adjusted": Langevin(adjusted=True),
    "MCEM": MCEM(30),
    "MCEM, MH-Wiener": MCEM(30, reconstruction="mh"),
    "MCMC": MCMC(),
    "MCMC, as in the paper": MCMC.as_published(),
    "MCMC, exact": MCMC(exact=True, average="masks"),
}


class KnownNoise(NMF):
    """Noise that an inference does not change."""

    def update(self, *arguments: object) -> None:
        """Do nothing."""

    def update_from_power(self, *arguments: object) -> None:
        """Do nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    model = load_pretrained("vae-nmf")
    if arguments.mixtures > 0:
        print_table("simulated", simulated(model, arguments.mixtures, arguments.seed))
    if arguments.pairs is not None:
        print_table("real", real(model, arguments.pairs, arguments.every))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mixtures", type=int, default=6, help="number of simulated ones (6)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", help="folder of pairs of real mixtures")
    parser.add_argument(
        "--every", type=int, default=5, metavar="N", help="take each Nth pair (5)"
    )
    return parser.parse_args(argv)


def simulated(
    model: object, n_mixtures: int, seed: int
) -> Iterator[tuple[str, str, list[tuple[float, ...]]]]:
    """Yield the measures of each inference on mixtures from the model."""
    mixtures = [draw_mixture(model, seed + k) for k in range(n_mixtures)]
    for name, inference in INFERENCES.items():
        for is_known in (True, False):
            if is_known and isinstance(inference, MCMC):
                continue  # it draws the noise
            rows = []
            for k, (V, truth, prior, W, H) in enumerate(mixtures):
                generator = torch.Generator().manual_seed(k)
                noise = NMFNoise(N_BASES, smoothing=1).start(V, generator)
                if is_known:
                    noise = KnownNoise(W, H)
                alone = clone(inference)
                if "gain" in alone.get_params():
                    alone.set_params(gain=None)  # the truth has none
                with torch.no_grad():
                    found = alone.infer(V, prior, noise, generator)
                rows.append(measures(found.mask, found.mask_std, truth))
            yield name, "noise known" if is_known else "noise learned", rows


def draw_mixture(model: object, seed: int) -> tuple:
    """Draw a mixture from the model of VAE-NMF, with what it consists of."""
    generator = torch.Generator().manual_seed(seed)
    vae = unfrozen(model.vae_)
    n_bins = model.stft_.framing().n_bins
    z = torch.randn(N_FRAMES, vae.n_latent, generator=generator)
    with torch.no_grad():
        speech = vae.speech_prior(torch.ones(N_FRAMES, n_bins)).variance(z)
    W = smooth_bins(torch.rand(N_BASES, n_bins, generator=generator) ** 4, 9)
    H = torch.rand(N_FRAMES, N_BASES, generator=generator) ** 2 + 0.02
    snr = -5 + 10 * torch.rand((), generator=generator)
    H *= speech.mean() / (H @ W).mean() / 10 ** (snr / 10)
    V_x = speech + H @ W
    unit = torch.rand(V_x.shape, generator=generator, dtype=torch.float64)
    V = V_x * -unit.clamp_min(1e-12).log().float()
    return V, speech / V_x, vae.speech_prior(V), W, H


def real(
    model: object, folder: str, every: int
) -> Iterator[tuple[str, str, list[tuple[float, ...]]]]:
    """Yield the measures of each inference on mixtures of recordings."""
    _, noisy, clean = read_pairs(folder)
    pairs = [
        tuple(np.asarray(part, dtype=np.float64) for part in pair)
        for pair in zip(noisy[::every], clean[::every], strict=True)
    ]
    for name, inference in INFERENCES.items():
        # All parts are trained: `fit` only checks the parameters.
        enhancer = variant(model, {"inference": inference}).fit([pairs[0][1]])
        found = enhancer.separate([x for x, _ in pairs])
        rows = []
        for separation, (x, s) in zip(found, pairs, strict=True):
            speech, noise = (
                power(STFT().fit_transform([part])[0].data) for part in (s, x - s)
            )
            ideal = speech / np.maximum(speech + noise, 1e-20)
            mask, spread = (
                torch.from_numpy(np.asarray(part))
                for part in (separation.mask, separation.mask_std)
            )
            rows.append(measures(mask, spread, torch.from_numpy(ideal)))
        yield name, "real", rows


def measures(mask: Tensor, spread: Tensor, truth: Tensor) -> tuple[float, ...]:
    """Return coverage in %, RMS of the error, and RMS of the spread."""
    error = (mask - truth).abs()
    coverage = (error <= 2 * spread).double().mean().item()
    rms = (part.square().mean().sqrt().item() for part in (error, spread))
    return 100 * coverage, *rms


def print_table(
    title: str, results: Iterator[tuple[str, str, list[tuple[float, ...]]]]
) -> None:
    print(f"\n{title:30} {'':13} coverage, %        RMS error  RMS spread")
    for name, what, rows in results:
        table = np.array(rows)
        mean, error = table.mean(0), table.std(0, ddof=1) / np.sqrt(len(table))
        half = stats.t.ppf(0.975, len(table) - 1) * error[0]
        interval = f"[{mean[0] - half:.0f}, {mean[0] + half:.0f}]"
        print(
            f"{name:30} {what:13} {mean[0]:5.1f} {interval:12} "
            f"{mean[1]:9.3f} {mean[2]:9.3f}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
