"""``python -m alhvr`` is the ``alhvr`` command."""

import sys

from alhvr.cli import main

sys.exit(main())
