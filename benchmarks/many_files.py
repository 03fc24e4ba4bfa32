"""Memory and time that ``skvae enhance`` takes for a folder of very many files.

A tree of recordings of a second is made and enhanced, and then the same command is
given again, which finds that all is done. The exit status is 1 if the command itself,
whose workers hold the models, takes more memory than MOST_MEMORY, if the second run
takes longer than MOST_SECONDS, or if a file is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import soundfile
from long_recordings import measure

from skvae.datasets import make_dataset

SAMPLE_RATE = 16_000

#: Files of a folder, as corpora of many speakers have them.
FILES_OF_FOLDER = 100

#: What the command may take: MB in both runs, and seconds to see that all is done.
MOST_MEMORY, MOST_SECONDS = 500, 15


def write_tree(folder: Path, n_files: int) -> None:
    """Write files of a second, a hundred in each folder."""
    noisy, _ = make_dataset(1, (1.0, 1.0), snr=5.0, random_state=0)
    soundfile.write(folder / "one.wav", noisy[0], SAMPLE_RATE)
    content = (folder / "one.wav").read_bytes()
    (folder / "one.wav").unlink()
    for k in range(n_files):
        path = folder / f"{k // FILES_OF_FOLDER:04d}" / f"{k:06d}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def main(argv: list[str] | None = None) -> int:
    """Print a line a run; the exit status is 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="log-mmse", help="default: log-mmse")
    parser.add_argument("--files", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--jobs", type=int, default=2, help="default: 2")
    arguments = parser.parse_args(argv)
    print(f"{arguments.files} files of a second, {arguments.jobs} jobs")
    print(f"{'':10}{'peak MB':>10}{'s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "noisy"), Path(folder, "enhanced")
        source.mkdir()
        write_tree(source, arguments.files)
        runs = []
        for run in ("all to do", "all done"):
            options = ("--jobs", str(arguments.jobs))
            runs.append(measure(source, target, arguments.model, *options))
            print(f"{run:10}{runs[-1][0]:10.0f}{runs[-1][1]:10.1f}", flush=True)
        given, made = (
            {path.relative_to(top) for path in top.rglob("*.wav")}
            for top in (source, target)
        )
    (peak, _), (peak_again, seconds) = runs
    passed = (
        made == given
        and max(peak, peak_again) <= MOST_MEMORY
        and seconds <= MOST_SECONDS
    )
    print(f"{'PASS' if passed else 'FAIL'}: {len(made)} of {len(given)} are there")
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
