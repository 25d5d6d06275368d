"""`python -m chatlib`: see `chatlib.cli`."""

import sys

from chatlib.cli import main

sys.exit(main())
