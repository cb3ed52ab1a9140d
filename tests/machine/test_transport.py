"""SSH against real servers: sshd, sudo and PAM of each release, and networks that fail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from hostwright.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostKeyMismatch,
    HostUnreachable,
    ProtocolError,
    SudoFailed,
    TransportError,
)
from hostwright.inventory import Host, Secret
from hostwright.sandbox import Sandbox, Server, delayed_path
from hostwright.transport import channel as channel_module
from hostwright.transport import tcp as tcp_module
from hostwright.transport.base import PythonMissing
from hostwright.transport.channel import SshChannel
from hostwright.transport.hostkeys import HostKey
from hostwright.transport.python import install_python
from hostwright.transport.ssh import SshTransport, connect

from .conftest import REPOSITORY, SUITES

PASSWORD = "right horse"
# what the agent is to the transport: it answers with RS first, then reads its request
AGENT = (
    "python3",
    "-I",
    "-S",
    "-c",
    "import os; os.write(1, b'\\x1e{}\\n'); os.write(1, os.read(0, 99)); os.write(1, b' %d' % os.getuid())",
)
USERS = f"""
set -e
for user in asked barred image expired; do
    useradd --create-home --shell /bin/bash $user
    echo "$user:{PASSWORD}" | chpasswd
    mkdir -m 700 /home/$user/.ssh
    cp /home/ubuntu/.ssh/authorized_keys /home/$user/.ssh/
    chown -R $user: /home/$user/.ssh
done
useradd --create-home --shell /usr/sbin/nologin closed
cp -a /home/barred/.ssh /home/closed/ && chown -R closed: /home/closed/.ssh
echo 'asked ALL=(ALL) ALL' > /etc/sudoers.d/asked
chage -d 0 expired
"""
# what cloud-init writes for root (disable_root)
OTHER_USER = (
    r"""command="echo 'Please login as the user \"ubuntu\" rather than the user \"root\".';"""
    r"""echo;sleep 10;exit 142" """
)
ports = count(2200)
Sshd = Callable[..., int]


@pytest.fixture(scope="module", params=SUITES)
def server(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Server]:
    """A server with users of all kinds; one for all tests of a release."""
    name = f"transport-{request.param}-{os.getpid()}"
    (made,) = sandbox.up(name, suite=request.param, ephemeral=True, say=print)
    done = sandbox.exec(name, ("sh", "-c", USERS))
    assert done.returncode == 0, done.stderr
    path = "/home/image/.ssh/authorized_keys"
    key = sandbox.exec(name, ("cat", path)).stdout
    sandbox.exec(name, ("tee", path), input=OTHER_USER + key)
    yield made
    sandbox.down(name)


def listens(address: str, port: int) -> None:
    """Waits until somebody listens there: sshd goes into the background before it does."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection((address, port), 1):
                return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens at {address}:{port}"
            time.sleep(0.02)


@pytest.fixture
def sshd(sandbox: Sandbox, server: Server) -> Sshd:
    """`sshd("PermitRootLogin=no")` starts another sshd beside the server's own and returns its port."""

    def start(*options: str) -> int:
        port = next(ports)
        chosen = [word for option in options for word in ("-o", option)]
        done = sandbox.exec(server.name, ("/usr/sbin/sshd", "-p", str(port), *chosen))
        assert done.returncode == 0, done.stderr
        listens(server.address, port)
        return port

    return start


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def log_in(server: Server, known: Path) -> Iterator[Callable[..., SshTransport]]:
    """`log_in(user="root", port=22, password=None, ...)`; logs out after the test."""
    opened: list[SshTransport] = []

    def enter(**settings: object) -> SshTransport:
        password = settings.pop("password", None)
        values = {
            "name": "web1",
            "address": server.address,
            "user": "ubuntu",
            "apps": (),
            "connect_timeout": 5,
        }
        values["identity_file"] = server.identity_file
        opened.append(
            connect(
                Host(**{**values, **settings}),
                say=lambda line: None,
                known_hosts=known,
                password=(lambda: Secret(str(password))) if password else None,
            )
        )
        return opened[-1]

    yield enter
    for transport in opened:
        transport.close()


LogIn = Callable[..., SshTransport]


def spoken(transport: SshTransport) -> str:
    """What the agent answers to a request."""
    with closing(transport.open(AGENT)) as channel:
        channel.send(b"request")
        *lines, last = channel.lines()
        assert lines == [b"\x1e{}"]
        assert channel.exit_code() == 0
        return last.decode()


