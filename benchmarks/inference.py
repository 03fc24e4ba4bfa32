"""Time of each inference compared with the minimum that its arithmetic requires.

For each inference, the script prints the time of an iteration and a lower limit. The
limit is the time of the same matrix products (torch.mm with the same shapes, into
allocated memory), plus the element-wise passes that the equations require, at the speed
measured for each kind of pass. All times are measured in one run, on one thread, in
float32. The exit status is 1 if a ratio exceeds 1.5, so the script needs an idle core.
The script also compares the random draws of the noise in one sweep of MCMC with those
of SciPy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import geninvgauss

from skvae import MCEM, MCMC, VEM, GradientVEM, NMFNoise, SpeechVAE, Training
from skvae.datasets import make_dataset
from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.gig import sample_gig
from skvae.vaenmf.inference import Inference

F, N, K, L, HIDDEN = 513, 251, 10, 64, 128
STEPS, KEPT = 40, 10  # Metropolis steps per iteration of MCEM

#: Maximum time of an iteration, relative to its limit.
MOST = 1.5

# Matrix products of the networks and of the noise: (rows, inner, columns).
DECODE = [(N, L, HIDDEN), (N, HIDDEN, F)]
ENCODE = [(N, F, HIDDEN), (N, HIDDEN, 2 * L)]
NOISE_POWER = [(N, K, F)]
UPDATE_H = [(K, F, 2 * N)]
UPDATE_W = [(K, N, F), (K, N, F)]

# Number of element-wise passes by kind, over (N, F) unless stated otherwise. "pass" is
# one arithmetic operation on arrays (two operands read, one written), "sum" a
# reduction.
TANH = HIDDEN / F  # per network, as a fraction of (N, F)
LATENT = L / F
LIMITS: dict[str, tuple[list[tuple[int, int, int]], dict[str, float]]] = {
    # (16)-(18): exp, V_b / gamma + 1 and its reciprocal, m^2 V, m V_b. (21): their sum,
    # log features, centered and scaled. (22)-(23): V_n (3), then twice 1 / V_b,
    # V_n / V_b^2 (2).
    "vem": (
        [*DECODE, *ENCODE, *NOISE_POWER, *UPDATE_H, *NOISE_POWER, *UPDATE_W],
        {"exp": 1, "log": 1, "pass": 17, "tanh": 2 * TANH, "normal": LATENT},
    ),
    # Forward and backward through the decoder; exp, V_x (2), log, V / V_x, gradient
    # (3), sums (2); W, H: twice 1 / V_x, V / V_x^2 (2), V_x (2); Adam on (N, L).
    "gradient": (
        [
            *DECODE,
            (N, F, HIDDEN),
            (N, HIDDEN, L),
            *NOISE_POWER,
            *UPDATE_W,
            *NOISE_POWER,
            *UPDATE_H,
            *NOISE_POWER,
        ],
        {
            "exp": 1,
            "log": 1,
            "pass": 16,
            "sum": 2,
            "tanh": 3 * TANH,
            "normal": LATENT,
        },
    ),
    # A step: exp, V_x (2), V / V_x, sum, log of products of two (a half and a product
    # of halves), its sum (a half), the accepted rows (1). W, H and g for each kept
    # draw: V_x (2) and its reciprocal, two sums (2); the cost.
    "mcem": (
        [*(STEPS * DECODE), *UPDATE_W, *UPDATE_H, *(4 * NOISE_POWER)],
        {
            "exp": STEPS,
            "log": STEPS / 2 + KEPT,
            "pass": 4.5 * STEPS + 3 * 5 * KEPT + 3 * KEPT,
            "sum": 1.5 * STEPS + 2 * KEPT,
            "tanh": STEPS * TANH,
            "normal": STEPS * LATENT,
        },
    ),
}


def median_time(function: Callable[[], object], rounds: int = 15) -> float:
    """Measure the median time of a call in seconds, after a warm-up call."""
    function()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure_kinds() -> dict[str, float]:
    """Measure the seconds of one element-wise pass over (N, F), by kind."""
    a, b, out = torch.rand(3, N, F) + 0.5
    generator = torch.Generator().manual_seed(0)
    kinds: dict[str, Callable[[], object]] = {
        "exp": lambda: torch.exp(a, out=out),
        "log": lambda: torch.log(a, out=out),
        "tanh": lambda: torch.tanh(a, out=out),
        "pass": lambda: torch.mul(a, b, out=out),
        "sum": lambda: a.sum(1),
        "normal": lambda: out.normal_(generator=generator),
    }
    return {kind: median_time(function, 50) for kind, function in kinds.items()}


def measure_products(shapes: list[tuple[int, int, int]]) -> float:
    """Measure the seconds of matrix products in sequence, into allocated memory."""
    operands = {
        shape: (
            torch.rand(shape[0], shape[1]),
            torch.rand(shape[1], shape[2]),
            torch.empty(shape[0], shape[2]),
        )
        for shape in set(shapes)
    }

    def multiply() -> None:
        for shape in shapes:
            one, other, out = operands[shape]
            torch.mm(one, other, out=out)

    return median_time(multiply)


def measure_iteration(run: Callable[[int], object], few: int, many: int) -> float:
    """Measure the seconds per iteration, from two different numbers of iterations."""
    differences = []
    run(few)
    for _ in range(5):
        begin = time.perf_counter()
        run(few)
        middle = time.perf_counter()
        run(many)
        end = time.perf_counter()
        differences.append(((end - middle) - (middle - begin)) / (many - few))
    return statistics.median(differences)


def make_mixture() -> tuple[torch.Tensor, SpeechPrior]:
    """Create a mixture of four seconds, and a speech model of the papers' size."""
    noisy, clean = make_dataset(4, duration=(4.0, 4.0), snr=0.0, random_state=0)
    vae = SpeechVAE(L, HIDDEN, training=Training(2), random_state=0).fit(clean)
    spectrogram = vae.stft_.transform(noisy[:1])[0]
    power = np.abs(spectrogram.frames()) ** 2
    V = torch.tensor(power * (vae.level_ / power.mean()), dtype=torch.float32)
    return V, vae.speech_prior(V)


