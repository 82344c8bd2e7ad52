from __future__ import annotations

import socket

import pytest

from tollhouse.testing import refused_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_refused_port_refuses_every_connection(host: str):
    with refused_port(host) as port:
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, port), timeout=5)


def test_refused_port_is_kept_from_everybody_else():
    with refused_port() as port, socket.socket() as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


def test_refused_ports_differ():
    with refused_port() as one, refused_port() as other:
        assert one != other
