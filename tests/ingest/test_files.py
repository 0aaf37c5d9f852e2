"""Captured frames, tracks and CSV columns as messages."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain.wire import decode
from ingest import files
from ingest.play import Message


def test_frames_go_out_in_both_numberings_and_hold_the_same(data: Path) -> None:
    source = files.dp(data / "stations/dp_frames.jsonl")
    new, old = source.messages[::2], source.messages[1::2]
    assert len(new) == len(old) == (data / "stations/dp_frames.jsonl").read_text().count('"frame_new_hex"')
    for a, b in zip(new, old, strict=True):
        assert a.topic == b.topic == "$dp"
        assert a.payload[0] != b.payload[0]
        assert a.payload[1:] == b.payload[1:]

    def told(message: Message) -> list[tuple[str, str, object]]:
        return [(r.thing, r.datastream, r.result) for r in files.decoded(message).readings]

    assert [told(m) for m in new] == [told(m) for m in old]
    assert ("17165802", "L1_GP_1/gpsTotalX", 9.9) in told(new[0])


def test_every_device_of_the_frames_is_registered_with_its_units(data: Path) -> None:
    source = files.dp(data / "stations/dp_frames.jsonl")
    streams = {
        (thing["code"], stream["name"]): stream["unit"]
        for thing in source.registry["things"]
        for stream in thing["datastreams"]  # type: ignore[attr-defined]
    }
    assert streams["17165802", "L1_GP_1/gpsTotalX"] == "mm"
    assert streams["30000002", "L3_YL_1/value"] == "mm"
    spoken = {r.thing for message in source.messages for r in files.decoded(message).readings}
    assert {thing["code"] for thing in source.registry["things"]} == spoken


def test_who_sends_only_files_is_registered_too(data: Path) -> None:
    source = files.dp(data / "stations/dp_file_frames.jsonl")
    assert [len(files.decoded(message).files) for message in source.messages] == [1, 1]
    assert [thing["code"] for thing in source.registry["things"]] == ["device-file-1"]


def test_track_goes_out_in_pieces_of_a_hundred_points(data: Path) -> None:
    source = files.gpx_track(data / "gpx/korita-zbevnica.gpx", "phone-1")
    fixes = [fix for message in source.messages for fix in files.decoded(message).fixes]
    assert len(fixes) == 871
    assert max(len(files.decoded(message).fixes) for message in source.messages) == 100
    assert {fix.device for fix in fixes} == {"phone-1"}
    assert source.untimed == 358
    again = files.gpx_track(data / "gpx/korita-zbevnica.gpx", "phone-1")
    assert source.messages == again.messages  # the ids too: a second replay is a repetition
    assert len({str(decode(message.payload)["id"]) for message in source.messages}) == len(source.messages)


def rows(tmp_path: Path, text: str, zone: str = "") -> list[tuple[datetime | None, object]]:
    file = tmp_path / "gauge.csv"
    file.write_text(text, encoding="utf-8-sig")
    source = files.csv_file(file, "gauge-1", "rain", "mm", ZoneInfo(zone) if zone else None)
    return [(r.phenomenon_time, r.result) for m in source.messages for r in files.decoded(m).readings]


def test_csv_with_a_heading_a_blank_and_a_further_column(tmp_path: Path) -> None:
    text = "time,rain,remark\n2026-07-01T01:00:00Z,0.5,x\n2026-07-01T02:00:00Z,,x\n\n2026-07-01T00:00:00Z,1\n"
    assert rows(tmp_path, text) == [
        (datetime(2026, 7, 1, 0, tzinfo=UTC), 1.0),
        (datetime(2026, 7, 1, 1, tzinfo=UTC), 0.5),
    ]


def test_csv_times_without_offset_need_a_zone(tmp_path: Path) -> None:
    text = "2026-07-01 08:00,0.5\n"
    assert rows(tmp_path, text, "Asia/Shanghai") == [(datetime(2026, 7, 1, 0, tzinfo=UTC), 0.5)]
    with pytest.raises(ValueError, match=r"line 1: .*offset"):
        rows(tmp_path, text)


@pytest.mark.parametrize("line", ["2026-07-01T01:00:00Z,wet", "yesterday at 5,0.5"])
def test_csv_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match="line 3"):
        rows(tmp_path, f"time,rain\n2026-07-01T00:00:00Z,1\n{line}\n")
