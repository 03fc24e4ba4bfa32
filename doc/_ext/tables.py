"""List tables for the directives."""

from __future__ import annotations

from collections.abc import Sequence


def list_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a list table whose first row is the head."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        bullets = ["*", *" " * (len(row) - 1)]
        lines += [
            f"   {bullet} - {cell}" for bullet, cell in zip(bullets, row, strict=True)
        ]
    return lines
