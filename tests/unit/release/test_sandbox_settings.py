"""The sandbox of an app: what its units say, and what that comes to when systemd reads them one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from hostwright.inventory import App
from hostwright.inventory.sandbox import DIRECTIVES
from hostwright.recipes.sandbox import LISTS, OFF, SANDBOX, release_sandbox, sandbox, template_sandbox

from .test_rendered import RELEASED, message

EVERYTHING = {
    "network": False,
    "jit": True,
    "writable": ["/data", "/mnt/a.b/c"],
    "devices": ["/dev/ttyUSB0"],
    "relax": ["RestrictNamespaces", "CapabilityBoundingSet", "SystemCallFilter", "UMask", "DevicePolicy"],
}
SWITCHES = [
    {},
    {"network": False},
    {"jit": True},
    {"writable": ["/data"]},
    {"devices": ["/dev/ttyUSB0", "/dev/gpiochip0"]},
    {"relax": list(DIRECTIVES)},
    EVERYTHING,
]


def app(**settings: object) -> App:
    return App.model_validate_json(json.dumps({"name": "hello", "module": "a:b", "sandbox": settings}))


def effective(lines: Iterable[str]) -> dict[str, object]:
    """What systemd makes of lines of a [Service] section in this order: systemd.exec(5), systemd.unit(5)."""
    found: dict[str, object] = {}
    for line in lines:
        name, _, value = line.partition("=")
        if name in (*LISTS, "ReadWritePaths", "DeviceAllow", "LoadCredential", "StateDirectory"):
            before = found.get(name, ())
            assert isinstance(before, tuple)
            found[name] = (*before, value) if value else ()
        else:
            found[name] = value
    off = {name: OFF.get(name, "no") or () for name in SANDBOX}
    off.update(AmbientCapabilities="", SystemCallErrorNumber="", PrivateNetwork="no")
    return {
        name: sorted(set(value)) if isinstance(value, tuple) else value
        for name, value in {**off, "DeviceAllow": (), **found}.items()
    }


def test_the_names_in_the_inventory_are_those_of_the_sandbox() -> None:
    assert sorted(SANDBOX) == sorted(DIRECTIVES)
    assert set(OFF) <= set(SANDBOX)
    assert set(LISTS) == {name for name, values in SANDBOX.items() if len(values) > 1} | set(LISTS)


@pytest.mark.parametrize("settings", SWITCHES, ids=str)
def test_a_releases_settings_beat_those_of_its_template(settings: dict[str, object]) -> None:
    """The web server's sandbox is put together from two files, those of processes and commands are in one."""
    it = app(**settings)
    assert effective([*template_sandbox(it), *release_sandbox(it)]) == effective(sandbox(it))


@pytest.mark.parametrize("settings", SWITCHES, ids=str)
def test_the_template_does_not_depend_on_the_inventory(settings: dict[str, object]) -> None:
    """It is provision's: what an app may do changes with a release, and goes back with a rollback."""
    assert template_sandbox(app(**settings)) == template_sandbox(app())


def test_the_switches() -> None:
    lines = sandbox(app(**EVERYTHING))
    names = {line.partition("=")[0] for line in lines}
    assert {
        "PrivateNetwork=yes", "ReadWritePaths=/data", "ReadWritePaths=/mnt/a.b/c", "DeviceAllow=/dev/ttyUSB0 rw",
    } <= set(lines)  # fmt: skip
    assert not names & {"MemoryDenyWriteExecute", "PrivateDevices", "RestrictNamespaces", "SystemCallFilter"}
    assert {"ProtectSystem=strict", "NoNewPrivileges=yes"} <= set(lines)
    # what is relaxed is switched off where the template has it
    off = release_sandbox(app(**EVERYTHING))
    assert {"RestrictNamespaces=no", "CapabilityBoundingSet=~", "SystemCallFilter=", "UMask=0022"} <= set(off)


def test_by_default_everything_is_on(tmp_path: Path) -> None:
    found = message(tmp_path)
    wanted = {f"{name}={value}" for name, values in SANDBOX.items() for value in values}
    assert wanted <= set(found["properties"])
    assert wanted <= set(found["files"]["units/service.conf"]["content"].splitlines())
    assert not any(line.startswith("PrivateNetwork") for line in found["properties"])


def test_it_reaches_everything_that_runs(tmp_path: Path) -> None:
    extra = (
        "    sandbox: {network: false, writable: [/data]}\n"
        "    processes: {worker: python -m w}\n    timers: {job: {command: python -m j, calendar: hourly}}\n"
    )
    files = message(tmp_path, extra)["files"]
    for unit in (
        "units/service.conf",
        *(f"units/extra/hello.{n}@{RELEASED.id}.service" for n in ("worker", "job")),
    ):
        lines = files[unit]["content"].splitlines()
        assert {"PrivateNetwork=yes", "ReadWritePaths=/data", "MemoryDenyWriteExecute=yes"} <= set(lines), (
            unit
        )
    assert {"PrivateNetwork=yes", "ReadWritePaths=/data"} <= set(message(tmp_path, extra)["properties"])
