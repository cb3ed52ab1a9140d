"""What runs beside the web server: its unit files, and who starts and stops around a switch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import App, load
from hostwright.recipes.processes import exec_words
from hostwright.recipes.release import Release, release_message
from hostwright.recipes.render import renderer
from hostwright.recipes.sandbox import SANDBOX
from hostwright.remote.release.beside import Beside, check, check_programs
from hostwright.remote.release.layout import RUNTIME_UNITS, Layout
from hostwright.remote.release.processes import Watch
from hostwright.remote.release.timers import job_states, moment
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

ROOT = "/srv/hello"
LAYOUT = Layout("hello")
PROCESSES = """\
    processes:
      worker: "celery -A app worker --name '50% of $HOME'"
      mailer: {command: python -m app.mailer, overlap: true, stop: 0, window: 1}
    timers:
      nightly: {command: python -m app.nightly, calendar: "*-*-* 03:00", timeout: 600}
    limits: {memory: 256M, cpu: "150%"}
"""
RELEASED = Release("r2", "4f2c1d9" + "0" * 33, "Fix totals")


def message(folder: Path, extra: str = PROCESSES) -> dict[str, Any]:
    path = folder / "inventory.yaml"
    path.write_text(
        f"apps:\n  hello:\n    source: .\n    module: app.main:app\n{extra}hosts:\n  web1: {{address: 203.0.113.10}}\n"
    )
    inventory = load(path, {})
    return release_message(inventory.apps["hello"], inventory.hosts["web1"], RELEASED, {}, renderer(folder))


# -- unit files --------------------------------------------------------------------------------------------------------


def test_a_release_has_the_unit_files_and_what_to_start(tmp_path: Path) -> None:
    found = message(tmp_path)
    extra = {name for name in found["files"] if name.startswith("units/extra/")}
    assert extra == {
        "units/extra/hello.worker@r2.service",
        "units/extra/hello.mailer@r2.service",
        "units/extra/hello.nightly@r2.service",
        "units/extra/hello.nightly.timer",
    }
    assert found["files"]["units/start"]["content"].splitlines() == [
        "hello.worker@r2.service",
        "hello.mailer@r2.service",
        "hello.nightly.timer",
    ]
    assert found["processes"]["mailer"] == {
        "argv": ["python", "-m", "app.mailer"], "overlap": True, "window": 1.0, "stop": 0.0,
    }  # fmt: skip
    assert found["timers"] == {
        "nightly": {"argv": ["python", "-m", "app.nightly"], "calendar": "*-*-* 03:00"}
    }


def test_they_run_as_the_app_does(tmp_path: Path) -> None:
    found = message(tmp_path)
    for name in ("worker", "mailer", "nightly"):
        lines = found["files"][f"units/extra/hello.{name}@r2.service"]["content"].splitlines()
        assert {f"{name}={value}" for name, values in SANDBOX.items() for value in values} <= set(lines)
        # the only percent sign in them that is a unit: systemd knows no specifiers there
        own = {line for line in found["properties"] if line != "CPUQuota=150%"}
        assert {line.replace("%", "%%") for line in own} | {"CPUQuota=150%"} <= set(lines)
        assert "MemoryMax=256M" in lines
        assert f"SyslogIdentifier=hello.{name}" in lines
    worker = found["files"]["units/extra/hello.worker@r2.service"]["content"]
    assert 'ExecStart=/usr/bin/env -- "celery" "-A" "app" "worker" "--name" "50%% of $$HOME"\n' in worker
    assert "TimeoutStopSec=60\n" in worker
    assert "Restart=always\nRestartSec=1\n" in worker
    # 0 would be for ever
    assert "TimeoutStopSec=0.1\n" in found["files"]["units/extra/hello.mailer@r2.service"]["content"]
    assert "TimeoutStartSec=600.0\n" in found["files"]["units/extra/hello.nightly@r2.service"]["content"]
    timer = found["files"]["units/extra/hello.nightly.timer"]["content"]
    assert "OnCalendar=*-*-* 03:00\n" in timer
    assert "Unit=hello.nightly@r2.service\n" in timer


def test_an_app_without_any_has_no_file_more(tmp_path: Path) -> None:
    found = message(tmp_path, "")
    assert not any("extra" in name or name == "units/start" for name in found["files"])
    assert (found["processes"], found["timers"]) == ({}, {})


@pytest.mark.parametrize(
    ("argv", "written"),
    [
        (("a", "b c"), '"a" "b c"'),
        (("$X", "${X}", "100%"), '"$$X" "$${X}" "100%%"'),
        (('say "hi"', "back\\slash", ";", ""), '"say \\"hi\\"" "back\\\\slash" ";" ""'),
    ],
)
def test_words_stay_what_they_are(argv: tuple[str, ...], written: str) -> None:
    assert exec_words(argv) == written


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_accepts_them(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    for name, file in message(tmp_path)["files"].items():
        if name.startswith("units/extra/"):
            text = file["content"].replace("/usr/bin/env", sys.executable)
            text = re.sub(r"(User|Group)=hello", r"\1=root", text)
            (folder / name.rpartition("/")[2]).write_text(text)
    done = subprocess.run(
        ("systemd-analyze", "verify", "--man=no", *sorted(map(str, folder.iterdir()))),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [line for line in done.stderr.splitlines() if "hello" in line] == []


# -- before anything is built ------------------------------------------------------------------------------------------


def test_an_older_boot_unit_is_told() -> None:
    system = FakeSystem(files={"/etc/systemd/system/hello.service": "[Service]\n"})
    check(system, LAYOUT, {"processes": {}, "timers": {}})
    with pytest.raises(StepError) as caught:
        check(system, LAYOUT, {"processes": {"worker": {}}, "timers": {}})
    assert "before it could run processes and timers" in caught.value.message
    assert caught.value.hint == "inv provision first"


def test_a_calendar_that_is_none_is_told_in_systemds_words() -> None:
    words = "Failed to parse calendar specification 'every day': Invalid argument"
    system = FakeSystem(
        files={"/etc/systemd/system/hello.service": "units/start"},
        commands={"systemd-analyze calendar -- every day": [{"exit": 1, "err": words}] * 2},
    )
    with pytest.raises(StepError) as caught:
        check(system, LAYOUT, {"timers": {"nightly": {"calendar": "every day"}}})
    assert caught.value.message == "timers.nightly.calendar: systemd does not understand 'every day'"
    assert caught.value.tail == (words,)
    assert "man systemd.time" in caught.value.hint


# -- around the switch -------------------------------------------------------------------------------------------------


class Server(FakeSystem):
    """systemd as far as processes need it: start, stop and show, by what is linked. `ends`: never stay up."""

    def __init__(
        self, current: str, *, ends: tuple[str, ...] = (), jobs: dict[str, dict[str, str]] | None = None
    ) -> None:
        about = {
            "r1": {
                "processes": process("worker", "old") | process("twin", overlap=True),
                "timers": timer("nightly"),
            },
            "r2": {
                "processes": process("worker") | process("twin", overlap=True),
                "timers": timer("nightly"),
            },
            "r0": {},
        }
        files: dict[str, Any] = {f"{ROOT}/current": {"link": f"releases/{current}"}, RUNTIME_UNITS: None}
        for release, facts in about.items():
            folder = f"{ROOT}/releases/{release}"
            files[f"{folder}/release.json"] = json.dumps({"id": release, **facts})
            files[f"{folder}/units/extra"] = None
            for name in facts.get("processes", {}):
                files[f"{folder}/units/extra/hello.{name}@{release}.service"] = ""
            for name in facts.get("timers", {}):
                files[f"{folder}/units/extra/hello.{name}@{release}.service"] = ""
                files[f"{folder}/units/extra/hello.{name}.timer"] = ""
        commands = {
            "systemctl daemon-reload": "",
            "systemctl reset-failed ...": "",
            "systemctl cancel ...": "",
        }
        super().__init__(files=files, commands={**commands, "journalctl ...": ""})
        self.active: set[str] = set()
        self.ends = ends
        self.jobs = jobs or {}
        self.done: list[str] = []

    def _answer(self, command: str) -> Any:
        words = command.split()
        if words[:2] == ["systemctl", "show"]:
            return {"out": "\n\n".join(self._shown(unit) for unit in words[words.index("--") + 1 :])}
        if words[0] == "systemctl" and words[1] in ("start", "stop"):
            units = [word for word in words[2:] if not word.startswith("-")]
            self.done.append(" ".join([words[1], *units]))
            for unit in units:
                (self.active.discard if words[1] == "stop" else self.active.add)(unit)
        return super()._answer(command)

    def _shown(self, unit: str) -> str:
        kind = "oneshot" if "nightly@" in unit else "exec"
        state = {"Id": unit, "Type": kind, "ActiveState": "active" if unit in self.active else "inactive"}
        if unit in self.active and any(f".{name}@r2" in unit for name in self.ends):
            state.update(
                ActiveState="activating", SubState="auto-restart", Result="exit-code", ExecMainStatus="3"
            )
        return "\n".join(f"{key}={value}" for key, value in {**state, **self.jobs.get(unit, {})}.items())

    def links(self) -> dict[str, str]:
        """Name -> release."""
        names = self.listdir(RUNTIME_UNITS)
        found = {name: self.readlink(f"{RUNTIME_UNITS}/{name}") for name in names}
        return {name: target.split("/")[4] for name, target in found.items() if target}

    def _prepared(self) -> None:
        for verb in ("start", "stop"):
            self.commands[f"systemctl {verb} ..."] = ""


def process(name: str, word: str = "new", overlap: bool = False) -> dict[str, Any]:
    return {name: {"argv": ["sh", word], "overlap": overlap, "window": 2.0, "stop": 7.0}}


def timer(name: str) -> dict[str, Any]:
    return {name: {"argv": ["sh"], "calendar": "daily"}}


def server(current: str = "r1", **options: Any) -> tuple[Server, Beside]:
    """`current` runs all that it declares."""
    system = Server(current, **options)
    system._prepared()
    beside = Beside(system, LAYOUT)
    system.commands["systemctl daemon-reload"] = ""
    assert beside.heal(current) or current == "r0"
    system.done.clear()
    system.ran.clear()
    return system, beside


def reloads(system: Server) -> int:
    return sum(argv[:2] == ("systemctl", "daemon-reload") for argv in system.ran)


def test_who_comes_when() -> None:
    system, beside = server()
    beside.link("r2")
    assert reloads(system) == 1
    watch = beside.begin("r2")
    assert system.done == ["start hello.twin@r2.service"]
    watch.finish()
    assert 2 <= system.slept < 2.5
    assert beside.due("r2")
    assert beside.take_over("r2") == "worker, twin, nightly"
    assert system.done[1:] == [
        "stop hello.worker@r1.service",
        "start hello.worker@r2.service",
        "stop hello.twin@r1.service",
        "stop hello.nightly.timer",
        "start hello.nightly.timer",
    ]
    assert 4 <= system.slept < 5
    assert reloads(system) == 2
    beside.processes.tidy("r2")
    assert set(system.links().values()) == {"r2"}
    assert system.links()["hello.nightly.timer"] == "r2"


def test_one_that_does_not_stay_up_is_refused_and_the_old_come_back() -> None:
    system, beside = server(ends=("worker",))
    beside.link("r2")
    beside.begin("r2").finish()
    with pytest.raises(StepError) as caught:
        beside.take_over("r2")
    assert caught.value.refused
    assert caught.value.message == "the process worker did not stay up: its program ended with exit code 3"
    assert caught.value.hint == "All that it wrote: inv logs --process worker --release r2"
    assert "hello.twin@r1.service" in system.active
    assert system.links()["hello.nightly.timer"] == "r1"
    system.done.clear()
    beside.take_over("r1", prove=False)
    beside.abandon("r2")
    assert system.active == {"hello.worker@r1.service", "hello.twin@r1.service", "hello.nightly.timer"}
    assert set(system.links().values()) == {"r1"}
    # never two at once
    assert system.done[0] == "stop hello.worker@r2.service"


def test_the_window_begins_when_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rollback the one that was left a moment ago ends first, and its start waits for that."""
    system, beside = server()
    beside.link("r2")
    run = system.run
    limits = []

    def slow(argv: Any, *, timeout: float, **options: Any) -> Any:
        if argv[:2] == ("systemctl", "start") and "hello.worker@r2.service" in argv:
            limits.append(timeout)
            system.sleep(20)
        return run(argv, timeout=timeout, **options)

    monkeypatch.setattr(system, "run", slow)
    beside.take_over("r2")
    assert system.slept >= 22
    # it may take its `stop` to end
    assert limits == [67]


