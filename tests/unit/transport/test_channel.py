"""A command over SSH: bytes both ways, sudo that wants a password, refusals, and lost connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostwrightError,
    ProtocolError,
    SudoFailed,
    UnsupportedServer,
)
from hostwright.inventory import Secret
from hostwright.transport import channel as channel_module
from hostwright.transport.base import PythonMissing
from hostwright.transport.channel import SshChannel
from hostwright.transport.python import install_python
from hostwright.transport.ssh import SshTransport, connect

from .conftest import HostAt
from .server import Server

RS = "\\036"  # for printf
PASSWORD = "correct horse"
# as sudo does: -n never asks; -S writes the prompt to stderr and reads a line, up to three times
SUDO = """#!/bin/sh
echo "$*" >> "$0.log"
while :; do case $1 in -n) silent=1; shift;; -p) prompt=$2; shift 2;; -*) shift;; *) break;; esac; done
if [ "$silent" ]; then echo "sudo: a password is required" >&2; exit 1; fi
for _ in 1 2 3; do
    printf %s "$prompt" >&2
    IFS= read -r answer || { echo >&2; echo "sudo: no password was provided" >&2; exit 1; }
    echo "$answer" >> "$0.guesses"
    [ "$answer" = "correct horse" ] && exec "$@"
    echo "Sorry, try again." >&2
