"""What is open when a release leaves: WebSockets and long requests have until `drain` is over."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator

import pytest

from hostwright.sandbox import Sandbox, Server

from .load import Load
from .project import Project, sh, until

APP = """\
import asyncio, os


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": os.environ["HOSTWRIGHT_RELEASE"]})
    if scope["type"] == "http":
        if scope["path"] == "/slow":
            await asyncio.sleep(4)
        body = os.environ["HOSTWRIGHT_RELEASE"].encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})
"""
INVENTORY = """\
project: talk
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  talk: {{module: "served:app", health: {{window: 0.2, timeout: 8}}, drain: {drain}, workers: 2, switch: {switch}}}
hosts:
  web1: {{address: {address}}}
"""
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Talk:
    """An open WebSocket; RFC 6455, as much of it as is needed."""

    def __init__(self, server: Server) -> None:
        self._link = socket.create_connection((server.address, 80), 20)
        self._link.sendall(UPGRADE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._link.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def ask(self) -> str:
        """Which release is at the other end; "closed CODE" when it said goodbye, "cut" when it did not."""
        try:
            self._link.sendall(b"\x81\x81\0\0\0\0x")
            kind, length = self._link.recv(2)
            text = self._link.recv(length)
        except (OSError, ValueError):
            return "cut"
        return text.decode() if kind == 0x81 else f"closed {int.from_bytes(text[:2], 'big')}"

    def close(self) -> None:
        self._link.close()


@pytest.fixture(scope="module")
def server(sandbox: Sandbox) -> Iterator[Server]:
    name = f"drain-{os.getpid()}"
    yield sandbox.up(name, ephemeral=True, say=print)[0]
    sandbox.down(name)


@pytest.fixture(scope="module")
def talk(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("talk"), server, name="talk", app="talk")
    shutil.rmtree(project.folder / "app")
    (project.folder / "served.py").write_text(APP)
    (project.folder / "requirements.txt").write_text("websockets\n")
    settings(project, 600)
    project.inv("provision")
    project.inv("deploy")
    return project


def settings(talk: Project, drain: float, switch: str = "overlap") -> None:
    server = talk.server
    inventory = INVENTORY.format(
        identity=server.identity_file, address=server.address, drain=drain, switch=switch
    )
    (talk.folder / "inventory.yaml").write_text(inventory)
    talk.commit("settings")


def deploy(talk: Project, code: int | None = 0) -> str:
    with (talk.folder / "served.py").open("a") as file:
        file.write("#\n")
    talk.commit("another")
    return talk.inv("deploy", code=code).out


def live(talk: Project) -> str:
    status, body = talk.curl("/")
    assert status == 200
    return body


def instances(talk: Project, sandbox: Sandbox, state: str = "active") -> list[str]:
    units = f"systemctl list-units --plain --no-legend --state={state} 'talk@*.service'"
    return [line.split("@")[1].split(".")[0] for line in sh(sandbox, talk.server, units).splitlines()]


def test_a_websocket_outlives_deploy_and_rollback(talk: Project, sandbox: Sandbox) -> None:
    first = live(talk)
    with Load(talk.server.address) as load:
        old = Talk(talk.server)
        said = deploy(talk)
        assert "may take 600 s more" in said
        second = live(talk)
        assert second != first
        assert old.ask() == first, "the deploy is done, and the old release still talks"
        new = Talk(talk.server)
        talk.inv("provision")
        assert old.ask() == first, "another run leaves it alone"
        # back to a release that still runs: nothing has to be started
        assert f"{first}, which still runs" in talk.inv("rollback").out
        assert live(talk) == first
        assert (old.ask(), new.ask()) == (first, second)
        new.close()
        until(lambda: second not in instances(talk, sandbox), 15, "the last connection of the second is gone")
        assert old.ask() == first
        old.close()
    assert load.failures == []
    assert instances(talk, sandbox) == [first]


def test_at_the_deadline_it_ends_with_a_goodbye(talk: Project, sandbox: Sandbox) -> None:
    settings(talk, 4)
    deploy(talk)
    old, first = Talk(talk.server), live(talk)
    deploy(talk)
    began = time.monotonic()
    assert old.ask() == first
    until(lambda: old.ask() != first, 20, "the end of `drain`")
    assert 2 < time.monotonic() - began < 12
    old.close()
    until(lambda: instances(talk, sandbox) == [live(talk)], 30, "only the new one is left")
    assert sh(sandbox, talk.server, "systemctl list-units --plain --no-legend 'hostwright-drain-*'") == ""


def test_only_so_many_old_instances(talk: Project, sandbox: Sandbox) -> None:
    settings(talk, 600)
    deploy(talk)
    open_ = []
    for _ in range(4):
        open_.append((live(talk), Talk(talk.server)))
        said = deploy(talk)
    assert f"ended {open_[0][0]}, which still answered" in said
    # it was told to end, and says goodbye first
    until(lambda: open_[0][1].ask() != open_[0][0], 20, "the oldest has ended")
    assert [link.ask() for _, link in open_[1:]] == [release for release, _ in open_[1:]]
    for _, link in open_:
        link.close()
    until(lambda: instances(talk, sandbox) == [live(talk)], 30, "all have ended")


def test_switch_restart(talk: Project, sandbox: Sandbox) -> None:
    """One instance at a time; a release that is no good brings the old one back."""
    settings(talk, 5, "restart")
    said = deploy(talk)
    assert "without a release" in said
    before = live(talk)
    assert instances(talk, sandbox) == [before]
    good = (talk.folder / "served.py").read_text()
    (talk.folder / "served.py").write_text("import nothing_like_it\n")
    said = deploy(talk, code=6)
    assert f"{before} was started again" in said
    assert "No module named 'nothing_like_it'" in said
    until(lambda: talk.curl("/")[0] == 200, 10, "the old one answers again")
    assert live(talk) == before
    (talk.folder / "served.py").write_text(good)
    talk.commit("good again")


def test_an_instance_that_somebody_stopped_is_started_by_the_next_run(
    talk: Project, sandbox: Sandbox
) -> None:
    settings(talk, 5)
    sh(sandbox, talk.server, f"systemctl stop talk@{live(talk)}.socket talk@{live(talk)}.service")
    assert talk.curl("/")[0] == 502
    said = deploy(talk)
    assert "which is live and did not run" in said
    assert instances(talk, sandbox) == [live(talk)]


def test_who_goes_first_when_memory_ends(talk: Project, sandbox: Sandbox) -> None:
    """A starting instance; not one that has the traffic."""
    deploy(talk)
    unit = f"talk@{live(talk)}.service"
    script = (
        f"cd /sys/fs/cgroup$(systemctl show -p ControlGroup --value {unit}); "
        "for pid in $(cat cgroup.procs); do cat /proc/$pid/oom_score_adj; done"
    )
    assert set(sh(sandbox, talk.server, script).split()) == {"0"}
    assert sh(sandbox, talk.server, f"systemctl show -p CPUWeight --value {unit}") in ("[not set]", "100")
