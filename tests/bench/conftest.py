"""bench/ is scripts, not an installed package: its tests reach it from the root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