def test_an_overlapping_one_is_seen_before_the_switch() -> None:
    system, beside = server(ends=("twin",))
    beside.link("r2")
    with pytest.raises(StepError, match="the process twin did not stay up"):
        beside.begin("r2").look()
    beside.abandon("r2")
    assert system.active == {"hello.worker@r1.service", "hello.twin@r1.service", "hello.nightly.timer"}


def test_a_program_that_just_ends_does_not_stay_up_either() -> None:
    system, _ = server()
    system.active.add("hello.worker@r2.service")
    system.jobs["hello.worker@r2.service"] = {
        "SubState": "auto-restart", "ActiveState": "activating", "Result": "success", "ExecMainStatus": "0",
    }  # fmt: skip
    with pytest.raises(StepError, match=r"its program ended \(exit code 0\)"):
        Watch(system, LAYOUT, "r2", ["worker"]).look()


def test_a_release_without_any_stops_all() -> None:
    system, beside = server()
    system.put("/var/lib/systemd/timers/stamp-hello.nightly.timer", "")
    assert beside.due("r0")
    assert beside.take_over("r0") == "twin stopped, worker stopped"
    beside.processes.tidy("r0")
    assert system.active == set()
    assert system.links() == {}
    # when it comes back it has nothing to make up for
    assert not system.exists("/var/lib/systemd/timers/stamp-hello.nightly.timer")
    assert not beside.due("r0")


