"""What an interrupted run left is finished or undone by the next one."""

from __future__ import annotations

import json

import pytest

from hostwright.remote import events
from hostwright.remote.release.heal import heal, last_live, strays
from hostwright.remote.release.instance import PROPERTIES
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.record import Log, previous
from hostwright.remote.release.shelf import Shelf
from hostwright.remote.run import Run
from hostwright.testing import FakeSystem

STRAYS = [
    # states of an instance that is not current, what to do
    ({"service": "active", "socket": "active"}, "stop"),
    ({"service": "activating", "socket": "active"}, "stop"),
    ({"socket": "active"}, "stop"),
    ({"service": "active"}, "stop"),  # its socket was stopped, then the run was cut
    ({"service": "deactivating", "socket": "active"}, "stop"),
    ({"service": "failed"}, "forget"),
    ({"service": "failed", "socket": "failed"}, "forget"),
    # it answers its last requests
    ({"service": "deactivating"}, None),
]


@pytest.mark.parametrize(("kinds", "what"), STRAYS)
def test_strays(kinds: dict[str, str], what: str | None) -> None:
    assert (
        strays({"old": kinds, "live": {"service": "active", "socket": "active"}}, "live").get("old") == what
    )


def test_what_drains_is_left_alone_until_its_deadline() -> None:
    states = {"old": {"service": "active", "socket": "active"}, "older": {"service": "active"}}
    assert strays(states, "live", ["old"]) == {"older": "stop"}


def test_the_live_instance_is_never_one() -> None:
    for state in ("active", "activating", "failed", "deactivating"):
        assert strays({"live": {"service": state, "socket": state}}, "live") == {}


def test_last_live() -> None:
    lines = [
        b'{"did":"live","id":"a"}',
        b'{"did":"live","id":"b"}',
        b'{"did":"bad","id":"c"}',
        b'{"did":"live","i',
    ]
    assert last_live(lines) == "b"
    assert last_live([]) == ""


ROOT = "/srv/hello"
UNITS = (
    "hello@r1.socket loaded active running hello: socket of release r1\n"
    "hello@r1.service loaded active running hello: release r1\n"
    "hello@r2.service loaded active running hello: release r2\n"
    "hello@r0.service loaded failed failed hello: release r0\n"
    "hello@r3.service loaded inactive dead hello: release r3\n"
)


DRAINING = "systemctl list-units --plain --no-legend --full --type=service hostwright-drain-hello:*"


def healed(current: str, log: list[dict[str, str]], **files: object) -> tuple[FakeSystem, list[str]]:
    lines = "".join(json.dumps(entry) + "\n" for entry in log)
    system = FakeSystem(
        files={
            f"{ROOT}/releases.jsonl": lines,
            f"{ROOT}/current": {"link": f"releases/{current}"},
            f"{ROOT}/releases/r1/release.json": '{"id": "r1", "commit": "c1", "subject": "one", "by": "ann@laptop"}',
            f"{ROOT}/trees/t1": None,
            f"{ROOT}/trees/t1.ok": "",
            f"{ROOT}/venvs": None,
            "/run/systemd/system": None,
            **files,
        },
        commands={
            DRAINING: "",
            "systemd-run ...": "",
            "systemctl list-units ...": UNITS,
            "systemctl stop ...": "",
            "systemctl reset-failed ...": "",
        },
    )
    said: list[str] = []
    run = Run(
        lambda event: said.append(event.message) if isinstance(event, events.Noticed) else None, lambda: False
    )
    heal(system, Layout("hello"), run)
    return system, said


