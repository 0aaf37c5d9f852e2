"""What all messages in the platform's own format share: the device in the topic, a JSON object, an id."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from domain import wire
from ingest.decoded import Decoded

#: longest name of a device, and longest id that is told back to it
DEVICE_LENGTH, ID_LENGTH = 200, 100


#: device, id to tell the message by, message -> contents; ValueError says what is wrong with it
Parts = Callable[[str, str | None, Mapping[str, object]], Decoded]


def read(topic: str, payload: bytes, parts: Parts) -> Decoded:
    """Return what `parts` reads in the payload; its ValueError becomes a problem of the identified message.

    ValueError: the payload is no JSON object, or the topic none of a device.
    """
    device = wire.device_of(topic)
    if len(device) > DEVICE_LENGTH:
        raise ValueError(f"the name of the device has {len(device)} characters, more than {DEVICE_LENGTH}")
    message = wire.decode(payload)
    written = message.get("id")
    told = isinstance(written, str) and 0 < len(written) <= ID_LENGTH and written.isprintable()
    name = str(written) if told else None
    try:
        return parts(device, name, message)
    except ValueError as error:
        return Decoded(device=device, id=name, problems=(str(error),))
