"""Results that name their datastream by its number in the registry, turned into readings by names.

So all that is known by name holds for them too: the thing's time zone, states, who is not registered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection

from domain.thing import Reading
from ingest.decoded import Decoded, Numbered

#: how the reason begins when no datastream has the number
NO_DATASTREAM = "there is no datastream with the number"

#: number of a datastream -> its thing's code, its name
Names = Mapping[int, tuple[str, str]]


def names_in(conn: Connection[Any], contents: Iterable[Decoded]) -> Names:
    """Return the names of the registered datastreams that the contents name by numbers."""
    numbers = {result.datastream for decoded in contents for result in decoded.numbered}
    if not numbers:
        return {}
    rows = conn.execute(
        "SELECT d.id, t.code, d.name FROM datastream d JOIN thing t ON t.id = d.thing WHERE d.id = ANY(%s)",
        (list(numbers),),
    )
    return {number: (code, name) for number, code, name in rows}


def reading_of(result: Numbered, names: Names) -> Reading:
    """Return the result by the names of its datastream; ValueError: none has its number."""
    if result.datastream not in names:
        raise ValueError(f"{NO_DATASTREAM} {result.datastream}: the numbers stand in /v1.1/Datastreams")
    return Reading(*names[result.datastream], result.phenomenon_time, result.result)


def sent_by(decoded: Decoded, names: Names) -> str:
    """Return the thing of the first known datastream, or else who seems to have sent the contents."""
    known = (names[result.datastream][0] for result in decoded.numbered if result.datastream in names)
    return next(known, decoded.device)
