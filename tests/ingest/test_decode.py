"""`liupan decode`: one JSON object per observation, a reason and exit code 1 for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.codecs import load
from ingest.decode import main

BODY = b'{"70000001":{"L1_GP_1":{"2026-08-11T22:10:00.000Z":{"gpsTotalX":1.5}},"L3_QW_1":-4}}'
FRAME = (b"\x02" + len(BODY).to_bytes(2, "big") + BODY).hex()


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(list(argv))
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("more", [[], ["--json"], ["--topic", "$dp"]])
def test_a_national_frame(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert run(capsys, "dp", "--hex", FRAME, *more) == (
        0,
        [
            {"thing": "70000001", "datastream": "L1_GP_1/gpsTotalX",
             "phenomenon_time": "2026-08-11T22:10:00+00:00", "result": 1.5, "unit": "mm"},
            {"thing": "70000001", "datastream": "L3_QW_1/value",
             "phenomenon_time": None, "result": -4.0, "unit": "degC"},
        ],
        "",
    )  # fmt: skip


def test_a_location_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "location.json"
    file.write_text(
        '{"_type":"location","lat":35.5,"lon":106.25,"alt":1700,"tst":1786000000,"vel":36,"acc":9}'
    )
    expected = {"datastream": "location", "phenomenon_time": "2026-08-06T07:06:40+00:00", "unit": None,
                "result": {"type": "Point", "coordinates": [106.25, 35.5, 1700.0]},
                "accuracy_m": 9.0, "speed_m_s": 10.0, "course_deg": None}  # fmt: skip
    command = ("owntracks", "--file", str(file))
    assert run(capsys, *command, "--topic", "owntracks/mei/ph-3") == (
        0,
        [{"thing": "mei/ph-3", **expected}],
        "",
    )
    assert run(capsys, *command) == (0, [{"thing": None, **expected}], ""), "nobody said who sent it"


def test_a_file_is_told_by_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    about = b'{"did":"70000001","ds_id":"L4_SP_1","file_type":"jpg","desc":"0-1-3"}'
    payload = b"\x03" + len(about).to_bytes(2, "big") + about + b"\0\3abc"
    code, [line], _ = run(capsys, "dp", "--hex", payload.hex())
    assert (code, line) == (0, {
        "kind": "file", "thing": "70000001", "name": "L4_SP_1", "media_type": "image/jpeg", "at": None,
        "description": "0-1-3", "size": 3,
        # FIPS 180-2, appendix B.1: the hash of "abc"
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    })  # fmt: skip


def test_keys_of_stations_hold_here_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIUPAN_STATION_KEYS", "{")
    code, lines, err = run(capsys, "dp", "--hex", FRAME)
    assert (code, lines) == (1, [])
    assert err.startswith("LIUPAN_STATION_KEYS: not JSON")


def test_what_is_no_observation_has_a_kind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = {"id": "0198a000-0000-7000-8000-000000000001", "inspector": "马某",
               "started_at": "2026-08-11T14:30:00+08:00"}  # fmt: skip
    file = tmp_path / "patrol.json"
    file.write_text(json.dumps(message))
    code, [line], _ = run(capsys, "liupan_patrol", "--file", str(file), "--topic", "liupan/v1/up/ph-1/patrol")
    assert (code, line) == (0, {"kind": "patrol", "device": "ph-1", **message})


def test_a_part_that_cannot_be_read_is_told_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    many = [{"datastream": "a", "result": 1}, {"datastream": "b"}, {"datastream": "c", "result": "\ud800"}]
    payload = json.dumps({"observations": many}).encode()
    code, lines, err = run(capsys, "liupan_json", "--hex", payload.hex())
    assert (code, [(line["thing"], line["result"]) for line in lines]) == (1, [(None, 1.0), (None, "\ud800")])
    assert err == "observations[1]: result is missing\n"


def test_what_names_a_datastream_by_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    payload = b'{"result": 1.5, "phenomenonTime": "2026-08-12T02:50:00Z"}'
    line = {"thing": None, "datastream": "Datastreams(7)", "phenomenon_time": "2026-08-12T02:50:00+00:00",
            "result": 1.5, "unit": None}  # fmt: skip
    topic = ("--topic", "v1.1/Datastreams(7)/Observations")
    assert run(capsys, "sensorthings", "--hex", payload.hex(), *topic) == (0, [line], "")
    code, lines, err = run(capsys, "sensorthings", "--hex", payload.hex())
    assert (code, lines, err.partition(":")[0]) == (1, [], "Datastream is missing")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["dp", "--hex", "02"], "neither a frame nor JSON"),
        (["dp", "--hex", "xyz"], "non-hexadecimal number"),
        (["dp", "--file", "/nowhere/frame.bin"], "/nowhere/frame.bin: No such file or directory"),
        (
            ["owntracks", "--hex", "7b7d", "--topic", "$dp"],
            "owntracks reads topics like owntracks/+/+, not $dp",
        ),
        (["owntracks", "--hex", "7b7d"], "_type: None is no type of an OwnTracks message"),
    ],
)
def test_what_cannot_be_read(capsys: pytest.CaptureFixture[str], argv: list[str], reason: str) -> None:
    code, lines, err = run(capsys, *argv)
    assert (code, lines) == (1, [])
    assert reason in err
    assert err.count("\n") == 1


def test_an_unknown_codec_tells_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["morse", "--hex", "00"])
    assert end.value.code == 2
    assert f"no codec 'morse'; there are {', '.join(load())}\n" in capsys.readouterr().err


def test_a_reply_is_shown_without_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    payload = b"$cmd=setworkmode&result=succ&apikey=hush&msgid=m1"
    code, [line], err = run(capsys, "dr", "--hex", payload.hex())
    assert (code, err) == (0, "")
    assert (line["kind"], line["name"], line["result"], line["msgid"]) == (
        "reply",
        "setworkmode",
        "succ",
        "m1",
    )
    assert "hush" not in json.dumps(line)