def test_nothing_is_asked_where_there_is_nothing() -> None:
    system, beside = server("r0")
    assert beside.heal("r0") == []
    assert not beside.due("r0")
    assert system.ran == []


# -- jobs --------------------------------------------------------------------------------------------------------------


RUNS = {"ActiveState": "activating"}
WAITS = {"ActiveState": "inactive", "Job": "77"}
OLD, NEW = "hello.nightly@r1.service", "hello.nightly@r2.service"


def test_a_running_job_goes_on_and_the_new_ones_waits_for_it() -> None:
    system, beside = server(jobs={OLD: RUNS})
    beside.link("r2")
    beside.take_over("r2")
    beside.abandon("r1")
    beside.processes.tidy("r2")
    assert not any(OLD in line for line in system.done)
    assert system.links()[OLD] == "r1"
    assert beside.processes.busy() == {"r1", "r2"}
    assert system.read(f"{RUNTIME_UNITS}/{NEW}.d/after.conf") == f"[Unit]\nAfter={OLD}\n".encode()
    assert job_states(system, LAYOUT, beside.processes.found())["nightly"]["result"] == "running"
    del system.jobs[OLD]
    beside.processes.tidy("r2")
    assert OLD not in system.links()


def test_back_again_neither_waits_for_the_other_and_no_run_is_lost() -> None:
    system, beside = server(jobs={OLD: RUNS})
    beside.link("r2")
    beside.take_over("r2")
    system.jobs[NEW] = WAITS
    system.done.clear()
    beside.take_over("r1")
    assert not system.exists(f"{RUNTIME_UNITS}/{NEW}.d")
    assert not system.exists(f"{RUNTIME_UNITS}/{OLD}.d")
    assert ("systemctl", "cancel", "77") in system.ran
    assert system.done[-3:] == ["stop hello.nightly.timer", "start hello.nightly.timer", f"start {OLD}"]


