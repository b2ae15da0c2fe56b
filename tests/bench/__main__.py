"""`python -m tests.bench NAME [ARGUMENT…]` runs `tests/bench/NAME.py`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Run the bench that the first argument names."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"usage: python -m tests.bench NAME [ARGUMENT…], with NAME one of: {', '.join(names)}")
    importlib.import_module(f"tests.bench.{sys.argv[1]}").run(sys.argv[2:])


if __name__ == "__main__":
    main()
