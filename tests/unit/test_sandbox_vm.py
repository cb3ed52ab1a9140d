"""How a VM is made, spoken to and saved, without one."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hostwright.errors import SandboxError, SandboxUnavailable
from hostwright.sandbox import Sandbox, preflight
from hostwright.sandbox.base import Recipe
from hostwright.sandbox.cgroup import Cgroup
from hostwright.sandbox.preflight import Machine, ensure, packages
from hostwright.sandbox.registry import Checkout
from hostwright.sandbox.store import Place, Record
from hostwright.sandbox.surroundings import Surroundings
from hostwright.sandbox.vm import accel, image, saved
from hostwright.sandbox.vm.agent import Agent, Silent
from hostwright.sandbox.vm.image import Image
from hostwright.sandbox.vm.machine import Card, VirtualMachine
from hostwright.sandbox.vm.qmp import monitor
from hostwright.sandbox.vm.seed import aligned, cpio, tar

CHECKOUT = Checkout("/one", "abc123", 1)
WITHOUT = "Throw-away containers work here: the same command without --vm"


@pytest.fixture
def vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualMachine:
    """A VM in a folder, never started."""
    monkeypatch.setattr("hostwright.sandbox.vm.machine.acceleration", lambda _: accel.SOFTWARE)
    monkeypatch.setattr("hostwright.sandbox.vm.saved.qemu_version", lambda: "QEMU 7")
    folder = tmp_path / "web1/vm"
    folder.mkdir(parents=True)
    (folder / "disk.qcow2").write_text("")
    cgroup = Cgroup(tmp_path / "cgroup")
    return VirtualMachine("web1", folder, tmp_path / "image", Card(CHECKOUT, 7), cgroup, tmp_path / "console")


# -- what there must be --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (Machine(processor="aarch64"), "throw-away VMs need an x86_64 processor, and this is aarch64"),
        (Machine(tun=False), "throw-away VMs need /dev/net/tun for their network, and it is not here"),
    ],
)
def test_what_keeps_a_machine_from_vms_alone(
    machine: Machine, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "survey", lambda **_: machine)
    ensure(print)
    with pytest.raises(SandboxUnavailable) as caught:
        ensure(print, vm=True)
    assert str(caught.value) == f"{message}\n  {WITHOUT}"


def test_qemu_is_looked_for_only_when_a_vm_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None if "qemu" in name else f"/usr/bin/{name}")
    assert preflight.survey().missing == ()
    missing = preflight.survey(vm=True).missing
    assert packages(missing) == ["qemu-system-x86", "qemu-utils"]


def test_a_vm_has_one_size_of_disk(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"^the size of a VM's disk cannot be chosen$"):
        Sandbox(tmp_path).up("web1", vm=True, disk_mib=512)


# -- image and seed ------------------------------------------------------------------------------------------


def test_an_image_is_kept_under_all_that_goes_into_it() -> None:
    recipe = Recipe("bookworm", "debian", (), Surroundings())
    name = image.key("vm-bookworm", recipe)
    assert name == image.key("vm-bookworm", recipe)
    assert name.startswith("vm-bookworm-")
    assert not name.startswith("bookworm")  # bases are removed by their suite
    other = Recipe("bookworm", "debian", (), Surroundings(certificates=(("a.crt", "x"),)))
    more = Recipe("bookworm", "debian", (), Surroundings(), ("systemd",))
    assert len({name, image.key("vm-bookworm", other), image.key("vm-bookworm", more)}) == 3


def test_an_image_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recipe, "build", lambda _, tree: (tree / "boot").mkdir(parents=True))
    aside = tmp_path / "aside"
    with pytest.raises(SandboxError, match=r"the kernel package of bookworm left no vmlinuz-\* in /boot"):
        image._build(aside, Recipe("bookworm", "debian", (), Surroundings()))
    assert not aside.exists()


def test_cpio_is_as_the_kernel_reads_it() -> None:
    archive = cpio({"dir/file": (0o755, b"12345")})
    assert len(archive) % 4 == 0
    assert archive[:14] == b"07070100000001"
    assert int(archive[14:22], 16) == 0o100755
    assert int(archive[54:62], 16) == 5
    assert archive[110:119] == b"dir/file\0"
    assert archive[120:128] == b"12345\0\0\0"
    assert b"TRAILER!!!\0" in archive[128:]
    assert [len(aligned(b"x" * size)) for size in (0, 1, 4, 5)] == [0, 4, 4, 8]


def test_folders_that_every_system_has_keep_their_modes(tmp_path: Path) -> None:
    for folder in ("etc/ssh", "root/.ssh", "home/ubuntu"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/ssh/key").write_text("private")
    (tmp_path / "root/.ssh/authorized_keys").write_text("public")
    with tarfile.open(fileobj=io.BytesIO(tar(tmp_path))) as archive:
        assert archive.getnames() == ["etc/ssh/key", "root/.ssh", "root/.ssh/authorized_keys"]


# -- acceleration --------------------------------------------------------------------------------------------


def test_kvm_is_used_where_a_kernel_boots_with_it_and_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    def boots(kernel: Image, accelerator: tuple[str, ...], seconds: float) -> bool:
        assert accelerator == accel.KVM
        tried.append(seconds)
        return kernel.folder.name == "good"

    monkeypatch.setattr(accel, "boots", boots)
    monkeypatch.setattr(accel, "qemu_version", lambda: "QEMU 7")
    device = tmp_path / "kvm"
    assert accel.acceleration(Image(tmp_path), device) == accel.SOFTWARE
    assert tried == []
    device.touch()
    for name, chosen in (("good", accel.KVM), ("bad", accel.SOFTWARE)):
        folder = tmp_path / name
        folder.mkdir()
        for _ in range(2):
            assert accel.acceleration(Image(folder), device) == chosen
    assert len(tried) == 2
    monkeypatch.setattr(accel, "qemu_version", lambda: "QEMU 9")
    accel.acceleration(Image(tmp_path / "bad"), device)
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("script", "found"),
    [("echo Kernel command line: x >{}; sleep 60", True), ("exit 1", False), ("sleep 60", False)],
)
def test_a_kernel_that_says_nothing_does_not_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: bool
) -> None:
    pretend = tmp_path / "qemu"
    pretend.write_text("#!/bin/sh\nfor word; do console=${word#file:}; done\n" + script.format("$console"))
    pretend.chmod(0o755)
    monkeypatch.setattr(accel, "QEMU", str(pretend))
    assert accel.boots(Image(tmp_path), accel.KVM, 2) is found


# -- the machine ---------------------------------------------------------------------------------------------


def test_its_cable_and_its_addresses() -> None:
    card = Card(CHECKOUT, 250)
    assert (card.interface, card.address, card.mac) == ("vb-abc123-250", "10.213.2.250", "52:54:ab:c1:23:fa")
    assert len(card.interface) <= 15


def test_qemu_gets_a_disk_that_loses_what_was_not_flushed(vm: VirtualMachine) -> None:
    argv = " ".join(vm.argv())
    assert "cache=writeback" in argv
    assert "unsafe" not in argv
    assert f"-initrd {vm.image.initrd} " in argv
    (vm.folder / "initrd.img").touch()
    assert f"-initrd {vm.folder}/initrd.img " in " ".join(vm.argv())


def test_a_vm_that_is_down_runs_nothing(vm: VirtualMachine) -> None:
    with pytest.raises(SandboxError, match=r"^web1  is not running\n  ./run sandbox.start$"):
        vm.execute(("true",), 1)


def test_a_container_s_record_is_as_it_was_and_a_vm_s_comes_back(tmp_path: Path) -> None:
    place = Place(CHECKOUT, tmp_path)
    place.write_record(Record("web1", "bookworm", 7, "bookworm-1"))
    text = (tmp_path / "server.json").read_text()
    assert json.loads(text) == {"name": "web1", "suite": "bookworm", "octet": 7, "base": "bookworm-1"}
    record = Record("web1", "bookworm", 7, "vm-bookworm-1", ephemeral=True, vm=True, like="other")
    place.write_record(record)
    assert place.record() == record


# -- saved ---------------------------------------------------------------------------------------------------


def test_what_was_saved_must_fit(vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match=r"^web1  is not saved\n  ./run sandbox.save web1$"):
        saved.check(vm.folder, vm.argv())
    (vm.folder / saved.NOTE).write_text(json.dumps(saved._facts(vm.folder, vm.argv())))
    saved.check(vm.folder, vm.argv())
    twin = VirtualMachine("web2", vm.folder, vm.image_folder, Card(CHECKOUT, 8), vm.cgroup, vm.console)
    saved.check(vm.folder, twin.argv())
    with pytest.raises(SandboxError, match="web1  is saved, so that others begin like it; it stays down"):
        vm.start()
    with monkeypatch.context() as patch:
        patch.setattr("hostwright.sandbox.vm.saved.qemu_version", lambda: "QEMU 9")
        patch.setattr("hostwright.sandbox.vm.machine.MEMORY_MIB", 2048)
        with pytest.raises(
            SandboxError, match="web1  was saved with another qemu, another hardware\n"
        ) as caught:
            saved.check(vm.folder, vm.argv())
        assert "qemu: QEMU 7, now QEMU 9" in str(caught.value)
        assert "./run sandbox.down web1" in str(caught.value)
    os.utime(vm.folder / "disk.qcow2", (1, 1))
    with pytest.raises(SandboxError, match="web1  was saved with another disk"):
        saved.check(vm.folder, vm.argv())


def test_the_host_keys_of_a_twin_have_its_address(vm: VirtualMachine) -> None:
    (vm.folder.parent / "known_hosts").write_text("10.213.2.7 ssh-ed25519 AAAA\n10.213.2.7 ssh-rsa BBBB\n")
    assert (
        saved.known_hosts(vm.folder, "10.213.2.8") == "10.213.2.8 ssh-ed25519 AAAA\n10.213.2.8 ssh-rsa BBBB\n"
    )


# -- sockets -------------------------------------------------------------------------------------------------

Answer = Callable[[dict[str, Any]], bytes]


@contextmanager
def listening(path: Path, answer: Answer, greeting: bytes = b"") -> Iterator[None]:
    """A server that answers each line of JSON."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                stream.write(greeting)
                stream.flush()
                for line in stream:
                    said = answer(json.loads(line.lstrip(b"\xff")))
                    if not said:
                        break
                    stream.write(said)
                    stream.flush()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def returned(value: Any) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def synced(answer: Callable[[dict[str, Any]], bytes]) -> Answer:
    """As a guest agent that still had something to say to somebody else."""

    def reply(asked: dict[str, Any]) -> bytes:
        if asked["execute"] == "guest-sync-delimited":
            return returned({"pid": 99}) + b"\xff" + returned(asked["arguments"]["id"])
        return answer(asked)

    return reply


