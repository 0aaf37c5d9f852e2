"""Whether the installation works: for load balancers, watchdogs and people in a hurry."""

from __future__ import annotations

from typing import LiteralString

from fastapi import APIRouter, Request

from server.routes import Db, Out, row

router = APIRouter(tags=["health"])


class Waiting(Out):
    """The event that has been due for the longest time."""

    id: int
    kind: str
    consumer: str
    age_s: float


class Health(Out):
    """How the event log is doing; without a database the answer is 503.

    `lag_s` is the longest time from an event to the end of its handling, of those that ended in the last
    10 s; `followers` are the clients of this process's live feed.
    """

    lag_s: float
    waiting: int
    oldest: Waiting | None
    set_aside: int
    followers: int = 0


QUERY: LiteralString = (
    "SELECT (SELECT coalesce(extract(epoch FROM max(done_at - greatest(created_at, not_before))), 0)"
    "        FROM event WHERE done_at > now() - interval '10 seconds') AS lag_s,"
    " (SELECT count(*) FROM waiting_event) AS waiting,"
    " (SELECT jsonb_build_object('id', id, 'kind', kind, 'consumer', consumer, 'age_s',"
    "         round(extract(epoch FROM now() - not_before), 3)) FROM waiting_event"
    "  WHERE not_before <= now() ORDER BY not_before LIMIT 1) AS oldest,"
    " (SELECT count(*) FROM event WHERE set_aside_at IS NOT NULL) AS set_aside"
)


@router.get("/healthz")
def show_health(request: Request, conn: Db) -> Health:
    """Show whether events flow."""
    health = row(conn, Health, QUERY, {}, "event log")
    return health.model_copy(update={"followers": request.app.state.feed.clients})
