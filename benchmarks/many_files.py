"""Memory and time of ``skvae enhance`` for a folder of many files.

The script creates a folder of recordings of one second and enhances it. Then it runs
the same command again, when all files are done. The exit status is 1 if the command
needs more memory than MOST_MEMORY (without its workers, which hold the models), if the
second run takes longer than MOST_SECONDS, or if a file is missing.
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

#: Files per subfolder, as in corpora with many speakers.
FILES_OF_FOLDER = 100

#: Maximum memory of both runs in MB, and maximum time of the second run in seconds.
MOST_MEMORY, MOST_SECONDS = 500, 15


def write_tree(folder: Path, n_files: int) -> None:
    """Write files of one second, a hundred per subfolder."""
    noisy, _ = make_dataset(1, (1.0, 1.0), snr=5.0, random_state=0)
    soundfile.write(folder / "one.wav", noisy[0], SAMPLE_RATE)
    content = (folder / "one.wav").read_bytes()
    (folder / "one.wav").unlink()
    for k in range(n_files):
        path = folder / f"{k // FILES_OF_FOLDER:04d}" / f"{k:06d}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def main(argv: list[str] | None = None) -> int:
    """Print a line per run; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="log-mmse", help="default: log-mmse")
    parser.add_argument("--files", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--jobs", type=int, default=2, help="default: 2")
    arguments = parser.parse_args(argv)
    print(f"{arguments.files} files of one second, {arguments.jobs} jobs")
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
