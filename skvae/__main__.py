"""``python -m skvae``."""

import sys

from skvae.cli.main import main

sys.exit(main())
