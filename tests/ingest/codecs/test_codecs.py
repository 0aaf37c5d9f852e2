"""The folder of codecs is the registry; and no bytes make a codec raise anything but ValueError."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.wire import encode
from ingest import codecs
from ingest.codecs import Codec, codec_of, load, matches, read
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("$dp", "dp"),
        ("owntracks/mei/phone", "owntracks"),
        ("liupan/v1/up/st-1/observation", "liupan_json"),
        ("liupan/v1/up/ph-1/patrol", "liupan_patrol"),
        ("liupan/v1/up/ph-1/track", "liupan_track"),
        ("liupan/v1/up/ph-1/lead", "liupan_lead"),
        ("liupan/v1/up/ph-1/status", "liupan_status"),
        ("v1.1/Observations", "sensorthings"),
        ("v1.1/Datastreams(7)/Observations", "sensorthings"),
        ("http/sta/Datastreams(7)/Observations", "sensorthings"),
        ("http/sta/CreateObservations", "sensorthings"),
        ("v1.1/Things", None),
        ("liupan/v1/up/ph-1/tracks", None),
        ("liupan/v1/down/ph-1/stored", None),
        *(
            (f"owntracks/mei/phone/{kind}", "owntracks")
            for kind in ("event", "waypoint", "waypoints", "info", "status", "step", "beacon", "dump")
        ),
        ("http/owntracks/mei/phone", "owntracks"),
        ("http/owntracks//", "owntracks"),
        ("owntracks/mei/phone/cmd", None),
        ("http/osmand/123456", "osmand"),
        ("application/1/device/0102030405060708/event/up", "chirpstack"),
        ("application/1/device/0102030405060708/command/down", None),
        ("http/beidou/card-1", "beidou"),
        ("$dr", "dr"),
        ("http/dp/70000001", "dp_http"),
        ("tcp/sl651/0011223344", "sl651"),
        ("tcp/szy206/4406070001", "szy206"),
    ],
)
def test_each_topic_has_one_codec(topic: str, name: str | None) -> None:
    codec = codec_of(topic)
    assert (codec and codec.name) == name
    assert sum(c.filter_of(topic) is not None for c in load().values()) == (name is not None)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a//c", True),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a/b", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("#", "$dp", False),
        ("+", "$dp", False),
        ("$dp", "$dp", True),
    ],
)
def test_filters_match_as_mqtt_says(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("TOPIC = 'x'", "bad.py is no codec: it needs TOPIC"),
        ("def decode(topic, payload, received_at): ...", "bad.py is no codec: it needs TOPIC"),
        ("TOPIC = 'good'\ndef decode(topic, payload, received_at): ...", "TOPIC good is taken by a_good"),
    ],
)
def test_a_module_that_is_no_codec_fails_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    package = tmp_path / f"codecs_{abs(hash(source))}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_part.py").write_text("raise RuntimeError('a part is not loaded as a codec')")
    (package / "a_good.py").write_text("TOPIC = 'good'\ndef decode(topic, payload, received_at): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(load.__wrapped__(package.name)) == ["a_good"]
    (package / "bad.py").write_text(source)
    sys.modules.pop(package.name)
    with pytest.raises(TypeError, match=reason):
        load.__wrapped__(package.name)


def test_a_codec_that_fails_is_named_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
        raise KeyError("key")

    broken = Codec(name="broken", topics=("x/+/y",), decode=decode)
    monkeypatch.setattr(codecs, "codec_of", lambda topic: broken)
    assert read("x/dev-1/y", b"", NOW) == Decoded(
        device="dev-1", problems=("codec broken failed: KeyError('key')",)
    )


def test_a_topic_that_no_codec_reads_is_said() -> None:
    assert read("other/topic", b"{}", NOW).problems == ("no codec reads the topic other/topic",)


WORDS = """
    id datastream phenomenon_time result unit observations points at lon lat kind inspector started_at
    ended_at seen_at note evidence sha256 size captured_at subject state _type tst acc vel cog alt header
    bodies ds_id file_type phenomenonTime Datastream @iot.id @iot.selfLink components dataArray
    batt event poi image desc data action topic device_id location coords latitude longitude battery level
    timestamp alarm deviceInfo devEui time fCnt rxInfo rssi snr object margin batteryLevel altitude
    L1_LF_1 L1_GP_1 S1_ZT_1 gpsInitial sensor_state dev-1 2026-08-01T00:00:00Z 2026-99-01
"""
NAMES = st.sampled_from(WORDS.split()) | st.text(max_size=5)
ODD = [
    *("transition", "lwt", "card", "encrypted", "waypoint", "enter", {"devEui": "d"}, {"latitude": 1}),
    *("location", "dumping", "done", "1,2", "1,,x", "nan", "\ud800", 10**400),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0198a000-0000-7000-8000-000000000001"),
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(ODD)
MESSAGES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
#: where the topic says what the message is about
MORE_TOPICS = {
    "chirpstack": [f"application/d/device/d/event/{event}" for event in ("up", "status", "join", "location")]
}
EVERY_CODEC = pytest.mark.parametrize("codec", load().values(), ids=list(load()))


def check(codec: Codec, payload: bytes) -> None:
    """Decode; only ValueError may come out, and only times that know their offset."""
    for topic in (*(each.replace("+", "d") for each in codec.topics), *MORE_TOPICS.get(codec.name, ())):
        check_on(topic, codec, payload)


def check_on(topic: str, codec: Codec, payload: bytes) -> None:
    try:
        decoded = codec.decode(topic, payload, NOW)
    except ValueError:
        return
    results = [each.result for each in decoded.readings] + [each.result for each in decoded.numbered]
    assert not any(isinstance(result, float) and math.isnan(result) for result in results)
    for body in (*(fix.extra for fix in decoded.fixes), *(report.body for report in decoded.reports)):
        encode(body)  # what a table cannot hold must not come through
    assert all(isinstance(problem, str) and len(problem) < 1000 for problem in decoded.problems)


@EVERY_CODEC
@given(payload=st.binary(max_size=200))
def test_no_bytes_break_a_codec(codec: Codec, payload: bytes) -> None:
    check(codec, payload)


@EVERY_CODEC
@given(
    message=MESSAGES,
    head=st.sampled_from([b"", b"\x10", b"\x02"]),
    tail=st.sampled_from([b"", b"\0\0", b"\0\x01x"]),
)
def test_no_json_breaks_a_codec(codec: Codec, message: object, head: bytes, tail: bytes) -> None:
    text = json.dumps(message).encode()
    check(codec, text)
    check(codec, head + (len(text).to_bytes(2, "big") if head == b"\x02" else b"") + text + tail)
