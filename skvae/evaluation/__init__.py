"""Scores of enhancers, their summaries, and checks of estimators."""

from skvae.evaluation.scores import evaluate, make_enhancement_scorer
from skvae.evaluation.summary import compare, summarize

__all__ = ["compare", "evaluate", "make_enhancement_scorer", "summarize"]
