"""Commands and replies byte for byte as public samples have them, and what is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.command import MOVES, CommandState, build, check_move, public, resolve, topic
from domain.command_words import COMMANDS, FRIENDLY
from domain.incident import IllegalMove
from domain.reply import covered, fields, parse

KEY, MSGID = "e7eb73db9cc982caeb1f", "27d0b95e-394f-4da2-a64b-8446729168fd"
MD5 = "9e107d9d372bb6826bd81d3542a419d6"  # of "The quick brown fox jumps over the lazy dog"

#: what is put in the place of the word `value` in the samples, where a word cannot stand
FILLED = {
    "upper_limit": "9,9,9", "lower_limit": "-9,-9,-9", "sensor_id": "L1_GP_1", "url": "http://127.0.0.1/f.bin",
    "md5": MD5, "size": "4096", "b_num": "1", "b_size": "9", "b_content": "L3_YL_1,2",
}  # fmt: skip


def samples(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / "stations/commands.jsonl").read_text().splitlines()]


def filled(request: str) -> tuple[str, dict[str, str], bytes]:
    """Return name and parameters of a sample request, and its bytes with the placeholders filled in."""
    for word, value in {"{apikey}": KEY, "{msgid}": MSGID, "{devicekey}": "fnas5ji3fa2suifb89nfveri"}.items():
        request = request.replace(word, value)
    pairs = dict(pair.split("=", 1) for pair in request.split("&"))
    pairs |= {name: FILLED[name] for name, value in pairs.items() if value == "value" and name in FILLED}
    expected = "&".join(f"{name}={value}" for name, value in pairs.items()).encode()
    params = {name: value for name, value in pairs.items() if name not in ("$cmd", "apikey", "msgid")}
    return pairs["$cmd"], params, expected


def test_every_published_command_is_built_byte_for_byte(data: Path) -> None:
    requests = [sample for sample in samples(data) if "request" in sample]
    names = set()
    for sample in requests:
        name, params, expected = filled(sample["request"])
        assert build(name, params, KEY, MSGID) == expected
        assert sample["topic_down"].format(deviceId="70000001") == topic("70000001", COMMANDS[name])
        # the order in which somebody names the parameters does not matter
        assert build(name, dict(reversed(params.items())), KEY, MSGID) == expected
        names.add(name)
    assert names == set(COMMANDS), "a command that is in no sample, or a sample without its command"


def test_every_published_reply_is_read(data: Path) -> None:
    replies = {sample["cmd"]: sample["reply_example"] for sample in samples(data) if sample["reply_example"]}
    assert len(replies) == 22
    for text in replies.values():
        expected = dict(pair.split("=", 1) for pair in text.split("&"))
        reply = parse(text.encode())
        assert COMMANDS[reply.name].reply == expected.pop("$cmd")
        assert (reply.result, reply.msgid) == (expected.pop("result", ""), expected.pop("msgid", ""))
        assert {key: as_json(value) for key, value in expected.items()} == dict(reply.values)
        framed = b"\x03" + len(text.encode()).to_bytes(2, "big") + text.encode()
        assert parse(framed) == parse(framed + b"\0\0") == parse(text.encode() + b"\r\n") == reply


def as_json(text: str) -> object:
    return json.loads(text) if text[0] in "{[" else text


def test_a_published_reply_in_full(data: Path) -> None:
    [text] = [sample["reply_example"] for sample in samples(data) if sample["cmd"] == "reply-literal"]
    reply = parse(text.encode())
    assert (reply.name, reply.msgid) == ("reqtime", "a5afbb14827a4d63afbb14827a5d630b")
    assert (reply.result, reply.values, reply.key_sha256) == ("", {"time": "2021-07-14 10:18:03"}, "")


def test_a_reply_as_a_vendor_gateway_sends_it_over_http(data: Path) -> None:
    lines = map(json.loads, (data / "stations/http_examples.jsonl").read_text().splitlines())
    [body] = [line["body"] for line in lines if line["name"] == "command_ack"]
    reply = parse(body["data"].replace("{msgid}", MSGID).encode())
    assert (reply.name, reply.msgid, reply.result, reply.values) == ("setsensortime", MSGID, "succ", {})


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"$cmd=fly&apikey=hush&msgid=1", b"$cmd=fly&apikey=***&msgid=1"),
        (b"$cmd=fly & apikey = hush & x", b"$cmd=fly & apikey = *** & x"),
        (b'{"deviceId":"1","apikey":"hush","data":{}}', b'{"deviceId":"1","apikey":"***","data":{}}'),
        (b"$cmd=getplatform&api_key=hush", b"$cmd=getplatform&api_key=***"),
        (b"\xff\0apikey=hush", b"\xff\0apikey=***"),
        (b"$cmd=fly&msgid=1", b"$cmd=fly&msgid=1"),
    ],
)
def test_a_secret_in_what_cannot_be_read_is_covered(payload: bytes, shown: bytes) -> None:
    assert covered(payload) == shown


def test_the_secret_that_a_device_sends_back_is_not_kept() -> None:
    reply = parse(f"$cmd=setworkmode&result=succ&apikey={KEY}&msgid={MSGID}".encode())
    assert reply.text == f"$cmd=setworkmode&result=succ&msgid={MSGID}"
    assert reply.key_sha256 == sha256(KEY.encode()).hexdigest()
    assert KEY not in repr(reply)
    assert KEY not in parse(f"$cmd=reboot & result=fail & apikey={KEY} & msgid={MSGID}".encode()).text


@pytest.mark.parametrize("encoding", ["utf-8", "gb2312"])
def test_a_reason_in_chinese_and_blanks_around_the_separator(encoding: str) -> None:
    text = "$cmd=setlink & result=fail & index=1 & reason=修改链路编号不存在 & msgid=m1"
    reply = parse(text.encode(encoding))
    assert (reply.name, reply.result, reply.msgid) == ("setlink", "fail", "m1")
    assert reply.values == {"index": "1", "reason": "修改链路编号不存在"}


def test_what_only_looks_like_json_stays_a_text() -> None:
    """INSENTEK firmware lists its sensors in braces without values."""
    reply = parse(b'$cmd=getsensorID&sensor_id={"L3_HS_1","L3_TW_1"}&apikey=k&msgid=m1')
    assert (reply.values, reply.msgid) == ({"sensor_id": '{"L3_HS_1","L3_TW_1"}'}, "m1")
    for text in ('{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}'):
        assert parse(f"$cmd=sample&datastreams={text}&msgid=m1".encode()).values == {"datastreams": text}
    assert parse(b'$cmd=sample&datastreams={"a":"b&c=d"}&msgid=m1').values == {"datastreams": {"a": "b&c=d"}}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "begins with nothing"),
        (b"hello", "begins with 68 65 6c"),
        (b"\x03\0\x05$cmd=reboot", "begins with 03 00 05"),
        (b"$cmd=fly&result=succ", "no reply to a command that is known"),
        (b"$cmd=reboot&result=maybe", "'maybe' is neither succ nor fail"),
        (b"$cmd=reboot&succ", "expected name=value"),
        (b"$cmd=reboot&succ&msgid=1", "expected name=value at character 13"),
        (b"$cmd=reboot&apikey=hush&succ", "expected name=value at character 25"),
        (b"$cmd=reboot&msgid=1&msgid=2", "'msgid' stands there twice"),
        (b"$cmd=reboot&reason=a\0b", "control characters"),
        (b"$cmd=reboot&reason=\xff\xff", "gb18030"),
    ],
)
def test_what_is_no_reply_is_refused_with_a_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse(payload)
    assert "hush" not in str(caught.value)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"$cmd=sample&" + tail))
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    try:
        reply = parse(payload)
    except ValueError:
        return
    assert parse(reply.text.encode()).values == reply.values, "what is kept reads differently"


GOOD: dict[str, dict[str, object]] = {
    "setsensortime": {"sensor_id": "L3_TW_2", "sample_intv": 1, "upload_intv": 259200, "plus_intv": "86400"},
    "meteorologicalearlywarning": {
        "level": 2, "effective_time": 24, "lon_range": "114.40,114.5", "lat_range": "30.48,30.50"},
    "setlink": {"address": "127.0.0.1", "port": 1, "index": -1, "valid": 1, "id": "1", "key": "hush"},
    "broadcast": {"b_num": 1, "b_content": "请立即撤离"},
    "setworkmode": {"mode": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_the_good_parameters_are_good(name: str) -> None:
    resolve(name, GOOD[name])


@pytest.mark.parametrize(
    ("name", "bad", "told"),
    [
        ("setsensortime", {"sample_intv": 0}, "sample_intv: 0 is not a whole number of 1 to 86400 s"),
        ("setsensortime", {"sample_intv": 86401}, "sample_intv: 86401 is not a whole number of 1 to 86400 s"),
        ("setsensortime", {"upload_intv": 259201}, "259201 is not a whole number of 1 to 259200 s"),
        ("setsensortime", {"plus_intv": "1.5"}, "plus_intv: '1.5' is not a whole number of 1 to 86400 s"),
        ("setsensortime", {"plus_intv": True}, "plus_intv: True is not a whole number"),
        ("setsensortime", {"plus_intv": None}, "setsensortime needs plus_intv: a whole number of 1 to"),
        ("setsensortime", {"sensor_id": "L3_TW"}, "sensor_id: 'L3_TW' is not a sensor as in L3_TW_2"),
        ("setsensortime", {"speed": 1}, "has no parameter speed; its parameters: sensor_id (a sensor"),
        ("setworkmode", {"mode": 3}, "mode: 3 is not 0 正常 normal, 1 节能 power saving, 2 应急 emergency"),
        ("meteorologicalearlywarning", {"level": "5"}, "level: '5' is not 0 红 red, 1 橙 orange"),
        ("meteorologicalearlywarning", {"lon_range": "114.5,114.4"}, "lon_range: '114.5,114.4' is not two"),
        ("meteorologicalearlywarning", {"lat_range": "30,91"}, "two numbers: low,high of -90 to 90 deg"),
        ("setlink", {"port": 65536}, "port: 65536 is not a whole number of 1 to 65535"),
        ("setlink", {"id": "a&cmd=reboot"}, "id: 'a&cmd=reboot' is not 1 to 200 printable ASCII characters"),
        ("setlink", {"key": "hush hush"}, "key: that value is not 1 to 200 printable ASCII"),
        ("broadcast", {"b_content": "撤离&$cmd=reboot"}, "b_content: '撤离&$cmd=reboot' is not 1 to 200"),
        ("broadcast", {"b_content": "𠮷"}, "b_content: only characters of GB2312 can be spoken"),
        ("broadcast", {"b_content": "a\nb"}, "b_content: 'a\\nb' is not 1 to 200 characters"),
        ("broadcast", {"b_content": None}, "broadcast needs b_size"),
        ("broadcast", {"b_size": 5}, "b_size: 5 is not 10, the bytes of b_content in GB2312"),
        ("broadcast", {"b_num": 256}, "b_num: 256 is not a whole number of 1 to 255 times"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named_with_its_value_and_its_range(
    name: str, bad: Mapping[str, object], told: str
) -> None:
    params = {key: value for key, value in {**GOOD[name], **bad}.items() if value is not None}
    with pytest.raises(ValueError) as caught:
        build(name, params, KEY, MSGID)
    assert told in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_unknown_command_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no command 'fly'; there are sampling, emergency"):
        resolve("fly", {})
    with pytest.raises(ValueError, match="apikey and msgid must be printable ASCII"):
        build("reboot", {}, "a&b", MSGID)


def test_what_is_spoken_goes_out_in_gb2312_with_its_size_in_bytes() -> None:
    # GB 2312-1980: 请 C7EB 立 C1A2 即 BCB4 撤 B3B7 离 C0EB
    spoken = bytes.fromhex("C7EBC1A2BCB4B3B7C0EB")
    told = build("speak", {"text": "请立即撤离", "times": 3}, KEY, MSGID)
    assert told == b"$cmd=broadcast&b_num=3&b_size=10&b_content=" + spoken + (
        f"&apikey={KEY}&msgid={MSGID}".encode()
    )


def test_friendly_names_stand_for_raw_ones() -> None:
    words = {"sensor": "L3_TW_2", "sample": 300, "upload": 900, "plus": 600}
    raw = {"sensor_id": "L3_TW_2", "sample_intv": "300", "upload_intv": "900", "plus_intv": "600"}
    assert resolve("sampling", words) == (COMMANDS["setsensortime"], raw)
    assert resolve("emergency", {}) == (COMMANDS["setworkmode"], {"mode": "2"})
    assert resolve("normal", {})[1] == {"mode": "0"}
    assert resolve("status", {}) == (COMMANDS["getstatus"], {})
    with pytest.raises(ValueError, match="emergency settles mode itself"):
        resolve("emergency", {"mode": 0})
    assert not FRIENDLY.keys() & COMMANDS.keys()


def test_secret_parameters_are_covered() -> None:
    _, params = resolve("setlink", GOOD["setlink"])
    assert public("setlink", params)["key"] == "***"
    assert public("setlink", params)["port"] == "1"


@pytest.mark.parametrize("present", CommandState)
def test_only_the_moves_of_the_table_are_legal(present: CommandState) -> None:
    for wanted in CommandState:
        if wanted in MOVES[present]:
            check_move(present, wanted)
        else:
            with pytest.raises(IllegalMove, match=f"a command that is {present} cannot become {wanted}"):
                check_move(present, wanted)


def test_an_answer_is_final_and_a_late_one_counts() -> None:
    assert MOVES[CommandState.SUCCEEDED] == MOVES[CommandState.FAILED] == set()
    assert CommandState.SUCCEEDED in MOVES[CommandState.TIMED_OUT]
    assert CommandState.PENDING not in set().union(*MOVES.values())


def test_fields_of_nothing() -> None:
    assert fields("") == {}
