"""Results of a run: scores, means, findings, a text, and a record."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import pandas

from common.corpora import Material
from common.models import Models
from common.run import Record, Run
from common.scores import Scores, Tables
from common.tables import Claim, format_claims, judge, title
from skvae.evaluation.summary import compare, format_comparison

#: Width of the text in columns.
WIDTH = 88


class Report:
    """Results of a run, printed and collected.

    Attributes
    ----------
    models : Models
        Models of the systems.
    scores : Scores
        Scores of all pairs, in ``...-scores.csv``.
    record : Record
        Set-up of the run, in ``....json``.
    """

    def __init__(self, run: Run, material: Material, metrics: Sequence[str]):
        self._run = run
        self.record = Record(run)
        self._lines: list[str] = []
        self.models = Models(run, material.training, self.record)
        self.scores = Scores(run.path("-scores.csv"), metrics, self.record, run.n_jobs)
        head = f"{run.name}: {'; '.join(map(_describe, material.sets.items()))}"
        self._say("\n".join(textwrap.wrap(head, WIDTH)))
        if run.is_quick:
            self._say("A quick run: the numbers are meaningless.")

    def note(self, what: str, lines: Iterable[str]) -> None:
        """Add a section with a list."""
        told = [
            textwrap.fill(line, WIDTH, initial_indent="* ", subsequent_indent="  ")
            for line in lines
        ]
        self.add(what, "\n".join(told))

    def add(self, what: str, text: str) -> None:
        """Add a section."""
        self._say(f"{title(what)}\n{text}")

    def judge(self, claims: Iterable[Claim], tables: Tables) -> None:
        """Add the findings of the paper with the results of this run."""
        judged = judge(claims, tables)
        judged.to_csv(self._run.path("-findings.csv"), index=False)
        self.add(
            "Findings: paired difference, first - second [95 % interval], and interval "
            "with the kinds of noise as clusters",
            format_claims(judged),
        )

    def by_noise(
        self, tables: Tables, name: str, first: str, second: str, metric: str = "sdr"
    ) -> None:
        """Add the difference of two systems in each kind of noise."""
        if (name, first) in tables and (name, second) in tables:
            pair = tables[name, first], tables[name, second]
            self.add(
                f"{name}: difference {first} - {second}, by noise",
                format_comparison(compare(*pair, metric, by="noise")),
            )

    def finish(self, found: pandas.DataFrame, tables: Tables, **more: object) -> None:
        """Write the means, the text and the record to files."""
        found.to_csv(self._run.path("-table.csv"), index=False)
        work: dict[str, dict[str, float]] = {}
        for (name, system), table in tables.items():
            work.setdefault(name, {})[system] = float(table["rtf"].median())
        self.record.write(
            pairs={name: len(table) for (name, _), table in tables.items()},
            seconds_of_work_per_second_of_audio=work,
            **more,
        )
        text = "\n\n".join(self._lines) + "\n"
        self._run.path(".txt").write_text(text, encoding="utf-8")

    def _say(self, text: str) -> None:
        self._lines.append(text)
        print(text, end="\n\n", flush=True)


def _describe(item: tuple) -> str:
    name, pairs = item
    return f"{name} {pairs!r}"
