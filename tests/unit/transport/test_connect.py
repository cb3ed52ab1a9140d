"""Logging in, over loopback to a server in this process: the fast way, the ordinary way, and every refusal."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import paramiko
import pytest
from paramiko.common import OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED

from hostwright.errors import (
    AuthenticationFailed,
    HostKeyMismatch,
    HostNotFound,
    HostUnreachable,
    ProtocolError,
    TransportError,
)
from hostwright.inventory import Host
from hostwright.transport.ssh import SshTransport, connect

from .conftest import HostAt, as_host_key, write_key
from .server import Server
from .test_keys import add, agent_socket  # noqa: F401  (a fixture)

Start = Callable[..., Server]


def log_in(host: Host, **options: object) -> SshTransport:
    said: list[str] = []
    return connect(host, **{"say": said.append, **options})  # type: ignore[arg-type]


def output(transport: SshTransport, *argv: str) -> list[bytes]:
    channel = transport.open(argv, root=False)
    lines = list(channel.lines())
    channel.close()
    return lines


def works(host: Host, **options: object) -> None:
    with closing(log_in(host, **options)) as transport:
        assert output(transport, "echo", "hello  there") == [b"hello  there"]


def refusal(host: Host, kind: type[TransportError], **options: object) -> TransportError:
    with pytest.raises(kind) as caught:
        log_in(host, **options).close()
    assert type(caught.value) is kind
    return caught.value


# -- it works ----------------------------------------------------------------------------------------------


def test_the_fast_way_is_one_connection(server: Server, host_at: HostAt) -> None:
    host = host_at(server.port)
    with closing(log_in(host)) as transport:
        assert transport.label == f"ubuntu@127.0.0.1:{server.port}"
        assert transport._link.session is not None
        assert output(transport, "echo", "one") == [b"one"]
        assert output(transport, "echo", "two") == [b"two"]
    assert server.connections == 1


def test_the_key_that_was_accepted_is_known(start_server: Start, home: Path, host_at: HostAt) -> None:
    for name in ("id_ed25519", "id_rsa"):
        write_key(home / ".ssh" / name, name.removeprefix("id_"))
    server = start_server(home / ".ssh" / "id_rsa")
    with closing(log_in(host_at(server.port, identity_file=None))) as transport:
        assert transport.public_key.split() == (home / ".ssh" / "id_rsa.pub").read_text().split()[:2]


def test_nothing_is_left_behind(server: Server, host_at: HostAt) -> None:
    before = threading.active_count()
    works(host_at(server.port))
    for thread in threading.enumerate():
        if "paramiko" in type(thread).__module__ or "Tuned" in type(thread).__name__:
            assert thread.daemon
    assert not [thread for thread in threading.enumerate() if "Tuned" in type(thread).__name__]
    assert threading.active_count() <= before + 3  # the server's


def test_closing_twice_is_once(server: Server, host_at: HostAt) -> None:
    transport = log_in(host_at(server.port))
    transport.close()
    transport.close()
    assert not transport.alive


LEAVES = """
import sys
from pathlib import Path
from hostwright.inventory import Host
from hostwright.transport.ssh import connect