def test_how_a_job_ended_last() -> None:
    ended = {
        "Result": "exit-code",
        "ExecMainStatus": "4",
        "ExecMainExitTimestamp": "Sat 2026-11-21 03:00:07 UTC",
    }
    system, beside = server(jobs={OLD: ended})
    system.jobs["hello.nightly.timer"] = {
        "NextElapseUSecRealtime": "Sun 2026-11-22 03:00:00 UTC", "LastTriggerUSec": "Sat 2026-11-21 03:00:00 UTC",
    }  # fmt: skip
    found = job_states(system, LAYOUT, beside.processes.found())
    assert found == {
        "nightly": {
            "active": True, "next": 1795316400.0, "last": 1795230000.0, "result": "exit-code", "status": 4,
        }
    }  # fmt: skip
    assert moment("") is None


# -- healing -----------------------------------------------------------------------------------------------------------


def test_a_run_cut_after_the_switch_is_finished() -> None:
    system, beside = server()
    beside.link("r2")
    beside.begin("r2")
    system.put(f"{ROOT}/current", {"link": "releases/r2"})
    said = beside.heal("r2")
    assert said == [
        "stopped twin of r1, which is not live",
        "stopped worker of r1, which is not live",
        "started worker of r2, which did not run",
        "hello.nightly.timer: on again, for r2",
    ]
    assert system.active == {"hello.worker@r2.service", "hello.twin@r2.service", "hello.nightly.timer"}
    assert set(system.links().values()) == {"r2"}
    assert beside.heal("r2") == []


