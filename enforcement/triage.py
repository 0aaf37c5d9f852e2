"""The handler of `reported`: a suspected violation becomes a case; a danger is not one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.flow import Event, Handler
from enforcement.case import open_case
from enforcement.process import Process

log = logging.getLogger(__name__)

#: a danger is for the warning side; the lead stays in its table and in the live feed
NOT_A_VIOLATION = "geohazard"


def triager(process: Process, pattern: str) -> Handler:
    """Return the handler, opening cases in this process with numbers of this pattern."""

    def triage(conn: Connection[Any], events: Sequence[Event]) -> None:
        # counters are locked in one order, whatever order the leads of several counties came in
        for event in sorted(events, key=lambda event: (event.region, event.id)):
            if event.body["kind"] == NOT_A_VIOLATION:
                log.info("lead %s in %s is a danger, no violation: no case", event.subject, event.region)
            else:
                open_case(conn, UUID(event.subject), process, pattern, datetime.now(UTC))

    return triage
