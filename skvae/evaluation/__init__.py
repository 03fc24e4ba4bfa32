"""Scores of enhancers, their summaries, and checks of estimators."""

from skvae.evaluation.scores import evaluate, make_enhancement_scorer
from skvae.evaluation.summary import (
    compare,
    format_comparison,
    format_summary,
    summarize,
)

__all__ = [
    "compare",
    "evaluate",
    "format_comparison",
    "format_summary",
    "make_enhancement_scorer",
    "summarize",
]
