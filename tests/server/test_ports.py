"""A port that is taken is told with the variable to set."""

from __future__ import annotations

import socket
import threading

import pytest

from server import ports


def test_a_taken_port_names_the_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports.accepts("0.0.0.0", port)  # noqa: S104
        with pytest.raises(
            RuntimeError, match=rf"port {port} is taken .* set LIUPAN_MQTT_PORT to a free one"
        ):
            ports.check_free("127.0.0.1", port, "LIUPAN_MQTT")
    ports.check_free("127.0.0.1", port, "LIUPAN_MQTT")
    assert not ports.accepts("127.0.0.1", port)


def test_an_address_of_another_machine_names_the_variable() -> None:
    with pytest.raises(RuntimeError, match=r"cannot listen on 192\.0\.2\.1, port 0 .*LIUPAN_HTTP_BIND"):
        ports.check_free("192.0.2.1", 0, "LIUPAN_HTTP")


def test_a_port_of_a_run_that_is_ending_is_waited_for() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    threading.Timer(0.3, server.close).start()
    ports.check_free("127.0.0.1", port, "LIUPAN_MQTT", patience_s=20)
