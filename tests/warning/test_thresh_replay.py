"""The records of USGS Thresh through database, models and levels give the counts in its SOURCE.txt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from psycopg import Connection

from domain.clock import parse_time
from domain.flow import emit, handle
from domain.thing import Observation, partition_of
from domain.wire import decode, pack
from ingest.records import usgs_thresh
from server.registry import register
from warning.assess import assessor

#: SOURCE.txt: RA, ID, water index, 6 h in a storm, ID and water index, highest water index in m
EXPECTED = {
    "RP-KBFI": {"ra": 641, "id": 12, "awi": 1060, "mean_6h": 33, "id_awi": 11, "highest": 0.106868},
    "RP-KSEA": {"ra": 784, "id": 15, "awi": 1059, "mean_6h": 40, "id_awi": 9, "highest": 0.099447},
}


@pytest.fixture(scope="module")
def observations(data: Path) -> list[tuple[str, Observation]]:
    """Return (station, observation without its datastream) in the order of the record."""
    found = []
    for message in usgs_thresh(data / "usgs-thresh").messages:
        for said in decode(message.payload)["observations"]:  # type: ignore[attr-defined]
            at = parse_time(said["phenomenon_time"])
            found.append(
                (
                    message.topic.split("/")[3],
                    Observation(datastream=0, phenomenon_time=at, result=said["result"]),
                )
            )
    return found


@pytest.mark.parametrize("batches", [(24, 100, 2000), (1, 2, 30)], ids=["in bulk", "nearly row by row"])
def test_a_replay_gives_the_counts_of_thresh(
    conn: Connection[Any],
    data: Path,
    observations: Sequence[tuple[str, Observation]],
    batches: tuple[int, ...],
) -> None:
    register(conn, usgs_thresh(data / "usgs-thresh").registry)
    stations = {
        code: (id_, site)
        for code, id_, site in conn.execute(
            "SELECT t.code, d.id, t.site FROM datastream d JOIN thing t ON t.id = d.thing"
        )
    }
    if batches[0] == 1:  # the wettest month of both gauges hour by hour, all before it at once
        first = next(
            n for n, (_, o) in enumerate(observations) if o.phenomenon_time >= parse_time("2010-12-08T00:00Z")
        )
        pieces = [observations[:first]]
        observations = observations[first : first + 48 * 8]
    else:
        pieces = []
    random, assess = Random(5), assessor()  # noqa: S311 - not a secret
    while observations:
        size = random.choice(batches)
        pieces.append(observations[:size])
        observations = observations[size:]
    for piece in pieces:
        _store(conn, stations, piece)
        if random.random() < 0.5:
            handle(conn, "assess", assess)
        if random.random() < 0.01:
            assess = assessor()
    while handle(conn, "assess", assess):
        pass
    if batches[0] == 1:
        assert _listed(conn, "RP-KBFI", data, "ID_", "01") and _listed(conn, "RP-KSEA", data, "ID_", "03")
        return
    for site, expected in EXPECTED.items():
        assert _counts(conn, site) == expected
        number = {"RP-KBFI": "01", "RP-KSEA": "03"}[site]
        assert _listed(conn, site, data, "RA_", number) and _listed(conn, site, data, "ID_", number)
        _check_levels(conn, site)


def _store(
    conn: Connection[Any], stations: dict[str, tuple[int, int]], said: Sequence[tuple[str, Observation]]
) -> None:
    rows: dict[int, list[Observation]] = {}
    for station, o in said:
        id_, site = stations[station]
        known = Observation(datastream=id_, phenomenon_time=o.phenomenon_time, result=o.result)
        rows.setdefault(partition_of(site), []).append(known)
    every = [o for group in rows.values() for o in group]
    for month in {o.phenomenon_time.replace(day=1, hour=0, minute=0) for o in every}:
        conn.execute("SELECT ensure_observation_partition(%s)", (month,))
    conn.execute(
        "INSERT INTO observation SELECT d, at, x, now()"
        " FROM unnest(%s::int[], %s::timestamptz[], %s::float8[]) AS o (d, at, x)",
        ([o.datastream for o in every], [o.phenomenon_time for o in every], [o.result for o in every]),
    )
    for partition, group in rows.items():
        emit(conn, "observed", subject="", partition=partition, packed=pack(group))


def _counts(conn: Connection[Any], site: str) -> dict[str, float]:
    """Return how many assessments have each line crossed; the 6-h mean counts above its own, as in Thresh."""
    row = conn.execute(
        "WITH a AS (SELECT (models -> 'ra' ->> 'ratio')::float AS ra,"
        "  (models -> 'id' ->> 'ratio')::float AS id,"
        "  (models -> 'awi' ->> 'ratio')::float AS awi, (models -> 'mean_6h' ->> 'ratio')::float AS mean_6h,"
        "  (models -> 'awi' -> 'values' ->> 'water_index_m')::float AS w"
        "  FROM assessment JOIN hazard_site s ON s.id = site WHERE s.code = %s)"
        " SELECT count(*) FILTER (WHERE ra >= 1), count(*) FILTER (WHERE id >= 1),"
        "  count(*) FILTER (WHERE awi >= 1),"
        "  count(*) FILTER (WHERE mean_6h > 1), count(*) FILTER (WHERE id >= 1 AND awi >= 1), max(w) FROM a",
        (site,),
    ).fetchone()
    assert row
    return dict(zip(("ra", "id", "awi", "mean_6h", "id_awi", "highest"), row, strict=True))


def _listed(conn: Connection[Any], site: str, data: Path, kind: str, number: str) -> bool:
    """Tell whether the crossed hours in the database are those in Thresh's list, as far as they were told."""
    key = {"RA_": "ra", "ID_": "id"}[kind]
    rows = conn.execute(
        "SELECT to_char(at AT TIME ZONE 'UTC', 'HH24:MI MM/DD/YYYY') FROM assessment"
        " JOIN hazard_site s ON s.id = site"
        " WHERE s.code = %s AND (models -> %s ->> 'ratio')::float >= 1 ORDER BY at",
        (site, key),
    ).fetchall()
    lines = (data / "usgs-thresh" / "expected" / f"ThTimeEx{kind}{number}.txt").read_text().splitlines()
    listed = [
        line.split("\t")[0].strip() for line in lines if line.strip() and not line.strip().startswith("#")
    ]
    told = [time for (time,) in rows]
    newest = conn.execute(
        "SELECT as_of FROM level JOIN hazard_site s ON s.id = site WHERE code = %s", (site,)
    ).fetchone()
    assert newest and told
    return told == [time for time in listed if parse_time(_iso(time)) <= newest[0]]


def _iso(time: str) -> str:
    clock, date = time.split()
    month, day, year = date.split("/")
    return f"{year}-{month}-{day}T{clock}Z"


def _check_levels(conn: Connection[Any], site: str) -> None:
    """Levels follow each other without a break, from none to none, and reach what Thresh calls a warning."""
    changes = [
        (body["from"], body["to"])
        for (body,) in conn.execute(
            "SELECT body FROM event WHERE kind = 'levelled' AND consumer = 'issue' AND subject = %s"
            " ORDER BY id",
            (site,),
        )
    ]
    assert changes[0][0] == "none" and {to for _, to in changes} == {"none", "blue", "yellow", "orange"}
    assert np.all([before[1] == after[0] for before, after in pairwise(changes)])
