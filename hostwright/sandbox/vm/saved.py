"""A VM's running state on disk: others begin where it was, in seconds, each on a layer of its own.

The state holds the memory, so it fits only the very disk, qemu, accelerator and devices it was saved with; all
of these are kept with it and compared, and what does not fit is refused.
"""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SandboxError
from .accel import qemu_version
from .qmp import Monitor, monitor
from .seed import INTERFACE

if TYPE_CHECKING:
    from .machine import VirtualMachine

NOTE, STATE = "saved.json", "state"
LIMIT = 300.0  # seconds, for writing or reading a gigabyte on a busy machine
FAST = 8 << 30  # bytes per second: qemu would be considerate of a network
QUIET = "sync; echo 3 >/proc/sys/vm/drop_caches; sync"  # caches would be a part of what is saved
# Another address, on the running system and for its next boots; and the time, which stood still meanwhile.
MOVE = f"""\
date --set "@$1" >/dev/null
ip link set {INTERFACE} down
ip link set {INTERFACE} address "$2"
sed -i "s|^Address=.*/|Address=$3/|" /etc/systemd/network/10-host0.network
networkctl reload
ip link set {INTERFACE} up
for _ in $(seq 600); do
  ip -4 -o addr show dev {INTERFACE} | grep -q " $3/" && ip -4 route show default | grep -q . && exit
  sleep 0.05
done
networkctl status --no-pager {INTERFACE} >&2
exit 1
"""


def is_saved(folder: Path) -> bool:
    """Whether the VM in `folder` is saved."""
    return (folder / NOTE).exists()


def save(vm: VirtualMachine) -> None:
    """Writes the state of a running VM and ends it.

    Raises:
        SandboxError: it does not run, or qemu cannot save it; it then goes on.
    """
    done = vm.execute(("sh", "-ec", QUIET), LIMIT)
    if done.returncode:
        raise SandboxError("cannot be brought to rest", host=vm.name, evidence=(done.stderr.strip(),))
    state = vm.folder / STATE
    with monitor(vm.monitor) as qemu:
        qemu.ask("stop")
        try:
            qemu.ask("migrate-set-parameters", **{"max-bandwidth": FAST})
            qemu.ask("migrate", uri=f"exec:cat >{shlex.quote(str(state))}")
            _wait(qemu)
        except BaseException:
            qemu.ask("cont")
            raise
        qemu.ask("quit")
    if not vm.cgroup.wait_empty(LIMIT):
        raise SandboxError("does not end", host=vm.name)
    state.chmod(0o600)
    aside = vm.folder / f".{NOTE}"
    aside.write_text(json.dumps(_facts(vm.folder, vm.argv())))
    aside.replace(vm.folder / NOTE)


def check(folder: Path, argv: tuple[str, ...]) -> None:
    """That a VM which would run as `argv` can go on from what is saved in `folder`.

    Raises:
        SandboxError: nothing is saved there, or it does not fit any more; says what differs.
    """
    name = folder.parent.name
    if not is_saved(folder):
        raise SandboxError("is not saved", host=name, hint=f"./run sandbox.save {name}")
    kept = json.loads((folder / NOTE).read_text())
    now = _facts(folder, argv)
    differ = [fact for fact in now if kept.get(fact) != now[fact]]
    if differ:
        raise SandboxError(
            f"was saved with another {', another '.join(differ)}",
            host=name,
            evidence=[f"{fact}: {kept.get(fact)}, now {now[fact]}" for fact in differ],
            hint=f"Make it again: ./run sandbox.down {name}",
        )


def source(folder: Path) -> str:
    """What qemu takes for -incoming."""
    return f"exec:cat {shlex.quote(str(folder / STATE))}"


def go_on(vm: VirtualMachine) -> None:
    """Lets a VM that was started with `source` run, with the time of this machine and an address of its own.

    Raises:
        SandboxError: qemu cannot read the state, or the system does not take the address.
    """
    with monitor(vm.monitor) as qemu:
        deadline = time.monotonic() + LIMIT
        while qemu.ask("query-status")["status"] == "inmigrate":
            if time.monotonic() > deadline:
                raise SandboxError(f"is not restored in {LIMIT:g} s", host=vm.name)
            time.sleep(0.02)
        qemu.ask("cont")  # it comes back as it was saved: standing still
    move = ("sh", "-ec", MOVE, "sh", f"{time.time():.3f}", vm.card.mac, vm.card.address)
    done = vm.execute(move, LIMIT)
    if done.returncode:
        raise SandboxError("does not take its address", host=vm.name, evidence=done.stderr.splitlines()[-12:])


def known_hosts(folder: Path, address: str) -> str:
    """known_hosts lines of the VM saved in `folder`, for another address."""
    lines = (folder.parent / "known_hosts").read_text().splitlines()
    return "".join(f"{address} {line.partition(' ')[2]}\n" for line in lines)


def _facts(folder: Path, argv: tuple[str, ...]) -> dict[str, object]:
    """What must be the same for a state to fit."""
    disk = (folder / "disk.qcow2").stat()
    return {"disk": [disk.st_size, disk.st_mtime_ns], "qemu": qemu_version(), "hardware": _hardware(argv)}


def _hardware(argv: tuple[str, ...]) -> list[str]:
    """The part of qemu's arguments that is not of one server alone: no names, files, cables, addresses."""
    taken = ("-machine", "-accel", "-cpu", "-m", "-smp", "-device", "-kernel")
    named = (place for place, word in enumerate(argv) if word in taken)
    return [f"{argv[place]} {argv[place + 1].partition(',mac=')[0]}" for place in named]


def _wait(qemu: Monitor) -> None:
    """Until the state is written."""
    deadline = time.monotonic() + LIMIT
    while True:
        state = qemu.ask("query-migrate")
        if state.get("status") == "completed":
            return
        if state.get("status") in ("failed", "cancelled") or time.monotonic() > deadline:
            why = (state.get("error-desc", state.get("status", "")),)
            raise SandboxError("its state cannot be saved", evidence=why)
        time.sleep(0.05)
