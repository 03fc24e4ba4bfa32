"""What a run makes: scores, means, findings, a text of them, and a record."""

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

#: Columns of text that people read.
WIDTH = 88


class Report:
    """The results of a run, as they come.

    Attributes
    ----------
    models : Models
        What systems are made of.
    scores : Scores
        Of all pairs, in ``...-scores.csv``.
    record : Record
        What the results are of, in ``....json``.
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
            self._say("A quick run: whether all works, and figures of no meaning.")

    def note(self, what: str, lines: Iterable[str]) -> None:
        """Add a list."""
        told = [
            textwrap.fill(line, WIDTH, initial_indent="* ", subsequent_indent="  ")
            for line in lines
        ]
        self.add(what, "\n".join(told))

    def add(self, what: str, text: str) -> None:
        """Add a part with a title."""
        self._say(f"{title(what)}\n{text}")

    def judge(self, claims: Iterable[Claim], tables: Tables) -> None:
        """Add what the data say of the paper's findings."""
        judged = judge(claims, tables)
        judged.to_csv(self._run.path("-findings.csv"), index=False)
        self.add(
            "Findings: first less second [95 % interval of the paired difference], and "
            "the interval over other kinds of noise",
            format_claims(judged),
        )

    def by_noise(
        self, tables: Tables, name: str, first: str, second: str, metric: str = "sdr"
    ) -> None:
        """Add what makes a difference more or less: that in each kind of noise."""
        if (name, first) in tables and (name, second) in tables:
            pair = tables[name, first], tables[name, second]
            self.add(
                f"{name}: {first} less {second}, by noise",
                format_comparison(compare(*pair, metric, by="noise")),
            )

    def finish(self, found: pandas.DataFrame, tables: Tables, **more: object) -> None:
        """Write the means, the text and the record."""
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
