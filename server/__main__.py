"""Process 4: HTTP, and the house kept in order."""

from __future__ import annotations

import argparse
import logging
import signal
import sys

import uvicorn

from domain.process import log_to_stderr
from domain.settings import Settings
from server.app import create_app
from server.housekeeping import schedule

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Serve until SIGTERM; return 0 then, 2 for settings that cannot be used."""
    argparse.ArgumentParser(prog="python -m server", description=__doc__).parse_args(argv)
    log_to_stderr("server")
    try:
        settings = Settings.from_env()
        database_url = settings.database()
    except ValueError as error:
        log.error("%s", error)
        return 2
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, ending=lambda: server.should_exit),
            host=settings.http_bind,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    )
    # uvicorn takes these over while it serves, and hands them back at the end
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    scheduler = schedule(database_url, settings.retention_months)
    try:
        server.run()
    finally:
        scheduler.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
