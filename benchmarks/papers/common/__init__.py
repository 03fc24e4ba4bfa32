"""What the scripts of the papers share: corpora, models, scores, tables, figures."""

from __future__ import annotations

import sys
from pathlib import Path

# The other benchmarks, whose variants and systems serve here too, are no package.
sys.path.append(str(Path(__file__).resolve().parents[2]))
