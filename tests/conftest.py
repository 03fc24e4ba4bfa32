"""What every test has: scikit-learn's array checks on, warnings of ours as errors."""

import os

# Before SciPy is imported: without it scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
