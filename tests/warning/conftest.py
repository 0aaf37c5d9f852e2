"""What the tests of alerts and responses register, and how they say that a level has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.flow import emit
from domain.thing import partition_of
from server.registry import register

REGION = "640402"
START = datetime(2026, 8, 12, 11, 0, tzinfo=UTC)


@pytest.fixture
def site() -> Callable[..., int]:
    """Register a hazard site with these values; return its number."""

    def site(conn: Connection[Any], code: str = "yz-1", **values: object) -> int:
        plain = {
            "code": code, "region": REGION, "name_zh": "张家崾岘滑坡", "name_en": "Zhangjia landslide",
            "type": "landslide", "mode": "actual", "rule": "landslide", "lon": 106.2, "lat": 36.0,
            "polygon": [[106.1, 36.0], [106.2, 36.0], [106.2, 35.9], [106.1, 36.0]], "threatened": 45,
        }  # fmt: skip
        register(conn, {"sites": [plain | values]})
        row = conn.execute("SELECT id FROM hazard_site WHERE code = %s", (code,)).fetchone()
        assert row is not None
        return int(row[0])

    return site


@pytest.fixture
def levelled() -> Callable[..., None]:
    """Emit what the assessing side emits when a level has changed, so many minutes after START."""

    def levelled(
        conn: Connection[Any], site: int, before: str, after: str, minutes: float, assessment: object = None
    ) -> None:
        body = {
            "site": site, "from": before, "to": after, "at": START + timedelta(minutes=minutes),
            "assessment": assessment,
        }  # fmt: skip
        row = conn.execute("SELECT code, region FROM hazard_site WHERE id = %s", (site,)).fetchone()
        code, region = row or ("gone", REGION)
        emit(conn, "levelled", subject=code, region=region, partition=partition_of(site), body=body)

    return levelled