def refusal(kind: type[TransportError], log_in: LogIn, **settings: object) -> TransportError:
    """The error of a login, or of the first command after it."""
    with pytest.raises(kind) as caught:
        spoken(log_in(**settings))
    assert type(caught.value) is kind
    assert caught.value.host == "web1"
    return caught.value


# -- becoming root ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["ubuntu", "root"])
def test_a_command_runs_as_root(user: str, log_in: LogIn) -> None:
    transport = log_in(user=user)
    assert transport._link.session is not None, "the fast way does not work with this sshd"
    assert spoken(transport) == "request 0"
    assert spoken(transport) == "request 0"  # a second session of the same connection


def test_a_command_runs_as_the_user(log_in: LogIn) -> None:
    with closing(log_in().open(("id", "-un"), root=False)) as channel:
        assert list(channel.lines()) == [b"ubuntu"]


def test_sudo_with_a_password(log_in: LogIn) -> None:
    assert spoken(log_in(user="asked", password=PASSWORD)) == "request 0"


def test_a_password_that_sudo_does_not_want_is_not_used(log_in: LogIn) -> None:
    assert spoken(log_in(user="ubuntu", password="never sent")) == "request 0"


def test_sudo_with_a_wrong_password(log_in: LogIn, sandbox: Sandbox, server: Server) -> None:
    began = time.monotonic()
    error = refusal(SudoFailed, log_in, user="asked", password="wrong")
    assert error.message == "sudo did not accept the password of asked"
    assert time.monotonic() - began < 5
    time.sleep(3)  # PAM waits 2 s before it writes this down
    logged = sandbox.exec(server.name, ("journalctl", "-b", "--no-pager", "-o", "cat")).stdout
    assert "2 incorrect password attempts" not in logged
    assert "3 incorrect password attempts" not in logged
    assert "wrong" not in logged


def test_sudo_without_the_password_it_wants(log_in: LogIn) -> None:
    error = refusal(SudoFailed, log_in, user="asked")
    assert error.message == "sudo needs the password of asked"
    assert error.evidence == ("sudo: a password is required",)


def test_a_user_without_sudo_rights(log_in: LogIn) -> None:
    error = refusal(SudoFailed, log_in, user="barred", password=PASSWORD)
    assert error.message == "barred may not use sudo"


@pytest.mark.skipif("trixie" not in SUITES, reason="its package is in Debian 13 only")
def test_sudo_rs(sandbox: Sandbox, server: Server, log_in: LogIn) -> None:
    if server.suite != "trixie":
        pytest.skip("its package is in Debian 13 only")
    install = "apt-get -q update && apt-get -q -y install sudo-rs && ln -s /usr/lib/cargo/bin/sudo /usr/local/bin/sudo"
    done = sandbox.exec(
        server.name, ("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", install), timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        assert spoken(log_in()) == "request 0"
        assert spoken(log_in(user="asked", password=PASSWORD)) == "request 0"
        wrong = refusal(SudoFailed, log_in, user="asked", password="wrong")
        assert wrong.message == "sudo did not accept the password of asked"
        needs = refusal(SudoFailed, log_in, user="asked")
        assert (needs.message, needs.evidence) == (
            "sudo needs the password of asked",
            ("sudo-rs: interactive authentication is required",),
        )
        barred = refusal(SudoFailed, log_in, user="barred", password=PASSWORD)
        assert barred.message == "barred may not use sudo"
        with closing(log_in().open(("python3.99",))) as channel, pytest.raises(PythonMissing):
            list(channel.lines())
    finally:
        sandbox.exec(server.name, ("rm", "/usr/local/bin/sudo"))


# -- logging in --------------------------------------------------------------------------------------------------


def make_key(path: Path) -> Path:
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)), check=True)
    return path


