"""`liupan bench WHAT`: measure the platform on this machine; nothing is asserted, everything is printed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

#: what can be measured -> in one line; each is a module of this folder with main(argv)
BENCHES = {
    "path": "from a result being published to the alert on a phone, under load",
    "ingest": "how many messages and observations a second ingest stores, and how fast they are read",
}


def main(argv: Sequence[str]) -> int:
    """Run the bench that the arguments name; return its exit code."""
    if argv and argv[0] in BENCHES:
        return int(import_module(f"{__name__}.{argv[0]}").main(argv[1:]))
    told = "\n".join(f"  {what:8}{text}" for what, text in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="liupan bench", description=f"{__doc__}\n\n{told}\n\nEach has its own --help and --json.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("what", choices=BENCHES)
    parser.parse_args(argv)
    return 2
