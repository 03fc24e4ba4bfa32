"""Other tools beside this package's, on the same pairs, in the same run.

    python benchmarks/peers.py --pairs PAIRS --models log-mmse vae-nmf.safetensors
    python benchmarks/peers.py --pairs PAIRS --onnx model.onnx --torchscript model.pt

PAIRS is a folder as for ``quality.py``. Tools that are installed are run: noisereduce,
logmmse and pyroomacoustics. None is needed: those that are not there are listed with
the command that installs them. A model file takes and gives a waveform: one input and
one output, both float32 of shape (1, n_samples), at 16 kHz, full scale at 1.

Each tool works in a process of its own, on one thread, on one pair after the other. Its
peak of memory is that of this process, which the first line, where nothing is done,
tells of Python and NumPy alone. The times are of enhancing, not of loading.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from command_line import model_name, output_file

#: Rate in Hz of the pairs, and of model files.
SAMPLE_RATE = 16_000

METRICS = ("si_sdr", "sdr", "pesq", "estoi")

#: Samples by which pyroomacoustics is late, half a frame: of 512, and of 256.
STREAMING_DELAY, SUBSPACE_DELAY = 256, 128

#: What does nothing, and what others are compared with.
NOTHING = "noisy"

#: An enhancer: a float32 waveform in, another of as many samples out.
Enhance = Callable[[np.ndarray], np.ndarray]


class Peer(NamedTuple):
    """A tool that may be installed.

    Attributes
    ----------
    module : str
        What is imported.
    package : str
        What pip calls it.
    load : callable
        Makes an enhancer; it gets a path where there is one.
    """

    module: str
    package: str
    load: Callable[..., Enhance]


def load_noisereduce(stationary: bool) -> Enhance:
    import noisereduce

    return lambda x: noisereduce.reduce_noise(
        y=x, sr=SAMPLE_RATE, stationary=stationary
    )


def load_logmmse() -> Enhance:
    from logmmse import logmmse

    # To import it makes an error of every underflow.
    np.seterr(all="warn", under="ignore")
    return lambda x: logmmse(x, SAMPLE_RATE)


def load_pyroomacoustics(name: str, delay: int = 0) -> Enhance:
    from pyroomacoustics import denoise

    tool = getattr(denoise, name)
    # What comes out late by some samples is brought back in time.
    return lambda x: tool(np.pad(x, (0, delay)))[delay:]


def load_onnx(path: str) -> Enhance:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise ValueError(f"the model must have one input, a waveform, got {names}.")
    return lambda x: session.run(None, {inputs[0].name: x[None]})[0][0]


def load_torchscript(path: str) -> Enhance:
    import torch

    torch.set_num_threads(1)
    model = torch.jit.load(path, map_location="cpu").eval()

    def enhance(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)[None])[0].numpy()

    return enhance


def load_skvae(name: str) -> Enhance:
    from skvae import load_pretrained

    model = load_pretrained(name)
    return lambda x: model.transform([x])[0]


#: This takes several times as long as the recordings last, and is run on request.
SLOW = "pyroomacoustics, subspace"

PEERS = {
    "noisereduce, stationary": Peer(
        "noisereduce", "noisereduce", lambda: load_noisereduce(True)
    ),
    "noisereduce, not stationary": Peer(
        "noisereduce", "noisereduce", lambda: load_noisereduce(False)
    ),
    "logmmse": Peer("logmmse", "logmmse", load_logmmse),
    "pyroomacoustics, spectral subtraction": Peer(
        "pyroomacoustics",
        "pyroomacoustics",
        lambda: load_pyroomacoustics("apply_spectral_sub", STREAMING_DELAY),
    ),
    "pyroomacoustics, iterative Wiener": Peer(
        "pyroomacoustics",
        "pyroomacoustics",
        lambda: load_pyroomacoustics("apply_iterative_wiener", STREAMING_DELAY),
    ),
    SLOW: Peer(
        "pyroomacoustics",
        "pyroomacoustics",
        lambda: load_pyroomacoustics("apply_subspace", SUBSPACE_DELAY),
    ),
}

#: What runs a file or a name that is given.
FILES = {
    "onnx": Peer("onnxruntime", "onnxruntime", load_onnx),
    "torchscript": Peer("torch", "torch", load_torchscript),
    "skvae": Peer("skvae", "skvae", load_skvae),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    if arguments.work is not None:
        return work(*arguments.work)
    tools, absent = [], []
    for name, peer, what in asked(arguments):
        if peer is not None and find_spec(peer.module) is None:
            absent.append(f"{name}: skipped, pip install {peer.package}")
        else:
            tools.append((name, what))
    try:
        run_all(tools, arguments, absent)
    finally:
        # Whatever happened: why a tool is in no table must not be lost.
        if absent:
            print("\n" + "\n".join(absent))
    return 0


def run_all(
    tools: Sequence[tuple[str, tuple[str, str]]],
    arguments: argparse.Namespace,
    absent: list[str],
) -> None:
    """Run the tools and print the tables; those that fail are added to `absent`."""
    # Only now: what works beside must not hold all this in memory.
    import pandas
    from quality import read_pairs, report

    info, noisy, clean = read_pairs(arguments.pairs)
    tables, memory = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files.json"
        paths = [audio.path for audio in noisy]
        files.write_text(json.dumps(paths), encoding="utf-8")
        for k, (name, what) in enumerate(tools):
            print(name, file=sys.stderr, flush=True)
            out = Path(folder) / str(k)
            out.mkdir()
            failure = run_beside(files, out, what)
            if failure is not None:
                line = f"{name}: failed, {failure}"
                if name == NOTHING:
                    # The pairs are at fault, and the others would fail like it.
                    raise SystemExit(line)
                absent.append(line)
                continue
            told = json.loads((out / "told.json").read_text(encoding="utf-8"))
            memory[name] = told["peak_mb"]
            tables[name] = score(out, noisy, clean, info, told, arguments.metrics)
    if arguments.csv is not None:
        rows = [
            table.assign(model=name, peak_mb=memory[name])
            for name, table in tables.items()
        ]
        pandas.concat(rows).to_csv(arguments.csv)
    print(report(tables, arguments.by))
    width = max(map(len, tables))
    print("\npeak of memory, MB")
    for name, peak in memory.items():
        print(f"{name.rjust(width)}  {peak:.0f}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", help="folder of pairs")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, metavar="NAME",
        default=[name for name in PEERS if name != SLOW],
        help=f"any of {', '.join(map(repr, PEERS))}; all but {SLOW!r}, which is slow, "
        "by default",
    )  # fmt: skip
    for kind, what in (
        ("onnx", "ONNX files, for onnxruntime"),
        ("torchscript", "files of torch.jit.save"),
    ):
        parser.add_argument(
            f"--{kind}", nargs="+", default=[], metavar="FILE", help=what
        )
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="MODEL", dest="skvae",
        type=model_name,
        help="models of this package, by name or file, as for quality.py",
    )  # fmt: skip
    parser.add_argument("--by", choices=("snr", "noise"), default="snr")
    parser.add_argument("--metrics", nargs="+", default=list(METRICS), metavar="NAME")
    parser.add_argument(
        "--csv", metavar="OUT", type=output_file,
        help="file for the score of every pair",
    )  # fmt: skip
    # What a process beside is started with: files, where to, which kind, and which.
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.pairs is None and arguments.work is None:
        parser.error("--pairs: name a folder of pairs")
    return arguments


def asked(
    arguments: argparse.Namespace,
) -> list[tuple[str, Peer | None, tuple[str, str]]]:
    """Name of each tool, what it is, and what finds it in another process."""
    tools: list[tuple[str, Peer | None, tuple[str, str]]] = [
        (NOTHING, None, ("nothing", ""))
    ]
    tools += [(name, PEERS[name], ("peer", name)) for name in arguments.peers]
    for kind, peer in FILES.items():
        tools += [(name, peer, (kind, name)) for name in getattr(arguments, kind)]
    return tools


def run_beside(files: Path, out: Path, what: tuple[str, str]) -> str | None:
    """Enhance all files in another process; what went wrong, or None."""
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    command = [sys.executable, __file__, "--work", str(files), str(out), *what]
    done = subprocess.run(
        command,
        env={**os.environ, **threads},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def work(files: str, out: str, kind: str, name: str) -> int:
    """Enhance all files here, and tell of the times and of the peak of memory.

    `files` is a file with their paths. What is made of them is numbered.
    """
    if kind == "nothing":
        enhance: Enhance = lambda x: x  # noqa: E731 - as the others are
    else:
        enhance = PEERS[name].load() if kind == "peer" else FILES[kind].load(name)
    paths = json.loads(Path(files).read_text(encoding="utf-8"))
    seconds = []
    for k, path in enumerate(paths):
        noisy, rate = soundfile.read(path, dtype="float32")
        if rate != SAMPLE_RATE:
            raise ValueError(f"{path} must be at {SAMPLE_RATE} Hz, got {rate}.")
        if k == 0:
            enhance(noisy.copy())  # what is only done once does not count
        begin = time.perf_counter()
        enhanced = np.asarray(enhance(noisy.copy()))
        seconds.append(time.perf_counter() - begin)
        soundfile.write(
            Path(out) / f"{k}.wav", as_long(enhanced, len(noisy)), rate, "FLOAT"
        )
    told = {"seconds": seconds, "peak_mb": peak_mb()}
    (Path(out) / "told.json").write_text(json.dumps(told), encoding="utf-8")
    return 0


def as_long(enhanced: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut or fill up what a tool gives, of whole frames for instance."""
    if enhanced.ndim != 1:
        raise ValueError(
            f"the tool must give a waveform, got an array of shape {enhanced.shape}."
        )
    missing = max(0, n_samples - len(enhanced))
    return np.pad(enhanced, (0, missing))[:n_samples]


def peak_mb() -> float:
    """Greatest memory that this process has held."""
    try:
        # What getrusage tells on Linux counts that of the process that started it too.
        with open("/proc/self/status", encoding="ascii") as file:
            [line] = [line for line in file if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # macOS counts bytes, the others kibibytes.
        return peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def score(
    out: Path,
    noisy: list[Any],
    clean: list[Any],
    info: Any,
    told: dict[str, Any],
    metrics: Sequence[str],
) -> Any:
    """Scores of what lies in a folder, with the times that were told."""
    from skvae.datasets import AudioFile
    from skvae.evaluation.scores import evaluate

    enhanced = [AudioFile(out / f"{k}.wav") for k in range(len(noisy))]
    table = evaluate(None, enhanced, clean, metrics, info=info)
    names = [os.path.basename(audio.path) for audio in noisy]
    return table.assign(file=names, rtf=told["seconds"] / table["seconds"])


if __name__ == "__main__":
    sys.exit(main())
