"""Time and memory for listing a corpus.

The script creates folders of empty files in the layouts of the corpora, and lists them
with the loaders. Loaders do not read recordings, so the cost depends only on the number
of files. A first round fills the disk cache. Times are CPU times, which hardly depend
on other work on the machine. The folders are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from skvae.datasets import (
    load_chime,
    load_folders,
    load_pairs,
    load_timit,
    load_voicebank_demand,
    load_wsj0,
)

#: Maximum CPU time in seconds for a million files.
LIMIT = 30.0

#: Utterances per speaker, approximately as in WSJ0.
PER_SPEAKER = 100

#: TIMIT has ten sentences of three kinds per speaker.
TIMIT_SENTENCES = ("SA1", "SA2", *(f"SX{k}" for k in range(5)), "SI1", "SI2", "SI3")
N_DIALECTS = 8

ENVIRONMENTS = ("BUS", "CAF", "PED", "STR")


def make_voicebank(root: Path, n_files: int) -> None:
    stems = [f"p{k // PER_SPEAKER:03d}_{k:07d}" for k in range(n_files // 2)]
    for side in ("clean", "noisy"):
        folder = root / f"{side}_testset_wav"
        touch(folder, (f"{stem}.wav" for stem in stems))
    lines = (f"{stem} bus 2.5\n" for stem in stems)
    (root / "log_testset.txt").write_text("".join(lines))


def make_chime(root: Path, n_files: int) -> None:
    audio = root / "audio" / "16kHz"
    entries = []
    for number, environment in enumerate(ENVIRONMENTS):
        names = range(number, n_files // 2, len(ENVIRONMENTS))
        stems = [f"M05_{k:07d}_{environment}.CH5" for k in names]
        folder = f"tr05_{environment.lower()}_simu"
        touch(audio / "isolated" / folder, (f"{stem}.wav" for stem in stems))
        images = (f"{stem}.Clean.wav" for stem in stems)
        touch(audio / "isolated_ext" / folder, images)
        entries += [
            {"speaker": "M05", "wsj_name": f"{k:07d}", "environment": environment}
            for k in names
        ]
    (root / "annotations").mkdir()
    (root / "annotations" / "tr05_simu.json").write_text(json.dumps(entries))


def make_wsj0(root: Path, n_files: int) -> None:
    for first in range(0, n_files, PER_SPEAKER):
        last = min(first + PER_SPEAKER, n_files)
        folder = root / "wsj0" / "si_tr_s" / f"{first // PER_SPEAKER:05d}"
        touch(folder, (f"{k:08d}.wav" for k in range(first, last)))


def make_timit(root: Path, n_files: int) -> None:
    # Each speaker belongs to one dialect, and each dialect needs a speaker.
    n_speakers = max(N_DIALECTS, n_files // len(TIMIT_SENTENCES))
    for k in range(n_speakers):
        folder = root / "TRAIN" / f"DR{k % N_DIALECTS + 1}" / f"F{k:06d}"
        touch(folder, (f"{sentence}.WAV" for sentence in TIMIT_SENTENCES))


def make_folders(root: Path, n_files: int) -> None:
    for side in ("clean", "noisy"):
        for first in range(0, n_files // 2, PER_SPEAKER):
            last = min(first + PER_SPEAKER, n_files // 2)
            folder = root / side / f"speaker{first // PER_SPEAKER}"
            touch(folder, (f"{k:07d}.flac" for k in range(first, last)))


def make_pairs(root: Path, n_files: int) -> None:
    names = [f"pair_{k:07d}" for k in range(n_files // 2)]
    for side in ("clean", "noisy"):
        touch(root / side, (f"{name}.wav" for name in names))
    rows = (f"{name},ann,rain,5\n" for name in names)
    (root / "pairs.csv").write_text("pair,speaker,noise,snr\n" + "".join(rows))


def touch(folder: Path, names) -> None:
    folder.mkdir(parents=True)
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))


#: Functions that create a folder with a number of files, and that list it.
CORPORA: dict[str, tuple[Callable, Callable]] = {
    "voicebank": (make_voicebank, load_voicebank_demand),
    "chime": (make_chime, lambda root: load_chime(root, "tr05")),
    "wsj0": (make_wsj0, load_wsj0),
    "timit": (make_timit, lambda root: load_timit(root, "train")),
    "folders": (
        make_folders,
        lambda root: load_folders(root / "clean", root / "noisy"),
    ),
    "pairs": (make_pairs, load_pairs),
}


def measure(name: str, n_files: int, rounds: int, within: str | None) -> float:
    """Minimum time in seconds over the rounds, per million files."""
    make, load = CORPORA[name]
    with tempfile.TemporaryDirectory(dir=within) as folder:
        root = Path(folder) / "corpus"
        root.mkdir()
        make(root, n_files)
        load(root)
        seconds = []
        for _ in range(rounds):
            begin = time.process_time()
            load(root)
            seconds.append(time.process_time() - begin)
        # Tracing slows down the loader, so it has its own round.
        tracemalloc.start()
        corpus = load(root)
        n_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    n_audio = sum(len(side) for side in (corpus.clean, corpus.noisy) if side)
    million = min(seconds) * 1e6 / n_audio
    print(
        f"{name:10} {n_audio:8d} files {min(seconds):8.2f} s {million:8.1f} s a million"
        f" {n_bytes / n_audio:8.0f} bytes a file",
        flush=True,
    )
    return million


def main(argv: list[str] | None = None) -> int:
    """Print a line per layout; return 1 if one takes too long."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000, help="default: 100000")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--within", help="parent of the folders (default: system)")
    arguments = parser.parse_args(argv)
    if min(arguments.files, arguments.rounds) < 1:
        parser.error("--files and --rounds must be at least 1")
    slowest = max(
        measure(name, arguments.files, arguments.rounds, arguments.within)
        for name in arguments.corpora
    )
    return int(slowest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
