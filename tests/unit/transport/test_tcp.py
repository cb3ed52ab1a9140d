"""A connection that is made meanwhile: taken, not wanted, or refused."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.errors import HostUnreachable, ProtocolError
from hostwright.transport.dial import Dialer
from hostwright.transport.keys import Passphrases
from hostwright.transport.ssh_config import Target
from hostwright.transport.tcp import Tcp

PATIENCE = 10.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(PATIENCE)
        yield made


def target(port: int, *identities: Path) -> Target:
    strict = bool(identities)
    return Target("web1", "127.0.0.1", port, "ubuntu", 5.0, identity_files=identities, identity_strict=strict)


def ended(listener: socket.socket) -> bool:
    """Whether whoever came has gone."""
    there, _ = listener.accept()
    with there:
        there.settimeout(PATIENCE)
        return there.recv(1) == b""


def test_it_is_made_before_somebody_takes_it(listener: socket.socket) -> None:
    tcp = Tcp(target(listener.getsockname()[1]))
    there, _ = listener.accept()
    with there, tcp.take() as here:
        tcp.close()  # what is taken is not its any more
        here.sendall(b"x")
        assert there.recv(1) == b"x"
        assert here.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_one_that_nobody_took_is_closed(listener: socket.socket) -> None:
    tcp = Tcp(target(listener.getsockname()[1]))
    tcp._thread.join(PATIENCE)
    tcp.close()
    assert ended(listener)


def test_one_that_was_not_wanted_any_more_when_it_came_is_closed(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, make = threading.Event(), socket.create_connection

    def slowly(*args: object) -> socket.socket:
        go.wait(PATIENCE)
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", slowly)
    tcp = Tcp(target(listener.getsockname()[1]))
    tcp.close()
    go.set()
    assert ended(listener)


def test_what_went_wrong_is_said_where_it_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(HostUnreachable, match=f"127.0.0.1:{port}"):
        Tcp(target(port)).take()


def test_a_login_that_does_not_get_so_far_leaves_no_connection(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ProtocolError("no further")

    monkeypatch.setattr(Dialer, "_dial", fail)
    dialer = Dialer(lambda line: None, tmp_path / "known_hosts", Passphrases())
    with pytest.raises(ProtocolError, match="no further"):
        dialer.dial(target(listener.getsockname()[1]))
    assert ended(listener)
