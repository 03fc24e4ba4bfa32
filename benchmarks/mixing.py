"""Share of mixing in the time of training on mixtures.

    python benchmarks/mixing.py --data DATA

The script trains mask networks on part of DATA/speech/train and DATA/noise/train, on
one thread, with the mixer of the recipe "band-split-mask". It prints the CPU time of a
step and the share of the data side: cutting, augmenting, mixing and transforming. Audio
is decoded before, as in the second epoch of a training. The exit status is 1 if the
share exceeds MOST for the network of the recipe with the default of `n_combinations`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from skvae import BandSplitMask, BiLSTMMask, Training
from skvae.datasets import find_audio
from skvae.storage.recipe_files import read_recipe
from skvae.training.loop import TrainingStep
from skvae.training.on_mixtures import MixtureTrainer
from skvae.training.parts import Data
from skvae.utils.threads import one_thread

#: Maximum share of the data side in the training of a BandSplitMask.
MOST = 0.25

#: Networks, and values of `n_combinations`.
NETWORKS: dict[str, Any] = {
    "BiLSTMMask, 2 x 160": BiLSTMMask(hidden_layer_sizes=(160, 160)),
    "BandSplitMask": BandSplitMask(),
}
N_COMBINATIONS = (1, 2, 3)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of speech/ and noise/")
    parser.add_argument("--steps", type=int, default=60, help="of each row (60)")
    parser.add_argument("--precision", default="bfloat16")
    arguments = parser.parse_args(argv)
    speech = find_audio(os.path.join(arguments.data, "speech", "train"))
    mixer = read_recipe("band-split-mask").estimator.mixer
    mixer.set_params(noise=os.path.join(arguments.data, "noise", "train"))
    passed = True
    print("network              combinations  ms a step  data side")
    for name, network in NETWORKS.items():
        for n_combinations in N_COMBINATIONS:
            training = Training(
                n_combinations=n_combinations,
                precision=arguments.precision,
                validation_fraction=0.0,
                max_cache_mb=2000,
            )
            network.set_params(mixer=mixer, training=training)
            with one_thread():
                step, data = measure(network, speech, arguments.steps)
            share = data / step
            default = network._training_defaults.n_combinations
            if isinstance(network, BandSplitMask) and n_combinations == default:
                passed = share <= MOST
            print(f"{name:20} {n_combinations:12d} {1e3 * step:10.0f} {share:9.0%}")
    verdict = "PASS" if passed else "FAIL"
    print(
        f"{verdict}: at most {MOST:.0%} for BandSplitMask with the default, {default}"
    )
    return 0 if passed else 1


def measure(estimator: Any, speech: Sequence[Any], n_steps: int) -> tuple[float, float]:
    """CPU seconds of a step, and those for its data."""
    n_files = min(len(speech), 4 * n_steps)
    rng = np.random.default_rng(0)
    chosen = [speech[k] for k in rng.permutation(len(speech))[:n_files]]
    estimator.stft_, estimator.seed_ = estimator._choose_stft(None), 0
    data = Data(None, estimator.stft_.transform(chosen))
    trainer = MixtureTrainer(estimator, estimator.mixer, data, rng)
    for _ in trainer.batches():  # decodes
        pass
    config = estimator._make_config(estimator.stft_)
    network = estimator._first_network(config, trainer, None)
    generator = torch.Generator()

    def loss(batch: Any, is_training: bool) -> tuple[torch.Tensor, int]:
        return estimator._loss(network, batch, generator, is_training)

    step = TrainingStep(network, loss, trainer.optimization())
    of_data, begin = 0.0, time.process_time()
    batches = endless(trainer)
    for _ in range(n_steps):
        before = time.process_time()
        batch = next(batches)
        of_data += time.process_time() - before
        step(batch)
    return (time.process_time() - begin) / n_steps, of_data / n_steps


def endless(trainer: MixtureTrainer) -> Iterator[Any]:
    while True:
        yield from trainer.batches()


if __name__ == "__main__":
    sys.exit(main())
