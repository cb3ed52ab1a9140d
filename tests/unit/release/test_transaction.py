"""The order of things, and that everything before the commit point can be undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release import transaction
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.record import Log
from hostwright.remote.release.transaction import Transaction
from hostwright.remote.run import Run, StepError
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

ROOT = "/srv/hello"
OK = ""
COMMANDS: dict[str, Any] = {
    "systemctl list-units --plain --no-legend --full --type=service hostwright-drain-hello:*": "",
    "systemctl set-property --runtime hello@new.service CPUWeight=20 IOWeight=20": "",
    "systemctl set-property --runtime hello@new.service CPUWeight= IOWeight=": "",
    "systemd-run ...": "",
    "systemctl list-units ...": "hello@old.socket loaded active running x\nhello@old.service loaded active running x\n",
    "systemctl show ...": "ActiveState=inactive\nNeedDaemonReload=no\n"
    "DropInPaths=/run/systemd/system/hello@new.service.d/release.conf\n",
    "systemctl reset-failed ...": OK,
    "systemctl daemon-reload": OK,
    "systemctl start ...": OK,
    "systemctl stop ...": OK,
    "git --git-dir=/srv/hello/repo.git ...": OK,
}


class Story:
    """A server with one live release and a run on it."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, verdict: Exception | None = None, **fields: Any
    ) -> None:
        log = json.dumps({"did": "live", "id": "old", "commit": "a" * 40}) + "\n"
        self.system = FakeSystem(
            files={
                f"{ROOT}/releases.jsonl": log,
                f"{ROOT}/current": {"link": "releases/old"},
                f"{ROOT}/releases/old/release.json": json.dumps(
                    {"id": "old", "commit": "a" * 40, "drain": 30}
                ),
                f"{ROOT}/repo.git": None,
                f"{ROOT}/trees": None,
                f"{ROOT}/venvs": None,
                "/run/systemd/system": None,
                "/proc/net/unix": "",
            },
            commands=dict(COMMANDS),
        )
        self.events: list[events.Event] = []
        self.cancelled = False
        self.run = Run(self.events.append, lambda: self.cancelled)
        request = {
            "app": "hello", "by": "ann@laptop", "keep_releases": 5, "release": {"id": "new"}, **fields,
        }  # fmt: skip
        self.transaction = Transaction(
            {**request, "commit": "b" * 40, "subject": "two"}, self.system, self.run, "deploy"
        )

        class Gate:
            def __init__(self, *_: Any) -> None:
                pass

            def watch(self) -> tuple[str, dict[str, Any]]:
                if verdict:
                    raise verdict
                return "200 in 1 ms, 3 of 3", {}

        monkeypatch.setattr(transaction, "Gate", Gate)

    def make(self, transaction: Transaction) -> str:
        transaction.made = True
        about = {"id": "new", "commit": "b" * 40, "subject": "two", "health": {}}
        self.system.put(f"{ROOT}/releases/new/release.json", json.dumps(about))
        return "new"

    def tell(self, make: Callable[[Transaction], str] | None = None) -> events.RunFinished:
        return self.transaction.carry_out(make or self.make)

    @property
    def live(self) -> str | None:
        return self.system.readlink(f"{ROOT}/current")

    def commands(self, verb: str) -> list[str]:
        return [" ".join(argv[2:]) for argv in self.system.ran if argv[:2] == ("systemctl", verb)]

    def verdict(self, release: str = "new") -> tuple[str, str]:
        entry = Log(self.system, Layout("hello")).known()[release]
        return entry.verdict, entry.why


def test_a_good_release_goes_live(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)
    finished = story.tell()
    assert (finished.outcome, finished.state, finished.changed) == ("done", "bbbbbbb is live", 1)
    # `again`: both are made of the same, of nothing
    told = {"id": "new", "commit": "b" * 40, "subject": "two", "before": "old", "again": True}
    assert finished.data == {**told, "maintenance": None}
    assert story.live == "releases/new"
    assert story.verdict() == ("good", "")
    assert Log(story.system, Layout("hello")).known()["new"].before == "old"
    steps = [event.step for event in story.events if isinstance(event, events.StepFinished)]
    assert steps == ["start", "health", "switch", "drain", "prune"]
    assert story.commands("start") == ["hello@new.socket", "--no-block hello@new.service"]
    # the old socket first: a late connection would start the old service again
    assert story.commands("stop") == ["hello@old.socket", "--no-block hello@old.service"]


