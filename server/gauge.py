"""What a measurement reads from the machine, as Linux tells it, and how it sums up its values."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value below or at which this share of the sorted values lies; None without any."""
    return round(values[math.ceil(share * len(values)) - 1], 1) if values else None


def rss_mb_of(pid: int) -> float:
    """Return the resident memory of a process and its living children in MB (10^6 bytes)."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if pid in (int(folder.name), parent):
                pages += int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the processor time in s that each process and its living children have used so far."""
    names, spent = {pid: name for name, pid in pids.items()}, dict.fromkeys(pids, 0.0)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (folder / "stat").read_text().rpartition(")")[2].split()
            if name := names.get(int(folder.name)) or names.get(int(told[1])):
                spent[name] += (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    return spent
