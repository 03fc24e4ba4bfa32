"""Package a trained model: smaller weights, and a card with its scores and credits.

    python tools/package_model.py MODEL --name best --data DATA
    python benchmarks/quality.py --pairs PAIRS --models best --csv scores.csv
    python tools/package_model.py MODEL --name best --data DATA --scores scores.csv

MODEL is a file that ``skvae train`` wrote. DATA is the folder that it was trained on.
Its manifest.csv contains, for each recording, the kind, the split, the source, the
license (column ``licence``) and the credit; the card lists all of them.

The weights are stored in half precision. If this changes the SI-SDR of enhanced
synthetic mixtures by more than 0.02 dB, no file is written. The scores are those of the
packaged file; the second call adds them to its card. The license of the weights is
CC BY 4.0.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas

import skvae
from skvae.base import BaseEnhancer
from skvae.datasets import make_dataset
from skvae.storage.estimators import describe, rebuild
from skvae.storage.model_files import read_model, read_summary
from skvae.storage.pretrained import save_pretrained

FOLDER = Path(skvae.__file__).parent / "storage" / "weights"
LICENSE = "CC BY 4.0"
#: Maximum change of the mean SI-SDR in dB due to half precision.
MOST_CHANGE = 0.02
#: Metrics in a card, with their titles and numbers of decimals.
TITLES = {
    "si_sdr": ("SI-SDR (dB)", 2),
    "sdr": ("SDR (dB)", 2),
    "pesq": ("PESQ, wide band", 3),
    "estoi": ("ESTOI", 3),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    kinds = ["speech"] if arguments.speech_only else ["speech", "noise"]
    with open(arguments.data / "manifest.csv", newline="") as file:
        used = [
            row
            for row in csv.DictReader(file)
            if row["split"] == "train" and row["kind"] in kinds
        ]
    path = FOLDER / f"{arguments.name}.safetensors"
    model = read_model(arguments.model)
    if isinstance(model, BaseEnhancer):
        change = change_of_score(model)
        print(f"half precision changes the SI-SDR of mixtures by {change:+.4f} dB")
        if abs(change) > MOST_CHANGE:
            sys.exit(f"that is more than {MOST_CHANGE} dB: {path} is not written")
    save_pretrained(
        model,
        path,
        name=arguments.name,
        description=read_summary(arguments.model).card.description,
        training_data=training_data(used, kinds),
        license=LICENSE,
        attributions=attributions(used),
        figures={} if arguments.scores is None else figures(arguments.scores),
        date=datetime.now(UTC).date().isoformat(),
        dtype="float16",
    )
    print(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


def change_of_score(model: BaseEnhancer) -> float:
    """Change of the mean SI-SDR of synthetic mixtures due to half precision."""
    noisy, clean = make_dataset(12, random_state=0)
    packed = rebuild(*describe(model, dtype="float16"))
    return packed.score(noisy, clean) - model.score(noisy, clean)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="file that `skvae train` wrote")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument(
        "--data", required=True, type=Path, help="folder with manifest.csv"
    )
    parser.add_argument(
        "--speech-only", action="store_true", help="the model was trained without noise"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        help="scores of this model by quality.py --csv",
    )
    return parser.parse_args(argv)


def training_data(used: list[dict[str, str]], kinds: Sequence[str]) -> str:
    """Amounts of speech and noise, in one line."""
    parts = []
    for kind in kinds:
        rows = [row for row in used if row["kind"] == kind]
        minutes = sum(float(row["seconds"]) for row in rows) / 60
        n_groups = len({row["group"] for row in rows})
        groups = "folders of speakers" if kind == "speech" else "environments"
        parts.append(f"{minutes:.0f} minutes of {kind} ({n_groups} {groups})")
    if "noise" not in kinds:
        parts.append("synthetic noise")
    return f"{', '.join(parts)}; recordings were resampled, cut, leveled and mixed"


def attributions(used: list[dict[str, str]]) -> list[str]:
    """Credits of the recordings, and their licenses: one line per source."""
    named = defaultdict(set)
    licenses = defaultdict(set)
    for row in used:
        named[row["source"]].add(row["attribution"])
        licenses[row["source"]].add(row["licence"])
    return [
        f"{source} ({', '.join(sorted(licenses[source]))}): "
        f"{'; '.join(sorted(named[source]))}"
        for source in sorted(named)
    ]


def figures(path: Path) -> dict[str, str]:
    """Means of the scores of a model, and of the noisy speech."""
    scores = pandas.read_csv(path)
    [model] = set(scores["model"]) - {"noisy"}
    means = scores.groupby("model")[list(TITLES)].mean()
    n_pairs = (scores["model"] == model).sum()
    return {
        f"{title}, {n_pairs} pairs in unseen noise": (
            f"{means.loc[model, metric]:.{digits}f} "
            f"(noisy: {means.loc['noisy', metric]:.{digits}f})"
        )
        for metric, (title, digits) in TITLES.items()
    }


if __name__ == "__main__":
    sys.exit(main())
