"""An installation of its own: on free ports, and with nothing on that is off."""

from __future__ import annotations

import socket
from dataclasses import fields
from pathlib import Path

from domain.settings import Settings
from server.apart import apart


def test_ports_are_free_and_what_is_off_stays_off(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = apart(Settings(state=Path("x"), sl651_port=port, sl651_bind="0.0.0.0"), state)  # noqa: S104
    assert settings.state == state
    assert settings.szy206_port == 0
    assert settings.sl651_bind == "127.0.0.1"
    ports = [getattr(settings, each.name) for each in fields(settings) if each.name.endswith("_port")]
    assert port not in ports
    assert len({each for each in ports if each}) == len(ports) - 1
