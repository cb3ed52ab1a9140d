"""The agent end to end, as a subprocess: converge, no-op, check, attach, cancel, busy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import events, lock, wire
from hostwright.remote.catalog import Handler
from hostwright.remote.resources.command import Command
from hostwright.remote.resources.file import File
from tests.unit.agent.conftest import Machine, last, names, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files are owned by root")


def file(machine: Machine, content: str = "hello\n", **fields: Any) -> File:
    return File(name=str(machine.root / "etc" / "motd"), content=content, **fields)


def slow(machine: Machine, seconds: float, name: str = "slow") -> Command:
    return Command(
        name=name,
        argv=(
            "python3",
            "-c",
            f"import time, pathlib; print('working', flush=True); time.sleep({seconds}); "
            f"pathlib.Path({str(machine.root / name)!r}).touch()",
        ),
        creates=str(machine.root / name),
        timeout=60,
    )


def test_apply_then_nothing_to_do(machine: Machine) -> None:
    first = machine.provision(file(machine))
    assert names(first) == [
        "hello",
        "run_started",
        "resource_started",
        "resource_changed",
        "run_finished",
    ]
    assert last(first).changed == 1
    assert (machine.root / "etc/motd").read_text() == "hello\n"
    second = machine.provision(file(machine))
    assert names(second) == ["hello", "run_started", "resource_unchanged", "run_finished"]
    assert (last(second).changed, last(second).unchanged, last(second).outcome) == (0, 1, "done")


def test_check_tells_and_touches_nothing(machine: Machine) -> None:
    heard = machine.provision(file(machine), apply=False, diff=True)
    changed = heard[2]
    assert isinstance(changed, events.ResourceChanged)
    assert "+hello" in changed.diff
    assert not (machine.root / "etc").exists()
    assert not (machine.state / "records.json").exists()
    assert last(heard).outcome == "done"
    assert last(heard).changed == 1


def test_agent_is_sent_once_and_again_when_it_is_damaged(machine: Machine) -> None:
    machine.provision(file(machine))
    (home,) = (machine.state / "agent").iterdir()
    before = home.stat().st_mtime_ns
    machine.provision(file(machine))
    assert home.stat().st_mtime_ns == before
    for part in [*home.rglob("*.py"), *home.rglob("*.pyc")]:
        part.write_bytes(b"")
    assert last(machine.provision(file(machine))).outcome == "done"
    (home,) = (machine.state / "agent").iterdir()
    assert home.stat().st_mtime_ns > before


def test_state_folder_that_cannot_be_written_does_not_stop_the_agent(machine: Machine) -> None:
    machine.state.write_text("not a folder: as good as a full disk")
    heard = machine.provision(file(machine), apply=False)
    assert last(heard).outcome == "done"
    assert (machine.runtime / "agent").is_dir()


def test_edited_by_hand_is_found_kept_and_healed(machine: Machine) -> None:
    machine.provision(file(machine))
    (machine.root / "etc/motd").write_text("by hand\n")
    assert last(machine.provision(file(machine), apply=False)).changed == 1
    heard = machine.provision(file(machine))
    assert (machine.root / "etc/motd").read_text() == "hello\n"
    kept = next(e.message for e in heard if isinstance(e, events.Noticed)).rsplit(" ", 1)[1]
    assert Path(kept).read_text() == "by hand\n"
    Path(kept).unlink()


def test_dropped_file_is_removed_and_another_projects_is_not(machine: Machine) -> None:
    other = File(name=str(machine.root / "other"), content="x")
    machine.provision(file(machine), other)
    heard = machine.provision(other)
    assert last(heard).changed == 1
    assert not (machine.root / "etc/motd").exists()
    machine.provision(file(machine), project="q")
    machine.provision(other)
    assert (machine.root / "etc/motd").exists()


def test_two_projects_that_disagree(machine: Machine) -> None:
    machine.provision(file(machine))
    heard = machine.provision(file(machine, "mine\n"), project="q")
    assert last(heard).outcome == "failed"
    assert "the projects 'p' and 'q' want different things of file" in last(heard).message
    assert (machine.root / "etc/motd").read_text() == "hello\n"


def test_newer_records_are_not_touched(machine: Machine) -> None:
    machine.provision(file(machine))
    path = machine.state / "records.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    heard = machine.provision(file(machine))
    assert "managed by a newer hostwright" in last(heard).message


# -- handlers ----------------------------------------------------------------------------------------------


def test_handler_runs_once_and_stays_pending_when_it_fails(machine: Machine) -> None:
    log = machine.root / "log"
    touch = ("python3", "-c", f"open({str(log)!r}, 'a').write('ran\\n')")
    works = Handler(name="reload it", argv=touch)
    refuses = Handler(name="reload it", argv=touch, validate=("false",))
    one = file(machine, notify=("reload it",))
    two = File(name=str(machine.root / "two"), content="2", notify=("reload it",))
    heard = machine.provision(one, two, handlers=(refuses,))
    assert last(heard).failed == 1
    assert not log.exists()
    check = machine.provision(one, two, handlers=(works,), apply=False)
    assert "handler_ran" in names(check)
    healed = machine.provision(one, two, handlers=(refuses,))
    assert last(healed).failed == 1, "a pending reload that is still refused fails again"
    # what is wrong is mended
    records = machine.state / "records.json"
    records.write_text(records.read_text().replace('"false"', '"true"'))
    healed = machine.provision(one, two, handlers=(works,))
    assert log.read_text() == "ran\n"
    assert last(healed).failed == 0
    assert "handler_ran" not in names(machine.provision(one, two, handlers=(works,)))


# -- the worker outlives the connection ---------------------------------------------------------------------


def start(machine: Machine, request: dict[str, Any]) -> tuple[Any, list[dict[str, Any]], threading.Thread]:
    """Send a request and read its events in the background."""
    channel = machine.open()
    channel.send(wire.message({"protocol": wire.PROTOCOL, **request}))
    heard: list[dict[str, Any]] = []

    def read() -> None:
        for raw in channel.lines():
            event = wire.parse_line(raw)
            if event is None:
                continue
            heard.append(event)
            if event["event"] == "agent_needed":
                from hostwright.transport.bundle import agent

                channel.send(agent().frame())

    thread = threading.Thread(target=read)
    thread.start()
    return channel, heard, thread


def saw(heard: list[dict[str, Any]], name: str, **fields: Any) -> bool:
    return any(e["event"] == name and all(e.get(k) == v for k, v in fields.items()) for e in heard)


def test_killed_viewer_next_run_attaches_and_replays(machine: Machine) -> None:
    wanted = machine.request(slow(machine, 1.5), file(machine))
    channel, heard, thread = start(machine, wanted)
    until(lambda: saw(heard, "output", line="working"))
    os.kill(channel._process.pid, signal.SIGKILL)
    thread.join()
    channel.close()
    again = machine.hold(machine.request(slow(machine, 1.5), file(machine)))
    assert "attached" in names(again)
    assert [e.line for e in again if isinstance(e, events.Output)] == ["working"]
    assert sum(isinstance(e, events.RunFinished) for e in again) == 2
    assert (last(again).outcome, last(again).changed, last(again).unchanged) == ("done", 0, 2)


def test_the_same_again_attaches_and_is_not_done_twice(machine: Machine) -> None:
    wanted = machine.request(slow(machine, 1.5), digest="d1")
    channel, heard, thread = start(machine, wanted)
    until(lambda: saw(heard, "output", line="working"))
    os.kill(channel._process.pid, signal.SIGKILL)
    thread.join()
    channel.close()
    again = machine.hold(machine.request(slow(machine, 1.5), digest="d1"))
    (attached,) = [event for event in again if isinstance(event, events.Attached)]
    assert attached.same
    assert "digest" not in attached.holder, "secrets went into it"
    assert sum(isinstance(e, events.RunFinished) for e in again) == 1
    assert (last(again).outcome, last(again).changed) == ("done", 1)


def test_cancel_stops_at_a_safe_point_and_the_next_run_completes(machine: Machine) -> None:
    wanted = machine.request(slow(machine, 1), file(machine))
    channel, heard, thread = start(machine, wanted)
    until(lambda: saw(heard, "output", line="working"))
    channel.send(wire.message({"control": "cancel"}))
    thread.join()
    channel.close()
    end = heard[-1]
    assert (end["outcome"], end["changed"], end["skipped"]) == ("cancelled", 1, 1)
    assert not (machine.root / "etc/motd").exists()
    assert last(machine.provision(slow(machine, 1), file(machine))).outcome == "done"
    assert (machine.root / "etc/motd").exists()


def test_second_run_waits_says_for_whom_and_goes_on(machine: Machine) -> None:
    channel, heard, thread = start(machine, machine.request(slow(machine, 1), by="ann@laptop"))
    until(lambda: saw(heard, "output", line="working"))
    second = machine.provision(file(machine))
    waited = next(e for e in second if isinstance(e, events.Waited))
    assert waited.holder["by"] == "ann@laptop"
    assert last(second).outcome == "done"
    thread.join()
    channel.close()
    assert saw(heard, "run_finished", outcome="done")


@pytest.mark.parametrize(("word", "outcome"), [("ping", "done"), ("cancel", "cancelled")])
def test_who_waits_goes_on_when_the_controller_only_says_it_is_there(
    machine: Machine, word: str, outcome: str
) -> None:
    channel, heard, thread = start(machine, machine.request(slow(machine, 1)))
    until(lambda: saw(heard, "output", line="working"))
    second, told, waiting = start(machine, machine.request(file(machine)))
    until(lambda: saw(told, "waited"))
    second.send(wire.message({"control": word}))
    for one in (thread, waiting):
        one.join()
    for one in (channel, second):
        one.close()
    assert told[-1]["outcome"] == outcome


def test_second_run_gives_up_after_its_wait(machine: Machine) -> None:
    channel, heard, thread = start(machine, machine.request(slow(machine, 2)))
    until(lambda: saw(heard, "output", line="working"))
    began = time.monotonic()
    second = machine.provision(file(machine), wait=0.3)
    assert time.monotonic() - began < 1.5
    assert last(second).outcome == "busy"
    assert not (machine.root / "etc/motd").exists()
    thread.join()
    channel.close()


def test_cancel_from_elsewhere(machine: Machine) -> None:
    from hostwright.run.request import request

    channel, heard, thread = start(machine, machine.request(slow(machine, 1), file(machine)))
    until(lambda: saw(heard, "output", line="working"))
    asked = machine.hold(request("cancel", "p", "cancel", inline=True))
    assert "to stop at its next safe point" in last(asked).message
    thread.join()
    channel.close()
    assert heard[-1]["outcome"] == "cancelled"
    assert (
        last(machine.hold(request("cancel", "p", "cancel", inline=True))).message
        == "nothing is running on this server"
    )


def test_worker_that_dies_is_said_to_be_lost(machine: Machine) -> None:
    pid = machine.root / "pid"
    suicide = Command(
        name="dies",
        argv=(
            "python3",
            "-c",
            f"import os; open({str(pid)!r}, 'w').write(str(os.getppid())); import time; time.sleep(9)",
        ),
        creates=str(machine.root / "never"),
        timeout=60,
    )
    channel, heard, thread = start(machine, machine.request(suicide))
    until(lambda: pid.exists() and pid.read_text())
    os.kill(int(pid.read_text()), signal.SIGKILL)
    thread.join()
    channel.close()
    assert heard[-1]["outcome"] == "lost"


def test_secrets_are_redacted_from_output_and_journals(machine: Machine) -> None:
    poison = 'p0ison"quo\\te'
    leaky = Command(name="leaky", argv=("echo", poison), creates=str(machine.root / "never"), timeout=5)
    heard = machine.provision(leaky, secrets=[poison])
    texts = json.dumps([e.to_wire() for e in heard])
    assert "p0ison" not in texts
    assert "***" in texts
    for path in [*machine.state.rglob("*.jsonl"), *machine.runtime.rglob("*")]:
        if path.is_file():
            assert "p0ison" not in path.read_text()
    shutil.rmtree(machine.runtime)


def test_wrong_protocol(machine: Machine) -> None:
    channel, heard, thread = start(machine, {"protocol": 99, "action": "provision"})
    thread.join()
    channel.close()
    assert heard[-1]["message"] == "the agent speaks protocol 1, the controller 99"


def test_the_name_of_a_run_that_has_ended_is_nobodys(machine: Machine) -> None:
    """Between taking the lock and writing its name, a run would be taken for the one before it."""
    machine.hold(machine.request(file(machine), digest="d1"))
    (machine.root / "etc/motd").write_text("edited\n")
    handle = lock.hold(str(machine.runtime / "lock"))
    assert handle is not None
    channel, heard, thread = start(machine, machine.request(file(machine), digest="d1"))
    time.sleep(0.5)
    assert not saw(heard, "attached")
    os.close(handle)
    thread.join()
    channel.close()
    assert (heard[-1]["outcome"], heard[-1]["changed"]) == ("done", 1)
    assert (machine.root / "etc/motd").read_text() == "hello\n"
