"""Code shared by the scripts: corpora, models, scores, tables and figures."""

from __future__ import annotations

import sys
from pathlib import Path

# Import variants and systems from the other benchmarks, which are not a package.
sys.path.append(str(Path(__file__).resolve().parents[2]))