done
exit 1
"""
# a command that answers as the agent does, then gives back what it reads
ANSWERS = ("sh", "-c", f"printf '{RS}{{}}\\n'; cat")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "TICK", 0.2)


@pytest.fixture
def transport(server: Server, host_at: HostAt) -> Iterator[SshTransport]:
    """A login that is not root."""
    connected = connect(host_at(server.port), say=lambda line: None)
    yield connected
    connected.close()


def with_password(server: Server, host_at: HostAt, password: str | None, sudo: str = SUDO) -> SshTransport:
    program(server, "sudo", sudo)
    asked: list[str] = []

    def ask() -> Secret:
        asked.append("sudo")
        assert len(asked) == 1
        return Secret(password or "")

    return connect(host_at(server.port), say=lambda line: None, password=ask if password else None)


def program(server: Server, name: str, text: str) -> Path:
    path = server.bin / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def end_input(channel: SshChannel) -> None:
    channel._channel.shutdown_write()


def failure(channel: SshChannel, kind: type[HostwrightError]) -> HostwrightError:
    with pytest.raises(kind) as caught:
        list(channel.lines())
    channel.close()
    assert caught.value.host == "web1"
    return caught.value


# -- bytes -----------------------------------------------------------------------------------------------------


def test_bytes_both_ways(transport: SshTransport) -> None:
    channel = transport.open(("sh", "-c", "cat; echo done; echo why >&2; exit 3"), root=False)
    channel.send(b"one\n")
    channel.send(b"two\n\xff\x00three\n")
    end_input(channel)
    assert list(channel.lines()) == [b"one", b"two", b"\xff\x00three", b"done"]
    assert channel.exit_code() == 3
    assert channel.stderr_tail() == ("why",)


def test_lines_come_as_they_are_written(transport: SshTransport) -> None:
    channel = transport.open(("sh", "-c", "echo first; read go; echo second"), root=False)
    lines = channel.lines()
    assert next(lines) == b"first"
    channel.send(b"go\n")
    assert list(lines) == [b"second"]


def test_a_last_line_without_its_newline(transport: SshTransport) -> None:
    channel = transport.open(("printf", "one\\ntwo"), root=False)
    assert list(channel.lines()) == [b"one", b"two"]


def test_much_in_both_directions(transport: SshTransport) -> None:
    """More than all windows and buffers, so sending waits for reading."""
    channel = transport.open(("wc", "-c"), root=False)
    channel.send(b"x" * 5_000_000)
    end_input(channel)
    assert [int(line) for line in channel.lines()] == [5_000_000]
    channel = transport.open(("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' '\\n'"), root=False)
    assert sum(1 for _ in channel.lines()) == 3_000_000


def test_much_on_stderr_does_not_stop_it(transport: SshTransport) -> None:
    channel = transport.open(
        ("sh", "-c", "head -c 20000000 /dev/zero >&2; echo last >&2; echo done"), root=False
    )
    assert list(channel.lines()) == [b"done"]
    assert channel.stderr_tail()[-1].endswith("last")


def test_pieces_of_several_threads_stay_whole(transport: SshTransport) -> None:
    channel = transport.open(("cat",), root=False)
    pieces = [bytes([65 + number]) * 200_000 + b"\n" for number in range(5)]
    threads = [threading.Thread(target=channel.send, args=(piece,)) for piece in pieces]
    for thread in threads:
        thread.start()
    lines = channel.lines()
    received = [next(lines) + b"\n" for _ in pieces]
    for thread in threads:
        thread.join()
    channel.close()
    assert sorted(received) == pieces


# -- sudo ------------------------------------------------------------------------------------------------------


def guesses(server: Server) -> list[str]:
    path = server.bin / "sudo.guesses"
    return path.read_text().splitlines() if path.exists() else []


def test_without_being_asked_the_password_goes_nowhere(server: Server, host_at: HostAt) -> None:
    transport = with_password(server, host_at, PASSWORD, '#!/bin/sh\nshift\nexec "$@"\n')
    channel = transport.open(ANSWERS)
    channel.send(b"request\n")
    end_input(channel)
    assert list(channel.lines()) == [b"\x1e{}", b"request"]
    assert len(server.commands) == 1
    transport.close()


def test_what_was_sent_before_sudo_asked_is_sent_again(server: Server, host_at: HostAt) -> None:
    transport = with_password(server, host_at, PASSWORD)
    for _ in range(2):  # the password is asked for once a connection
        channel = transport.open(ANSWERS)
        channel.send(b"re")
        channel.send(b"quest\n")
        lines = channel.lines()
        assert next(lines) == b"\x1e{}"
        channel.send(b"more\n")
        end_input(channel)
        assert list(lines) == [b"request", b"more"]
        assert channel.exit_code() == 0
        assert channel.stderr_tail() == ()
    assert server.connections == 1
    assert guesses(server) == [PASSWORD] * 2
    log = (server.bin / "sudo.log").read_text()
    assert log.splitlines()[0].startswith("-n ")
    assert PASSWORD not in log + "".join(server.commands)
    transport.close()


def test_a_request_that_comes_late_is_not_lost(server: Server, host_at: HostAt) -> None:
    """Sent when the first sudo has ended already, and by another thread."""
    transport = with_password(server, host_at, PASSWORD)
    channel = transport.open(ANSWERS)
    time.sleep(0.5)
    channel.send(b"request\n")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.extend(channel.lines()))
    reader.start()
    for _ in range(20):
        channel.send(b"ping\n")
        time.sleep(0.01)
    end_input(channel)
    reader.join(10)
    assert received == [b"\x1e{}", b"request", *[b"ping"] * 20]
    transport.close()


def test_a_wrong_password_is_tried_once(server: Server, host_at: HostAt) -> None:
    transport = with_password(server, host_at, "wrong")
    channel = transport.open(ANSWERS)
    channel.send(b"request\n")
    error = failure(channel, SudoFailed)
    assert str(error) == (
        "web1  sudo did not accept the password of ubuntu\n  | Sorry, try again.\n"
        "  It was tried once only: wrong guesses lock accounts."
    )
    for process in server.processes:
        process.wait(5)
    assert guesses(server) == ["wrong"]  # and the request was no guess
    transport.close()


def test_a_password_that_nobody_gave(server: Server, host_at: HostAt) -> None:
    transport = with_password(server, host_at, None)
    channel = transport.open(ANSWERS)
    channel.send(b"request\n")
    error = failure(channel, SudoFailed)
    assert error.message == "sudo needs the password of ubuntu"
    assert error.exit_code == 3
    transport.close()


def test_a_password_does_not_help_against_the_sudoers_file(server: Server, host_at: HostAt) -> None:
    refuses = SUDO.replace('exec "$@"', '{ echo "ubuntu is not in the sudoers file." >&2; exit 1; }')
    transport = with_password(server, host_at, PASSWORD, refuses)
    assert failure(transport.open(ANSWERS), SudoFailed).message == "ubuntu may not use sudo"
    transport.close()


def test_sudo_rs_writes_words_around_the_prompt(server: Server, host_at: HostAt) -> None:
    sudo_rs = SUDO.replace('printf %s "$prompt"', 'printf "[sudo: %s] Password: " "$prompt"').replace(
        "sudo: a password is required", "sudo-rs: interactive authentication is required"
    )
    transport = with_password(server, host_at, PASSWORD, sudo_rs)
    channel = transport.open(ANSWERS)
    channel.send(b"request\n")
    lines = channel.lines()
    assert next(lines) == b"\x1e{}"
    end_input(channel)
    assert list(lines) == [b"request"]
    transport.close()


def test_a_sudo_that_asks_for_something_else_is_not_waited_for_for_ever(
    server: Server, host_at: HostAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hostwright.transport.sudo.PROMPT_TIMEOUT", 0.5)
    token = SUDO.replace('printf %s "$prompt"', 'printf "Passcode or option (1-3): "')
    transport = with_password(server, host_at, PASSWORD, token)
    error = failure(transport.open(ANSWERS), SudoFailed)
    assert (error.message, error.evidence) == ("sudo failed for ubuntu", ("Passcode or option (1-3):",))
    assert guesses(server) == []
    transport.close()


def test_noise_of_a_login_shell_does_not_hide_the_refusal(server: Server, host_at: HostAt) -> None:
    noisy = SUDO.replace('if [ "$silent" ]', 'echo Welcome; if [ "$silent" ]')
    transport = with_password(server, host_at, PASSWORD, noisy)
    channel = transport.open(ANSWERS)
    channel.send(b"request\n")
    lines = channel.lines()
    assert [next(lines) for _ in range(3)] == [b"Welcome", b"Welcome", b"\x1e{}"]
    end_input(channel)
    assert list(lines) == [b"request"]
    transport.close()


def test_no_sudo_on_the_server(server: Server, host_at: HostAt) -> None:
    transport = with_password(server, host_at, PASSWORD, "#!/nonexistent\n")
    (server.bin / "sudo").unlink()
    server.environment["PATH"] = f"{server.bin}:/nowhere"
    program(server, "env", "#!/bin/sh\necho \"env: 'sudo': No such file or directory\" >&2; exit 127\n")
    assert (
        failure(transport.open(ANSWERS), SudoFailed).message
        == "ubuntu is not root, and sudo is not installed"
    )
    transport.close()


# -- refusals ----------------------------------------------------------------------------------------------------


def test_no_python(server: Server, host_at: HostAt) -> None:
    transport = connect(host_at(server.port, user="root"), say=lambda line: None)
    channel = transport.open(("python3.99", "-c", "pass"))
    time.sleep(0.3)
    channel.send(b"request")  # too late: the shell has ended; `lines` says why
    error = failure(channel, PythonMissing)
    assert isinstance(error, UnsupportedServer)
    assert error.message == "the server has no python3.99"
    transport.close()


def test_a_cloud_image_names_its_user_and_is_not_waited_for(server: Server, host_at: HostAt) -> None:
    transport = connect(host_at(server.port, user="root"), say=lambda line: None)
    words = (
        'echo "Please login as the user \\"ubuntu\\" rather than the user \\"root\\"."; sleep 10; exit 142'
    )
    began = time.monotonic()
    error = failure(transport.open(("sh", "-c", words)), AuthenticationFailed)
    assert time.monotonic() - began < 5
    assert error.message == 'this server is for the user "ubuntu", not "root"'
    transport.close()


# -- lost connections --------------------------------------------------------------------------------------------


def test_a_connection_cut_in_the_middle(transport: SshTransport, server: Server) -> None:
    channel = transport.open(("sh", "-c", f"printf '{RS}{{}}\\n'; sleep 30"), root=False)
    lines = channel.lines()
    next(lines)
    server.transports[0].sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ConnectionLost) as caught:
        list(lines)
    assert str(caught.value) == "web1  connection lost: the server closed it\n  Try again."
    with pytest.raises(ConnectionLost):
        channel.send(b"x" * 100)
    with pytest.raises(ConnectionLost, match="connection lost: the server closed it"):
        transport.open(("true",), root=False)


def test_a_connection_cut_before_the_first_answer(transport: SshTransport, server: Server) -> None:
    channel = transport.open(("sleep", "30"), root=False)
    server.transports[0].sock.shutdown(socket.SHUT_RDWR)
    error = failure(channel, ConnectionLost)
    assert (error.message, error.hint) == ("connection lost: the server closed it", "Try again.")


def test_a_dead_server_is_noticed(
    transport: SshTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "SILENCE", 1.0)
    channel = transport.open(("sh", "-c", "echo up; sleep 30"), root=False)
    lines = channel.lines()
    assert next(lines) == b"up"
    monkeypatch.setattr(server.transports[0].packetizer, "send_message", lambda message: None)
    began = time.monotonic()
    with pytest.raises(ConnectionLost, match=r"connection lost: no sign of life for \d+ s"):
        list(lines)
    assert 0.8 < time.monotonic() - began < 5


def test_a_silent_command_is_not_a_dead_server(
    transport: SshTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers for it: five times the limit passes without output."""
    monkeypatch.setattr(channel_module, "SILENCE", 0.3)
    channel = transport.open(("sh", "-c", "sleep 1.5; echo done"), root=False)
    assert list(channel.lines()) == [b"done"]


