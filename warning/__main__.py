"""Process 2: from observations to assessments, levels, alerts, deliveries, incidents and orders."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client
from psycopg import Connection

from domain.flow import Handler, share_partitions
from domain.process import Job, log_to_stderr, run
from domain.settings import Settings
from warning import channels, outlet, public, rules
from warning.cap import Office
from warning.command import commander
from warning.delivery import deliverer, fan_out
from warning.issue import issuer
from warning.jobs import Gate, assessing, consuming, everything
from warning.response.order import orderer
from warning.response.respond import respond

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run until SIGTERM; return 0 then, 75 when a thread broke off, 2 for settings that cannot be used."""
    argparse.ArgumentParser(prog="python -m warning", description=__doc__).parse_args(argv)
    log_to_stderr("warning")
    try:
        settings = Settings.from_env()
        database_url, office = settings.database(), Office.of(settings)
        rules.load(settings.rules)  # a wrong rule is told here, once, and not by the child again and again
        client = outlet.connect(settings)
    except ValueError as error:
        log.error("%s", error)
        return 2
    jobs = {"assess": assessing(database_url, settings.rules)}
    code = run(jobs | _jobs(database_url, client, issuer(office)))
    client.disconnect()
    client.loop_stop()
    return code


def _jobs(database_url: str, client: Client, issue: Handler) -> dict[str, Job]:
    """Return one job for each consumer that tells people: the one with partitions keeps a site's alerts in
    order, those that need the broker wait for it.
    """

    def connected(conn: Connection[Any]) -> Callable[[], Sequence[int] | None]:
        return outlet.when_connected(client)

    consumers: dict[str, tuple[Handler, Gate]] = {
        "issue": (issue, lambda conn: share_partitions(conn, "issue")),
        "fan_out": (fan_out, everything),
        "publish": (public.publisher(client), lambda conn: public.when_connected(conn, client)),
        "deliver": (deliverer(client, channels.load()), connected),
        "respond": (respond, everything),
        "order": (orderer(client), connected),
        "command": (commander(client), connected),
    }
    return {name: consuming(database_url, name, *consumer) for name, consumer in consumers.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
