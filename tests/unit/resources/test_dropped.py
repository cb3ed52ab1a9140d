"""What leaves the catalog: it goes, whatever read it hears of it, and what stays is said once."""

from __future__ import annotations

from typing import Any

from hostwright.remote import events
from hostwright.remote.resources.packages import Packages
from hostwright.remote.resources.swap import Swap, unit_name
from hostwright.remote.resources.sysctl import Sysctl
from hostwright.remote.resources.tightened import Tightened
from hostwright.testing import FakeSystem

from .test_loop import converge, site, system

SWAP = "/var/lib/hostwright/swap"
UNIT = "/etc/systemd/system/var-lib-hostwright-swap.swap"
HEAD = "Filename Type Size Used Priority\n"
RULES = "/etc/sysctl.d/90-hostwright.conf"
INSTALLED = "Package: {0}\nStatus: install ok installed\nArchitecture: amd64\n\n"


def noticed(heard: list[events.Event]) -> list[str]:
    return [event.message for event in heard if isinstance(event, events.Noticed)]


def test_a_file_that_goes_is_reloaded_for_as_one_that_changes() -> None:
    server = system()
    converge(server, site("site"))
    server.ran.clear()

    heard = converge(server, apply=False)
    assert server.exists("/etc/site")
    assert [(e.name, e.would) for e in heard if isinstance(e, events.HandlerRan)] == [("reload web", True)]
    assert server.ran == []

    converge(server)
    assert not server.exists("/etc/site")
    assert server.ran == [("check",), ("reload",)]
    server.ran.clear()
    assert converge(server)[-1].changed == 0  # type: ignore[attr-defined]
    assert server.ran == []


def test_packages_stay_and_are_named_once() -> None:
    status = INSTALLED.format("fail2ban") + INSTALLED.format("nginx")
    server = FakeSystem({"/var/lib/dpkg/status": status})
    converge(server, Packages(name="base", packages=["nginx", "fail2ban"]))
    left = ["no longer asked for, and left installed: fail2ban (sudo apt-get purge NAME removes one)"]
    assert noticed(converge(server, Packages(name="base", packages=["nginx"]))) == left
    assert noticed(converge(server, Packages(name="base", packages=["nginx"]))) == []


def test_settings_of_the_kernel_stay_until_the_next_boot() -> None:
    server = FakeSystem({RULES: "vm.swappiness = 10\n", "/proc/sys/vm/swappiness": "10\n"})
    converge(server, Sysctl(name=RULES))
    assert noticed(converge(server)) == ["the kernel's settings stay as they are until the next boot"]
    assert noticed(converge(server)) == []


def with_swap(used: int, available: int) -> FakeSystem:
    """A server whose swap file is in use; sizes in kB."""
    enabled = f"/etc/systemd/system/swap.target.wants/{unit_name(SWAP)}"
    files: dict[str, Any] = {
        "/proc/meminfo": f"MemTotal: 1000000 kB\nMemAvailable: {available} kB\n",
        "/proc/swaps": f"{HEAD}{SWAP} file 524288 {used} -2\n",
        "/proc/self/mounts": "/dev/vda1 / ext4 rw 0 0\n",
        SWAP: {"content": "swap", "mode": 0o600},
        UNIT: "",
        enabled: {"link": UNIT},
    }
    unit = unit_name(SWAP)
    commands = {
        "systemctl daemon-reload": "",
        f"systemctl enable -- {unit}": "",
        f"systemctl disable -- {unit}": {"removed": [enabled]},
        f"systemctl stop -- {unit}": {"files": {"/proc/swaps": HEAD}},
    }
    server = FakeSystem(files, commands=commands)
    converge(server, Swap(name=SWAP))
    server.ran.clear()
    return server


def test_swap_that_fits_into_memory_goes() -> None:
    server = with_swap(used=1000, available=500_000)
    assert noticed(converge(server)) == []
    assert not server.exists(SWAP)
    assert not server.exists(UNIT)
    assert server.ran == [
        ("systemctl", "disable", "--", unit_name(SWAP)),
        ("systemctl", "stop", "--", unit_name(SWAP)),
        ("systemctl", "daemon-reload"),
    ]


def test_swap_that_does_not_fit_into_memory_goes_at_the_next_boot() -> None:
    server = with_swap(used=450_000, available=500_000)
    assert noticed(converge(server)) == [
        "the swap file holds 439 MB, and only 488 MB of memory are free; it is not used after the next boot, then "
        "remove /var/lib/hostwright/swap"
    ]
    assert server.exists(SWAP)
    assert not server.exists(UNIT)


def test_what_was_tightened_is_as_it_was() -> None:
    login = "# a\nUMASK 022\nUSERGROUPS_ENAB yes\n"
    server = FakeSystem(
        {
            "/etc/cron.d": {"mode": 0o755},
            "/etc/crontab": {"content": "x", "mode": 0o644},
            "/etc/login.defs": login,
        }
    )
    wanted = Tightened(
        name="host",
        modes={"/etc/cron.d": 0o700, "/etc/crontab": 0o600},
        settings={"/etc/login.defs": {"UMASK": "027", "SHA_CRYPT_MIN_ROUNDS": "65536"}},
    )
    converge(server, wanted)
    assert server.nodes["/etc/crontab"]["mode"] == 0o600
    assert b"UMASK\t027\n" in server.nodes["/etc/login.defs"]["content"]
    converge(server)
    assert server.nodes["/etc/cron.d"]["mode"] == 0o755
    assert server.nodes["/etc/crontab"]["mode"] == 0o644
    assert server.nodes["/etc/login.defs"]["content"].decode() == login
    assert not server.exists("/var/lib/hostwright/tightened.json")
