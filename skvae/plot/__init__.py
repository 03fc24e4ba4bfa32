"""Pictures and sounds of what goes in and what comes out.

Pictures follow scikit-learn's Display pattern: ``from_...`` draws, :meth:`plot` draws
again, and ``figure_``, ``ax_`` or ``axes_`` are there to change what was drawn. Their
colours are readable by the colour-blind and in print. matplotlib is only imported when
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
