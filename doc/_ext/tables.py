"""Tables made of cells, for directives."""

from __future__ import annotations

from collections.abc import Sequence


def list_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a list table, the first row of which is its head."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        bullets = ["*", *" " * (len(row) - 1)]
        lines += [
            f"   {bullet} - {cell}" for bullet, cell in zip(bullets, row, strict=True)
        ]
    return lines