def test_half_built_things_go() -> None:
    system, said = healed(
        "r1",
        [{"did": "live", "id": "r1"}],
        **{
            f"{ROOT}/trees/t2": None,  # never marked
            f"{ROOT}/trees/t3.tmp/main.py": "",
            f"{ROOT}/trees/t3.tmp.index": "",
            f"{ROOT}/venvs/v1.ok": "",  # its folder is gone
            f"{ROOT}/releases/.r9.tmp": None,
            f"{ROOT}/releases/r9/release.json": '{"id": "r9", "commit": "c9"}',
            f"{ROOT}/releases/r1-copy/release.json": '{"id": "r1"}',  # not ours
            f"{ROOT}/releases/notes/todo.txt": "",
            f"{ROOT}/build/lock.txt": "",
        },
    )
    assert system.listdir(f"{ROOT}/trees") == ["t1", "t1.ok"]
    assert system.listdir(f"{ROOT}/venvs") == []
    assert system.listdir(f"{ROOT}/releases") == ["notes", "r1", "r1-copy"]
    assert not system.exists(f"{ROOT}/build")
    entry = Log(system, Layout("hello")).known()["r9"]
    assert (entry.verdict, entry.why, entry.commit) == ("failed", "interrupted", "c9")
    assert "removed the release r9 that an interrupted run left" in said


def test_instances_nobody_needs_are_stopped_the_socket_first() -> None:
    system, said = healed("r1", [{"did": "live", "id": "r1"}])
    stops = [argv for argv in system.ran if argv[:2] == ("systemctl", "stop")]
    assert stops[0] == ("systemctl", "stop", "hello@r2.socket")
    assert stops[1] == ("systemctl", "stop", "--no-block", "hello@r2.service")
    assert not any("r1" in word for argv in stops for word in argv)
    assert "stopped the instance of r2 that an interrupted run left" in said


def test_a_switch_that_nobody_recorded() -> None:
    """The power went between the rename and the line."""
    system, said = healed("r1", [{"did": "live", "id": "r0"}])
    entry = Log(system, Layout("hello")).known()["r1"]
    assert (entry.verdict, entry.before, entry.commit, entry.subject) == ("good", "r0", "c1", "one")
    assert said[0] == "r1 went live when a run was interrupted; the log says so now"
    assert system.exists(f"{ROOT}/releases/r1"), "what is live is never taken for unfinished"


def test_a_rollback_that_nobody_recorded() -> None:
    system, _ = healed("r1", [{"did": "live", "id": "r1"}, {"did": "live", "id": "r0", "before": "r1"}])
    assert last_live(Log(system, Layout("hello")).lines()) == "r1"


def test_drop_ins_of_instances_that_are_gone() -> None:
    folder = "/run/systemd/system"
    system, _ = healed(
        "r1",
        [{"did": "live", "id": "r1"}],
        **{
            f"{folder}/hello@r1.service.d/release.conf": "",
            f"{folder}/hello@r7.service.d/release.conf": "",
            f"{folder}/hello@r7.socket.d/release.conf": "",
            f"{folder}/hello-two@r7.service.d/release.conf": "",
        },
    )
    assert system.listdir(folder) == ["hello-two@r7.service.d", "hello@r1.service.d"]


def test_before_the_first_deploy_there_is_nothing_to_do() -> None:
    system = FakeSystem(commands={"systemctl list-units ...": ""})
    said: list[events.Event] = []
    heal(system, Layout("hello"), Run(said.append, lambda: False))
    assert said == []


def test_the_live_instance_lost_its_socket() -> None:
    """Systemd refuses to start a socket whose service runs, and without one nobody reaches the app."""
    folder = f"{ROOT}/releases/r1"
    drop_in = "DropInPaths=/run/systemd/system/hello@r1.service.d/release.conf\n"
    system = FakeSystem(
        files={
            f"{ROOT}/releases.jsonl": '{"did":"live","id":"r1"}\n',
            f"{ROOT}/current": {"link": "releases/r1"},
            **{f"{folder}/{part}": "{}" for part in ("release.json", "code", "gunicorn.conf.py", "env")},
            f"{folder}/venv/bin/python": "",
            "/run/systemd/system": None,
        },
        commands={
            DRAINING: "",
            "systemctl list-units ...": "hello@r1.service loaded active running x\n",
            f"systemctl show --property={','.join(PROPERTIES)} hello@r1.service": f"ActiveState=active\n{drop_in}",
            f"systemctl show --property={','.join(PROPERTIES)} hello@r1.socket": "ActiveState=inactive\n",
            "systemctl stop ...": "",
            "systemctl reset-failed ...": "",
            "systemctl start ...": "",
        },
    )
    heal(system, Layout("hello"), Run(lambda event: None, lambda: False))
    did = [argv[1:] for argv in system.ran if argv[1] in ("stop", "start")]
    assert did == [
        ("stop", "hello@r1.service"), ("start", "hello@r1.socket"), ("start", "--no-block", "hello@r1.service"),
    ]  # fmt: skip


