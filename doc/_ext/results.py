"""Means and findings that a run of ``benchmarks/papers`` wrote to files.

They are read from there, so that no number is copied by hand::

    .. papermeans:: bando2018-open
       :metrics: sdr

    .. paperfindings:: bando2018-open
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from tables import list_table

RESULTS = Path(__file__).parents[2] / "benchmarks" / "papers" / "results"
#: Titles of metrics, and decimals of their values.
TITLES = {
    "sdr": ("SDR", 2),
    "si_sdr": ("SI-SDR", 2),
    "pesq": ("PESQ", 3),
    "pesq_nb_raw": ("PESQ, narrow band", 3),
    "stoi": ("STOI", 3),
    "estoi": ("ESTOI", 3),
}


class PaperTable(Directive):
    """Base of the directives: a table made from one file of a run."""

    required_arguments = 1
    ending = ""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        path = RESULTS / f"{self.arguments[0]}{self.ending}"
        self.state.document.settings.env.note_dependency(str(path))
        with open(path, encoding="utf-8", newline="") as file:
            table = self.table(list(csv.DictReader(file)))
        parent = nodes.container()
        source = StringList(list_table(table), source=str(path))
        self.state.nested_parse(source, self.content_offset, parent)
        return parent.children

    def table(self, rows: list[dict[str, str]]) -> list[list[str]]:
        """Return the cells, head first."""
        raise NotImplementedError


class Means(PaperTable):
    """Means of all systems over a whole set, with those of the paper if it has any."""

    option_spec: ClassVar = {
        "metrics": directives.unchanged_required,
        "group": directives.unchanged_required,
    }
    ending = "-table.csv"

    def table(self, rows: list[dict[str, str]]) -> list[list[str]]:
        """Return one row per system, one column per set and metric."""
        group = self.options.get("group", "all")
        metrics = self.options["metrics"].split()
        kept = {
            (row["set"], row["system"], row["metric"]): row
            for row in rows
            if row["group"] == group and row["metric"] in metrics
        }
        sets = list(dict.fromkeys(name for name, _, _ in kept))
        systems = list(dict.fromkeys(system for _, system, _ in kept))
        columns = [f"{TITLES[m][0]}, {name}" for name in sets for m in metrics]
        head = ["System", *columns]
        cells = [
            [
                system,
                *(_cell(kept.get((n, system, m)), m) for n in sets for m in metrics),
            ]
            for system in systems
        ]
        return [head, *cells]


class Findings(PaperTable):
    """Findings of the paper, and whether they hold here."""

    ending = "-findings.csv"

    def table(self, rows: list[dict[str, str]]) -> list[list[str]]:
        """Return one row per pair of systems, set and metric."""
        head = [
            *("Finding", "Set", "Metric", "Difference, paper", "Difference, here"),
            *("Interval, other noises", "Verdict"),
        ]
        cells = []
        for row in rows:
            title, digits = TITLES[row["metric"]]
            here, low, high, *elsewhere = (
                f"{float(row[key]):+.{digits}f}" if row[key] else ""
                for key in ("difference", "low", "high", "noises_low", "noises_high")
            )
            paper = f"{float(row['paper']):+.{digits}f}" if row["paper"] else ""
            cells.append(
                [
                    row["finding"],
                    row["set"],
                    title,
                    paper,
                    f"{here} [{low}, {high}]",
                    f"[{', '.join(elsewhere)}]" if elsewhere[0] else "",
                    row["verdict"],
                ]
            )
        return [head, *cells]


def _cell(row: dict[str, str] | None, metric: str) -> str:
    if row is None:
        return ""
    digits = TITLES[metric][1]
    mean, low, high = (
        f"{float(row[key]):.{digits}f}" for key in ("mean", "low", "high")
    )
    paper = f" / {float(row['paper']):.{digits}f}" if row["paper"] else ""
    return f"{mean} [{low}, {high}]{paper}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("papermeans", Means)
    app.add_directive("paperfindings", Findings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
