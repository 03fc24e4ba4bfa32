"""What every test has: scikit-learn's array checks on, warnings of ours as errors."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

# Before SciPy is imported: without it scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

#: A user whom nothing belongs to.
NOBODY = 65534

#: Examples that train a network for seconds.
SLOW_EXAMPLES = {
    "BandSplitMask",
    "BiLSTMMask",
    "DNNMask",
    "DnVAENMFEnhancer",
    "EvaluationDisplay",
    "NoiseAwareVAE",
    "VAENMFEnhancer",
}


def pytest_collection_modifyitems(items):
    """Mark the examples that are slow: pages of documentation, and networks."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and (
            item.path.suffix == ".rst" or item.name.split(".")[-1] in SLOW_EXAMPLES
        ):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def unprivileged():
    """Folder of a user who may not do everything, as whom this process works on."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions are POSIX's")
    with tempfile.TemporaryDirectory() as folder:
        user = os.geteuid()
        if user == 0:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            # What is not yet imported is read by that user, too.
            for place in (folder, sys.prefix, Path(__file__).parents[1] / "skvae"):
                if not os.access(place, os.R_OK | os.X_OK, effective_ids=True):
                    pytest.skip(f"another user cannot read {place}")
            yield Path(folder)
        finally:
            os.seteuid(user)
