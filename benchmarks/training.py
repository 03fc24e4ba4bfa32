"""What training costs beside its bare steps, and how much memory a long corpus takes.

    python benchmarks/training.py [--data DATA] [--epochs 5] [--hours 15]

DATA/speech/train is trained on for some epochs, on one thread. After each of them bare
steps are timed: forward, backward and Adam on frames in memory. The ratio of their
speeds, frames a second, says what reading, transforming and shuffling leave; it is
formed within an epoch, so that whatever slows the machine down is in both parts. What
comes before the first epoch, reading all audio and taking its statistics, is told
apart. Without --data this part is left out.

Then a corpus of --hours is made of synthetic speech, in files that are links to a few,
and one epoch is trained on it by another process, whose peak memory is told. The exit
status is 1 if an epoch is slower than LEAST_RATIO times the bare steps, or if the
process took more than MOST_MEMORY.
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

from skvae import SpeechVAE
from skvae.datasets import find_audio, make_noise, make_speech
from skvae.utils.threads import one_thread

RATE = 16_000

#: What an epoch must reach of the speed of bare steps, and what the process may take.
LEAST_RATIO, MOST_MEMORY = 0.6, 2e9

#: Frames in memory that bare steps are timed on, and how often each time.
N_FRAMES, N_PASSES = 16_384, 2

#: The generated corpus: different recordings, their length, and the noise in them.
N_RECORDINGS, SECONDS, NOISE_DB = 12, 30, -50.0

#: Variables that keep the libraries of a new process to one thread.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of speech/train")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--hours", type=float, default=15.0, help="0 leaves it out")
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
    parameters = {"max_iter": n_epochs, "n_iter_no_change": n_epochs, "random_state": 0}
    print("epoch, one thread   frames  seconds  of the bare speed [quartiles]")
    passed = True
    for label, fraction in (("training alone", 0.0), ("with validation", 0.2)):
        watch = Stopwatch()
        vae = SpeechVAE(validation_fraction=fraction, **parameters)
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
    print(f"bare step: {1e3 * bare * vae.batch_size:.2f} ms, {1 / bare:.0f} frames/s")
    print()
    return passed


class Stopwatch(FitCallback):
    """Times each epoch, and bare steps right after it."""

    def __init__(self):
        self.epochs: list[float] = []
        self.bare: list[float] = []
        self.preparation = 0.0
        self.n_frames = 0
        self._steps = BareSteps()
        self._begin = time.perf_counter()

    def setup(self, estimator, context):
        """Nothing to set up: the clock runs since this object was made."""

    def teardown(self, estimator, context):
        """Nothing to tear down."""

    def on_fit_task_begin(self, estimator, context):
        """Start the clock when the epochs begin."""
        if context.task_name == "fit":
            self.preparation = self._lap()

    def on_fit_task_end(self, estimator, context):
        """Stop the clock, time bare steps, start the clock."""
        if context.task_name == "epoch":
            self.epochs.append(self._lap())
            self.bare.append(self._steps.seconds_per_frame())
            self._lap()

    def count(self, vae, speech) -> None:
        """Find out how many frames were trained on."""
        utterances, _ = vae._utterances(speech)
        training, _ = vae._split(utterances, np.random.default_rng(vae.seed_))
        self.n_frames = sum(utterance.n_frames for utterance in training)

    def ratios(self) -> np.ndarray:
        """Speed of each epoch in units of the bare steps' speed after it."""
        return self.n_frames * np.array(self.bare) / np.array(self.epochs)

    def line(self, label: str) -> str:
        """A line of the table."""
        low, median, high = np.quantile(self.ratios(), [0.25, 0.5, 0.75])
        return (
            f"{label:18} {self.n_frames:7d}  {np.median(self.epochs):7.2f}"
            f"  {median:17.2f} [{low:.2f}, {high:.2f}]"
        )

    def _lap(self) -> float:
        begin, self._begin = self._begin, time.perf_counter()
        return self._begin - begin


class BareSteps:
    """Steps of the same networks on frames in memory, written plainly."""

    def __init__(self):
        import torch

        from skvae.speech.losses import vae_loss
        from skvae.speech.vae_network import VAEConfig, initial_network
        from skvae.training.clean_batches import Batch

        vae = SpeechVAE()
        generator = torch.Generator().manual_seed(0)
        config = VAEConfig(513, vae.n_latent, (vae.hidden,))
        network = initial_network(config, generator)
        optimizer = torch.optim.Adam(
            network.parameters(), lr=vae.learning_rate, fused=True
        )
        frames = torch.empty(N_FRAMES, 513).exponential_(generator=generator)
        batches = [Batch(part) for part in frames.split(vae.batch_size)]

        def epoch() -> None:
            for batch in batches:
                optimizer.zero_grad()
                loss, _ = vae_loss(network, batch, generator)
                loss.backward()
                optimizer.step()

        self._epoch = epoch

    def seconds_per_frame(self) -> float:
        """Time them now."""
        with one_thread():
            self._epoch()  # what is in the caches is that of the epoch before
            begin = time.perf_counter()
            for _ in range(N_PASSES):
                self._epoch()
            return (time.perf_counter() - begin) / (N_PASSES * N_FRAMES)


def report_memory(hours: float) -> bool:
    """Print the peak memory of a process that trains on a corpus of some hours."""
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
    """Write some recordings, and links to them until the hours are full."""
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
        except OSError:  # a file system without links
            shutil.copyfile(source, target)
    return n_files


def train_and_measure(folder: str) -> None:
    """Train an epoch; print the memory in bytes before and at the peak, and seconds."""
    import torch  # noqa: F401

    before = peak_memory()
    begin = time.perf_counter()
    SpeechVAE(max_iter=1, random_state=0).fit(find_audio(folder))
    print(before, peak_memory(), time.perf_counter() - begin)


def peak_memory() -> float:
    try:
        # Of this program alone: what getrusage tells began before it was loaded.
        with open("/proc/self/status", encoding="ascii") as status:
            [line] = [line for line in status if line.startswith("VmHWM")]
        return 1024 * float(line.split()[1])
    except (OSError, ValueError):
        # In kilobytes, but in bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
