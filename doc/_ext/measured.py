"""The rows of README's table of methods that a chapter is about.

So that every figure stands in one place only::

    .. measured:: WienerFilter LogMMSE
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
#: First column of the row of what was not enhanced.
UNTOUCHED = "(noisy)"


def read_table(text: str) -> list[list[str]]:
    """Cells of the first list table after the title "Methods", its head first."""
    section = text.partition("\nMethods\n")[2]
    rows: list[list[str]] = []
    for line in section.splitlines():
        if match := re.match(r"   \* -(.*)", line):
            rows.append([match[1].strip()])
        elif rows and (match := re.match(r"     -(.*)", line)):
            rows[-1].append(match[1].strip())
        elif rows and line and not line.startswith(" "):
            break
    return rows


class Measured(Directive):
    """Show the rows of some methods, or say that there are none yet."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        self.state.document.settings.env.note_dependency(str(README))
        head, *rows = read_table(README.read_text(encoding="utf-8"))
        names = self.arguments[0].split()
        chosen = [row for row in rows if row[0].strip("`") in names]
        found = {row[0].strip("`") for row in chosen}
        lines = []
        if chosen:
            chosen = [row for row in rows if row[0] == UNTOUCHED] + chosen
            lines += list_table([head, *chosen])
            lines += [
                "",
                "Means over 80 mixtures of speakers and noises that no method saw in "
                "training, and seconds of work per second of sound on one core; "
                "intervals of SI-SDR are about 1.3 dB wide on either side. "
                "``benchmarks/quality.py`` measures them.",
            ]
        missing = [f":class:`{name}`" for name in names if name not in found]
        if missing:
            lines += ["", f"Not measured on these pairs yet: {', '.join(missing)}."]
        parent = nodes.container()
        source = StringList(lines, source=str(README))
        self.state.nested_parse(source, self.content_offset, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("measured", Measured)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
