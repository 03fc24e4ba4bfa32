"""Overhead of training beyond its steps, and memory for a long corpus.

    python benchmarks/training.py [--data DATA] [--epochs 5] [--hours 15]

The script trains on DATA/speech/train for some epochs, on one thread. After each epoch,
it measures bare steps: forward pass, backward pass and Adam on frames in memory. It
prints the speed of an epoch relative to that of the bare steps. The difference is the
cost of reading, transforming and shuffling. The ratio is computed within an epoch, so
that slow phases of the machine affect both parts. The time before the first epoch, for
reading all audio and computing its statistics, is printed separately. Without --data,
this part is skipped.

Then the script creates a corpus of --hours of synthetic speech, whose files are links
to a few recordings. Another process trains on it for one epoch. The script prints the
peak memory of this process. The exit status is 1 if the relative speed is below
LEAST_RATIO, or if the process needs more than MOST_MEMORY.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from sklearn.callback import FitCallback

from skvae import SpeechVAE, Training
from skvae.datasets import find_audio, make_noise, make_speech
from skvae.utils.threads import one_thread

RATE = 16_000

#: Minimum relative speed of an epoch, and maximum memory of the process in bytes.
LEAST_RATIO, MOST_MEMORY = 0.6, 2e9

#: Frames in memory for the bare steps, and passes over them per measurement.
N_FRAMES, N_PASSES = 16_384, 2

#: Generated corpus: number of recordings, their length in seconds, and noise in dB.
N_RECORDINGS, SECONDS, NOISE_DB = 12, 30, -50.0

#: Environment variables that limit the libraries of a new process to one thread.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of speech/train")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--hours", type=float, default=15.0, help="0 skips this part")
    parser.add_argument("--train-on", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.train_on is not None:
        train_and_measure(arguments.train_on)
        return 0

    passed = True
    if arguments.data is not None:
        passed &= report_speed(arguments.data, arguments.epochs)
    if arguments.hours:
        passed &= report_memory(arguments.hours)
    return 0 if passed else 1


def report_speed(data: str, n_epochs: int) -> bool:
    """Print the speed of epochs, without and with validation."""
    speech = find_audio(os.path.join(data, "speech", "train"))
    print("epoch, one thread   frames  seconds  of the bare speed [quartiles]")
    passed = True
    for label, fraction in (("training alone", 0.0), ("with validation", 0.2)):
        watch = Stopwatch()
        training = Training(
            n_epochs, n_iter_no_change=n_epochs, validation_fraction=fraction
        )
        vae = SpeechVAE(training=training, random_state=0)
        vae.set_callbacks(watch).fit(speech)
        watch.count(vae, speech)
        print(watch.line(label))
        if fraction == 0:
            ratio = float(np.median(watch.ratios()))
            passed = ratio >= LEAST_RATIO
            verdict = "PASS" if passed else "FAIL"
            print(f"{verdict}: {ratio:.2f}, at least {LEAST_RATIO:g}")
    print(f"before the first epoch: {watch.preparation:.1f} s")
    bare = np.median(watch.bare)
    per_step = 1e3 * bare * vae._training.batch_size
    print(f"bare step: {per_step:.2f} ms, {1 / bare:.0f} frames/s")
    print()
    return passed


class Stopwatch(FitCallback):
    """Callback that measures each epoch, and bare steps after it."""

    def __init__(self):
        self.epochs: list[float] = []
        self.bare: list[float] = []
        self.preparation = 0.0
        self.n_frames = 0
        self._steps = BareSteps()
        self._begin = time.perf_counter()

    def setup(self, estimator, context):
        """Do nothing: the clock starts in the constructor."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Start the clock at the first epoch."""
        if context.task_name == "fit":
            self.preparation = self._lap()

    def on_fit_task_end(self, estimator, context):
        """Stop the clock, measure bare steps, and start the clock again."""
        if context.task_name == "epoch":
            self.epochs.append(self._lap())
            self.bare.append(self._steps.seconds_per_frame())
            self._lap()

    def count(self, vae, speech) -> None:
        """Count the frames of the training data."""
        from skvae.training.trainer import split

        utterances, _ = vae._utterances(speech)
        fraction = vae._training.validation_fraction
        rng = np.random.default_rng(vae.seed_)
        training, _ = split(utterances, fraction, rng)
        self.n_frames = sum(utterance.n_frames for utterance in training)

    def ratios(self) -> np.ndarray:
        """Speed of each epoch, relative to the bare steps after it."""
        return self.n_frames * np.array(self.bare) / np.array(self.epochs)

    def line(self, label: str) -> str:
        """Format a line of the table."""
        low, median, high = np.quantile(self.ratios(), [0.25, 0.5, 0.75])
        return (
            f"{label:18} {self.n_frames:7d}  {np.median(self.epochs):7.2f}"
            f"  {median:17.2f} [{low:.2f}, {high:.2f}]"
        )

    def _lap(self) -> float:
        begin, self._begin = self._begin, time.perf_counter()
        return self._begin - begin


