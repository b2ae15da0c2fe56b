"""Which machine a number was measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def named() -> str:
    """Processor, cores, Python: one line."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    model = found[1].strip() if found else platform.machine()
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}"
