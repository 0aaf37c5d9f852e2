"""SensorThings 1.1 (OGC 18-088) for readers: a test per requirement, over rows that stand here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

ROOT = "http://testserver/v1.1"
#: hour of 2026-07-01 -> result of datastream 1; the world itself has 1.5 at 00:00
SERIES = {1: 10.0, 2: 20.0, 3: -5.0, 4: 40.0, 5: 50.0}
DAY_US = 1782864000000000  # 2026-07-01T00:00:00Z, by date -d
HOUR_US = 3_600_000_000


@pytest.fixture
def db(client: TestClient, database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for hour, result in SERIES.items():
            conn.execute(
                "INSERT INTO observation VALUES (1, '2026-07-01Z'::timestamptz + %s * interval '1 hour', %s,"
                " '2026-07-02Z'::timestamptz - %s * interval '1 hour')",
                (hour, result, hour),
            )
        yield conn


@pytest.fixture
def series(client: TestClient, db: Connection[Any]) -> TestClient:
    """A client of a world whose datastream 1 has six results."""
    return client


def get(client: TestClient, path: str, status: int = 200, **options: str | int) -> Any:
    params = {f"${name}": value for name, value in options.items()}
    response = client.get(f"/v1.1{path}", params=params)
    assert response.status_code == status, response.text
    return response.json()


def results(
    client: TestClient, path: str = "/Datastreams(1)/Observations", **options: str | int
) -> list[float]:
    return [each["result"] for each in get(client, path, 200, **options)["value"]]


def pages(client: TestClient, page: Any) -> Iterator[list[Any]]:
    """Yield the values of the page and of all that follow its links, as a client would."""
    yield page["value"]
    while link := page.get("@iot.nextLink"):
        parts = urlsplit(link)
        assert f"{parts.scheme}://{parts.netloc}" == "http://testserver"
        page = client.get(f"{parts.path}?{parts.query}").json()
        yield page["value"]


def test_the_root_leads_to_all_sets(reader: TestClient) -> None:
    root = get(reader, "")
    names = {each["name"]: each["url"] for each in root["value"]}
    sets = "Things Locations Datastreams Sensors ObservedProperties Observations FeaturesOfInterest"
    assert list(names) == sets.split()
    for url in names.values():
        assert reader.get(urlsplit(url).path).json()["value"]
    conformance = root["serverSettings"]["conformance"]
    assert all(each.startswith("http://www.opengis.net/spec/iot_sensing/1.1/req/") for each in conformance)


def test_every_link_of_every_entity_leads_somewhere(reader: TestClient) -> None:
    """Control information: @iot.id, @iot.selfLink, navigation links (18-088, entity control information)."""
    for name in [each["name"] for each in get(reader, "")["value"]]:
        for entity in get(reader, f"/{name}")["value"]:
            again = reader.get(entity["@iot.selfLink"].removeprefix("http://testserver"))
            assert again.json() == entity
            for key, link in entity.items():
                if key.endswith("@iot.navigationLink"):
                    answer = reader.get(link.removeprefix("http://testserver"))
                    phone = entity.get("description") == "phone"
                    assert answer.status_code == 200, link
                    assert phone or "value" not in answer.json() or answer.json()["value"], link


def test_a_thing(reader: TestClient) -> None:
    assert get(reader, "/Things(1)") == {
        "@iot.id": 1,
        "@iot.selfLink": f"{ROOT}/Things(1)",
        "name": "name-A",
        "description": "station",
        "properties": {"code": "thing/A-A", "kind": "station", "region": "640402", "mode": "actual",
                       "state": {"power": "p-A"}},
        "Datastreams@iot.navigationLink": f"{ROOT}/Things(1)/Datastreams",
        "Locations@iot.navigationLink": f"{ROOT}/Things(1)/Locations",
    }  # fmt: skip


def test_a_datastream(reader: TestClient) -> None:
    shown = get(reader, "/Datastreams(2)", select="name,observationType,unitOfMeasurement,properties")
    assert shown == {
        "name": "stream/B-B",
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": {"name": "mm", "symbol": "mm", "definition": None},
        "properties": {"valid_min": None, "valid_max": None},
    }


def test_an_observation_with_its_quality(series: TestClient) -> None:
    shown = get(series, f"/Observations('1,{DAY_US + HOUR_US}')")
    link = f"{ROOT}/Observations('1,{DAY_US + HOUR_US}')"
    assert shown == {
        "@iot.id": f"1,{DAY_US + HOUR_US}",
        "@iot.selfLink": link,
        "phenomenonTime": "2026-07-01T01:00:00Z",
        "resultTime": "2026-07-01T23:00:00Z",
        "result": 10.0,
        "resultQuality": [],
        "Datastream@iot.navigationLink": f"{link}/Datastream",
        "FeatureOfInterest@iot.navigationLink": f"{link}/FeatureOfInterest",
    }
    assert get(series, f"/Observations(1,{DAY_US})")["resultQuality"] == ["range"]


def test_an_id_is_exact_to_the_microsecond(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO observation VALUES (1, '2026-07-01 00:00:00.000001Z', 7, now())")
    assert get(client, f"/Observations('1,{DAY_US + 1}')")["result"] == 7
    assert get(client, f"/Observations('1,{DAY_US}')")["result"] == 1.5


def test_what_is_no_number_is_null(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE observation SET result = 'NaN', flags = 5")
    shown = get(client, f"/Observations('1,{DAY_US}')", select="result,resultQuality")
    assert shown == {"result": None, "resultQuality": ["range", "spike"]}


def test_places_are_the_hazard_site(reader: TestClient) -> None:
    (location,) = get(reader, "/Things(1)/Locations")["value"]
    assert location["location"] == {"type": "Point", "coordinates": [106, 36]}
    feature = get(reader, f"/Observations('1,{DAY_US}')/FeatureOfInterest")
    assert feature["feature"]["coordinates"] == [[[106, 36], [106.01, 36], [106, 36.01], [106, 36]]]
    assert location["encodingType"] == feature["encodingType"] == "application/geo+json"
    assert get(reader, "/Things(2)/Locations")["value"] == [], "a phone without a site"
    assert [each["@iot.id"] for each in get(reader, "/FeaturesOfInterest(2)/Observations")["value"]] == [
        f"2,{DAY_US}"]  # fmt: skip


def test_a_datastream_without_a_word_observes_none(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO datastream (thing, name) VALUES (1, 'raw')")
    assert get(client, "/Datastreams(3)/ObservedProperty")["@iot.id"] == "none"
    (datastream,) = get(client, "/ObservedProperties('none')/Datastreams")["value"]
    assert datastream["unitOfMeasurement"] == {"name": None, "symbol": None, "definition": None}


@pytest.mark.parametrize(
    "path",
    [
        "/Things(99)", "/Things(x)", "/Things(-1)", "/Things(1.5)", "/Things(99999999999)",
        "/Things('1,2')", "/Observations(1)", "/Observations('1,x')", "/Observations('1,1,1')",
        f"/Observations('1,{10**30}')", f"/Observations('1,{10**18}')", "/ObservedProperties('x')",
        "/ObservedProperties(%00)", "/Datastreams(99)/Observations", "/Datastreams(99)/Thing",
        "/Observations('1,5')/Datastream",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(reader: TestClient, path: str) -> None:
    error = get(reader, path, 404)
    assert (error["code"], error["type"]) == (404, "error")
    assert error["message"].startswith("there is no ")


@pytest.mark.parametrize(
    "path", ["/Sheep", "/Things()", "/Things(1)/Sheep", "/Things(1)/Observations", "/MultiDatastreams"]
)
def test_a_path_that_means_nothing_is_404(reader: TestClient, path: str) -> None:
    get(reader, path, 404)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("phenomenonTime", [1.5, 10, 20, -5, 40, 50]),
        ("phenomenonTime asc", [1.5, 10, 20, -5, 40, 50]),
        ("phenomenonTime desc", [50, 40, -5, 20, 10, 1.5]),
        ("result", [-5, 1.5, 10, 20, 40, 50]),
        ("resultTime,result desc", [50, 40, -5, 20, 10, 1.5]),
        ("id desc", [50, 40, -5, 20, 10, 1.5]),
        ("Datastream/name,result desc", [50, 40, 20, 10, 1.5, -5]),
    ],
)
def test_order(series: TestClient, order: str, expected: list[float]) -> None:
    assert results(series, orderby=order) == expected
    page = get(series, "/Datastreams(1)/Observations", orderby=order, top=2)
    paged = [each["result"] for part in pages(series, page) for each in part]
    assert paged == expected, "page by page"


def test_ties_are_neither_lost_nor_shown_twice(series: TestClient, db: Connection[Any]) -> None:
    db.execute(
        "INSERT INTO observation SELECT 2, '2026-07-01Z'::timestamptz + hour * interval '1 hour', 1, now()"
        " FROM generate_series(1, 5) hour"
    )
    for order in ("phenomenonTime", "phenomenonTime desc", "result", "phenomenonTime desc,id", "id"):
        page = get(series, "/Observations", orderby=order, top=1, select="id")
        ids = [each["@iot.id"] for part in pages(series, page) for each in part]
        assert len(ids) == len(set(ids)) == 12, order
        assert set(ids) == {f"{n},{DAY_US + hour * HOUR_US}" for n in (1, 2) for hour in range(6)}


def test_a_page_that_grows_while_one_reads_it_shows_nothing_twice(
    series: TestClient, db: Connection[Any]
) -> None:
    page = get(series, "/Datastreams(1)/Observations", orderby="phenomenonTime desc", top=2)
    db.execute("INSERT INTO observation VALUES (1, '2026-07-01 06:00Z', 60, now())")
    assert [[each["result"] for each in part] for part in pages(series, page)] == [
        [50, 40],
        [-5, 20],
        [10, 1.5],
    ]


def test_top_skip_and_count(series: TestClient) -> None:
    assert results(series, top=2) == [1.5, 10]
    assert results(series, top=2, skip=3) == [-5, 40]
    assert results(series, skip=6) == []
    shown = get(series, "/Datastreams(1)/Observations", top=0, count="true")
    assert shown == {"@iot.count": 6, "value": []}
    shown = get(series, "/Datastreams(1)/Observations", filter="result gt 9", top=1, skip=1, count="true")
    assert (shown["@iot.count"], shown["value"][0]["result"]) == (4, 20)
    assert "@iot.count" not in get(series, "/Things", count="false")
    assert get(series, "/Things", count="true")["@iot.count"] == 4


def test_a_link_goes_on_from_skip_and_keeps_what_was_asked(series: TestClient) -> None:
    page = get(series, "/Datastreams(1)/Observations", filter="result gt 0", top=2, skip=1, select="result")
    assert list(pages(series, page)) == [[{"result": 10}, {"result": 20}], [{"result": 40}, {"result": 50}]]


def test_a_page_has_100_of_itself_and_never_more_than_10_000(series: TestClient, db: Connection[Any]) -> None:
    db.execute(
        "INSERT INTO observation SELECT 2, '2026-07-02Z'::timestamptz + n * interval '1 second', n, now()"
        " FROM generate_series(1, 10_050) n"
    )
    path = "/Datastreams(2)/Observations"
    assert len(get(series, path)["value"]) == 100
    page = get(series, path, top=20_000, select="result")
    assert [len(part) for part in pages(series, page)] == [10_000, 51]


def test_select_shows_what_is_named(series: TestClient) -> None:
    (first,) = get(series, "/Observations", select="result,id,Datastream", top=1)["value"]
    assert set(first) == {"@iot.id", "@iot.selfLink", "result", "Datastream@iot.navigationLink"}
    assert get(series, "/Things(1)", select="name") == {"name": "name-A"}


def test_expand_one(series: TestClient) -> None:
    found = get(
        series, "/Observations", expand="Datastream($select=name),FeatureOfInterest", orderby="id desc"
    )
    assert found["value"][0]["Datastream"] == {"name": "stream/B-B"}
    assert {each["Datastream"]["name"] for each in found["value"][1:]} == {"stream/A-A"}
    assert found["value"][1]["FeatureOfInterest"]["@iot.id"] == 1
    assert get(series, "/Datastreams(1)", expand="Thing")["Thing"] == get(series, "/Things(1)")


def test_expand_many_each_with_a_page_of_its_own(series: TestClient) -> None:
    inner = "$top=2;$orderby=phenomenonTime desc;$count=true;$select=result;$filter=result lt 45"
    found = get(series, "/Datastreams", expand=f"Observations({inner})", select="name")
    a, b = found["value"]
    assert (a["Observations"], a["Observations@iot.count"]) == ([{"result": 40}, {"result": -5}], 5)
    assert (b["Observations"], b["Observations@iot.count"]) == ([{"result": 1.5}], 1)
    assert "Observations@iot.nextLink" not in b
    page = {"value": a["Observations"], "@iot.nextLink": a["Observations@iot.nextLink"]}
    assert [[each["result"] for each in part] for part in pages(series, page)] == [[40, -5], [20, 10], [1.5]]


def test_the_newest_result_of_every_datastream_of_a_thing(series: TestClient) -> None:
    (datastream,) = get(
        series, "/Things(1)/Datastreams", expand="Observations($top=1;$orderby=phenomenonTime desc)"
    )["value"]
    assert [each["result"] for each in datastream["Observations"]] == [50]


@pytest.mark.parametrize("name", ["a;b,c", "a)b", "a(b", "it''s;"])
def test_marks_in_a_quoted_text_are_no_marks(client: TestClient, database_url: str, name: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE datastream SET name = %s WHERE id = 1", (name.replace("''", "'"),))
    shown = get(client, "/Things(1)", expand=f"Datastreams($filter=name eq '{name}';$select=id),Locations")
    assert [each["@iot.id"] for each in shown["Datastreams"]] == [1]
    assert len(shown["Locations"]) == 1


def test_expand_of_nothing_is_nothing(series: TestClient, db: Connection[Any]) -> None:
    phone = get(series, "/Things(2)", expand="Datastreams($count=true),Locations")
    assert (phone["Datastreams"], phone["Datastreams@iot.count"], phone["Locations"]) == ([], 0, [])
    db.execute("UPDATE thing SET site = NULL WHERE id = 1")
    shown = get(series, f"/Observations('1,{DAY_US}')", expand="FeatureOfInterest")
    assert shown["FeatureOfInterest"] is None
    get(series, f"/Observations('1,{DAY_US}')/FeatureOfInterest", 404)


def test_what_is_expanded_is_seen_by_region_too(series: TestClient, db: Connection[Any]) -> None:
    db.execute("UPDATE thing SET site = 2 WHERE id = 1")  # a station of A at a site of B
    own = {"X-Liupan-Region": "6404"}
    shown = series.get("/v1.1/Things(1)", params={"$expand": "Locations($count=true)"}, headers=own).json()
    assert (shown["Locations"], shown["Locations@iot.count"]) == ([], 0)
    counted = series.get("/v1.1/Observations", params={"$count": "true", "$top": 0}, headers=own).json()
    assert counted["@iot.count"] == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": "-1"}, "$top: '-1' is no whole number from 0"),
        ({"top": "x"}, "$top: 'x' is no whole number"),
        ({"top": "٣"}, "$top: "),
        ({"skip": "1.5"}, "$skip: '1.5' is no whole number"),
        ({"skip": "1000001"}, "$skip: 1000001 is more than 1000000: use @iot.nextLink"),
        ({"skip": "9" * 30}, "$skip: "),
        ({"count": "yes"}, "$count: 'yes' is neither true nor false"),
        ({"orderby": "colour"}, "$orderby: 'colour' is none of id, phenomenonTime, "),
        ({"orderby": "result up"}, "$orderby: 'up' is neither asc nor desc"),
        ({"select": "colour"}, "$select: 'colour' is none of id, phenomenonTime, "),
        ({"select": ""}, "$select: '' is none of"),
        ({"expand": "Things"}, "$expand: 'Things' is none of Datastream, FeatureOfInterest"),
        ({"expand": "Datastream($top=1"}, "$expand: a ) is missing behind the options of Datastream"),
        ({"expand": "Datastream(top=1)"}, "$expand: 'top' is no option like $top=5"),
        ({"expand": "Datastream($top)"}, "$expand: '$top' is no option like $top=5"),
        (
            {"expand": "Datastream($filter=name eq 5)"},
            "$filter: a text cannot be compared with a number at 9",
        ),
        ({"skiptoken": "x"}, "$skiptoken: 'x' is none of Observations"),
        ({"skiptoken": f"1,{DAY_US}", "orderby": "result"}, "$skiptoken does not go with this $orderby"),
    ],
)
def test_what_cannot_be_meant_is_400_and_names_the_option(
    reader: TestClient, options: dict[str, str], message: str
) -> None:
    error = get(reader, "/Observations", 400, **options)
    assert (error["code"], error["type"]) == (400, "error")
    assert error["message"].startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "x"}, "$search is not supported"),
        ({"resultFormat": "dataArray"}, "$resultFormat is not supported"),
        ({"expand": "Datastream($expand=Thing)"}, "$expand inside of $expand is not supported"),
        ({"expand": "Datastream/Thing"}, "$expand: 'Datastream/Thing': only one level is supported"),
    ],
)
def test_what_we_have_not_is_501(reader: TestClient, options: dict[str, str], message: str) -> None:
    error = get(reader, "/Observations", 501, **options)
    assert error["message"].startswith(message)


def test_options_for_one_entity(reader: TestClient) -> None:
    assert "$top means nothing for one of Things" in get(reader, "/Things(1)", 400, top=1)["message"]
    assert "$filter means" in get(reader, "/Datastreams(1)/Thing", 400, filter="id eq 1")["message"]


def test_an_option_twice(reader: TestClient) -> None:
    response = reader.get("/v1.1/Things?$top=1&$top=2")
    assert (response.status_code, response.json()["message"]) == (400, "$top stands there twice")


def test_what_is_no_option_is_left_alone(reader: TestClient) -> None:
    assert reader.get("/v1.1/Things?token=x&_=1").status_code == 200


def test_too_much_is_refused(reader: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sensorthings.query.MOST_EXPANDED", 199)
    message = get(reader, "/Datastreams", 400, expand="Observations")["message"]
    assert message == "$expand: Observations: 2 times 100 are more than 199: ask for less by $top"
    assert get(reader, "/Datastreams", expand="Observations($top=99)")["value"]
