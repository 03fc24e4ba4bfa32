"""``python -m skvae.cli``."""

import sys

from skvae.cli.main import main

sys.exit(main())
