"""Numbers of cases: without gaps per year and county, and apart for exercises and tests."""

from __future__ import annotations

import string
from datetime import datetime, timedelta, timezone
from typing import Any

from psycopg import Connection

from domain.clock import aware
from domain.thing import Mode

#: what stands before the number of a case that is not real; such cases never use up a real number
LABELS = {Mode.ACTUAL: "", Mode.EXERCISE: "演练-", Mode.TEST: "测试-"}

_BEIJING = timezone(timedelta(hours=8))


def check_pattern(pattern: str) -> str:
    """Return the pattern; ValueError unless it makes one number per year, region and serial."""
    problem = f"LIUPAN_CASE_NUMBER {pattern!r}"
    try:
        fields = sorted(name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None)
        pattern.format(year=2026, region="640402", serial=1)
    except (ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"{problem} is no pattern: {error}") from None
    if fields != ["region", "serial", "year"]:
        raise ValueError(f"{problem} must hold {{year}}, {{region}} and {{serial}}, each once")
    return pattern


def next_number(conn: Connection[Any], pattern: str, region: str, mode: Mode, at: datetime) -> str:
    """Take the next number of the year (in Beijing), county and mode.

    Inside a transaction: who comes second waits for its end, and a rollback gives the number back.
    """
    year, county = aware(at).astimezone(_BEIJING).year, region[:6]
    row = conn.execute(
        "INSERT INTO case_serial (year, region, mode, last) VALUES (%s, %s, %s, 1)"
        " ON CONFLICT (year, region, mode) DO UPDATE SET last = case_serial.last + 1 RETURNING last",
        (year, county, mode),
    ).fetchone()
    serial = row[0] if row else 1
    return LABELS[mode] + pattern.format(year=year, region=county, serial=serial)
