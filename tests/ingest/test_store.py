"""Storing on a real PostgreSQL: what is new, what is known, what differs, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.thing import Reading
from domain.wire import unpack, up_topic
from ingest.decoded import Decoded
from ingest.registry import Registry
from ingest.resolve import Arrival, resolve
from ingest.store import Outcome, save
from server.migrate import has_timescaledb
from server.registry import register

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
AT = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
STORED = Outcome(kept=True, reason="")

Put = Callable[..., list[Outcome]]
Message = tuple[str, bytes]


def observation(
    device: str, result: object, at: datetime | None = AT, name: str = "rain", **more: object
) -> Message:
    body = {"datastream": name, "phenomenon_time": at and at.isoformat(), "result": result, **more}
    return up_topic(device, "observation"), json.dumps(body).encode()


def dp(device: str, sensors: object) -> Message:
    body = json.dumps({device: sensors}).encode()
    return "$dp", b"\x02" + len(body).to_bytes(2, "big") + body


def stored(conn: Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT t.code, d.name, o.phenomenon_time, o.result FROM observation o"
        " JOIN datastream d ON d.id = o.datastream JOIN thing t ON t.id = d.thing ORDER BY 1, 2, 3"
    ).fetchall()


def observed(conn: Connection[Any]) -> list[tuple[int, list[float]]]:
    """Return partition and results of each `observed` event."""
    events = conn.execute(
        "SELECT partition, packed FROM event WHERE kind = 'observed' ORDER BY id"
    ).fetchall()
    return [(partition, [o.result for o in unpack(packed)]) for partition, packed in events]


def rejected(conn: Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT topic, payload, device, times, reason FROM rejected ORDER BY id").fetchall()


def one(conn: Connection[Any], query: Any) -> Any:
    row = conn.execute(query).fetchone()
    return row and row[0]


def test_a_batch_is_stored_with_one_event_per_partition(enrolled: Connection[Any], put: Put) -> None:
    messages = [observation("st-a", 1.5), observation("st-b", 2.5), observation("st-free", 3.5),
                observation("st-a", 4.5, name="gap")]  # fmt: skip
    assert put(*messages) == [STORED] * 4
    assert stored(enrolled) == [
        ("st-a", "gap", AT, 4.5), ("st-a", "rain", AT, 1.5), ("st-b", "rain", AT, 2.5),
        ("st-free", "rain", AT, 3.5),
    ]  # fmt: skip
    partitions = dict(
        enrolled.execute("SELECT t.code, site % 4 FROM thing t WHERE site IS NOT NULL").fetchall()
    )
    expected: dict[int, list[float]] = {}
    for device, result in (("st-a", 1.5), ("st-b", 2.5), ("st-free", 3.5), ("st-a", 4.5)):
        expected.setdefault(partitions.get(device, 0), []).append(result)
    assert sorted(observed(enrolled)) == sorted(expected.items())
    assert one(enrolled, "SELECT count(*) FROM event WHERE kind = 'observed' AND consumer = 'assess'") == len(
        expected
    )


def test_packed_observations_are_the_stored_ones(enrolled: Connection[Any], put: Put) -> None:
    at = datetime(2026, 8, 12, 2, 50, 1, 234567, tzinfo=UTC)
    put(observation("st-a", 0.1, at))
    [[packed]] = enrolled.execute("SELECT packed FROM event WHERE kind = 'observed'").fetchall()
    [[number]] = enrolled.execute("SELECT id FROM datastream WHERE name = 'rain' AND unit = 'mm'").fetchall()
    assert [(o.datastream, o.phenomenon_time, o.result) for o in unpack(packed)] == [(number, at, 0.1)]


def test_a_second_send_is_absorbed(enrolled: Connection[Any], put: Put) -> None:
    first = [observation("st-a", 1.5), observation("st-a", 2.5, AT + timedelta(minutes=1))]
    put(*first)
    assert put(*first, observation("st-a", 3.5, AT + timedelta(minutes=2))) == [STORED] * 3
    assert put(*first, *first) == [STORED] * 4
    assert [row[3] for row in stored(enrolled)] == [1.5, 2.5, 3.5]
    assert [results for _, results in observed(enrolled)] == [[1.5, 2.5], [3.5]]
    assert one(enrolled, "SELECT count(*) FROM observation_revision") == 0


def test_a_known_key_with_another_result_is_a_revision(enrolled: Connection[Any], put: Put) -> None:
    put(observation("st-a", 1.5))
    assert put(observation("st-a", 1.75), observation("st-a", 1.75), observation("st-a", 1.5)) == [STORED] * 3
    later = AT + timedelta(minutes=1)
    put(observation("st-a", 7.0, later), observation("st-a", 8.0, later))
    assert [row[2:] for row in stored(enrolled)] == [(AT, 1.5), (later, 7.0)], "the first one stays"
    revisions = enrolled.execute(
        "SELECT phenomenon_time, result, received_at FROM observation_revision ORDER BY 1"
    ).fetchall()
    assert revisions == [(AT, 1.75, RECEIVED), (later, 8.0, RECEIVED)]
    assert [results for _, results in observed(enrolled)] == [[1.5], [7.0]]


def test_new_datastreams_of_a_known_thing_are_registered_with_the_units_of_the_codec(
    enrolled: Connection[Any], put: Put
) -> None:
    assert (
        put(dp("st-b", {"L1_GP_1": {"gpsTotalX": 3}, "X1_QQ_1": 4}), observation("st-b", 1, unit="mm"))
        == [STORED] * 2
    )
    rows = enrolled.execute(
        "SELECT d.name, d.unit, d.observed_property FROM datastream d JOIN thing t ON t.id = thing"
        " WHERE t.code = 'st-b' ORDER BY 1"
    ).fetchall()
    assert rows == [("L1_GP_1/gpsTotalX", "mm", ""), ("X1_QQ_1/value", "", ""), ("rain", "mm", "")]


def test_a_unit_that_the_sender_writes_must_be_the_registered_one(
    enrolled: Connection[Any], put: Put
) -> None:
    [good, bad, silent] = put(
        observation("st-a", 1, unit="mm"),
        observation("st-a", 0.002, AT + timedelta(hours=1), unit="m"),
        observation("st-a", 3, AT + timedelta(hours=2)),
    )
    assert (good, silent) == (STORED, STORED)
    assert bad == Outcome(kept=False, reason="rain: unit 'm' differs from the registered 'mm'")
    assert [row[3] for row in stored(enrolled)] == [1, 3]


def test_a_unit_that_the_format_implies_gives_way_to_the_registered_one(
    enrolled: Connection[Any], put: Put
) -> None:
    enrolled.execute(
        "INSERT INTO datastream (thing, name, unit)"
        " SELECT id, 'L1_JS_1/gX', 'g' FROM thing WHERE code = 'st-a'"
    )
    assert put(dp("st-a", {"L1_JS_1": {"gX": 0.998}})) == [STORED]


def test_without_a_time_the_time_of_receipt_holds(enrolled: Connection[Any], put: Put) -> None:
    put(observation("st-a", 1.5, None), dp("st-beijing", {"L1_LF_1": 2}))
    assert [row[2] for row in stored(enrolled)] == [RECEIVED, RECEIVED]


def test_a_device_that_writes_beijing_time_behind_a_z(enrolled: Connection[Any], put: Put) -> None:
    times = {"2026-08-12T10:00:00.000Z": 1, "2026-08-12 10:30:00": 2, "2026-08-12T11:45:00+09:00": 3}
    put(dp("st-beijing", {"L1_LF_1": times}), dp("st-a", {"L1_LF_1": {"2026-08-12T02:00:00.000Z": 4}}))
    hours = [(row[2].astimezone(UTC).strftime("%H:%M"), row[3]) for row in stored(enrolled)]
    assert hours == [("02:00", 4.0), ("02:00", 1.0), ("02:30", 2.0), ("02:45", 3.0)]


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (RECEIVED + timedelta(hours=24), None),
        (
            RECEIVED + timedelta(hours=24, seconds=1),
            "device clock: 2026-08-13T03:00:01+00:00 is more than 24 h ahead",
        ),
        (datetime(9999, 12, 31, 23, tzinfo=UTC), "is more than 24 h ahead of its receipt"),
        (datetime(1990, 1, 1, tzinfo=UTC), None),
        (
            datetime(1989, 12, 31, 23, 59, tzinfo=UTC),
            "device clock: 1989-12-31T23:59:00+00:00 is before 1990",
        ),
        (datetime(1, 1, 1, tzinfo=UTC), "is before 1990"),
    ],
)
def test_what_a_clock_may_say(enrolled: Connection[Any], put: Put, at: datetime, reason: str | None) -> None:
    message = observation("st-a", 1.5, at)
    [outcome] = put(message)
    assert outcome.kept is (reason is None)
    assert len(stored(enrolled)) == outcome.kept
    if reason:
        assert reason in outcome.reason
        assert [row[:4] for row in rejected(enrolled)] == [(*message, "st-a", 1)]


def test_a_time_without_offset_is_no_time(enrolled: Connection[Any]) -> None:
    """No codec gives one; if one ever did, its payload would go to quarantine and stop nothing."""
    naive = Reading("st-a", "rain", datetime(2026, 8, 12, 2), 1.5)  # noqa: DTZ001
    arrival = Arrival("$dp", b"?", RECEIVED, Decoded(device="st-a", readings=(naive,)))
    registry = Registry()
    [outcome] = save(enrolled, registry, resolve(enrolled, registry, [arrival], 0))
    assert outcome == Outcome(kept=False, reason="rain: the time 2026-08-12T02:00:00 has no UTC offset")


def test_one_bad_time_of_a_packet_leaves_the_others(enrolled: Connection[Any], put: Put) -> None:
    message = dp("st-a", {"L1_LF_1": {"2026-08-12T02:00:00Z": 1, "2031-01-01T00:00:00Z": 2}})
    [outcome] = put(message)
    assert outcome.kept
    assert "device clock: 2031-01-01" in outcome.reason
    assert [row[3] for row in stored(enrolled)] == [1.0]
    assert len(rejected(enrolled)) == 1


def test_months_get_their_partitions_also_long_ago_and_across_years(
    enrolled: Connection[Any], put: Put
) -> None:
    times = [datetime(1990, 1, 1, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
             datetime(2000, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 23, tzinfo=UTC)]  # fmt: skip
    assert put(*(observation("st-a", n, at) for n, at in enumerate(times))) == [STORED] * 4
    rows = enrolled.execute(
        "SELECT tableoid::regclass::text, phenomenon_time FROM observation ORDER BY 2"
    ).fetchall()
    assert [at for _, at in rows] == times
    if not has_timescaledb(enrolled):  # its chunks have names of their own
        assert [name for name, _ in rows] == [f"observation_{at:%Y%m}" for at in times]
    assert put(observation("st-a", 9, times[0] + timedelta(days=30))) == [STORED]


def test_text_results_are_states_and_the_newest_one_stays(enrolled: Connection[Any], put: Put) -> None:
    def states() -> Any:
        return one(enrolled, "SELECT state FROM thing WHERE code = 'st-a'")

    put(observation("st-a", "open", name="gate"))
    late, new = AT - timedelta(hours=1), AT + timedelta(hours=1)
    put(observation("st-a", "late", late, name="gate"))
    assert states() == {"gate": {"result": "open", "at": states()["gate"]["at"]}}
    assert datetime.fromisoformat(states()["gate"]["at"]) == AT
    put(observation("st-a", "shut", new, name="gate"), dp("st-a", {"S1_ZT_1": {"sw_version": "2.1"}}))
    assert {name: state["result"] for name, state in states().items()} == {
        "gate": "shut",
        "S1_ZT_1/sw_version": "2.1",
    }
    assert stored(enrolled) == []


def test_an_unknown_device_is_stored_after_it_was_registered(enrolled: Connection[Any], put: Put) -> None:
    message = observation("st-new", 1.5)
    [refused] = put(message, now_s=100)
    assert not refused.kept
    assert refused.reason.startswith("device 'st-new' is not registered: add it with `liupan import FILE`")
    assert "liupan unclaimed claim" in refused.reason
    assert rejected(enrolled) == [(*message, "st-new", 1, refused.reason)]
    thing = {"code": "st-new", "kind": "station", "name": "new", "region": "640402"}
    register(enrolled, {"things": [thing]})
    assert put(message, now_s=100.5) == [refused], "unknown senders are asked for at most once a second"
    assert put(message, now_s=101) == [STORED]
    assert rejected(enrolled)[0][3] == 2, "the same bytes are kept once, and counted"


def test_what_changes_in_the_registry_is_seen_after_a_minute(enrolled: Connection[Any], put: Put) -> None:
    put(observation("st-free", 1), now_s=0)
    enrolled.execute("UPDATE thing SET time_zone = 'Asia/Shanghai' WHERE code = 'st-free'")
    put(observation("st-free", 2, AT + timedelta(hours=1)), now_s=59)
    put(observation("st-free", 3, AT + timedelta(hours=2)), now_s=61)
    assert [row[2] for row in stored(enrolled)] == [
        AT + timedelta(hours=2) - timedelta(hours=8), AT, AT + timedelta(hours=1)]  # fmt: skip


def test_a_payload_that_cannot_be_read_is_kept_whole(enrolled: Connection[Any], put: Put) -> None:
    garbage = bytes(range(256))
    outcomes = put(("$dp", garbage), ("$dp", garbage), (up_topic("st-a", "observation"), b"{"))
    assert [outcome.kept for outcome in outcomes] == [False] * 3
    assert [row[:4] for row in rejected(enrolled)] == [
        ("$dp", garbage, "", 2), (up_topic("st-a", "observation"), b"{", "st-a", 1)]  # fmt: skip
    events = enrolled.execute(
        "SELECT subject, region, body FROM event WHERE kind = 'rejected' ORDER BY id"
    ).fetchall()
    assert events == [
        ("$dp", "", {"reason": outcomes[0].reason, "device": ""}),
        (up_topic("st-a", "observation"), "640402", {"reason": outcomes[2].reason, "device": "st-a"}),
    ]


@pytest.mark.parametrize(
    "poison",
    [
        observation("st-a", "a\0b", name="gate"),
        observation("st-a", "\ud800", name="gate"),
        (up_topic("ph-1", "lead"), b'{"id":"0198a000-0000-7000-8000-000000000001","kind":"other","lon":106,'
         b'"lat":35,"seen_at":"2026-08-12T02:00:00Z","note":"a\\u0000b"}'),
        (up_topic("ph-1", "patrol"), b'{"id":"0198a000-0000-7000-8000-000000000001","inspector":"\\udfff",'
         b'"started_at":"2026-08-12T02:00:00Z"}'),
    ],
    ids=["NUL in a state", "surrogate in a state", "NUL in a note", "surrogate in a name"],
)  # fmt: skip
def test_a_payload_that_the_database_refuses_stands_alone(
    enrolled: Connection[Any], put: Put, poison: Message
) -> None:
    good = [observation("st-a", n, AT + timedelta(minutes=n)) for n in range(9)]
    outcomes = put(*good[:4], poison, *good[4:])
    assert [outcome.kept for outcome in outcomes] == [True] * 4 + [False] + [True] * 5
    assert outcomes[4].reason.startswith("the database refuses it: ")
    assert [row[3] for row in stored(enrolled)] == list(range(9))
    assert [result for _, results in observed(enrolled) for result in results] == list(range(9))
    assert [row[:2] for row in rejected(enrolled)] == [poison]


@pytest.mark.parametrize(
    ("device", "name", "unit"),
    [
        ("st-a", "a\0b", None),
        ("st-a", "", None),
        ("st-a", "n" * 201, None),
        ("st-a", "ok", "m\0"),
        ("\0", "ok", None),
    ],
)
def test_names_that_no_table_can_hold(
    enrolled: Connection[Any], put: Put, device: str, name: str, unit: str | None
) -> None:
    before = one(enrolled, "SELECT count(*) FROM datastream")
    topic, payload = observation("st-a", 1.5, name=name, unit=unit)
    [outcome] = put((topic, payload) if device == "st-a" else dp(device, {"L1_LF_1": 1}))
    assert not outcome.kept
    assert "is no name of a datastream" in outcome.reason or "is not registered" in outcome.reason
    assert one(enrolled, "SELECT count(*) FROM datastream") == before
    assert len(rejected(enrolled)) == 1


def test_a_topic_longer_than_an_index_entry_is_still_kept(enrolled: Connection[Any], put: Put) -> None:
    topic = f"owntracks/{'x' * 30_000}/{'y' * 30_000}"
    put((topic, b'{"_type":"lwt"}'))
    assert [row[0] for row in rejected(enrolled)] == [topic]


def test_many_problems_make_one_short_reason(enrolled: Connection[Any], put: Put) -> None:
    times = {f"2031-01-01T{n // 60:02}:{n % 60:02}:00Z": n for n in range(500)}
    [outcome] = put(dp("st-a", {"L1_LF_1": times}))
    assert outcome.reason.count("device clock: ") == 10
    assert outcome.reason.endswith("; and 490 more")


def test_what_is_stored_again_after_a_failed_batch_is_whole(enrolled: Connection[Any], put: Put) -> None:
    """A datastream and a month that first come in a batch with poison in it are there for what comes next."""
    at = datetime(2003, 3, 3, tzinfo=UTC)
    poison = observation("st-a", "a\0b", name="gate")
    put(poison, observation("st-a", 1, at, name="fresh"))
    assert put(observation("st-a", 2, at + timedelta(days=1), name="fresh")) == [STORED]
    assert [row[3] for row in stored(enrolled)] == [1, 2]
