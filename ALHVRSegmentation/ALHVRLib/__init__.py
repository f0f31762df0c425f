"""What the Slicer modules of ALHVR share: panel, sections, child process, set-up, models, scene.

Importing it makes the package alhvr importable, whose formats the modules read and write with the engine's own code;
all else of the engine runs in the child process.
"""

import sys

from ALHVRLib.paths import engine_root

if str(engine_root()) not in sys.path:
    sys.path.append(str(engine_root()))
