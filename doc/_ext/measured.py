"""Rows of the table of methods in README.rst, so that no score is copied by hand.

The rows of some methods, with all their scores::

    .. measured:: WienerFilter LogMMSE

A short table of methods, with what each needs for training::

    .. methods::

       LogMMSE: nothing
       VAENMFEnhancer: clean speech
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from tables import list_table

README = Path(__file__).parents[2] / "README.rst"
#: First column of the row of the noisy speech.
UNTOUCHED = "(noisy)"
#: How the scores were measured.
CAPTION = (
    "Means over 80 mixtures at -5 to 10 dB, with speakers and noises that were not "
    "used in training. The 95 % intervals of SI-SDR extend about 1.3 dB to either "
    "side. The time is computing time in seconds per second of sound, on one core. "
    "``benchmarks/quality.py`` measures these values."
)
#: Columns of the short table: beginnings of the heads in README.rst, and heads here.
SHORT = {"SI-SDR": "SI-SDR (dB)", "PESQ": "PESQ", "s per s": "Time (s per s)"}


def read_table(text: str) -> list[list[str]]:
    """Return the cells of the list table below the title "Methods", head first."""
    section = text.partition("\nMethods\n")[2]
    rows: list[list[str]] = []
    for line in section.splitlines():
        if match := re.match(r"   \* -(.*)", line):
            rows.append([match[1].strip()])
        elif rows and (match := re.match(r"     -(.*)", line)):
            rows[-1].append(match[1].strip())
        elif rows and line and not line.startswith(" "):
            break
    if not rows:
        raise ValueError(f"{README} has no table below the title Methods.")
    return rows


class _MethodTable(Directive):
    """Base of the directives, which reads the table."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        self.state.document.settings.env.note_dependency(str(README))
        head, *rows = read_table(README.read_text(encoding="utf-8"))
        lines = self.lines(head, {row[0].strip("`"): row for row in rows})
        parent = nodes.container()
        source = StringList(lines, source=str(README))
        self.state.nested_parse(source, self.content_offset, parent)
        return parent.children

    def lines(self, head: list[str], rows: dict[str, list[str]]) -> list[str]:
        """Return the lines to show, given the rows of README.rst by method."""
        raise NotImplementedError


class Measured(_MethodTable):
    """Show the rows of some methods, and name the methods that have none."""

    required_arguments = 1
    final_argument_whitespace = True

    def lines(self, head: list[str], rows: dict[str, list[str]]) -> list[str]:
        """Return the rows of the methods below that of the noisy speech."""
        names = self.arguments[0].split()
        lines = []
        chosen = [row for name, row in rows.items() if name in names]
        if chosen:
            lines = [*list_table([head, rows[UNTOUCHED], *chosen]), "", CAPTION]
        missing = [f":class:`{name}`" for name in names if name not in rows]
        if missing:
            lines += ["", f"Not yet measured on these mixtures: {', '.join(missing)}."]
        return lines


class Methods(_MethodTable):
    """Show a short table of methods: scores, time, and what they need for training."""

    has_content = True

    def lines(self, head: list[str], rows: dict[str, list[str]]) -> list[str]:
        """Return one row for each line of the content, "method: what it needs"."""
        columns = [
            next(k for k, title in enumerate(head) if title.startswith(beginning))
            for beginning in SHORT
        ]
        table = [["Method", *SHORT.values(), "Needs for training"]]
        untouched = rows[UNTOUCHED]
        table.append([UNTOUCHED, *(untouched[k] for k in columns), ""])
        for line in self.content:
            name, _, needs = line.partition(": ")
            title = f":class:`{name}`" if name.isidentifier() else f"``{name}``"
            table.append([title, *(rows[name][k] for k in columns), needs])
        return [*list_table(table), "", CAPTION]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("measured", Measured)
    app.add_directive("methods", Methods)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