def release(name: str, commit: str) -> dict[str, str]:
    about = {"id": name, "commit": commit, "subject": name, "by": "ann@laptop"}
    folder = f"{ROOT}/releases/{name}"
    return {f"{folder}/release.json": json.dumps(about), f"{folder}/env": f"COMMIT={commit}"}


@pytest.mark.parametrize(
    ("log", "others"),
    [([], ["r0"]), ([], ["q8", "q9", "r0"]), ([{"did": "live", "id": "r1", "before": "r0"}], ["q9", "r0"])],
)
def test_a_log_that_was_lost_does_not_take_the_way_back_along(
    log: list[dict[str, str]], others: list[str]
) -> None:
    files = {path: text for name in others for path, text in release(name, f"c-{name}").items()}
    system, said = healed("r1", log, **files)
    assert system.listdir(f"{ROOT}/releases") == sorted([*others, "r1"])
    lines = Log(system, Layout("hello"))
    assert last_live(lines.lines()) == "r1"
    assert previous(lines.known(), "r1", [*others, "r1"]) == "r0"
    assert lines.known()["r0"].commit == "c-r0"
    assert "the log did not know the release r0 any more; now it does" in said
    again, said = healed("r1", [json.loads(line) for line in lines.lines()], **files)
    assert again.listdir(f"{ROOT}/releases") == sorted([*others, "r1"])
    assert not any("log" in line for line in said)


def test_a_link_that_ends_with_a_slash_names_the_live_release() -> None:
    """`ln -sfn releases/r1/ current` by hand: what it names must not be stopped as a stray."""
    system, _ = healed("r1/", [{"did": "live", "id": "r1"}])
    assert not any("hello@r1" in word for argv in system.ran if argv[1] == "stop" for word in argv)


def test_a_restart_that_nobody_recorded_is_passed_over_by_a_rollback() -> None:
    files = {path: text for name in ("q8", "r0") for path, text in release(name, "c0").items()}
    log = [{"did": "live", "id": "q8"}, {"did": "live", "id": "r0", "before": "q8"}]
    files |= {f"{ROOT}/releases/r1/env": "COMMIT=c0", f"{ROOT}/releases/q8/env": "COMMIT=c8"}
    system, _ = healed("r1", log, **files)
    known = Log(system, Layout("hello")).known()
    assert previous(known, "r1", ["q8", "r0", "r1"]) == "q8"


def test_a_release_that_is_half_removed_does_not_look_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be told from somebody's own folder: what it was made of is gone first."""
    system = FakeSystem(files={f"{ROOT}/releases/r9/release.json": "{}"})

    def cut(path: str) -> None:
        if system.exists(path):
            raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(system, "remove_tree", cut)
    with pytest.raises(OSError, match="Input/output"):
        Shelf(system, Layout("hello")).remove("r9")
    assert system.listdir(f"{ROOT}/releases") == [".r9.tmp"]


def test_an_instance_that_had_the_traffic_ends_in_its_own_time() -> None:
    """The run was killed between switch and drain: its WebSockets have their time as after any switch."""
    table = "0000: 00000002 00000000 00000000 0001 03 1 /run/hello/r2.sock\n"
    about = '{"id": "r2", "drain": 600}'
    log = [{"did": "live", "id": "r2"}, {"did": "live", "id": "r1"}]
    system, said = healed("r1", log, **{"/proc/net/unix": table, f"{ROOT}/releases/r2/release.json": about})
    (begun,) = [argv for argv in system.ran if argv[0] == "systemd-run"]
    assert begun[-4:] == ("600", "/run/hello/r2.sock", "hello@r2.socket", "hello@r2.service")
    assert not any("hello@r2" in word for argv in system.ran if argv[1] == "stop" for word in argv)
    assert "r2 may end what it still answers: an instance that an interrupted run left" in said
