"""What goes over the wire comes back the same, and what cannot be read says why."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.geo import Position
from domain.lead import Lead
from domain.thing import Observation
from domain.wire import (
    DOWN_KINDS,
    UP_KINDS,
    alert_topic,
    decode,
    device_of,
    down_topic,
    encode,
    make_id,
    new_id,
    pack,
    unpack,
    up_topic,
)

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)

observations = st.builds(
    Observation,
    datastream=st.integers(-(2**31), 2**31 - 1),
    phenomenon_time=st.datetimes(timezones=st.just(UTC)),
    result=st.floats(allow_nan=False),
    flags=st.integers(0, 255),
)


@given(st.lists(observations, max_size=20))
def test_packed_observations_come_back_exactly(batch: list[Observation]) -> None:
    assert list(unpack(pack(batch))) == batch


def test_the_packed_form_is_what_it_says() -> None:
    # int32 7, int64 microseconds since 1970, float64 1.5, int16 5, little endian
    at = datetime(1970, 1, 1, 0, 0, 0, 258, tzinfo=UTC)
    packed = pack([Observation(datastream=7, phenomenon_time=at, result=1.5, flags=5)])
    assert packed.hex() == "070000000201000000000000000000000000f83f0500"


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    beijing = NOON.astimezone(timezone(timedelta(hours=8)))
    (back,) = unpack(pack([Observation(datastream=1, phenomenon_time=beijing, result=0)]))
    assert back.phenomenon_time == NOON


numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.none() | st.booleans() | numbers | st.text()
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_json_comes_back(message: dict[str, object]) -> None:
    assert decode(encode(message)) == message


def test_a_dataclass_is_an_object_without_what_is_not_known() -> None:
    lead = Lead(id=uuid.UUID(int=5), device="ph-1", kind="dumping", position=Position(lon=106, lat=36),
                seen_at=NOON, note="渣土")  # fmt: skip
    assert decode(encode(lead)) == {
        "id": "00000000-0000-0000-0000-000000000005", "device": "ph-1", "kind": "dumping",
        "position": {"lon": 106, "lat": 36}, "seen_at": "2026-07-01T12:00:00+00:00", "note": "渣土",
        "evidence": [],
    }  # fmt: skip
    assert "渣土".encode() in encode(lead), "Chinese text goes as itself: it is a third of the size"


def test_a_time_without_offset_does_not_go_out() -> None:
    with pytest.raises(ValueError, match="has no UTC offset"):
        encode({"at": NOON.replace(tzinfo=None)})


def test_what_has_no_form_does_not_go_out() -> None:
    with pytest.raises(TypeError, match="set has no form on the wire"):
        encode({"x": {1}})


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ('{"a": "裂缝"}'.encode("gbk"), "not JSON: byte 0xc1 at 7 is no UTF-8; is it GBK?"),
        ('{"a": 1}'.encode("utf-16"), "not JSON: byte 0xff at 0 is no UTF-8"),
        (b'{"a": ' + b"[" * 20_000, "not JSON: nested too deeply"),
        (b'{"a": [' + b"0," * 25_000 + b"0]}", "more than 25000 values in one message: send less at a time"),
        (b'{"a": [' + b"[]" * 25_000, "more than 25000 values in one message"),
        (b'{"a": "' + b"x" * 500_000 + b'"}', "500009 bytes, and a message has 500000 at most"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "the key 'b' stands twice in one object"),
        (b'{"a": 1, "\\u0061": 2}', "the key 'a' stands twice in one object"),
        (b"[1]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (b'{"a": ' + b"9" * 5000 + b"}", "integer string conversion"),
    ],
)
def test_what_is_no_object_is_refused(payload: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        decode(payload)


def test_the_layout_of_a_uuid7() -> None:
    # RFC 9562, appendix A.6: the example's time and random bits
    made = make_id(0x017F22E279B0, 0x0CC3_18C4_DC0C_0C07_398F)
    assert str(made) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_ids_are_version_7_of_their_time_and_never_the_same() -> None:
    before = datetime.now(UTC)
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    for made in ids:
        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        at = datetime.fromtimestamp((made.int >> 80) / 1000, UTC)
        assert before - timedelta(milliseconds=1) <= at <= datetime.now(UTC)


@given(st.integers(0, 2**48 - 2), st.integers(0, 2**80 - 1), st.integers(0, 2**80 - 1))
def test_a_later_id_sorts_behind(milliseconds: int, one: int, other: int) -> None:
    earlier, later = make_id(milliseconds, one), make_id(milliseconds + 1, other)
    assert earlier < later
    assert str(earlier) < str(later)


def test_topics_as_the_design_spells_them() -> None:
    assert up_topic("ph-1", "track") == "liupan/v1/up/ph-1/track"
    assert down_topic("ph-1", "stored") == "liupan/v1/down/ph-1/stored"
    assert alert_topic("640402") == "liupan/v1/alert/640402"


@pytest.mark.parametrize("kind", UP_KINDS)
def test_the_device_of_a_topic(kind: str) -> None:
    assert device_of(up_topic("东坡-1", kind)) == "东坡-1"


@pytest.mark.parametrize(
    "topic", ["liupan/v1/up/ph-1", "liupan/v1/up//track", "liupan/v1/down/ph-1/stored", "x", "",
              "liupan/v1/up/ph-1/track/more", "liupan/v2/up/ph-1/track"],
)  # fmt: skip
def test_other_topics_have_no_device(topic: str) -> None:
    with pytest.raises(ValueError, match="is not liupan/v1/up/<device>/<kind>"):
        device_of(topic)


@pytest.mark.parametrize("device", ["", "a/b", "+", "#", "x\0"])
def test_a_name_that_would_be_another_topic_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match="cannot be a level of a topic"):
        up_topic(device, "track")


def test_each_way_has_its_own_kinds() -> None:
    assert not set(UP_KINDS) & set(DOWN_KINDS)
    with pytest.raises(ValueError, match="kind 'stored' is none of observation, "):
        up_topic("ph-1", "stored")
    with pytest.raises(ValueError, match="kind 'track' is none of stored, "):
        down_topic("ph-1", "track")


def test_json_of_other_writers_is_read() -> None:
    assert decode(json.dumps({"名": "值"}, indent=2).encode()) == {"名": "值"}
    assert decode(b'{"a": 1, "unknown to us": {}}')["a"] == 1