port, key, known = sys.argv[1:]
host = Host(name="web1", address="127.0.0.1", port=int(port), apps=(), identity_file=Path(key))
transport = connect(host, say=lambda line: None, known_hosts=Path(known))
channel = transport.open(("sleep", "60"), root=False)
print("up", flush=True)
"""


def test_an_open_connection_does_not_keep_the_process(server: Server, identity: Path, home: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        (sys.executable, "-c", LEAVES, str(server.port), str(identity), str(home / "known")),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "up\n", "")
    assert time.monotonic() - began < 10


def test_importing_is_quick() -> None:
    """`inv --list` imports this; what takes 150 ms comes when there is something to connect to."""
    code = "import sys, hostwright.transport.ssh as _; print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", code),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"fabric", "invoke", "paramiko", "cryptography", "pydantic"}


def sullen_first(count: int, transport: paramiko.Transport) -> int:
    return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED if count == 1 else OPEN_SUCCEEDED


def hangs_up_first(count: int, transport: paramiko.Transport) -> int:
    if count == 1:
        transport.close()
    return OPEN_SUCCEEDED


@pytest.mark.parametrize("surprise", [sullen_first, hangs_up_first])
def test_a_surprise_leads_to_the_ordinary_way(
    surprise: Callable[[int, paramiko.Transport], int], start_server: Start, identity: Path, host_at: HostAt
) -> None:
    server = start_server(identity, open_session=surprise)
    works(host_at(server.port))
    assert server.connections == 2


def test_missing_members_of_paramiko_lead_to_the_ordinary_way(
    server: Server, host_at: HostAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hostwright.transport.tuned import TunedTransport

    def gone(self: TunedTransport) -> None:
        raise AttributeError("_next_channel")

    monkeypatch.setattr(TunedTransport, "_ask_for_session", gone)
    works(host_at(server.port))
    assert server.connections == 2


def test_a_refused_first_key_costs_no_connection(start_server: Start, home: Path, host_at: HostAt) -> None:
    for name in ("id_ed25519", "id_ecdsa"):
        write_key(home / ".ssh" / name, name.removeprefix("id_"))
    server = start_server(home / ".ssh" / "id_ecdsa")
    works(host_at(server.port, identity_file=None))
    assert [user for user, _ in server.tried] == ["ubuntu", "ubuntu"]
    assert server.connections == 1


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_kinds_of_keys(kind: str, start_server: Start, home: Path, host_at: HostAt) -> None:
    write_key(home / "key", kind)
    server = start_server(home / "key")
    works(host_at(server.port, identity_file=home / "key"))
    assert server.connections == 1


def test_the_agent_is_asked_last(
    start_server: Start,
    home: Path,
    host_at: HostAt,
    agent_socket: Path,  # noqa: F811
    identity: Path,
) -> None:
    write_key(home / "held")
    add(home / "held")
    server = start_server(home / "held")
    works(host_at(server.port))
    assert [blob for _, blob in server.tried][-1] == paramiko.PKey.from_path(home / "held").asbytes()


def test_hosts_in_parallel(start_server: Start, identity: Path, host_at: HostAt) -> None:
    servers = [start_server(identity) for _ in range(6)]
    said: list[str] = []
    failed: list[BaseException] = []

    def visit(port: int) -> None:
        try:
            works(host_at(port), say=said.append)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=visit, args=(server.port,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(said) == 6


# -- host keys -----------------------------------------------------------------------------------------------


def test_first_contact_then_silence(
    server: Server, host_at: HostAt, home: Path, host_key: paramiko.PKey
) -> None:
    said: list[str] = []
    for _ in range(2):
        works(host_at(server.port), say=said.append)
    assert said == [f"first contact: host key {host_key.fingerprint} recorded in ~/.ssh/known_hosts"]
    assert f"[127.0.0.1]:{server.port} {as_host_key(host_key)}" in (home / ".ssh" / "known_hosts").read_text()


def test_a_changed_host_key_ends_it_before_any_key_is_sent(
    server: Server, host_at: HostAt, home: Path, host_key: paramiko.PKey
) -> None:
    other = paramiko.ECDSAKey.generate()
    known = home / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {as_host_key(other)}\n")
    error = refusal(host_at(server.port), HostKeyMismatch, known_hosts=known)
    assert f"Known: {other.fingerprint}. Now: {host_key.fingerprint}." in error.message
    assert f"ssh-keygen -f {known} -R '[127.0.0.1]:{server.port}'" in str(error)
    assert server.tried == []
    assert server.connections == 1
    assert not (home / ".ssh" / "known_hosts").exists()


def test_the_key_on_record_is_asked_for(
    start_server: Start, identity: Path, host_at: HostAt, home: Path
) -> None:
    """A server with two keys does not look changed because the other one is usually preferred."""
    keys = [paramiko.RSAKey.generate(2048), write_key(home / "ed")]
    for key in keys:
        server = start_server(identity, host_keys=keys)
        known = home / f"known{server.port}"
        known.write_text(f"[127.0.0.1]:{server.port} {as_host_key(key)}\n")
        said: list[str] = []
        works(host_at(server.port), known_hosts=known, say=said.append)
        assert said == []


def test_a_pinned_fingerprint_is_found_among_the_servers_keys(
    start_server: Start, identity: Path, host_at: HostAt, home: Path
) -> None:
    keys = [paramiko.RSAKey.generate(2048), write_key(home / "ed"), paramiko.ECDSAKey.generate()]
    server = start_server(identity, host_keys=keys)
    for key in keys:
        works(host_at(server.port, host_key=key.fingerprint))
    assert not (home / ".ssh" / "known_hosts").exists()
    error = refusal(host_at(server.port, host_key="SHA256:" + "A" * 43), HostKeyMismatch)
    assert error.message.startswith(f"the host key is not the pinned one. Pinned: SHA256:{'A' * 43}. Now: ")


def test_a_pinned_key(server: Server, host_at: HostAt, host_key: paramiko.PKey) -> None:
    works(host_at(server.port, host_key=str(as_host_key(host_key))))
    other = as_host_key(paramiko.ECDSAKey.generate())
    error = refusal(host_at(server.port, host_key=str(other)), HostKeyMismatch)
    assert error.message == (
        f"the host key is not the pinned one. Pinned: {other.fingerprint}. Now: {host_key.fingerprint}."
    )


def test_a_host_key_alias_stands_for_address_and_port(
    server: Server, home: Path, identity: Path, host_key: paramiko.PKey
) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host web\n HostName 127.0.0.1\n Port {server.port}\n HostKeyAlias pool\n"
    )
    (home / ".ssh" / "known_hosts").write_text(f"pool {as_host_key(host_key)}\n")
    said: list[str] = []
    works(Host(name="web1", address="web", apps=(), identity_file=identity), say=said.append)  # type: ignore[call-arg]
    assert said == []


# -- refusals ------------------------------------------------------------------------------------------------


def test_no_key_is_accepted(start_server: Start, identity: Path, host_at: HostAt, home: Path) -> None:
    server = start_server()
    error = refusal(host_at(server.port), AuthenticationFailed)
    fingerprint = paramiko.PKey.from_path(identity).fingerprint
    assert str(error) == (
        f"web1  ubuntu@127.0.0.1:{server.port} accepts none of our keys\n"
        f"  | tried {identity}  {fingerprint}\n"
        "  Is it the right user, and is the public key in ~ubuntu/.ssh/authorized_keys?"
    )


def test_root_is_told_that_it_may_be_another_user(start_server: Start, host_at: HostAt) -> None:
    error = refusal(host_at(start_server().port, user="root"), AuthenticationFailed)
    assert error.hint
    assert "Many servers let nobody log in as root" in error.hint


def test_a_server_that_takes_no_keys(start_server: Start, identity: Path, host_at: HostAt) -> None:
    server = start_server(identity, offers="password,keyboard-interactive")
    error = refusal(host_at(server.port), AuthenticationFailed)
    assert str(error) == (
        f"web1  ubuntu@127.0.0.1:{server.port} does not take keys at all, only password, keyboard-interactive\n"
        "  On the server, in sshd_config: PubkeyAuthentication yes"
    )


def test_no_key_at_all(server: Server, host_at: HostAt, home: Path) -> None:
    error = refusal(host_at(server.port, identity_file=None), AuthenticationFailed)
    assert str(error) == (
        f"web1  no SSH key to log in with as ubuntu@127.0.0.1:{server.port}\n"
        "  Make one with ssh-keygen -t ed25519, or name yours: identity_file in the inventory."
    )


def test_what_was_wrong_with_keys_is_told(start_server: Start, host_at: HostAt, home: Path) -> None:
    write_key(home / ".ssh" / "id_ecdsa", "ecdsa")
    write_key(home / ".ssh" / "id_ed25519", passphrase="long words")
    error = refusal(host_at(start_server().port, identity_file=None), AuthenticationFailed)
    assert error.evidence[0].startswith(f"tried {home}/.ssh/id_ecdsa  SHA256:")
    assert error.evidence[1] == f"{home}/.ssh/id_ed25519 has a passphrase, and no ssh agent is running"


def test_a_missing_identity_file(server: Server, host_at: HostAt, home: Path) -> None:
    error = refusal(host_at(server.port, identity_file=home / "nope"), AuthenticationFailed)
    assert str(error) == f"web1  the identity file {home}/nope does not exist"
    assert server.connections == 0


def test_the_servers_own_words_are_shown(start_server: Start, host_at: HostAt) -> None:
    server = start_server(banner="System is booting up. See pam_nologin(8)\n")
    error = refusal(host_at(server.port), AuthenticationFailed)
    assert error.evidence[-1] == "the server says: System is booting up. See pam_nologin(8)"


def test_an_agent_that_does_not_sign(
    start_server: Start,
    home: Path,
    host_at: HostAt,
    agent_socket: Path,  # noqa: F811
) -> None:
    """A key that wants its user to confirm, and nobody to ask."""
    write_key(home / "held")
    subprocess.run(("ssh-add", "-q", "-c", str(home / "held")), check=True, capture_output=True)
    server = start_server(home / "held")
    error = refusal(host_at(server.port, identity_file=home / "held.pub"), AuthenticationFailed)
    assert error.message == f"the ssh agent did not sign for {home}/held.pub (held by the ssh agent)"
    assert error.hint == "Is it locked, or waiting for you to confirm?"


def test_a_server_without_sessions(start_server: Start, identity: Path, host_at: HostAt) -> None:
    refuse = lambda count, transport: OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED  # noqa: E731
    server = start_server(identity, open_session=refuse)
    with closing(log_in(host_at(server.port))) as transport:
        with pytest.raises(ProtocolError, match=r"opens no session: administratively prohibited"):
            transport.open(("true",))


# -- not even SSH ----------------------------------------------------------------------------------------------


def test_refused(host_at: HostAt, free_port: int) -> None:
    error = refusal(host_at(free_port), HostUnreachable)
    assert str(error) == (
        f"web1  127.0.0.1:{free_port} refuses the connection: no SSH server listens there\n"
        "  Check address and port; a server that was just made may need another minute."
    )


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where `talk` answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    with suppress(OSError):
                        talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_not_an_ssh_server(host_at: HostAt) -> None:
    with listening(
        lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\x07\r\n\r\n")
    ) as port:
        error = refusal(host_at(port), ProtocolError)
    assert str(error) == (
        f"web1  127.0.0.1:{port} is not an SSH server\n"
        "  | HTTP/1.1 400 Bad Request\n  | Server: nginx?\n  Check the port."
    )


def test_closed_at_once(host_at: HostAt) -> None:
    with listening(lambda peer: None) as port:
        error = refusal(host_at(port), HostUnreachable)
    assert error.message == f"127.0.0.1:{port} closed the connection before the login"
    assert error.hint
    assert "PerSourcePenalties" in error.hint


def test_silence(host_at: HostAt) -> None:
    with listening(lambda peer: peer.recv(1000) and peer.recv(1000)) as port:
        error = refusal(host_at(port, connect_timeout=0.5), HostUnreachable)
    assert error.message == f"127.0.0.1:{port} took the connection, then said nothing for 0.5 s"


def test_silence_after_the_greeting(host_at: HostAt) -> None:
    def talk(peer: socket.socket) -> None:
        peer.sendall(b"SSH-2.0-slow\r\n")
        while peer.recv(1000):
            pass

    with listening(talk) as port:
        error = refusal(host_at(port, connect_timeout=0.5), HostUnreachable)
    assert error.message == f"127.0.0.1:{port} took the connection, then said nothing for 0.5 s"
    # paramiko's timer would keep the process alive for 15 s; one that is cancelled ends as soon as it gets to run
    for timer in (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)):
        timer.join(3)
        assert not timer.is_alive()


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("Exceeded MaxStartups", "too many logins at once (MaxStartups)"),
        (
            "Not allowed at this time",
            "it turns us away for a while, after failed logins (PerSourcePenalties)",
        ),
    ],
)
def test_turned_away(words: str, meaning: str, host_at: HostAt) -> None:
    with listening(lambda peer: peer.sendall(words.encode() + b"\r\n")) as port:
        error = refusal(host_at(port), HostUnreachable)
    assert error.message == f"127.0.0.1:{port} does not take logins now: {meaning}"


def resolver_says(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, words)

    monkeypatch.setattr(socket, "getaddrinfo", fail)


def test_a_name_that_does_not_resolve(host_at: HostAt, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver_says(monkeypatch, socket.EAI_NONAME, "Name or service not known")
    error = refusal(host_at(22, address="web1.example.com"), HostNotFound)
    assert str(error) == (
        'web1  "web1.example.com" does not resolve\n  Check the spelling, or write the IP address.'
    )
    assert error.exit_code == 3


def test_no_name_server(host_at: HostAt, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver_says(monkeypatch, socket.EAI_AGAIN, "Temporary failure in name resolution")
    error = refusal(host_at(22, address="web1.example.com"), HostNotFound)
    assert error.message == '"web1.example.com" cannot be looked up now: no name server answers'


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (TimeoutError("timed out"), "127.0.0.1:22 does not answer: timed out after 5 s"),
        (OSError(113, "No route to host"), "127.0.0.1:22 cannot be reached: no route to host"),
        (OSError(101, "Network is unreachable"), "127.0.0.1:22 cannot be reached: network is unreachable"),
    ],
)
def test_nobody_there(
    raised: OSError, message: str, host_at: HostAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(socket, "create_connection", fail)
    assert refusal(host_at(22), HostUnreachable).message == message


# -- by way of another -------------------------------------------------------------------------------------------


def test_through_a_jump_host(start_server: Start, identity: Path, host_at: HostAt, home: Path) -> None:
    jump, server = start_server(identity), start_server(identity)
    said: list[str] = []
    host = host_at(server.port, jump=f"ada@127.0.0.1:{jump.port}")
    works(host, say=said.append)
    assert [user for user, _ in jump.tried] == ["ada"]
    assert [user for user, _ in server.tried] == ["ubuntu"]
    assert len(said) == 2  # both host keys are checked
    assert jump.commands == []


def test_the_jump_host_is_named_when_it_refuses(start_server: Start, identity: Path, host_at: HostAt) -> None:
    jump, server = start_server(), start_server(identity)
    error = refusal(host_at(server.port, jump=f"ada@127.0.0.1:{jump.port}"), AuthenticationFailed)
    assert error.message == f"ada@127.0.0.1:{jump.port} (the jump host) accepts none of our keys"
    assert server.connections == 0


def test_the_jump_host_is_named_when_it_is_down(host_at: HostAt, free_port: int) -> None:
    error = refusal(host_at(22, jump=f"127.0.0.1:{free_port}"), HostUnreachable)
    assert (
        error.message
        == f"jump host 127.0.0.1:{free_port} refuses the connection: no SSH server listens there"
    )


def test_the_jump_hosts_key_is_checked(
    start_server: Start, identity: Path, host_at: HostAt, home: Path
) -> None:
    jump, server = start_server(identity), start_server(identity)
    other = as_host_key(paramiko.ECDSAKey.generate())
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{jump.port} {other}\n")
    error = refusal(host_at(server.port, jump=f"127.0.0.1:{jump.port}"), HostKeyMismatch)
    assert f"[127.0.0.1]:{jump.port}" in str(error)
    assert jump.tried == []


def test_the_jump_host_cannot_reach_the_server(start_server: Start, identity: Path, host_at: HostAt) -> None:
    jump = start_server(identity)
    error = refusal(host_at(1, jump=f"127.0.0.1:{jump.port}"), HostUnreachable)
    assert error.message == f"the jump host 127.0.0.1:{jump.port} cannot reach 127.0.0.1:1: connect failed"


def test_the_server_behind_the_jump_host_does_not_answer(
    start_server: Start, identity: Path, host_at: HostAt
) -> None:
    jump = start_server(identity)
    error = refusal(host_at(2, jump=f"127.0.0.1:{jump.port}", connect_timeout=0.5), HostUnreachable)
    assert (
        error.message
        == f"the jump host 127.0.0.1:{jump.port} cannot reach 127.0.0.1:2: no answer after 0.5 s"
    )


def test_a_proxy_command(server: Server, host_at: HostAt, home: Path, identity: Path) -> None:
    relay = home / "relay.py"
    relay.write_text(
        "import socket, sys, os, threading\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while d := os.read(0, 65536): s.sendall(d)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while d := s.recv(65536): os.write(1, d)\n"
    )
    (home / ".ssh" / "config").write_text(
        f"Host web\n HostName 127.0.0.1\n Port {server.port}\n ProxyCommand python3 -S {relay} %h %p\n"
    )
    host = Host(name="web1", address="web", apps=(), identity_file=identity)  # type: ignore[call-arg]
    works(host)
    assert server.connections == 1


def test_a_proxy_command_that_fails(host_at: HostAt, home: Path, identity: Path) -> None:
    (home / ".ssh" / "config").write_text("Host web\n ProxyCommand false\n")
    host = Host(name="web1", address="web", apps=(), identity_file=identity)  # type: ignore[call-arg]
    assert refusal(host, HostUnreachable).message == "web:22 closed the connection before the login"