REFUSED = StepError("not healthy after 30 s: GET /health -> 500", ("boom",), refused=True)


def test_a_refused_release_is_stopped_marked_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch, REFUSED)
    finished = story.tell()
    assert finished.outcome == "refused"
    assert finished.state == "aaaaaaa is live; nothing was switched"
    assert finished.message == REFUSED.message
    assert story.live == "releases/old"
    assert story.verdict() == ("bad", REFUSED.message)
    assert story.commands("stop") == ["hello@new.socket", "hello@new.service"]
    assert story.system.exists(f"{ROOT}/releases/new/release.json")
    failed = [event for event in story.events if isinstance(event, events.StepFailed)]
    assert [(event.step, event.tail) for event in failed] == [("health", ("boom",))]


def test_no_secret_gets_into_the_log_of_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app's error page may show one; the log is read by `inv releases`, long after the run."""
    said = StepError('GET /health -> 500 instead of 200: key s3cr"t!', refused=True)
    story = Story(monkeypatch, said, secrets=['s3cr"t!'])
    assert story.tell().outcome == "refused"
    assert story.verdict() == ("bad", "GET /health -> 500 instead of 200: key ***")


@pytest.mark.parametrize(
    "error",
    [
        StepError("alembic upgrade head ended with exit code 1"),
        CommandFailed(("cp",), 1, ("No space left on device",)),
        OSError(28, "No space left on device", "/srv/hello/trees/x"),
    ],
)
def test_a_failure_while_building_leaves_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    story = Story(monkeypatch)

    def make(transaction: Transaction) -> str:
        story.make(transaction)
        raise error

    finished = story.tell(make)
    assert (finished.outcome, finished.failed) == ("failed", 1)
    assert story.live == "releases/old"
    assert story.commands("start") == story.commands("stop") == []
    assert not story.system.exists(f"{ROOT}/releases/new")
    assert story.verdict()[0] == "failed"


def test_cancelled_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)

    def make(transaction: Transaction) -> str:
        story.cancelled = True
        return story.make(transaction)

    finished = story.tell(make)
    assert (finished.outcome, finished.failed) == ("cancelled", 0)
    assert finished.state == "aaaaaaa is live; nothing was switched"
    assert not story.system.exists(f"{ROOT}/releases/new")
    assert "new" not in Log(story.system, Layout("hello")).known()


def test_cancelled_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)

    class Late:
        def __init__(self, *_: Any) -> None:
            pass

        def watch(self) -> tuple[str, dict[str, Any]]:
            story.cancelled = True
            return "200 in 1 ms, 3 of 3", {}

    monkeypatch.setattr(transaction, "Gate", Late)
    assert story.tell().outcome == "cancelled"
    assert story.live == "releases/old"
    assert story.commands("stop") == ["hello@new.socket", "hello@new.service"]


def test_after_the_switch_nothing_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)
    symlink = story.system.symlink_atomic

    def switch(target: str, path: str) -> None:
        symlink(target, path)
        if path.endswith("/current"):
            story.cancelled = True

    monkeypatch.setattr(story.system, "symlink_atomic", switch)
    assert story.tell().outcome == "done"
    assert story.live == "releases/new"
    assert story.commands("stop") == ["hello@old.socket", "--no-block hello@old.service"]


def test_a_failure_after_the_switch_is_told_and_the_release_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)
    story.system.commands["systemctl stop hello@old.socket"] = {"exit": 1, "err": "Failed to stop"}
    finished = story.tell()
    assert (finished.outcome, finished.state) == ("done", "bbbbbbb is live")
    notices = [event.message for event in story.events if isinstance(event, events.Noticed)]
    assert notices == ["new is live, but cleaning up failed: systemctl: exit code 1"]


