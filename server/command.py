"""`liupan command`: ask a station to do something, and wait for its reply where wanted."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection

from domain.command import CommandState, known_names
from domain.command_words import COMMANDS, FRIENDLY
from domain.settings import Settings
from domain.wire import encode
from server.routes import row
from server.routes.commands import QUERY, Command
from warning.command import OPEN, ask

#: s between two looks at a command that is waited for
LOOK_S = 0.2

#: state -> (Chinese, English)
WORDS = {
    CommandState.PENDING: ("待下发", "not sent yet"),
    CommandState.SENT: ("已下发，等待回复", "sent, no reply yet"),
    CommandState.SUCCEEDED: ("成功", "done"),
    CommandState.FAILED: ("失败", "failed"),
    CommandState.TIMED_OUT: ("超时", "timed out"),
    CommandState.CANCELLED: ("已取消", "cancelled"),
}


def main(argv: list[str]) -> int:
    """Ask, and print how far it came; exit code 1 when it failed, or has no reply within the time waited."""
    args = _parser().parse_args(argv)
    params = dict(_pair(text) for text in args.param)
    settings = Settings.from_env()
    with psycopg.connect(settings.database(), autocommit=True) as conn:
        try:
            id = ask(conn, args.thing, args.name, params, getpass.getuser())
        except LookupError as error:
            print(f"liupan command: {error.args[0]}", file=sys.stderr)
            return 1
        command = _look(conn, id)
        deadline = time.monotonic() + args.wait
        while command.state in OPEN and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            command = _look(conn, id)
    print(encode(command.model_dump()).decode() if args.json else _line(command, settings.lang == "en"))
    asked_only = command.state in OPEN and not args.wait
    return 0 if asked_only or command.state == CommandState.SUCCEEDED else 1


def _look(conn: Connection[Any], id: UUID) -> Command:
    """Return the command as people may see it."""
    return row(conn, Command, QUERY + " AND c.id = %(id)s", {"region": "", "id": id}, f"command {id}")


def _line(command: Command, english: bool) -> str:
    said = " ".join(f"{name}={value}" for name, value in command.values.items())
    words = WORDS[CommandState(command.state)][english]
    told = (command.thing, command.name, words, command.reason, said, str(command.id))
    return " · ".join(filter(None, told))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{text!r} is no parameter: write name=value")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liupan command",
        description=__doc__,
        epilog=_vocabulary(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("thing", help="code of the station")
    parser.add_argument("name", help="command, one of those below")
    parser.add_argument("param", nargs="*", metavar="k=v", help="its parameters")
    parser.add_argument("--wait", type=float, default=0, metavar="S", help="wait that long for the reply, s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _vocabulary() -> str:
    """Return all commands with their parameters, for the help."""
    lines = ["commands / 命令:"]
    for name, friendly in FRIENDLY.items():
        words = " ".join(f"{word}=…" for word in friendly.words)
        lines.append(f"  {name} {words}".rstrip() + f"  {friendly.zh} · {friendly.en} ({friendly.command})")
    for name, command in COMMANDS.items():
        lines.append(f"  {name}  {command.zh} · {command.en}")
        lines += [f"      {parameter}" for parameter in known_names(command)]
    return "\n".join(lines)