def test_the_monitor_leaves_events_out(tmp_path: Path) -> None:
    def answer(asked: dict[str, Any]) -> bytes:
        if asked["execute"] == "migrate":
            return b'{"error": {"class": "GenericError", "desc": "no such uri"}}\n'
        return b'{"event": "STOP"}\n' + returned({"status": "paused"})

    path = tmp_path / "qmp.sock"
    with listening(path, answer, b'{"QMP": {}}\n'), monitor(path) as qemu:
        assert qemu.ask("query-status") == {"status": "paused"}
        with pytest.raises(SandboxError, match=r"^qemu refuses migrate\n  \| no such uri$"):
            qemu.ask("migrate", uri="x")


def test_a_qemu_that_ends_is_said(tmp_path: Path) -> None:
    path = tmp_path / "qmp.sock"
    with listening(path, lambda asked: returned({}) if "qmp" in asked["execute"] else b"", b"{}\n"):
        with monitor(path) as qemu, pytest.raises(SandboxError, match=r"^qemu ended$"):
            qemu.ask("stop")


def test_the_agent_runs_a_command(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    polls = iter([{"exited": False}, {"exited": True, "exitcode": 7, "out-data": "b3V0", "err-data": "ZXJy"}])

    def answer(asked: dict[str, Any]) -> bytes:
        seen.append(asked.get("arguments", {}))
        return returned({"pid": 5} if asked["execute"] == "guest-exec" else next(polls))

    path = tmp_path / "agent.sock"
    with listening(path, synced(answer)):
        done = Agent(path).run(("a", "b c"), 9, "in", {"HOME": "/root"})
    assert (done.args, done.returncode, done.stdout, done.stderr) == (["a", "b c"], 7, "out", "err")
    assert seen[0]["arg"] == ["--signal=KILL", "9", "a", "b c"]
    assert seen[0]["env"] == ["HOME=/root"]
    assert base64.b64decode(seen[0]["input-data"]) == b"in"
    assert seen[1:] == [{"pid": 5}, {"pid": 5}]


@pytest.mark.parametrize("state", [{"signal": 9}, {"exitcode": 137}])
def test_the_agent_says_that_a_command_took_too_long(tmp_path: Path, state: dict[str, int]) -> None:
    def answer(asked: dict[str, Any]) -> bytes:
        return returned({"pid": 5} if asked["execute"] == "guest-exec" else {"exited": True, **state})

    path = tmp_path / "agent.sock"
    with listening(path, synced(answer)):
        with pytest.raises(subprocess.TimeoutExpired):
            Agent(path).run(("a",), 0.0, None, {})
        assert Agent(path).run(("a",), 60, None, {}).returncode in (-signal.SIGKILL, 137)


def test_a_command_that_goes_down_with_the_system_was_killed(tmp_path: Path) -> None:
    def answer(asked: dict[str, Any]) -> bytes:
        if asked["execute"] == "guest-exec":
            return returned({"pid": 5})
        return b'{"error": {"desc": "PID 5 does not exist"}}\n'

    path = tmp_path / "agent.sock"
    with listening(path, synced(answer)):
        for timeout in (60, 0.0):  # however long the system was away
            assert Agent(path).run(("reboot",), timeout, None, {}).returncode == -signal.SIGKILL


def test_an_agent_that_is_not_there_is_silent(
    tmp_path: Path, vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.sock"
    with listening(path, lambda _: b""), pytest.raises(Silent):
        Agent(path).ask("guest-ping", seconds=1)
    monkeypatch.setattr(VirtualMachine, "running", lambda _: True)
    vm.console.write_text("Booting ...\n")
    with pytest.raises(SandboxError, match=r"web1  its guest agent does not answer\n  \| Booting \.\.\."):
        vm.execute(("true",), 1)