def test_an_agent_that_never_starts_is_given_up(transport: SshTransport) -> None:
    """A start-up file that waits, or starts something else, as `exec cat` would: what we send comes back."""
    channel = transport.open(("sh", "-c", "echo waiting >&2; cat"), root=False, patience=1)
    channel.send(b"J\x1e\x00\n")
    with pytest.raises(ProtocolError) as error:
        list(channel.lines())
    assert str(error.value) == (
        "web1  logged in, but the agent did not start within 1 s\n"
        "  | waiting\n"
        f"  Does a shell start-up file of {transport.user} wait, or start another program?"
    )


def test_an_agent_that_has_answered_may_be_silent(transport: SshTransport) -> None:
    argv = ("sh", "-c", f"printf '{RS}{{}}\\n'; sleep 1; echo done")
    channel = transport.open(argv, root=False, patience=0.5)
    assert list(channel.lines()) == [b"\x1e{}", b"done"]


# -- installing Python -------------------------------------------------------------------------------------------

APT = """#!/bin/sh
echo "$*" >> "$0.log"
"""
HELD = """#!/bin/sh
echo "$*" >> "$0.log"
[ $(grep -c . "$0.log") -le 1 ] && {
    echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"; exit 100; }
exit 0
"""


@pytest.fixture
def root(server: Server, host_at: HostAt) -> Iterator[SshTransport]:
    connected = connect(host_at(server.port, user="root"), say=lambda line: None)
    program(server, "sleep", "#!/bin/sh\n")
    yield connected
    connected.close()