def report_draws() -> None:
    """Print the time of generalized inverse Gaussian draws, here and in SciPy."""
    n_draws = K * (F + N)
    rng = np.random.default_rng(0)
    rho, tau = rng.gamma(1.0, size=(2, n_draws))
    seconds = {"SciPy": median_time(lambda: scipy_draws(rho, tau, rng), 3)}
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        rates = [torch.tensor(x, dtype=dtype) for x in (rho, tau)]
        seconds[str(dtype)] = median_time(
            lambda rates=rates: sample_gig(1.0, *rates, generator), 50
        )
    print(f"{n_draws} GIG draws for W and H in one sweep, ms")
    for name, taken in seconds.items():
        print(f"{name:14}{1e3 * taken:10.2f}")


def scipy_draws(rho: np.ndarray, tau: np.ndarray, rng: np.random.Generator) -> object:
    """Draw once for each pair of parameters, with exponent 1."""
    return geninvgauss.rvs(
        1.0, 2 * np.sqrt(rho * tau), scale=np.sqrt(tau / rho), random_state=rng
    )


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args(argv)
    torch.set_num_threads(1)
    V, prior = make_mixture()
    if V.shape != (N, F):
        raise RuntimeError(f"expected a mixture of shape {(N, F)}, got {V.shape}.")

    def runner(inference: Inference, name: str = "max_iter") -> Callable:
        def run(n: int) -> None:
            inference.set_params(**{name: n})
            generator = torch.Generator().manual_seed(0)
            noise = NMFNoise.as_published(K).start(V, generator)
            with torch.no_grad():
                inference.infer(V, prior, noise, generator)

        return run

    vem = VEM.as_published().set_params(reconstruction="s")
    gradient = GradientVEM.as_published().set_params(n_samples=1, n_draws=1)
    mcem = MCEM.as_published().set_params(n_burn_in=STEPS - KEPT, n_samples=KEPT)
    mcmc = MCMC.as_published().set_params(n_samples=1)
    runs = {
        "vem": (runner(vem), 10, 60),
        "gradient": (runner(gradient), 10, 60),
        "mcem": (runner(mcem), 1, 4),
    }
    kinds = measure_kinds()
    print(f"F={F}, N={N}, K={K}, L={L}, hidden={HIDDEN}, float32, one thread")
    print(
        "one pass over (N, F), us: "
        + ", ".join(f"{kind} {1e6 * seconds:.0f}" for kind, seconds in kinds.items())
    )
    print(f"{'':10}{'ms':>8}{'limit':>8}{'products':>10}{'ratio':>8}")
    passed = True
    for name, (run, few, many) in runs.items():
        shapes, passes = LIMITS[name]
        products = measure_products(shapes)
        limit = products + sum(kinds[kind] * n for kind, n in passes.items())
        taken = measure_iteration(run, few, many)
        is_fast = taken <= MOST * limit
        passed &= is_fast
        verdict = "PASS" if is_fast else f"FAIL: at most {MOST:g}"
        print(
            f"{name:10}{1e3 * taken:8.2f}{1e3 * limit:8.2f}{1e3 * products:10.2f}"
            f"{taken / limit:8.2f}  {verdict}"
        )
    sweep = measure_iteration(runner(mcmc, "n_burn_in"), 10, 60)
    print(f"{'mcmc':10}{1e3 * sweep:8.2f}   per sweep")
    report_draws()
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
