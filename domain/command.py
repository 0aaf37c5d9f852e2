"""Commands to national stations on `$creq/<device>/cmd`, and the states that a command goes through.

`$cmd=<name>&<parameter>=<value>...&apikey=<key>&msgid=<id>`, ASCII, what a loudspeaker says in GB2312. The
device acts on one msgid once and answers on `$dr` (reply.py). The vocabulary is in command_words.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from domain.command_words import COMMANDS, FRIENDLY, KINDS, Command, Parameter
from domain.incident import IllegalMove


class CommandState(StrEnum):
    """How far a command has come."""

    PENDING = "pending"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


_S = CommandState
_ANSWERED = frozenset({_S.SUCCEEDED, _S.FAILED})

#: state -> states that may follow; what a device says counts also when nobody waits for it any more
MOVES: Mapping[CommandState, frozenset[CommandState]] = {
    _S.PENDING: _ANSWERED | {_S.SENT, _S.TIMED_OUT, _S.CANCELLED},
    _S.SENT: _ANSWERED | {_S.TIMED_OUT, _S.CANCELLED},
    _S.TIMED_OUT: _ANSWERED,
    _S.CANCELLED: _ANSWERED,
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
}


def check_move(present: CommandState, wanted: CommandState) -> None:
    """Raise IllegalMove unless `wanted` may follow `present`."""
    if wanted not in MOVES[present]:
        legal = ", ".join(sorted(MOVES[present])) or "nothing: it is answered"
        raise IllegalMove(f"a command that is {present} cannot become {wanted}; possible: {legal}")


def topic(device: str, command: Command) -> str:
    """Return the topic on which the command reaches the device."""
    return f"$creq/{device}/{command.topic}"


def resolve(name: str, params: Mapping[str, object]) -> tuple[Command, dict[str, str]]:
    """Return the command of this name, raw or friendly, and its parameters as texts in the order of the wire.

    ValueError says which parameter is missing, unknown or out of its range, and what is allowed.
    """
    friendly = FRIENDLY.get(name)
    if friendly:
        if settled := sorted(friendly.fixed.keys() & params.keys()):
            raise ValueError(
                f"{name} settles {', '.join(settled)} itself: leave it out, or use {friendly.command}"
            )
        renamed = {friendly.words.get(word, word): value for word, value in params.items()}
        params = {**friendly.fixed, **renamed}
    command = COMMANDS.get(friendly.command if friendly else name)
    if command is None:
        raise ValueError(f"no command {name!r}; there are {', '.join([*FRIENDLY, *COMMANDS])}")
    known = {parameter.name for parameter in command.parameters}
    if unknown := sorted(params.keys() - known):
        legal = ", ".join(known_names(command)) or "none"
        raise ValueError(f"{command.name} has no parameter {', '.join(unknown)}; its parameters: {legal}")
    if "b_content" in params:
        params = _with_size(params)
    return command, {parameter.name: _checked(command, parameter, params) for parameter in command.parameters}


def known_names(command: Command) -> list[str]:
    """Return the names of the command's parameters with their ranges, for people."""
    return [f"{parameter.name} ({allowed(parameter)})" for parameter in command.parameters]


def build(name: str, params: Mapping[str, object], apikey: str, msgid: str) -> bytes:
    """Return the command as it goes over the wire; ValueError as in `resolve`."""
    command, texts = resolve(name, params)
    secret = KINDS["ascii"][0]
    if not (secret.fullmatch(apikey) and secret.fullmatch(msgid)):
        raise ValueError("apikey and msgid must be printable ASCII without blank and &")
    pairs = {"$cmd": command.name, **texts, "apikey": apikey, "msgid": msgid}
    return "&".join(f"{key}={value}" for key, value in pairs.items()).encode("gb2312")


def public(name: str, params: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a raw command as people may see them: secrets are covered."""
    secrets = {parameter.name for parameter in COMMANDS[name].parameters if parameter.secret}
    return {key: "***" if key in secrets else value for key, value in params.items()}


def allowed(parameter: Parameter) -> str:
    """Return in words what may stand in the parameter."""
    if parameter.choices:
        return ", ".join(f"{value} {meaning}" for value, meaning in parameter.choices.items())
    low, high = parameter.least, parameter.most
    span = f" of {low:g} to {high:g}" if low is not None and high is not None else ""
    span = span or (f" of {low:g} or more" if low is not None else "")
    return f"{KINDS[parameter.kind][1]}{span} {parameter.unit}".strip()


def _checked(command: Command, parameter: Parameter, params: Mapping[str, object]) -> str:
    """Return the parameter's value as text; ValueError names parameter, value and what is allowed."""
    value = params.get(parameter.name)
    if value is None:
        raise ValueError(f"{command.name} needs {parameter.name}: {allowed(parameter)}")
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    shown = "that value" if parameter.secret else repr(value)[:80]
    fits = text in parameter.choices if parameter.choices else _fits(parameter, text)
    if not fits:
        raise ValueError(f"{parameter.name}: {shown} is not {allowed(parameter)}")
    return text


def _fits(parameter: Parameter, text: str) -> bool:
    if not (text.isprintable() and KINDS[parameter.kind][0].fullmatch(text)):
        return False
    if parameter.kind == "spoken":
        return _speakable(text) is not None
    if parameter.least is None:
        return True
    numbers = [float(part) for part in text.split(",")]
    return numbers == sorted(numbers) and (
        parameter.least <= numbers[0]
        and numbers[-1] <= (math.inf if parameter.most is None else parameter.most)
    )


def _with_size(params: Mapping[str, object]) -> Mapping[str, object]:
    """Return the parameters of a broadcast with the bytes of its content; ValueError for another size."""
    spoken = _speakable(str(params.get("b_content", "")))
    if spoken is None:
        raise ValueError("b_content: only characters of GB2312 can be spoken; write it in common characters")
    size = params.get("b_size", len(spoken))
    if str(size) != str(len(spoken)):
        raise ValueError(
            f"b_size: {size!r} is not {len(spoken)}, the bytes of b_content in GB2312; leave it out"
        )
    return {**params, "b_size": size}


def _speakable(text: str) -> bytes | None:
    try:
        return text.encode("gb2312")
    except UnicodeEncodeError:
        return None