class BareSteps:
    """Training steps of the same network on frames in memory."""

    def __init__(self):
        import torch

        from skvae.speech.losses import vae_loss
        from skvae.speech.vae_network import SpeechNetwork, VAEConfig
        from skvae.training.clean_batches import Batch
        from skvae.training.networks import new_network

        vae = SpeechVAE()
        values = vae._training
        generator = torch.Generator().manual_seed(0)
        config = VAEConfig(513, vae.n_latent, vae.hidden_layer_sizes)
        network = new_network(SpeechNetwork, config, generator)
        optimizer = torch.optim.Adam(
            network.parameters(), lr=values.learning_rate, fused=True
        )
        frames = torch.empty(N_FRAMES, 513).exponential_(generator=generator)
        batches = [Batch(part) for part in frames.split(values.batch_size)]

        def epoch() -> None:
            for batch in batches:
                optimizer.zero_grad()
                loss, _ = vae_loss(network, batch, generator)
                loss.backward()
                optimizer.step()

        self._epoch = epoch

    def seconds_per_frame(self) -> float:
        """Measure the time per frame."""
        with one_thread():
            self._epoch()  # warm-up of the caches
            begin = time.perf_counter()
            for _ in range(N_PASSES):
                self._epoch()
            return (time.perf_counter() - begin) / (N_PASSES * N_FRAMES)


def report_memory(hours: float) -> bool:
    """Print the peak memory of a process that trains on a long corpus."""
    with tempfile.TemporaryDirectory() as folder:
        n_files = make_corpus(folder, hours)
        print(f"{n_files} files of {SECONDS} s, {hours:g} h")
        command = [sys.executable, os.path.abspath(__file__), "--train-on", folder]
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
    before, peak, seconds = (float(word) for word in done.stdout.split()[-3:])
    passed = peak <= MOST_MEMORY
    print(f"memory with all imported: {before / 1e6:.0f} MB")
    print(f"peak while training an epoch: {peak / 1e6:.0f} MB, {seconds:.0f} s")
    verdict = "PASS" if passed else "FAIL"
    print(f"{verdict}: at most {MOST_MEMORY / 1e6:.0f} MB")
    return passed


def make_corpus(folder: str, hours: float) -> int:
    """Write some recordings, and links to them up to the number of hours."""
    import soundfile

    paths = []
    for k in range(N_RECORDINGS):
        paths.append(os.path.join(folder, f"original_{k}.flac"))
        speech = make_speech(SECONDS * RATE, RATE, random_state=k)
        noise = make_noise(SECONDS * RATE, "pink", RATE, random_state=k)
        soundfile.write(paths[-1], speech + 10 ** (NOISE_DB / 20) * noise, RATE)
    n_files = max(len(paths), round(hours * 3600 / SECONDS))
    for k in range(len(paths), n_files):
        source = paths[k % len(paths)]
        target = os.path.join(folder, f"link_{k}.flac")
        try:
            os.link(source, target)
        except OSError:  # file system without links
            shutil.copyfile(source, target)
    return n_files


def train_and_measure(folder: str) -> None:
    """Train for one epoch; print the memory before, the peak, and the seconds."""
    import torch  # noqa: F401

    before = peak_memory()
    begin = time.perf_counter()
    SpeechVAE(training=Training(1), random_state=0).fit(find_audio(folder))
    print(before, peak_memory(), time.perf_counter() - begin)


def peak_memory() -> float:
    try:
        # On Linux, getrusage would include the memory of the parent process.
        with open("/proc/self/status", encoding="ascii") as status:
            [line] = [line for line in status if line.startswith("VmHWM")]
        return 1024 * float(line.split()[1])
    except (OSError, ValueError):
        # Kilobytes, except on macOS, where it is bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
