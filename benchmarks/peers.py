"""Comparison with other tools, on the same pairs and in the same run.

    python benchmarks/peers.py --pairs PAIRS --models log-mmse vae-nmf.safetensors
    python benchmarks/peers.py --pairs PAIRS --onnx model.onnx --torchscript model.pt

PAIRS is a folder as for ``quality.py``. The script runs noisereduce, logmmse and
pyroomacoustics if they are installed. Tools that are not installed are listed with the
command that installs them. A model file must have one input and one output, both
float32 waveforms of shape (1, n_samples) at 16 kHz with full scale 1.

Each tool runs in its own process, on one thread, one pair after the other. The peak
memory is that of this process. The first row does nothing, so its memory is that of
Python and NumPy alone. The times include the enhancement but not the loading.
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

#: Sample rate in Hz of the pairs and of model files.
SAMPLE_RATE = 16_000

METRICS = ("si_sdr", "sdr", "pesq", "estoi")

#: Delay of pyroomacoustics in samples: half a frame of 512, and of 256.
STREAMING_DELAY, SUBSPACE_DELAY = 256, 128

#: Name of the unprocessed input, which the tools are compared with.
NOTHING = "noisy"

#: Function that maps a float32 waveform to another of the same length.
Enhance = Callable[[np.ndarray], np.ndarray]


class Peer(NamedTuple):
    """A tool that may be installed.

    Attributes
    ----------
    module : str
        Name of the module.
    package : str
        Name of the package for pip.
    load : callable
        Function that returns an enhancer. For files, its argument is the path.
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

    # Importing logmmse turns every underflow into an error.
    np.seterr(all="warn", under="ignore")
    return lambda x: logmmse(x, SAMPLE_RATE)


def load_pyroomacoustics(name: str, delay: int = 0) -> Enhance:
    from pyroomacoustics import denoise

    tool = getattr(denoise, name)
    # Compensate for the delay.
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


#: Tool that runs only on request, because it is several times slower than real time.
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

#: Tools that run a given file or name.
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
        # Print the reasons for missing tools even after an error.
        if absent:
            print("\n" + "\n".join(absent))
    return 0


def run_all(
    tools: Sequence[tuple[str, tuple[str, str]]],
    arguments: argparse.Namespace,
    absent: list[str],
) -> None:
    """Run the tools and print the tables; add tools that fail to `absent`."""
    # Imported here, so that the processes of the tools do not load these modules.
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
                    # The pairs are invalid, so the other tools would fail, too.
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
    print("\npeak memory, MB")
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
    # Arguments of the process of a tool: files, output folder, kind, and name.
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.pairs is None and arguments.work is None:
        parser.error("--pairs is required: give a folder of pairs")
    return arguments


def asked(
    arguments: argparse.Namespace,
) -> list[tuple[str, Peer | None, tuple[str, str]]]:
    """List the selected tools: name, tool, and how another process finds the tool."""
    tools: list[tuple[str, Peer | None, tuple[str, str]]] = [
        (NOTHING, None, ("nothing", ""))
    ]
    tools += [(name, PEERS[name], ("peer", name)) for name in arguments.peers]
    for kind, peer in FILES.items():
        tools += [(name, peer, (kind, name)) for name in getattr(arguments, kind)]
    return tools


def run_beside(files: Path, out: Path, what: tuple[str, str]) -> str | None:
    """Enhance all files in another process; return the error, or None."""
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
    """Enhance all files in this process, and store the times and the peak memory.

    `files` is a file that contains their paths. The names of the outputs are numbers.
    """
    if kind == "nothing":
        enhance: Enhance = lambda x: x  # noqa: E731 - like the other tools
    else:
        enhance = PEERS[name].load() if kind == "peer" else FILES[kind].load(name)
    paths = json.loads(Path(files).read_text(encoding="utf-8"))
    seconds = []
    for k, path in enumerate(paths):
        noisy, rate = soundfile.read(path, dtype="float32")
        if rate != SAMPLE_RATE:
            raise ValueError(f"{path} must be at {SAMPLE_RATE} Hz, got {rate}.")
        if k == 0:
            enhance(noisy.copy())  # warm-up
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
    """Trim or zero-pad an output to the length of the input."""
    if enhanced.ndim != 1:
        raise ValueError(
            f"the tool must return a waveform, got an array of shape {enhanced.shape}."
        )
    missing = max(0, n_samples - len(enhanced))
    return np.pad(enhanced, (0, missing))[:n_samples]


def peak_mb() -> float:
    """Return the peak memory of this process in MB."""
    try:
        # On Linux, getrusage includes the memory of the parent process.
        with open("/proc/self/status", encoding="ascii") as file:
            [line] = [line for line in file if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Bytes on macOS, kibibytes elsewhere.
        return peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def score(
    out: Path,
    noisy: list[Any],
    clean: list[Any],
    info: Any,
    told: dict[str, Any],
    metrics: Sequence[str],
) -> Any:
    """Score the files in a folder, and add the times."""
    from skvae.datasets import AudioFile
    from skvae.evaluation.scores import evaluate

    enhanced = [AudioFile(out / f"{k}.wav") for k in range(len(noisy))]
    table = evaluate(None, enhanced, clean, metrics, info=info)
    names = [os.path.basename(audio.path) for audio in noisy]
    return table.assign(file=names, rtf=told["seconds"] / table["seconds"])


if __name__ == "__main__":
    sys.exit(main())
