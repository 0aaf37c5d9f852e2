"""Settings come from the environment, or are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.settings import Settings


def test_what_is_not_set_has_its_default() -> None:
    settings = Settings.from_env({})
    assert settings == Settings(state=Path(".liupan").absolute())
    assert Settings.from_env({"LIUPAN_HTTP_PORT": " ", "LIUPAN_LANG": ""}) == settings


def test_what_is_set_is_taken() -> None:
    env = {"LIUPAN_STATE": "there", "LIUPAN_HTTP_PORT": "80", "LIUPAN_DATABASE_URL": " postgresql://x "}
    assert Settings.from_env(env) == Settings(
        state=Path("there").absolute(), http_port=80, database_url="postgresql://x"
    )


@pytest.mark.parametrize(
    ("env", "region"), [({}, "64"), ({"LIUPAN_REGION": "6404"}, "6404"), ({"LIUPAN_REGION": ""}, "")]
)
def test_an_empty_region_is_all_of_china(env: dict[str, str], region: str) -> None:
    assert Settings.from_env(env).region == region


@pytest.mark.parametrize("text", ["x", "1.5", "-1"])
def test_a_number_that_is_none_is_told_by_its_variable(text: str) -> None:
    with pytest.raises(ValueError, match=f"LIUPAN_BATCH_ROWS must be a whole number, not '{text}'"):
        Settings.from_env({"LIUPAN_BATCH_ROWS": text})


def test_the_brokers_address_in_parts() -> None:
    url = Settings(state=Path(), mqtt_url="mqtts://user:secret@broker.example:8883").broker()
    assert (url.hostname, url.port, url.username, url.password) == ("broker.example", 8883, "user", "secret")


@pytest.mark.parametrize("url", ["", "http://broker", "mqtt://", "broker:1883"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ValueError, match="LIUPAN_MQTT_URL must look like mqtt://host:1883"):
        Settings(state=Path(), mqtt_url=url).broker()


def test_a_database_that_is_not_set_is_told() -> None:
    with pytest.raises(ValueError, match="LIUPAN_DATABASE_URL is not set"):
        Settings(state=Path()).database()