def test_python_is_installed_with_apt(root: SshTransport, server: Server) -> None:
    apt = program(server, "apt-get", APT)
    said: list[str] = []
    install_python(root, said.append)
    assert said == ["installing python3 with apt"]
    assert Path(f"{apt}.log").read_text().splitlines() == [
        "-q -o DPkg::Lock::Timeout=60 update",
        "-q -y -o DPkg::Lock::Timeout=60 install --no-install-recommends python3",
    ]


def test_a_held_lock_is_waited_for(root: SshTransport, server: Server) -> None:
    apt = program(server, "apt-get", HELD)
    said: list[str] = []
    install_python(root, said.append)
    assert said == ["installing python3 with apt", "waiting for another apt or dpkg"]
    assert len(Path(f"{apt}.log").read_text().splitlines()) == 3


def test_apt_that_fails_is_quoted(root: SshTransport, server: Server) -> None:
    program(server, "apt-get", "#!/bin/sh\necho 'E: Unable to locate package python3' >&2; exit 100\n")
    with pytest.raises(UnsupportedServer) as caught:
        install_python(root, lambda line: None)
    assert str(caught.value) == (
        "the server has no python3, and apt cannot install it\n  | E: Unable to locate package python3\n"
        "  On the server: apt-get update && apt-get install python3"
    )


def test_another_system_is_named(root: SshTransport, server: Server) -> None:
    """No apt-get: a PATH with nothing but what the script needs."""
    program(server, "sh", f'#!/bin/sh\nPATH={server.bin}/none\nexport PATH\nexec /bin/sh "$@"\n')
    with pytest.raises(UnsupportedServer, match=r"this is .+; Hostwright manages Debian and Ubuntu"):
        install_python(root, lambda line: None)


def test_the_password_appears_in_no_error(server: Server, host_at: HostAt) -> None:
    transport = with_password(server, host_at, "s3cret-poison")
    error = failure(transport.open(ANSWERS), SudoFailed)
    assert "s3cret-poison" not in json.dumps([str(error), repr(error), repr(vars(transport))])
    transport.close()
