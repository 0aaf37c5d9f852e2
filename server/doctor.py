"""Whether the installation is well, what is stuck and why, and how to set it going again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection

from domain.settings import Settings
from domain.wire import encode
from server import checks, checks_storage, run_state
from server.doctor_view import TODO, show
from server.up import PROCESSES

#: less room than this (bytes) in the state folder is a problem
ROOM = 1_000_000_000

#: rollups that are further behind (s) are a problem
BEHIND_S = 1200

#: a transaction that is open for longer (s) is a problem: the live feed waits for it
LONG_S = 300

#: key of doctor_view.TODO, and what stands in its sentence
Problem = tuple[str, dict[str, Any]]


def main(argv: list[str]) -> int:
    """Tell how things are; exit code 0 when all is well, 1 when there are problems."""
    args = _parser().parse_args(argv)
    settings = run_state.joined(Settings.from_env())
    try:
        with psycopg.connect(settings.database(), autocommit=True, connect_timeout=5) as conn:
            if args.retry_set_aside is not None:
                return _retry(conn, args.retry_set_aside or None, args.json)
            report = examine(conn, settings, datetime.now(UTC), timedelta(hours=args.silent_hours))
    except (ValueError, psycopg.OperationalError) as error:
        return _unreachable(settings, " ".join(str(error).split()), args.json)
    found = list(problems(report))
    if args.json:
        told = [{"problem": key, **values} for key, values in found]
        print(encode({"healthy": not found, "problems": told, **report}).decode())
    else:
        show(report, found, settings.lang)
    return 1 if found else 0


def examine(
    conn: Connection[Any], settings: Settings, now: datetime, silent_after: timedelta
) -> dict[str, Any]:
    """Return all that the checks find; without a whole schema only what needs none."""
    report: dict[str, Any] = {
        "at": now,
        "state": checks.state_folder(settings),
        "processes": checks.processes(settings),
        "broker": checks.broker(settings),
        "database": checks.database(conn),
    }
    if not report["database"]["missing_migrations"]:
        report |= {
            "observations": checks_storage.observations(conn, now),
            "storage": checks_storage.storage(
                conn, now, timescaledb=report["database"]["timescaledb"] is not None
            ),
            "events": checks.events(conn, now),
            "quarantine": checks.quarantine(conn),
            "open_commands": checks.open_commands(conn, now),
            "shared_ids": checks.shared_ids(conn, now),
            "silent_stations": checks.silent_stations(conn, now - silent_after),
        }
    return report


def problems(report: dict[str, Any]) -> Iterator[Problem]:
    """Yield what somebody must do something about."""
    database, broker, state = report["database"], report["broker"], report["state"]
    if database["missing_migrations"]:
        yield "schema", {"missing": ", ".join(database["missing_migrations"])}
    if database["oldest_transaction_s"] > LONG_S:
        yield "transaction", {"minutes": round(database["oldest_transaction_s"] / 60)}
    if broker["reachable"] is False:
        yield "broker", {"address": broker["address"]}
    for name in PROCESSES if report["processes"] else ():
        if not report["processes"].get(name, {}).get("alive"):
            yield "process", {"name": name, "log": f"{state['path']}/log/{name}.log"}
    if state["exists"] and state["free_bytes"] < ROOM:
        yield "room", {"megabytes": state["free_bytes"] // 1_000_000}
    yield from _storage_problems(report.get("storage", {"refuses": None, "rollups_behind_s": None}))
    for row in report.get("shared_ids", ()):
        yield "shared_id", {"code": row["code"], "revisions": row["revisions"]}
    events = report.get("events", {"waiting": (), "set_aside_count": 0})
    for row in events["waiting"]:
        if row["overdue"]:
            yield "overdue", {**row, "oldest_s": round(row["oldest_s"])}
    if late := report.get("open_commands"):
        yield "open_commands", {"count": len(late), "oldest": late[0]["id"]}
    if events["set_aside_count"]:
        yield "set_aside", {"count": events["set_aside_count"]}


def _storage_problems(storage: dict[str, Any]) -> Iterator[Problem]:
    if storage["refuses"]:
        yield "refuses", {"reason": storage["refuses"]}
    if (storage["rollups_behind_s"] or 0) > BEHIND_S:
        yield "rollups", {"minutes": round(storage["rollups_behind_s"] / 60)}


def retry_set_aside(conn: Connection[Any], event: int | None) -> int:
    """Put the event, or all that are set aside, back to be tried again at once; return how many."""
    return conn.execute(
        "WITH back AS (UPDATE event SET set_aside_at = NULL, failures = 0, not_before = now()"
        "              WHERE set_aside_at IS NOT NULL AND (%(id)s::bigint IS NULL OR id = %(id)s)"
        "              RETURNING consumer)"
        " SELECT pg_notify('liupan_' || consumer, '') FROM back",
        {"id": event},
    ).rowcount


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="liupan doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--silent-hours", type=float, default=24, metavar="N", help="a station is silent after N hours (24)"
    )
    parser.add_argument(
        "--retry-set-aside",
        nargs="?",
        type=int,
        const=0,
        metavar="ID",
        help="try the event that was set aside again, or all of them",
    )
    return parser


def _retry(conn: Connection[Any], event: int | None, as_json: bool) -> int:
    count = retry_set_aside(conn, event)
    if event is not None and not count:
        print(f"no event {event} is set aside / 没有搁置的事件 {event}", file=sys.stderr)
        return 1
    print(encode({"put_back": count}).decode() if as_json else f"events put back / 放回的事件: {count}")
    return 0


def _unreachable(settings: Settings, reason: str, as_json: bool) -> int:
    """Say in one line that there is no database: nothing else can be examined."""
    if as_json:
        told = [{"problem": "database", "reason": reason}]
        print(encode({"healthy": False, "problems": told, "database": {"reachable": False}}).decode())
    else:
        print(TODO["database"][settings.lang == "en"].format(reason=reason), file=sys.stderr)
    return 1
