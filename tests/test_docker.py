"""The containers run what `liupan up` runs, with the broker set in the same way."""

from __future__ import annotations

from pathlib import Path

import yaml

from server import broker, up

DOCKER = Path(__file__).parents[1] / "docker"


def test_compose_runs_each_process_after_the_migration() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert services["migrate"]["command"] == ["server.cli", "migrate"]
    for name in up.PROCESSES:
        assert services[name]["command"] == [name]
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services[name]["environment"]["LIUPAN_MQTT_URL"] == "mqtt://broker:1883"


def test_nothing_is_open_to_the_network() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert all(port.startswith("127.0.0.1:") for each in services.values() for port in each.get("ports", []))


def test_the_broker_keeps_as_much_as_the_embedded_one() -> None:
    own = ("listener", "persistence_location", "log_", "connection_messages", "#")
    embedded = {line for line in broker.CONFIG.splitlines() if not line.startswith(own)}
    assert {
        line for line in (DOCKER / "mosquitto.conf").read_text().splitlines() if line[:1] != "#"
    } >= embedded
