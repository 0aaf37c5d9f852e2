"""`$filter`: what is found, what is refused and where; and that a page reads no more rows than it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from psycopg import Connection, sql

from server.sensorthings import Fault
from server.sensorthings.filter import read
from server.sensorthings.model import DATASTREAMS, ENTITIES, OBSERVATIONS
from server.sensorthings.options import parse
from server.sensorthings.query import Ask, page
from server.sensorthings.statement import Parents, listing

DAY_US = 1782864000000000  # 2026-07-01T00:00:00Z, by date -d
#: hour -> result of datastream 1, received an hour later; both datastreams have 1.5 at 00:00
SERIES = {1: 10.0, 2: 20.0, 3: -5.0}

#: filter -> results of all observations that meet it, by id; the two of 00:00 were received just now
FOUND: dict[str, list[float]] = {
    "result eq 10": [10],
    "10 eq result": [10],
    "result ne 10": [1.5, 20, -5, 1.5],
    "result gt 1.5": [10, 20],
    "result ge 1.5": [1.5, 10, 20, 1.5],
    "result lt 1.5": [-5],
    "result le -5": [-5],
    "result eq 1.5e0": [1.5, 1.5],
    "result lt 1e400": [1.5, 10, 20, -5, 1.5],
    "phenomenonTime eq 2026-07-01T01:00:00Z": [10],
    "phenomenonTime gt 2026-07-01T09:00:00+08:00": [20, -5],
    "phenomenonTime ge 2026-07-01T09:00:00.000+0800": [10, 20, -5],
    "2026-07-01T02:00:00Z lt phenomenonTime": [-5],
    "resultTime le 2026-07-01T03:00:00Z": [10, 20],
    "result gt 0 and phenomenonTime lt 2026-07-01T02:00:00Z": [1.5, 10, 1.5],
    "result eq 10 or result eq 20": [10, 20],
    # and binds closer than or, not closer than and
    "result eq 10 or result eq 20 and result eq 21": [10],
    "(result eq 10 or result eq 20) and result eq 20": [20],
    "not result eq 10 and result gt 5": [20],
    "not (result eq 10 or result gt 15)": [1.5, -5, 1.5],
    "not not result eq 10": [10],
    "((((result eq 10))))": [10],
    "  result   eq\t10  ": [10],
    f"id eq '1,{DAY_US}'": [1.5],
    f"@iot.id eq '2,{DAY_US}'": [1.5],
    f"id ne '1,{DAY_US}'": [10, 20, -5, 1.5],
    f"id gt '1,{DAY_US + 3_600_000_000}'": [20, -5, 1.5],
    f"'1,{DAY_US + 3_600_000_000}' ge id": [1.5, 10],
    "Datastream/id eq 2": [1.5],
    "Datastream/@iot.id lt 2": [1.5, 10, 20, -5],
    "Datastream/name eq 'stream/B-B'": [1.5],
    "Datastream/Thing/properties/code eq 'thing/A-A' and result gt 15": [20],
    "Datastream/ObservedProperty/id eq 'rainfall'": [1.5],
    "Datastream/name eq 'it''s'": [],
    "Datastream/name eq ''' OR true --'": [],
    "Datastream/name eq '%(region)s'": [],
}


@pytest.fixture
def db(client: TestClient, database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for hour, result in SERIES.items():
            conn.execute(
                "INSERT INTO observation VALUES (1, '2026-07-01Z'::timestamptz + %s * interval '1 hour', %s,"
                " '2026-07-01 01:00Z'::timestamptz + %s * interval '1 hour')",
                (hour, result, hour),
            )
        yield conn


def test_what_meets_a_filter(client: TestClient, db: Connection[Any]) -> None:
    for text, expected in FOUND.items():
        response = client.get("/v1.1/Observations", params={"$filter": text, "$count": "true"})
        assert response.status_code == 200, (text, response.text)
        found = response.json()
        assert [each["result"] for each in found["value"]] == expected, text
        assert found["@iot.count"] == len(expected), text


@pytest.mark.parametrize(
    ("path", "text", "ids"),
    [
        ("Things", "id gt 1 and properties/kind eq 'station'", [3]),
        ("Things", "name ge 'name-B' and properties/region eq '640502'", [3, 4]),
        ("Datastreams", "Thing/id eq 3", [2]),
        ("Datastreams", "ObservedProperty/name eq 'displacement' and unitOfMeasurement/symbol eq 'mm'", [1]),
        ("Locations", "properties/type eq 'landslide' and name eq '坡-B'", [2]),
        ("Sensors", "name eq 'thing/A-A/stream/A-A'", [1]),
        ("ObservedProperties", "name ne 'rainfall'", ["displacement"]),
        ("ObservedProperties", "id eq 'rainfall'", ["rainfall"]),
        ("FeaturesOfInterest", "properties/code eq 'site-A'", [1]),
        ("Things(1)/Datastreams", "name eq 'stream/B-B'", []),
    ],
)
def test_every_set_can_be_filtered(reader: TestClient, path: str, text: str, ids: list[object]) -> None:
    found = reader.get(f"/v1.1/{path}", params={"$filter": text}).json()
    assert [each["@iot.id"] for each in found["value"]] == ids


def test_whatever_is_asked_for_can_be_ordered_by_and_compared(reader: TestClient) -> None:
    """Each SQL expression of the model is run, on both sides of the paging."""
    literal = {"number": "1", "text": "'x'", "time": "2026-07-01T00:00:00Z"}
    for entity in ENTITIES.values():
        for name, (kind, _) in entity.asked.items():
            params = {"$filter": f"{name} le {literal[kind]}", "$orderby": f"{name} desc", "$count": "true"}
            response = reader.get(f"/v1.1/{entity.name}", params=params)
            assert response.status_code == 200, (entity.name, name, response.text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the end at 1, where a property or a value is expected"),
        ("result", "the end at 7, where eq ne gt ge lt le is expected"),
        ("result eq", "the end at 10, where a property or a value is expected"),
        ("result eq 1 2", "'2' at 13, where and, or, or the end is expected"),
        ("result = 1", "cannot read '= 1' at 8"),
        ("result eq 'x", 'cannot read "\'x" at 11'),
        ("(result eq 1", "the end at 13, where and, or, or ) is expected"),
        ("result eq 1)", "')' at 12, where and, or, or the end is expected"),
        ("result eq 'x'", "a number cannot be compared with a text at 11"),
        ("phenomenonTime gt 5", "a time cannot be compared with a number at 19"),
        ("colour eq 1", "'colour' at 1 is no property that can be filtered by: id, phenomenonTime, "),
        ("result eq 1 and", "the end at 16, where"),
        ("and eq 1", "'and' at 1 is no property"),
        ("phenomenonTime gt 2026-07-01T00:00:00 08:00", "at 19; in an address a + is written %2B"),
        ("phenomenonTime gt 2026-07-01T00:00:00", "no UTC offset: write +08:00 or Z behind it, at 19; "),
        ("phenomenonTime gt 2026-13-01T00:00:00Z", "month must be in 1..12, at 19"),
        ("phenomenonTime gt 0001-01-01T00:00:00+08:00", "lies outside the years 1 to 9999 in UTC, at 19"),
        ("phenomenonTime gt 2026-07-01", "cannot be compared with a number"),
        ("id eq 1", "what stands at 7 is no id of Observations"),
        ("id eq id", "what stands at 1 is no id of Observations"),
        ("Datastream/name eq '\0'", "the text at 20 has a NUL"),
        ("(" * 51 + "result eq 1" + ")" * 51, "nested more than 50 deep at 51"),
        ("not " * 5000 + "result eq 1", "nested more than 50 deep at 201"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, message: str) -> None:
    with pytest.raises(Fault) as fault:
        read(OBSERVATIONS, text)
    assert fault.value.status == 400
    assert str(fault.value.args[1]).startswith("$filter: ")
    assert message in fault.value.args[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("substringof('x', Datastream/name)", "substringof at 1 is not supported"),
        ("year(phenomenonTime) eq 2026", "year at 1 is not supported"),
        ("phenomenonTime lt now()", "now at 19 is not supported"),
        ("result add 1 eq 2", "add at 8 is not supported"),
        ("result eq null", "null at 11 is not supported"),
        ("result in (1, 2)", "in at 8 is not supported"),
    ],
)
def test_what_odata_has_besides_is_501(text: str, message: str) -> None:
    with pytest.raises(Fault) as fault:
        read(OBSERVATIONS, text)
    assert message in fault.value.args[1]
    assert fault.value.status == 501


WORDS = ["result", "eq", "and", "or", "not", "(", ")", "1", "-2.5", "'x'", "2026-07-01T00:00:00Z", "id", "/"]


@given(text=st.text(max_size=30) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_no_text_breaks_the_reading_or_gets_into_the_sql(text: str) -> None:
    try:
        condition = read(OBSERVATIONS, text)
    except Fault:
        return
    said = condition.sql.as_string()
    words = set(re.sub(r"%\(f\d+\)s::(bigint|float8|text|timestamptz|int)|[(),]", " ", said).split())
    assert words <= {
        "o.result",
        "o.phenomenon_time",
        "d.id",
        "AND",
        "OR",
        "NOT",
        "=",
        "<>",
        ">",
        ">=",
        "<",
        "<=",
    }


@pytest.fixture(scope="module")
def large(server_url: str, worker_url: str) -> Iterator[Connection[Any]]:
    """40 datastreams with one result an hour over three months, which are three partitions."""
    with psycopg.connect(worker_url) as conn:
        conn.execute("INSERT INTO region VALUES ('640402', NULL, 3, '原州区', 'Yuanzhou', 106, 36)"
                     " ON CONFLICT DO NOTHING")  # fmt: skip
        conn.execute(
            "INSERT INTO thing (code, kind, name, region) VALUES ('large', 'station', 'l', '640402')"
        )
        conn.execute(
            "INSERT INTO datastream (thing, name)"
            " SELECT id, 'd' || n FROM thing, generate_series(1, 40) n WHERE code = 'large'"
        )
        for month in ("2026-05-01Z", "2026-06-01Z", "2026-07-01Z"):
            conn.execute("SELECT ensure_observation_partition(%s::timestamptz)", (month,))
        conn.execute(
            "INSERT INTO observation SELECT d.id, at, 1, at FROM datastream d,"
            " generate_series('2026-05-01Z'::timestamptz, '2026-07-31Z', '1 hour') at WHERE d.name LIKE 'd%'"
        )
        conn.execute("ANALYZE observation, datastream, thing")
        yield conn
        conn.rollback()


def rows_read(
    conn: Connection[Any], options: dict[str, str], parent: int | None = None
) -> tuple[int, set[str]]:
    """Return how many rows of observations the page reads, and by what scans."""
    asked = parse(OBSERVATIONS, options.items())
    link = DATASTREAMS.links["Observations"]
    query, params = listing(
        OBSERVATIONS, asked, parents=None if parent is None else Parents(link=link, keys=[parent])
    )
    explain = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) ") + query
    found = conn.execute(explain, {**params, "region": ""}).fetchone()
    assert found is not None
    todo, read, scans = [found[0][0]["Plan"]], 0, set()
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if str(node.get("Relation Name", "")).startswith(("observation_2", "_hyper_")):
            read += node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
            scans.add(node["Node Type"])
    return round(read), scans


def test_what_takes_too_long_says_how_to_ask_for_less(large: Connection[Any]) -> None:
    ask = Ask(conn=large, region="", root="")
    asked = parse(OBSERVATIONS, [("$filter", "result gt 1e9")])
    with large.transaction(force_rollback=True):
        large.execute("SET LOCAL statement_timeout = '1ms'")
        with pytest.raises(Fault) as fault:
            page(ask, OBSERVATIONS, asked, "Observations")
    assert fault.value.status == 504
    assert fault.value.args[1].startswith("that takes too long: ask for one Datastream")


@pytest.mark.parametrize("order", ["phenomenonTime", "phenomenonTime desc"])
@pytest.mark.parametrize("where", ["", "phenomenonTime lt 2026-06-15T00:00:00Z"])
def test_a_page_of_a_datastream_reads_what_it_shows(large: Connection[Any], order: str, where: str) -> None:
    first = large.execute("SELECT min(id) FROM datastream WHERE name = 'd7'").fetchone()
    assert first is not None
    options = {"$orderby": order, "$top": "100"} | ({"$filter": where} if where else {})
    read, scans = rows_read(large, options, parent=first[0])
    assert (read, scans) == (101, {"Index Scan"})
    middle = f"{first[0]},{DAY_US - 10 * 86_400_000_000}"  # 2026-06-21: the second of three partitions
    read, _ = rows_read(large, {**options, "$skiptoken": middle}, parent=first[0])
    assert read <= 102


def test_a_datastream_named_by_a_filter_is_as_cheap(large: Connection[Any]) -> None:
    found = large.execute("SELECT min(id) FROM datastream WHERE name = 'd7'").fetchone()
    assert found is not None
    where = f"Datastream/id eq {found[0]} and phenomenonTime ge 2026-06-30T00:00:00Z"
    read, scans = rows_read(large, {"$filter": where, "$orderby": "phenomenonTime desc", "$top": "10"})
    assert (read, scans) == (11, {"Index Scan"})


def test_a_page_of_all_observations_reads_what_it_shows(large: Connection[Any]) -> None:
    read, scans = rows_read(large, {"$top": "100"})
    assert read <= 2300, "at most the datastream that the page is in"
    assert "Seq Scan" not in scans
    last = large.execute("SELECT max(id) FROM datastream WHERE name LIKE 'd%'").fetchone()
    assert last is not None
    read, scans = rows_read(large, {"$top": "100", "$skiptoken": f"{last[0]},{DAY_US}"})
    assert read <= 110, "what lies before is not read"


def test_the_newest_of_all_reads_one_page_of_each_datastream(large: Connection[Any]) -> None:
    read, scans = rows_read(large, {"$top": "5", "$orderby": "phenomenonTime desc"})
    assert read <= 6 * 40
    assert scans == {"Index Scan"}
