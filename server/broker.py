"""The embedded broker: Mosquitto with a configuration, a port and a data folder of its own.

A real deployment sets LIUPAN_MQTT_URL instead.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

from domain.settings import Settings
from server import ports, system_user
from server.service import Service

#: Debian puts it where an ordinary user's PATH does not lead
ELSEWHERE = "/usr/sbin:/usr/local/sbin"

#: The default limits lose messages silently (1000 queued) or slow the flow (20 in flight).
#: Why sessions and queues are saved each second, and not at each change: docs/decisions.md.
CONFIG = """\
# Written at each start by server/broker.py
listener {port} {bind}
allow_anonymous true
persistence true
persistence_location {data}/
autosave_interval 1
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 1000000
max_queued_bytes 268435456
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""


def prepare(settings: Settings) -> Service:
    """Write the configuration; return how to start the broker. RuntimeError: mosquitto is not installed."""
    state = settings.state.resolve()
    program, library = find()
    user = system_user.ensure()
    data = state / "broker"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = data / "mosquitto.conf"
    config.write_text(CONFIG.format(port=settings.mqtt_port, bind=settings.mqtt_bind, data=data))
    for path in (data, *data.iterdir()):
        system_user.give(path, user)
    return Service(
        name="mosquitto",
        argv=[str(program), "-c", str(config)],
        log=state / "log" / "mosquitto.log",
        ready=lambda: ports.accepts(settings.mqtt_bind, settings.mqtt_port),
        env={"LD_LIBRARY_PATH": str(library)} if library else {},
        user=user,
        orphan_signal=signal.SIGTERM,
    )


def url(settings: Settings) -> str:
    """Return the address of the embedded broker for processes on this machine."""
    return f"mqtt://{ports.near(settings.mqtt_bind)}:{settings.mqtt_port}"


def find() -> tuple[Path, Path | None]:
    """Return the program and, when set-up has unpacked it below `.venv`, where its libraries are.

    RuntimeError: there is none.
    """
    if found := shutil.which("mosquitto") or shutil.which("mosquitto", path=ELSEWHERE):
        return Path(found), None
    unpacked = Path(sys.prefix) / "mosquitto" / "usr"
    if (program := unpacked / "sbin" / "mosquitto").exists():
        return program, next((unpacked / "lib").glob("*-linux-gnu*"), None)
    raise RuntimeError(
        "mosquitto is not installed: make setup, or apt-get install mosquitto, or LIUPAN_MQTT_URL"
    )
