"""Command line of the scripts, settings of a run, and its record."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from skvae.storage.estimators import describe
from skvae.storage.tensor_files import stored_bytes, stored_order
from skvae.utils.files import written_whole

#: Default folder of the results.
RESULTS = Path(__file__).resolve().parents[1] / "results"

#: Packages on which the scores depend.
PACKAGES = (
    *("skvae", "numpy", "scipy", "torch", "scikit-learn", "pandas"),
    *("soundfile", "soxr", "pesq", "pystoi"),
)


class Scale(NamedTuple):
    """Amount of computation.

    Attributes
    ----------
    pairs : int
        Approximate number of pairs in each test set.
    max_iter : int or None
        Maximum number of iterations of an inference. None means that of the paper.
    n_train : int or None
        Maximum number of training recordings. None means all.
    training : dict
        Parameters of trained estimators that replace those of the recipes, with the
        names of `set_params`.
    """

    pairs: int
    max_iter: int | None
    n_train: int | None
    training: dict[str, Any]


FULL = Scale(80, None, None, {})

#: Scale of a quick test, which takes some minutes on one core.
QUICK = Scale(
    8,
    5,
    24,
    {"training__max_iter": 1, "hidden_layer_sizes": 16},
)


class Run(NamedTuple):
    """One run of a script.

    Attributes
    ----------
    name : str
        Prefix of the result files: the paper, the corpus, and "quick" for a quick run.
    corpus : str
        Name of the corpus.
    data, models, out : Path
        Folders.
    scale : Scale
        Amount of computation.
    is_quick : bool
        Whether the run is a quick test.
    trains : bool
        Whether missing models are trained.
    n_jobs : int or None
        Number of utterances in parallel.
    seed : int
        Seed of mixtures, training and inferences.
    """

    name: str
    corpus: str
    data: Path
    models: Path
    out: Path
    scale: Scale
    is_quick: bool
    trains: bool
    n_jobs: int | None
    seed: int

    def path(self, ending: str) -> Path:
        """Return the path of a result file."""
        self.out.mkdir(parents=True, exist_ok=True)
        return self.out / f"{self.name}{ending}"


def parse(
    paper: str,
    description: str | None,
    corpora: Mapping[str, Callable],
    argv: Sequence[str] | None,
) -> Run:
    """Parse the command line, which is the same for all scripts."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", choices=corpora, default=next(iter(corpora)))
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR",
        help="folder of the corpus, or of several folders named after the corpora",
    )  # fmt: skip
    parser.add_argument(
        "--models", type=Path, required=True, metavar="DIR",
        help="folder of model files that were trained on this corpus; missing models "
        "are trained from their recipes; an interrupted training is resumed",
    )  # fmt: skip
    parser.add_argument(
        "--no-training", action="store_true",
        help="skip systems whose model is missing",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true",
        help="few pairs, short inferences and trainings: the results are meaningless",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="DIR",
        help="folder for results; existing scores are not computed again",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", type=int, help=f"approximate number per set ({FULL.pairs})"
    )
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    found = parser.parse_args(argv)
    scale = QUICK if found.quick else FULL
    if found.pairs is not None:
        if found.pairs < 1:
            parser.error(f"--pairs must be at least 1, got {found.pairs}")
        scale = scale._replace(pairs=found.pairs)
    return Run(
        "-".join([paper, found.corpus, *(["quick"] if found.quick else [])]),
        found.corpus,
        found.data.absolute(),
        found.models,
        found.out,
        scale,
        found.quick,
        not found.no_training,
        found.n_jobs,
        found.seed,
    )


class Record:
    """Record of the set-up, the models, the machines and the versions.

    A run with another set-up is refused, so that a table never mixes two set-ups.
    Several machines and versions are allowed and all of them are recorded.
    """

    def __init__(self, run: Run):
        self._path = run.path(".json")
        self._setup = {
            "corpus": run.corpus,
            "quick": run.is_quick,
            "pairs": run.scale.pairs,
            "seed": run.seed,
        }
        self._models: dict[str, Any] = {}
        self._computed_by: list[dict[str, Any]] = []
        if self._path.exists():
            before = json.loads(self._path.read_text(encoding="utf-8"))
            self._refuse_other(before["setup"], self._setup)
            self._models = before["models"]
            self._computed_by = before["computed_by"]

    def add_model(self, name: str, model: Any, training_data: str) -> None:
        """Record a model; refuse a model that differs from the previous run."""
        told = {"sha256": fingerprint(model), "training_data": training_data}
        if name in self._models:
            before = self._models[name]["sha256"]
            self._refuse_other({name: before}, {name: told["sha256"]})
        self._models[name] = told
        self.write()

    def add_computation(self) -> None:
        """Record that this machine computes some of the results."""
        here = {"machine": machine(), "versions": versions()}
        if here not in self._computed_by:
            self._computed_by.append(here)
            self.write()

    def write(self, **more: Any) -> None:
        """Write the file, with additional entries."""
        told = {
            "setup": self._setup,
            "models": dict(sorted(self._models.items())),
            "computed_by": self._computed_by,
            **more,
        }
        with written_whole(self._path) as file:
            file.write((json.dumps(told, indent=2) + "\n").encode())

    def _refuse_other(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        differing = [key for key in now if before.get(key) != now[key]]
        if differing:
            told = ", ".join(
                f"{key} {before.get(key)!r}, not {now[key]!r}" for key in differing
            )
            raise SystemExit(
                f"{self._path} is from another set-up ({told}): use another --out, or "
                "remove its results."
            )


def fingerprint(model: Any) -> str:
    """Compute the checksum of the settings and weights of a model."""
    description, arrays = describe(model)
    checksum = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in stored_order(arrays):
        checksum.update(stored_bytes(arrays[name]))
    return checksum.hexdigest()


def machine() -> dict[str, Any]:
    """Describe the machine, without its name."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    except OSError:
        pass  # not Linux
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": model,
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
