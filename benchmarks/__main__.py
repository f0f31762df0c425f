"""``python -m benchmarks accuracy ...``; the other benchmarks are scripts of their own, see each file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

if __name__ == "__main__":
    if sys.argv[1:2] != ["accuracy"]:
        sys.exit("python -m benchmarks accuracy --help. The others are scripts: python benchmarks/NAME.py")
    from accuracy.command import main

    sys.exit(main(sys.argv[2:]))