def test_a_full_disk_while_undoing_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch, REFUSED)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "/srv/hello/releases.jsonl")

    monkeypatch.setattr(story.system, "append", full)
    assert story.tell().outcome == "refused"
    notices = [event.message for event in story.events if isinstance(event, events.Noticed)]
    (said,) = notices
    assert said.startswith("cleaning up failed too: No space left on device (/srv/hello/releases.jsonl)")


UNIX = "Num       RefCount Protocol Flags    Type St Inode Path\n"
QUEUED = "0000: 00000002 00000000 00000000 0001 03 1 /run/hello/old.sock\n"
LISTENER = "0000: 00000002 00000000 00010000 0001 01 1 /run/hello/old.sock\n"
OTHER = "0000: 00000002 00000000 00000000 0001 03 1 /run/hello/old.sock2\n0000: 00000003 00000000 00000000 0001 03 7\n"


@pytest.mark.parametrize(
    ("table", "left", "waits"), [(LISTENER + OTHER, 0, False), (LISTENER + QUEUED * 2, 2, True)]
)
def test_drain_counts_the_sockets_of_the_old_release(
    monkeypatch: pytest.MonkeyPatch, table: str, left: int, waits: bool
) -> None:
    story = Story(monkeypatch)
    story.system.put("/proc/net/unix", UNIX + table)
    story.tell()
    (drain,) = [
        event for event in story.events if isinstance(event, events.StepFinished) and event.step == "drain"
    ]
    assert drain.data == {"left": left, "seconds": 30 if left else 0}
    assert (story.system.slept >= 1) == waits
    assert story.system.slept < 1.2 + 0.5
    begun = [argv for argv in story.system.ran if argv[0] == "systemd-run"]
    assert len(begun) == (1 if left else 0)
    assert story.commands("stop") == ([] if left else ["hello@old.socket", "--no-block hello@old.service"])
    if left:
        assert "--unit=hostwright-drain-hello:old.service" in begun[0]
        assert begun[0][-4:] == ("30", "/run/hello/old.sock", "hello@old.socket", "hello@old.service")
        assert drain.detail == "2 connections may take 30 s more"


DRAINING = "systemctl list-units --plain --no-legend --full --type=service hostwright-drain-hello:*"


def draining(*releases: str) -> str:
    return "".join(f"hostwright-drain-hello:{name}.service loaded active running x\n" for name in releases)


def test_so_many_old_instances_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was left first goes, whatever the ids say: a clock went back, or a rollback left an old release."""
    story = Story(monkeypatch)
    story.system.put("/proc/net/unix", UNIX + LISTENER + QUEUED)
    names = ("a1", "a2", "a3", "old")
    story.system.commands[DRAINING] = ["", "", draining(*names)]
    units = [f"hostwright-drain-hello:{name}.service" for name in names]
    story.system.commands[
        f"systemctl show --property=Id,ActiveEnterTimestampMonotonic -- {' '.join(units)}"
    ] = "\n\n".join(
        f"Id={unit}\nActiveEnterTimestampMonotonic={when}"
        for unit, when in zip(units, (1000, 900, 1100, 1200), strict=True)
    )
    # it ended by itself meanwhile
    story.system.commands[f"systemctl stop {units[1]}"] = {"exit": 5, "err": "Unit not loaded."}
    assert story.tell().outcome == "done"
    assert story.commands("stop") == [units[1], "hello@a2.socket", "--no-block hello@a2.service"]


def test_back_to_a_release_that_still_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may stop it meanwhile; when it is refused, it goes on draining."""
    for verdict in (None, REFUSED):
        story = Story(monkeypatch, verdict)
        story.system.commands[DRAINING] = draining("new")
        story.tell()
        stopped = story.commands("stop")
        assert stopped[0] == "hostwright-drain-hello:new.service"
        assert not any("hello@new" in words for words in stopped)
        begun = [argv[-1] for argv in story.system.ran if argv[0] == "systemd-run"]
        assert begun == (["hello@new.service"] if verdict else [])


