"""Process 2: from observations to assessments, levels, alerts, deliveries, incidents and orders."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from paho.mqtt.client import Client
from psycopg import Connection

from domain.flow import Handler, consume, share_partitions
from domain.process import Job, log_to_stderr, run
from domain.settings import Settings
from warning import channels, outlet, public
from warning.assess import assessor
from warning.cap import Office
from warning.delivery import deliverer, fan_out
from warning.issue import issuer
from warning.response.order import orderer
from warning.response.respond import respond

log = logging.getLogger(__name__)

#: given the connection: a function that tells which partitions may be worked on now
Gate = Callable[[Connection[Any]], Callable[[], Sequence[int] | None]]


def main(argv: list[str]) -> int:
    """Run until SIGTERM; return 0 then, 75 when a thread broke off, 2 for settings that cannot be used."""
    argparse.ArgumentParser(prog="python -m warning", description=__doc__).parse_args(argv)
    log_to_stderr("warning")
    try:
        settings = Settings.from_env()
        database_url, office, assess = settings.database(), Office.of(settings), assessor(settings.rules)
        client = outlet.connect(settings)
    except ValueError as error:
        log.error("%s", error)
        return 2
    code = run(_jobs(database_url, client, assess, issuer(office)))
    client.disconnect()
    client.loop_stop()
    return code


def _jobs(database_url: str, client: Client, assess: Handler, issue: Handler) -> dict[str, Job]:
    """Return one job for each consumer: those with partitions keep a site's events in order, those that
    need the broker wait for it.
    """

    def everything(conn: Connection[Any]) -> Callable[[], None]:
        return lambda: None

    def shared(consumer: str) -> Gate:
        return lambda conn: share_partitions(conn, consumer)

    def connected(conn: Connection[Any]) -> Callable[[], Sequence[int] | None]:
        return outlet.when_connected(client)

    consumers: dict[str, tuple[Handler, Gate]] = {
        "assess": (assess, shared("assess")),
        "issue": (issue, shared("issue")),
        "fan_out": (fan_out, everything),
        "publish": (public.publisher(client), lambda conn: public.when_connected(conn, client)),
        "deliver": (deliverer(client, channels.load()), connected),
        "respond": (respond, everything),
        "order": (orderer(client), connected),
    }
    return {name: _job(database_url, name, *consumer) for name, consumer in consumers.items()}


def _job(database_url: str, consumer: str, handler: Handler, gate: Gate) -> Job:
    def work(stop: Any) -> None:
        with psycopg.connect(database_url, autocommit=True, application_name="liupan-warning") as conn:
            consume(conn, consumer, handler, stop, gate(conn))

    return work


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
