"""Who listens for sshd, and how it takes another port: a service, a socket, with and without its generator."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote.resources.base import Change, Context, Failed
from hostwright.remote.resources.sshd import Sshd
from hostwright.remote.ssh import activation, config, known
from hostwright.remote.ssh.leave import leave
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

GENERATOR = activation.GENERATORS[0]
ACTIVE = {"ActiveState": "active"}


def tcp(*ports: int) -> str:
    rows = [f" {n}: 00000000:{port:04X} 00000000:0000 0A 0 0 0 0 0 {n}\n" for n, port in enumerate(ports)]
    return "head\n" + "".join(rows)


@pytest.mark.parametrize(
    ("units", "files", "kind"),
    [
        ({"ssh.service": ACTIVE, "ssh.socket": {}}, {}, "service"),  # Debian
        ({"ssh.service": ACTIVE, "ssh.socket": None}, {}, "service"),
        ({"ssh.service": ACTIVE, "ssh.socket": {}}, {GENERATOR: ""}, "service"),  # Ubuntu, set back by hand
        ({"ssh.service": {}, "ssh.socket": ACTIVE}, {}, "socket"),  # Ubuntu 22.10, 23.04; Debian by hand
        ({"ssh.service": ACTIVE, "ssh.socket": ACTIVE}, {}, "socket"),  # somebody is logged in
        ({"ssh.service": {}, "ssh.socket": ACTIVE}, {GENERATOR: ""}, "generator"),  # Ubuntu 24.04
        ({"ssh.service": ACTIVE, "ssh.socket": ACTIVE}, {activation.GENERATORS[1]: ""}, "generator"),
        ({"ssh.service": {"ActiveState": "failed"}, "ssh.socket": {}}, {}, "none"),
        ({"ssh.service": None, "ssh.socket": None}, {}, "none"),
    ],
)
def test_who_listens(units: dict[str, Any], files: dict[str, str], kind: str) -> None:
    system = FakeSystem(files, units=dict(units))
    for name, unit in units.items():
        if unit is None:
            system.units[name] = {**FakeSystem.UNIT, "Id": name, "LoadState": "not-found"}
    assert activation.kind(system) == kind


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("[Socket]\nListenStream=22\n", [22]),
        ("ListenStream=22\nListenStream=\nListenStream=0.0.0.0:2222\nListenStream=[::]:2222\n", [2222]),
        ("ListenStream=/run/x\n", []),
        ("", []),
    ],
)
def test_ports_of_a_socket(text: str, ports: list[int]) -> None:
    assert activation.socket_ports(text) == ports


def test_a_sockets_drop_in() -> None:
    system = FakeSystem({"/proc/net/if_inet6": ""})
    text = activation.socket_text(system, [22, 2222])
    assert activation.socket_ports("ListenStream=9\n" + text) == [22, 2222]
    assert "ListenStream=[::]:2222" in text
    assert "[::]" not in activation.socket_text(FakeSystem(), [22])


RELOAD = [("systemctl", "reload", "--", "ssh.service")]
RESTART = [("systemctl", "daemon-reload"), ("systemctl", "restart", "--", "ssh.socket")]
STOPPED = [RESTART[0], ("systemctl", "stop", "--", "ssh.service"), RESTART[1]]


@pytest.mark.parametrize(
    ("units", "files", "ran"),
    [
        ({"ssh.service": ACTIVE, "ssh.socket": {}}, {}, RELOAD),
        ({"ssh.service": {}, "ssh.socket": ACTIVE}, {}, RESTART),
        ({"ssh.service": ACTIVE, "ssh.socket": ACTIVE}, {}, STOPPED),
        ({"ssh.service": ACTIVE, "ssh.socket": ACTIVE}, {GENERATOR: ""}, STOPPED),
        ({"ssh.service": {}, "ssh.socket": {}}, {}, []),
    ],
)
def test_put_into_use(units: dict[str, Any], files: dict[str, str], ran: list[tuple[str, ...]]) -> None:
    system = FakeSystem(files, units=units, commands={"systemctl ...": ""})
    activation.put_into_use(system)
    assert system.ran == ran


@pytest.mark.parametrize(
    ("now", "ran"),
    [
        ("failed", [*RELOAD, ("systemctl", "start", "--", "ssh.service")]),
        ("active", RELOAD),  # it says no, and goes on as it was
    ],
)
def test_a_reload_that_fails(now: str, ran: list[tuple[str, ...]]) -> None:
    fails = {"exit": 1, "units": {"ssh.service": {"ActiveState": now}}}
    commands = {"systemctl reload ...": fails, "systemctl start ...": ""}
    system = FakeSystem(units={"ssh.service": ACTIVE, "ssh.socket": {}}, commands=commands)
    with nullcontext() if now == "failed" else pytest.raises(CommandFailed):
        activation.put_into_use(system)
    assert system.ran == ran


def test_a_reload_that_succeeds_and_ends_it_just_after() -> None:
    listens = " 0: 00000000:0016 00000000:0000 0A 0 0 0 0 0 1000\n"
    system = FakeSystem(
        {"/proc/net/tcp": "head\n" + listens, "/proc/4/fd/3": {"link": "socket:[1000]"}},
        units={"ssh.service": {**ACTIVE, "MainPID": "4"}, "ssh.socket": {}},
        commands={"systemctl reload ...": "", "systemctl start ...": ""},
    )

    def sleep(seconds: float) -> None:
        type(system).sleep(system, seconds)
        system.put("/proc/net/tcp", "head\n")
        system.units["ssh.service"].update(ActiveState="failed", MainPID="0")

    system.sleep = sleep  # type: ignore[method-assign]
    activation.put_into_use(system)
    assert system.ran == [*RELOAD, ("systemctl", "start", "--", "ssh.service")]


@pytest.mark.parametrize("acts", [True, False])
def test_no_login_is_tried_as_long_as_the_old_sshd_accepts(acts: bool) -> None:
    """It would prove the old settings: a reload is only a signal."""
    row = " {0}: 00000000:{1:04X} 00000000:0000 0A 0 0 0 0 0 {2}\n"
    before = "head\n" + row.format(0, 22, 1000) + row.format(1, 80, 7)
    after = "head\n" + row.format(0, 22, 1001) + row.format(1, 80, 7)
    system = FakeSystem(
        {
            "/proc/net/tcp": before,
            "/proc/4/fd/3": {"link": "socket:[1000]"},
            "/proc/4/fd/4": {"link": "socket:[2]"},
        },
        units={"ssh.service": {**ACTIVE, "MainPID": "4"}, "ssh.socket": {}},
        commands={"systemctl reload ...": ""},
    )
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        type(system).sleep(system, seconds)
        if acts and len(slept) == 3:
            system.put("/proc/net/tcp", after)
            system.put("/proc/4/fd/3", {"link": "socket:[1001]"})

    system.sleep = sleep  # type: ignore[method-assign]
    if acts:
        activation.put_into_use(system)
        assert len(slept) == 3
    else:
        with pytest.raises(Failed, match="sshd has not acted on its new settings within 8 s"):
            activation.put_into_use(system)


def server(units: dict[str, Any], *, listening: list[int], files: dict[str, str] | None = None) -> FakeSystem:
    """One where sshd opens what it is told."""
    names = [f"{known.SSH} -Q {query}" for query in known.QUERIES]
    opens = {"files": {"/proc/net/tcp": tcp(22, 2222)}}
    commands: dict[str, Any] = {
        f"{known.SSH} -V": {"err": "OpenSSH_9.2p1"},
        **dict.fromkeys(names, ""),
        f"{known.SSHD} -T": "port 22\n",
        f"{known.SSHD} -t ...": "",
        "systemctl reload ...": opens,
        "systemctl restart ...": opens,
        "systemctl daemon-reload": "",
        "systemctl stop ...": "",
        "systemctl cat ...": "[Socket]\nListenStream=22\n",
        "journalctl ...": "error: Bind to port 2222 on 0.0.0.0 failed: Permission denied.\n",
    }
    return FakeSystem(
        {
            known.SSHD: "",
            known.SSH: "",
            config.MAIN: "Include /etc/ssh/sshd_config.d/*.conf\n",
            "/home/ubuntu/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n",
            "/proc/net/tcp": tcp(*listening),
            **(files or {}),
        },
        users={"ubuntu": (1000, 1000, "/home/ubuntu", "/bin/bash")},
        units=units,
        commands=commands,
    )


SSHD = {"name": config.DROP_IN, "template": "Port @ports@\n", "user": "ubuntu"}


@pytest.mark.parametrize(
    ("units", "files", "both", "socket"),
    [
        ({"ssh.service": ACTIVE, "ssh.socket": {}}, {}, "Port 2222\nPort 22\n", None),
        ({"ssh.service": {}, "ssh.socket": ACTIVE}, {}, "Port 2222\nPort 22\n", [22, 2222]),
        ({"ssh.service": {}, "ssh.socket": ACTIVE}, {GENERATOR: ""}, "Port 2222\nPort 22\n", None),
    ],
)
def test_a_port_moves_and_the_old_one_stays_until_a_login_is_proven(
    units: dict[str, Any], files: dict[str, str], both: str, socket: list[int] | None
) -> None:
    system = server(units, listening=[22], files=files)
    resource = Sshd(**SSHD, port=2222)  # type: ignore[arg-type]
    notes = Context(print, {})
    resource.apply(system, [Change("ports", ["22"], ["2222"])], notes)
    text = lambda path: (system.read(path) or b"").decode()  # noqa: E731
    assert text(config.DROP_IN) == both
    assert notes.note == "port 22 stays open until a new login works"
    if socket is None:
        assert system.read(activation.SOCKET_DROP_IN) is None
    else:
        assert activation.socket_ports(text(activation.SOCKET_DROP_IN)) == socket
    assert resource.desired(system)["ports"] == resource.read(system)["ports"] == ["22", "2222"]
    assert resource.proven(system)
    assert text(config.DROP_IN) == "Port 2222\n"
    assert not resource.proven(system)


def test_ports_of_others_go_when_the_new_one_is_proven() -> None:
    own = "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n"
    system = server({"ssh.service": ACTIVE, "ssh.socket": {}}, listening=[22], files={config.MAIN: own})
    resource = Sshd(**SSHD, port=2222)  # type: ignore[arg-type]
    resource.apply(system, [], Context(print, {}))
    assert system.read(config.MAIN) == own.encode()
    resource.proven(system)
    assert system.read(config.MAIN) == b"Include /etc/ssh/sshd_config.d/*.conf\n#hostwright# Port 22\n"


def test_a_port_that_does_not_open() -> None:
    system = server({"ssh.service": ACTIVE, "ssh.socket": {}}, listening=[22])
    system.commands["systemctl reload ..."] = ""
    resource = Sshd(**SSHD, port=2222)  # type: ignore[arg-type]
    with pytest.raises(Failed) as caught:
        resource.apply(system, [], Context(print, {}))
    assert caught.value.message == "sshd does not listen at port 2222"
    assert caught.value.tail == ("error: Bind to port 2222 on 0.0.0.0 failed: Permission denied.",)


def test_without_a_port_in_the_inventory_ports_are_left_alone() -> None:
    system = server({"ssh.service": ACTIVE, "ssh.socket": {}}, listening=[2200])
    resource = Sshd(**SSHD)  # type: ignore[arg-type]
    assert "ports" not in resource.desired(system)
    resource.apply(system, [], Context(print, {}))
    assert (system.read(config.DROP_IN) or b"").strip() == b""


@pytest.mark.parametrize("by_fingerprint", [False, True])
def test_a_pinned_host_key_stays(by_fingerprint: bool) -> None:
    from hostwright.remote.resources.sshd import fingerprint

    blob = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY="
    system = server({"ssh.service": ACTIVE, "ssh.socket": {}}, listening=[22])
    system.put("/etc/ssh/ssh_host_ecdsa_key.pub", f"ecdsa-sha2-nistp256 {blob} x\n")
    system.put("/etc/ssh/ssh_host_dsa_key.pub", "ssh-dss AAAA x\n")
    fields = {**SSHD, "template": "HostKey @host_keys@\n"}
    pin = fingerprint(blob) if by_fingerprint else f"ecdsa-sha2-nistp256 {blob}"
    Sshd(**fields, pinned=pin).apply(system, [], Context(print, {}))  # type: ignore[arg-type]
    assert system.read(config.DROP_IN) == b"HostKey /etc/ssh/ssh_host_ecdsa_key\n"


def test_sshd_as_it_was_before_us() -> None:
    """`hardening: {ssh: false}` where it was on: what was set aside has its say again."""
    own = "Port 22\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n"
    system = server({"ssh.service": ACTIVE, "ssh.socket": {}}, listening=[22], files={config.MAIN: own})
    resource = Sshd(**SSHD, port=2222)  # type: ignore[arg-type]
    resource.apply(system, [], Context(print, {}))
    resource.proven(system)
    assert system.read(config.MAIN) != own.encode()
    leave(system, config.DROP_IN)
    assert system.read(config.MAIN) == own.encode()
    assert not system.exists(config.DROP_IN)
    assert system.ran[-1] == ("systemctl", "reload", "--", "ssh.service")


def test_a_port_that_is_only_how_we_reach_it_is_left_alone(tmp_path: Path) -> None:
    """Behind a router, 2222 may lead to 22; only `bootstrap_port` says that sshd moves."""
    from hostwright.inventory import load
    from hostwright.recipes.firewall import firewall
    from hostwright.recipes.render import renderer
    from hostwright.recipes.sshd import sshd

    def wanted(keys: str) -> tuple[int, list[str]]:
        path = tmp_path / "inventory.yaml"
        path.write_text(f"hosts: {{a: {{address: 192.0.2.1, {keys}}}}}\n")
        inventory = load(path, {})
        (found,) = sshd(inventory, inventory.hosts["a"], renderer(tmp_path))
        (wall,) = firewall(inventory, inventory.hosts["a"])
        return found.port, [wall.ssh, *(rule for rule in wall.allow if rule == "22/tcp")]  # type: ignore[attr-defined]

    assert wanted("user: ubuntu") == (0, ["22/tcp"])
    assert wanted("port: 2222") == (0, ["2222/tcp", "22/tcp"])
    assert wanted("port: 2222, bootstrap_port: 22") == (2222, ["2222/tcp"])