def test_restart_stops_the_old_one_first(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch, switch="restart")
    assert story.tell().outcome == "done"
    steps = [event.step for event in story.events if isinstance(event, events.StepFinished)]
    assert steps == ["stop", "start", "health", "switch", "prune"]
    assert not any(argv[1] == "set-property" for argv in story.system.ran if argv[0] == "systemctl")


def test_restart_starts_the_old_one_again_when_the_new_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story(monkeypatch, REFUSED, switch="restart")
    assert story.tell().outcome == "refused"
    assert story.commands("start")[-2:] == ["hello@old.socket", "--no-block hello@old.service"]
    (said,) = [event.message for event in story.events if isinstance(event, events.Noticed)]
    assert said.startswith("old was started again, after ")


def test_a_release_that_still_stops_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)
    show = COMMANDS["systemctl show ..."]
    story.system.commands["systemctl show ..."] = [show.replace("inactive", "deactivating")] * 3 + [show] * 99
    assert story.tell().outcome == "done"
    notices = [event.message for event in story.events if isinstance(event, events.Noticed)]
    assert notices == ["waiting for the last requests that new still answers"]


def test_the_first_deploy_has_nothing_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(monkeypatch)
    story.system.unlink(f"{ROOT}/current")
    story.system.put(f"{ROOT}/releases.jsonl", "")
    story.system.remove_tree(f"{ROOT}/releases/old")
    story.system.commands["systemctl list-units ..."] = ""
    finished = story.tell()
    assert (finished.outcome, finished.data["before"]) == ("done", "")
    assert story.commands("stop") == []


# -- where things meet -------------------------------------------------------------------------------------------------


def test_the_old_one_is_started_again_also_when_the_new_one_cannot_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story(monkeypatch, REFUSED, switch="restart")

    def stuck(*_: Any) -> None:
        raise CommandFailed(("systemctl", "stop", "hello@new.service"), 1, (), "no answer within 30 s")

    monkeypatch.setattr(story.transaction.instances, "abandon", stuck)
    assert story.tell().outcome == "refused"
    assert story.commands("start")[-2:] == ["hello@old.socket", "--no-block hello@old.service"]


def test_what_a_damaged_file_leads_to_is_undone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release.json without `health`, say: with `switch: restart` nothing would run any more."""
    story = Story(monkeypatch, KeyError("health"), switch="restart")
    finished = story.tell()
    assert (finished.outcome, finished.message) == ("failed", "KeyError: 'health'")
    assert story.live == "releases/old"
    assert story.commands("stop")[-2:] == ["hello@new.socket", "hello@new.service"]
    assert story.commands("start")[-2:] == ["hello@old.socket", "--no-block hello@old.service"]


def test_a_switch_whose_fsync_fails_has_taken_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nginx follows the new link from the rename on: to stop the new release now would be an outage."""
    story = Story(monkeypatch)
    symlink = story.system.symlink_atomic

    def fail(target: str, path: str) -> None:
        symlink(target, path)
        if path.endswith("/current"):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(story.system, "symlink_atomic", fail)
    assert story.tell().outcome == "done"
    assert story.live == "releases/new"
    assert story.commands("stop") == ["hello@old.socket", "--no-block hello@old.service"]
    notices = [event.message for event in story.events if isinstance(event, events.Noticed)]
    assert notices == ["the switch may not survive a power cut: Input/output error"]


def test_a_release_command_is_remembered_when_the_user_stopped_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rollback names it: what it did to the database stayed."""
    story = Story(monkeypatch)

    def make(transaction: Transaction) -> str:
        story.make(transaction)
        about = {"id": "new", "health": {}, "release_command": ["alembic"]}
        story.system.put(f"{ROOT}/releases/new/release.json", json.dumps(about))
        transaction.log.add("ran", "new", command=["alembic"])
        story.cancelled = True
        return "new"

    assert story.tell(make).outcome == "cancelled"
    assert story.verdict() == ("failed", "stopped by the user")
    assert Log(story.system, Layout("hello")).known()["new"].ran == "alembic"
