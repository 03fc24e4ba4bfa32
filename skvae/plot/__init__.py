"""Figures and sounds of the input and output of enhancers.

Figures follow scikit-learn's Display pattern: ``from_...`` draws, :meth:`plot` draws
again, and ``figure_`` with ``ax_`` or ``axes_`` give access to the figure. Colors are
suitable for color-blind readers and for print. matplotlib is imported only when
something is drawn.
"""

from skvae.plot.convergence import ConvergenceDisplay
from skvae.plot.enhancement import EnhancementDisplay
from skvae.plot.evaluation import EvaluationDisplay
from skvae.plot.player import AudioPlayer
from skvae.plot.spectrogram import MaskDisplay, SpectrogramDisplay

__all__ = [
    "AudioPlayer",
    "ConvergenceDisplay",
    "EnhancementDisplay",
    "EvaluationDisplay",
    "MaskDisplay",
    "SpectrogramDisplay",
]
