"""Process 1: from MQTT, HTTP and TCP to the database, then the acknowledgement."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from functools import partial

import psycopg

from domain.process import Job, log_to_stderr, run
from domain.settings import Settings
from ingest import batch, claimed, codecs, http, mqtt, silence, tcp
from ingest.inbox import Inbox

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run until SIGTERM; return 0 then, 75 when the database is lost, 2 for settings that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m ingest", description=__doc__)
    parser.add_argument(
        "--client-id", default="liupan-ingest", help="session at the broker; each process has its own"
    )
    args = parser.parse_args(argv)
    log_to_stderr("ingest")
    try:
        settings = Settings.from_env()
        database_url, broker = settings.database(), settings.broker()
        codecs.configure(settings)
    except ValueError as error:
        log.error("%s", error)
        return 2

    inbox = Inbox()

    def store(stop: threading.Event) -> None:
        with psycopg.connect(database_url, autocommit=True, application_name="liupan-ingest") as conn:
            door = mqtt.connect(broker, args.client_id, inbox)
            try:
                batch.run(conn, inbox, door.tell, settings, stop)
            finally:
                door.close()

    jobs: dict[str, Job] = {
        "store": store,
        "replay": partial(claimed.run, database_url),
        "silence": partial(silence.run, database_url),
    }
    if settings.intake_port:
        jobs["http"] = http.serving(settings, inbox)
    if settings.sl651_port or settings.szy206_port:
        jobs["tcp"] = tcp.serving(settings, inbox)
    return run(jobs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
