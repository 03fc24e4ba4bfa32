"""Speed of a GPU compared with one CPU thread, in utterances per second.

    python benchmarks/devices.py --device cuda

The script enhances synthetic utterances of eight seconds with the models of the
package, and with "vae-nmf" and every other inference. The device enhances all
utterances in one call; the CPU enhances the first few. Both warm up first. The SI-SDR
shows whether the results agree.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from variants import variant

from skvae import MCEM, MCMC, VEM, load_pretrained
from skvae.datasets import make_dataset
from skvae.metrics import mean_si_sdr

SECONDS = 8.0


def systems() -> Iterator[tuple[str, Any]]:
    """Enhancers by name."""
    model = load_pretrained("vae-nmf")
    yield "vae-nmf (gradient VEM)", model
    for inference in (VEM(), MCEM(), MCMC()):
        name = f"vae-nmf, {type(inference).__name__}"
        yield name, variant(model, {"inference": inference}).fit([np.zeros(10)])
    yield "best", load_pretrained("best")


def timed(enhancer: Any, noisy: list[np.ndarray], device: str) -> tuple[float, list]:
    """Return the utterances per second, and the enhanced utterances."""
    enhancer.set_params(device=device)
    enhancer.transform(noisy)
    synchronize(device)
    begin = time.perf_counter()
    enhanced = enhancer.transform(noisy)
    synchronize(device)
    return len(noisy) / (time.perf_counter() - begin), enhanced


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def main(argv: list[str] | None = None) -> int:
    """Print a line per system."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--utterances", type=int, default=64, help="default: 64")
    parser.add_argument("--on-cpu", type=int, default=2, help="on the CPU; default: 2")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    if arguments.device.startswith("cuda"):
        print(torch.cuda.get_device_name(arguments.device))
    noisy, clean = make_dataset(
        arguments.utterances, snr=5.0, duration=(SECONDS, SECONDS), random_state=0
    )
    few = slice(arguments.on_cpu)
    print(f"{'utterances of 8 s per second':30}{'CPU':>10}{'device':>10}{'ratio':>8}")
    for name, enhancer in systems():
        slow, on_cpu = timed(enhancer, noisy[few], "cpu")
        fast, on_device = timed(enhancer, noisy, arguments.device)
        scores = [mean_si_sdr(clean[few], x[few]) for x in (on_cpu, on_device)]
        print(
            f"{name:30}{slow:10.3f}{fast:10.3f}{fast / slow:8.1f}    "
            f"SI-SDR {scores[0]:.2f} and {scores[1]:.2f} dB",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
