"""Scores of systems on test sets, which are stored as they are computed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from common.models import MissingModel
from common.run import Record
from skvae import evaluate
from skvae.datasets import Corpus
from skvae.utils.files import written_whole

#: Pairs per parallel job between two updates of the file.
CHUNK = 8

#: Columns that identify a row, and columns that must agree with the pairs.
KEYS = ["set", "system", "pair"]
NAMES = ["utterance", "speaker", "noise"]
LABELS = [*NAMES, "snr"]

#: Tables of scores by test set and system.
Tables = dict[tuple[str, str], pandas.DataFrame]


class Scores:
    """Scores in a CSV file, with one row per test set, system and pair.

    Parameters
    ----------
    path : Path
        CSV file. Existing scores are not computed again.
    metrics : sequence of str
        Names of the metrics.
    record : Record
        Record to which computations are added.
    n_jobs : int or None
        Number of pairs in parallel.
    """

    def __init__(
        self,
        path: Path,
        metrics: Sequence[str],
        record: Record,
        n_jobs: int | None = None,
    ):
        self.metrics = list(metrics)
        self._path = path
        self._record = record
        self._n_jobs = n_jobs
        self._rows = pandas.DataFrame(columns=[*KEYS, *LABELS, *metrics])
        if path.exists():
            # Names can look like numbers.
            names = ["set", "system", *NAMES]
            self._rows = pandas.read_csv(path, dtype=dict.fromkeys(names, "str"))
            self._rows[NAMES] = self._rows[NAMES].fillna("")

    def table(
        self, name: str, system: str, pairs: Corpus, make: Callable[[], Any]
    ) -> pandas.DataFrame:
        """Return the scores of a system, in the form of :func:`skvae.evaluate`.

        The system is created only if scores are missing.
        """
        known = pandas.DataFrame(pairs.info)
        rows = self._kept(name, system, known)
        estimator, chunk = None, CHUNK * max(1, abs(self._n_jobs or 1))
        for start in range(len(rows), len(pairs), chunk):
            if estimator is None:
                estimator = make()
                self._record.add_computation()
            part = pairs[start : start + chunk]
            new = evaluate(
                estimator,
                part.noisy,
                part.clean,
                self.metrics,
                info=known.iloc[start : start + chunk].reset_index(drop=True),
                n_jobs=self._n_jobs,
            )
            new = new.drop(columns="file", errors="ignore").reset_index(drop=True)
            new = new.assign(
                set=name, system=system, pair=range(start, start + len(new))
            )
            self._add(new)
            done = start + len(part)
            print(f"{name}: {system}, {done}/{len(pairs)}", file=sys.stderr, flush=True)
        return self._kept(name, system, known)

    def tables(
        self,
        sets: Mapping[str, Corpus],
        systems: Mapping[str, Callable[[], Any]],
    ) -> Tables:
        """Score all systems on all sets, except systems whose model is missing."""
        tables: Tables = {}
        for system, make in systems.items():
            for name, pairs in sets.items():
                try:
                    tables[name, system] = self.table(name, system, pairs, make)
                except MissingModel as error:
                    print(f"{system}: left out, {error}", file=sys.stderr)
                    break
        return tables

    def _kept(
        self, name: str, system: str, known: pandas.DataFrame
    ) -> pandas.DataFrame:
        """Return the existing rows, and check that they belong to the first pairs."""
        is_wanted = (self._rows["set"] == name) & (self._rows["system"] == system)
        rows = self._rows[is_wanted].sort_values("pair").reset_index(drop=True)
        same = known.head(len(rows))
        fits = rows["pair"].tolist() == list(range(len(same)))
        fits = fits and all(rows[n].tolist() == same[n].tolist() for n in NAMES)
        ratios = [table["snr"].to_numpy(float) for table in (rows, same)]
        if not fits or not np.allclose(*ratios, atol=0, equal_nan=True):
            raise SystemExit(
                f"{self._path} contains scores of other pairs of {name!r}: use another "
                "--out, or remove the file."
            )
        return rows

    def _add(self, new: pandas.DataFrame) -> None:
        first = [*KEYS, *LABELS]
        new = new[[*first, *(column for column in new if column not in first)]]
        self._rows = pandas.concat([self._rows, new]) if len(self._rows) else new
        with written_whole(self._path) as file:
            file.write(self._rows.to_csv(index=False).encode())