def test_a_wrong_key(log_in: LogIn, sshd: Sshd, server: Server, tmp_path: Path) -> None:
    port = sshd()
    error = refusal(AuthenticationFailed, log_in, port=port, identity_file=make_key(tmp_path / "other"))
    listed = subprocess.run(
        ("ssh-keygen", "-l", "-f", str(tmp_path / "other")), capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert error.message == f"ubuntu@{server.address}:{port} accepts none of our keys"
    assert error.evidence == (f"tried {tmp_path}/other  {listed}",)


def test_the_second_key_is_right(
    log_in: LogIn, sshd: Sshd, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sshd lets the session asked for too early pass, and takes the next key over the same connection."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    make_key(tmp_path / ".ssh" / "id_ed25519")
    right = tmp_path / ".ssh" / "id_rsa"  # the name says nothing about the kind
    right.write_bytes(server.identity_file.read_bytes())
    right.chmod(0o600)
    transport = log_in(port=sshd(), identity_file=None)
    assert spoken(transport) == "request 0"
    assert transport._link.session is None


def test_root_may_not_log_in(log_in: LogIn, sshd: Sshd) -> None:
    error = refusal(AuthenticationFailed, log_in, user="root", port=sshd("PermitRootLogin=no"))
    assert error.hint
    assert "Many servers let nobody log in as root" in error.hint


def test_a_server_that_takes_no_keys(log_in: LogIn, sshd: Sshd, server: Server) -> None:
    port = sshd("PubkeyAuthentication=no", "PasswordAuthentication=yes")
    error = refusal(AuthenticationFailed, log_in, port=port)
    assert error.message == f"ubuntu@{server.address}:{port} does not take keys at all, only password"


def test_a_second_factor(log_in: LogIn, sshd: Sshd, server: Server) -> None:
    port = sshd("AuthenticationMethods=publickey,password", "PasswordAuthentication=yes")
    error = refusal(AuthenticationFailed, log_in, port=port)
    assert error.message == f"ubuntu@{server.address}:{port} accepts the key, but wants more: password"


def test_too_many_keys(
    log_in: LogIn, sshd: Sshd, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    for name in ("id_ed25519", "id_ecdsa", "id_rsa"):
        make_key(tmp_path / ".ssh" / name)
    port = sshd("MaxAuthTries=2")
    error = refusal(AuthenticationFailed, log_in, port=port, identity_file=None)
    assert error.message == f"ubuntu@{server.address}:{port} stopped listening after 2 keys"
    assert error.hint == "Name the right one: identity_file in the inventory."


def test_no_sessions(log_in: LogIn, sshd: Sshd) -> None:
    error = refusal(ProtocolError, log_in, port=sshd("MaxSessions=0"))
    assert "opens no session" in error.message


def test_a_cloud_image_that_names_its_user(log_in: LogIn) -> None:
    began = time.monotonic()
    error = refusal(AuthenticationFailed, log_in, user="image")
    assert error.message == 'this server is for the user "ubuntu", not "root"'
    assert time.monotonic() - began < 5


def test_an_expired_password(log_in: LogIn) -> None:
    error = refusal(AuthenticationFailed, log_in, user="expired")
    assert error.message == "the password of expired has expired, and the server wants a new one first"


def test_a_user_without_a_shell(log_in: LogIn) -> None:
    """nologin says so on stdout, so the command's reader sees the words; there is no refusal of sudo to blame."""
    with closing(log_in(user="closed").open(AGENT)) as channel:
        assert list(channel.lines()) == [b"This account is currently not available."]
        assert channel.exit_code() == 1


def test_another_port(log_in: LogIn, sshd: Sshd, server: Server, known: Path) -> None:
    port = sshd()
    transport = log_in(port=port)
    assert transport.label == f"ubuntu@{server.address}:{port}"
    assert spoken(transport) == "request 0"
    assert known.read_text().startswith(f"[{server.address}]:{port} ssh-ed25519 ")


def test_nobody_listens(log_in: LogIn, server: Server) -> None:
    error = refusal(HostUnreachable, log_in, port=1)
    assert error.message == f"{server.address}:1 refuses the connection: no SSH server listens there"


def test_nobody_lives_there(log_in: LogIn, server: Server) -> None:
    nobody = f"{server.address.rpartition('.')[0]}.250"
    began = time.monotonic()
    error = refusal(HostUnreachable, log_in, address=nobody, connect_timeout=1)
    assert error.message == f"{nobody}:22 does not answer: timed out after 1 s"
    assert time.monotonic() - began < 3
    error = refusal(HostUnreachable, log_in, address=nobody, connect_timeout=20)
    assert error.message == f"{nobody}:22 cannot be reached: no route to host"


# -- host keys ---------------------------------------------------------------------------------------------------


def fingerprints(server: Server) -> dict[str, str]:
    """By type, as ssh-keygen computes them."""
    listed = subprocess.run(
        ("ssh-keygen", "-l", "-f", str(server.known_hosts)), capture_output=True, text=True, check=True
    ).stdout
    return {line.split()[-1]: line.split()[1] for line in listed.splitlines()}


def test_every_host_key_can_be_pinned(log_in: LogIn, server: Server, known: Path) -> None:
    found = fingerprints(server)
    assert len(found) >= 2
    for fingerprint in found.values():
        assert spoken(log_in(host_key=fingerprint)) == "request 0"
    assert not known.exists()
    error = refusal(HostKeyMismatch, log_in, host_key="SHA256:" + "A" * 43)
    assert "Pinned: SHA256:AAAA" in error.message


def test_any_recorded_host_key_is_recognised(log_in: LogIn, server: Server, known: Path) -> None:
    for line in server.known_hosts.read_text().splitlines():
        known.write_text(line + "\n")
        assert spoken(log_in()) == "request 0"
        assert known.read_text() == line + "\n"


def test_a_changed_host_key(
    log_in: LogIn, sandbox: Sandbox, server: Server, sshd: Sshd, known: Path, tmp_path: Path
) -> None:
    """A new key, as after a reinstallation; ssh refuses the same."""
    sandbox.exec(
        server.name, ("sh", "-c", "rm -f /run/newkey*; ssh-keygen -q -t ed25519 -N '' -f /run/newkey")
    )
    old, new = sshd(), sshd("HostKey=/run/newkey")
    log_in(port=old)
    known.write_text(known.read_text().replace(f":{old}", f":{new}"))
    error = refusal(HostKeyMismatch, log_in, port=new)
    blob = sandbox.exec(server.name, ("cat", "/run/newkey.pub")).stdout.split()[1]
    now = HostKey("", b64decode(blob)).fingerprint
    assert f"Known: {fingerprints(server)['(ED25519)']} (since 20" in error.message
    assert f"Now: {now}." in error.message
    assert error.hint
    command = error.hint.splitlines()[-1].strip()
    assert command == f"ssh-keygen -f {known} -R '[{server.address}]:{new}'"
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert spoken(log_in(port=new)) == "request 0"


# -- jump hosts, agents ------------------------------------------------------------------------------------------


def test_through_a_jump_host(
    log_in: LogIn, sandbox: Sandbox, server: Server, known: Path, sshd: Sshd
) -> None:
    name = f"jump-{os.getpid()}"
    (jump,) = sandbox.up(name, ephemeral=True, say=print)
    try:
        transport = log_in(jump=f"root@{jump.address}")
        assert spoken(transport) == "request 0"
        assert len(known.read_text().splitlines()) == 2
        with closing(transport.open(("sh", "-c", "echo $SSH_CONNECTION"), root=False)) as channel:
            assert next(channel.lines()).split()[0] == jump.address.encode()
        sandbox.exec(name, ("/usr/sbin/sshd", "-p", "2222", "-o", "AllowTcpForwarding=no"))
        listens(jump.address, 2222)
        error = refusal(HostUnreachable, log_in, jump=f"root@{jump.address}:2222")
        assert error.message == (
            f"the jump host {jump.address}:2222 does not let us through to {server.address}:22"
        )
        error = refusal(HostUnreachable, log_in, jump=f"root@{jump.address}", port=1)
        assert error.message.startswith(f"the jump host {jump.address}:22 cannot reach {server.address}:1")
    finally:
        sandbox.down(name)


def test_the_agent_is_forwarded_through_sudo(
    log_in: LogIn, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = tmp_path / "agent"
    key = make_key(tmp_path / "mine")
    fingerprint = subprocess.run(
        ("ssh-keygen", "-l", "-f", str(key)), capture_output=True, text=True, check=True
    ).stdout.split()[1]
    with subprocess.Popen(("ssh-agent", "-D", "-a", str(agent)), stdout=subprocess.DEVNULL) as process:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        try:
            while not agent.exists():
                time.sleep(0.01)
            subprocess.run(("ssh-add", "-q", str(key)), check=True, capture_output=True)
            for user, password in (("ubuntu", None), ("root", None), ("asked", PASSWORD)):
                transport = log_in(user=user, password=password)
                for _ in range(2):
                    with closing(transport.open(("ssh-add", "-l"), forward_agent=True)) as channel:
                        assert fingerprint.encode() in b"".join(channel.lines()), channel.stderr_tail()
                if user != "root":  # sshd gives it to every later session of the connection; sudo drops it
                    with closing(transport.open(("sh", "-c", "echo [$SSH_AUTH_SOCK]"))) as channel:
                        assert list(channel.lines()) == [b"[]"]
        finally:
            process.terminate()


# -- failing networks --------------------------------------------------------------------------------------------


def send_for_ever(channel: SshChannel) -> None:
    while True:
        channel.send(b"ping")
        time.sleep(0.1)


def test_a_server_that_loses_its_power(
    sandbox: Sandbox, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "TICK", 1.0)
    monkeypatch.setattr(channel_module, "SILENCE", 5.0)
    monkeypatch.setattr(tcp_module, "UNACKNOWLEDGED_MS", 10_000)
    name = f"crash-{os.getpid()}"
    (doomed,) = sandbox.up(name, ephemeral=True, say=print)
    try:
        host = Host(
            name="web1", address=doomed.address, user="ubuntu", apps=(), identity_file=doomed.identity_file
        )
        with closing(connect(host, say=lambda line: None, known_hosts=known)) as transport:
            channel = transport.open(("sh", "-c", "printf '\\036{}\\n'; sleep 60"))
            lines = channel.lines()
            next(lines)
            # a killed process's socket still says goodbye; a machine without power does not
            unplugged = sandbox.exec(name, ("ip", "link", "set", "host0", "down"))
            assert unplugged.returncode == 0, unplugged.stderr
            sandbox.crash(name)
            began = time.monotonic()
            with pytest.raises(ConnectionLost, match="connection lost: no sign of life for"):
                list(lines)
            assert time.monotonic() - began < 10
            with pytest.raises(ConnectionLost):
                send_for_ever(channel)
    finally:
        sandbox.down(name)


def test_no_python_then_python(sandbox: Sandbox) -> None:
    """As on the smallest images; a user who has to give a password installs it."""
    name = f"bare-{os.getpid()}"
    (bare,) = sandbox.up(name, ephemeral=True, say=print)
    try:
        assert sandbox.exec(name, ("sh", "-c", USERS)).returncode == 0
        purge = "dpkg --purge --force-depends $(dpkg-query -W -f '${Package}\\n' 'python3*' 'libpython3*')"
        assert sandbox.exec(name, ("sh", "-c", purge)).returncode == 0
        settings = {"name": "web1", "address": bare.address, "apps": (), "identity_file": bare.identity_file}
        for user in ("root", "ubuntu", "asked"):
            host = Host(**settings, user=user)
            transport = connect(
                host, say=print, known_hosts=bare.known_hosts, password=lambda: Secret(PASSWORD)
            )
            with closing(transport), closing(transport.open(AGENT)) as channel:
                channel.send(b"request")
                with pytest.raises(PythonMissing, match="the server has no python3"):
                    list(channel.lines())
        said: list[str] = []
        with closing(
            connect(host, say=print, known_hosts=bare.known_hosts, password=lambda: Secret(PASSWORD))
        ) as transport:
            install_python(transport, said.append)
            assert said == ["installing python3 with apt"]
            assert spoken(transport) == "request 0"
            install_python(transport, said.append)  # nothing to do, and no harm
    finally:
        sandbox.down(name)


# -- round trips -------------------------------------------------------------------------------------------------

TIMING = """
    import sys, time
    from pathlib import Path
    from statistics import median
    from hostwright.inventory import Host
    from hostwright.transport.ssh import connect

    address, key, known = sys.argv[1:]
    host = Host(name="web1", address=address, user="ubuntu", apps=(), identity_file=Path(key), connect_timeout=20)

    def once():
        began = time.perf_counter()
        transport = connect(host, say=lambda line: None, known_hosts=Path(known))
        channel = transport.open(("true",), root=False)
        assert list(channel.lines()) == [] and channel.exit_code() == 0
        seconds = time.perf_counter() - began
        transport.close()
        return seconds

    once()  # imports
    print(median(once() for _ in range(5)))
"""


@pytest.mark.alone
def test_logging_in_takes_few_round_trips(server: Server) -> None:
    """paramiko as it comes takes 10, OpenSSH 12."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    script = (
        "-c",
        textwrap.dedent(TIMING),
        server.address,
        str(server.identity_file),
        str(server.known_hosts),
    )
    seconds = {}
    with delayed_path(server.address, 0) as path:
        for rtt in (0, 100):
            path.set_rtt(rtt)
            done = subprocess.run(
                (*path.prefix, sys.executable, *script),
                capture_output=True,
                text=True,
                timeout=120,
                env=environment,
                check=True,
            )
            seconds[rtt] = float(done.stdout)
    trips = (seconds[100] - seconds[0]) / 0.1
    print(f"{server.suite}: {trips:.2f} round trips, {seconds[0] * 1000:.0f} ms without distance")
    assert trips <= 7.5
