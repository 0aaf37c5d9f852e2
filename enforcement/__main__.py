"""Process 3: from leads to enforcement cases."""

from __future__ import annotations

import argparse
import logging
import sys
import threading

import psycopg

from domain.flow import consume
from domain.process import log_to_stderr, run
from domain.settings import Settings
from enforcement.number import check_pattern
from enforcement.process import load
from enforcement.triage import triager

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run until SIGTERM; return 0 then, 75 when a thread broke off, 2 for settings that cannot be used."""
    argparse.ArgumentParser(prog="python -m enforcement", description=__doc__).parse_args(argv)
    log_to_stderr("enforcement")
    try:
        settings = Settings.from_env()
        database_url = settings.database()
        handler = triager(load("ordinary"), check_pattern(settings.case_number))
    except ValueError as error:
        log.error("%s", error)
        return 2

    def triage(stop: threading.Event) -> None:
        with psycopg.connect(database_url, autocommit=True, application_name="liupan-enforcement") as conn:
            consume(conn, "triage", handler, stop)

    return run({"triage": triage})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
