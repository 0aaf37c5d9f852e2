"""`liupan export WHAT`: write what is stored to standard output; each has its own --help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

#: what can be exported -> the module whose main(argv) does it, and in one line what comes out
EXPORTS = {
    "registry": ("server.exporting", "what is registered, as a file that can be imported again"),
    "observations": (
        "server.export.observations", "one datastream's results with their marks, or its hours or days"),
}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Run the export that the arguments name; return its exit code."""
    if argv and argv[0] in EXPORTS:
        return int(import_module(EXPORTS[argv[0]][0]).main(argv[1:]))
    told = "\n".join(f"  {what:14}{text}" for what, (_, text) in EXPORTS.items())
    parser = argparse.ArgumentParser(
        prog="liupan export", description=f"{__doc__}\n\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("what", choices=EXPORTS)
    parser.parse_args(argv)
    return 2