def test_a_run_cut_before_the_switch_leaves_nothing() -> None:
    system, beside = server()
    beside.link("r2")
    beside.begin("r2")
    assert beside.heal("r1") == ["stopped twin of r2, which is not live"]
    assert set(system.links().values()) == {"r1"}


def test_what_runs_stays_when_nothing_tells_what_is_live() -> None:
    system, beside = server()
    system.put(f"{ROOT}/releases/r1/release.json", "")
    assert beside.heal("r1") == []
    assert system.done == []
    assert "hello.nightly.timer" in system.links()


def test_programs_are_looked_for() -> None:
    system, _ = server()
    system.put("/usr/bin/sh", "")
    check_programs(system, LAYOUT, "r2")
    system.unlink("/usr/bin/sh")
    with pytest.raises(StepError) as caught:
        check_programs(system, LAYOUT, "r2")
    assert caught.value.message.startswith("processes.worker.command: there is no program sh in this release")


# -- at boot -----------------------------------------------------------------------------------------------------------


def test_the_boot_unit_links_and_starts_them(tmp_path: Path) -> None:
    """Its script, as systemd hands it to sh, on folders of this test."""
    text = renderer(tmp_path)("systemd/app.service.j2", app=App.model_construct(name="hello"))
    found = re.search(r"ExecStart=/bin/sh -euc '(.*?)'$", text, re.DOTALL | re.MULTILINE)
    assert found
    script = found.group(1).replace("\\\n", " ").replace("$$", "$")
    for path in ("/run/systemd/system", "/srv/hello"):
        script = script.replace(path, str(tmp_path / path[1:]))
        (tmp_path / path[1:]).mkdir(parents=True)
    units = tmp_path / "srv/hello/releases/r2/units"
    (units / "extra").mkdir(parents=True)
    (tmp_path / "srv/hello/current").symlink_to("releases/r2")
    for name in ("hello.worker@r2.service", "hello.nightly.timer"):
        (units / "extra" / name).touch()
    (units / "start").write_text("hello.worker@r2.service\nhello.nightly.timer\n")
    said = tmp_path / "said"
    fake = tmp_path / "systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    fake.chmod(0o755)
    subprocess.run(("sh", "-euc", script), env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=30)
    assert said.read_text().splitlines() == [
        "daemon-reload",
        "start hello@r2.socket",
        "start --no-block hello@r2.service",
        "start --no-block hello.worker@r2.service hello.nightly.timer",
    ]
    runtime = tmp_path / "run/systemd/system"
    assert (runtime / "hello.nightly.timer").readlink() == units / "extra/hello.nightly.timer"
    assert (runtime / "hello.worker@r2.service").is_symlink()
