"""What can be asked about releases: the table, the state, the log, a command."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from hostwright.remote import events, wire
from hostwright.remote.conversation import Conversation, Gone
from hostwright.remote.release import disk, execute, history, logs, status
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.listening import Listener
from hostwright.remote.release.record import fold
from hostwright.remote.run import StepError
from hostwright.remote.system import CommandFailed, RunCancelled
from hostwright.testing import FakeSystem

ROOT = "/srv/hello"
LOG = [
    {
        "did": "live",
        "id": "r1",
        "t": 100.0,
        "commit": "c1",
        "subject": "one",
        "by": "ann@laptop",
        "seconds": 3.0,
    },
    {
        "did": "bad",
        "id": "r2",
        "t": 200.0,
        "commit": "c2c2c2",
        "subject": "two",
        "by": "bob@ci",
        "why": "it ended",
    },
    {
        "did": "live",
        "id": "r3",
        "t": 300.0,
        "before": "r1",
        "commit": "c3",
        "subject": "three",
        "by": "ann@laptop",
    },
    {"did": "failed", "id": "r4", "t": 400.0, "why": "interrupted"},
]
LINES = [json.dumps(entry).encode() for entry in LOG]


class Controller:
    """The other end of a conversation."""

    def __init__(self) -> None:
        self.down, self.sink = os.pipe()
        self.source, self.up = os.pipe()
        self.conversation = Conversation(self.source, self.sink)

    def say(self, **message: Any) -> None:
        os.write(self.up, wire.message(message))

    def heard(self) -> list[events.Event]:
        os.set_blocking(self.down, False)
        try:
            raw = os.read(self.down, 1 << 20)
        except BlockingIOError:
            return []
        return [events.from_wire(found) for line in raw.split(b"\n") if (found := wire.parse_line(line))]

    def close(self) -> None:
        for handle in (self.down, self.sink, self.source, self.up):
            try:
                os.close(handle)
            except OSError:
                continue


@pytest.fixture
def controller() -> Any:
    found = Controller()
    yield found
    found.close()


def server(**more: Any) -> FakeSystem:
    folder = f"{ROOT}/releases/r3"
    about = {
        "id": "r3", "commit": "c3" * 20, "subject": "three", "properties": ["User=hello", "UMask=0027"],
        "health": {"path": "/health", "expect": 200, "headers": {}},
    }  # fmt: skip
    files = {
        f"{ROOT}/releases.jsonl": b"\n".join(LINES).decode() + "\n",
        f"{ROOT}/current": {"link": "releases/r3"},
        f"{folder}/release.json": json.dumps(about),
        **{
            f"{folder}/{part}": ""
            for part in ("code/web.py", "venv/bin/python", "venv/bin/alembic", "gunicorn.conf.py", "env")
        },
        "/etc/systemd/system/hello@.service": "",
        "/proc/net/unix": "",
        **{
            program: {"content": "", "mode": 0o755}
            for program in ("/usr/bin/printenv", "/usr/bin/sleep", "/bin/true", f"{folder}/code/manage.py")
        },
    }
    return FakeSystem(files=files, **more)


# -- releases ----------------------------------------------------------------------------------------------------


def test_the_table_of_releases() -> None:
    rows = history.table(fold(LINES), "r3", {"r1", "r3", "r2"})
    assert [(row["id"], row["state"], row["why"]) for row in rows] == [
        ("r4", "failed", "interrupted"),
        ("r3", "current", ""),
        ("r2", "bad", "it ended"),
        ("r1", "previous", ""),
    ]
    assert rows[3] | {} == {
        "id": "r1", "commit": "c1", "subject": "one", "who": "ann@laptop", "when": 100.0, "seconds": 3.0,
        "live": 100.0, "state": "previous", "draining": False, "why": "", "ran": "", "present": True,
    }  # fmt: skip


def test_what_is_live_is_told_also_when_its_folder_is_damaged() -> None:
    rows = history.table(fold(LINES), "r3", {"r1"})
    assert [(row["id"], row["present"]) for row in rows if row["state"] == "current"] == [("r3", False)]


def test_of_what_was_removed_only_the_newest_failures_are_told() -> None:
    lines = [json.dumps({"did": "bad", "id": f"b{n}", "why": "x"}).encode() for n in range(9)]
    rows = history.table(fold([*LINES, *lines]), "r3", {"r3"})
    assert [row["id"] for row in rows] == ["b8", "b7", "b6", "b5", "b4", "r3"]


def test_what_drains_and_what_ran_is_told() -> None:
    ran = json.dumps({"did": "ran", "id": "r2", "command": ["alembic", "upgrade", "head"]}).encode()
    rows = history.table(fold([*LINES, ran]), "r3", {"r1", "r3", "r2"}, ["r1"])
    assert [row["id"] for row in rows if row["draining"]] == ["r1"]
    assert [(row["id"], row["ran"]) for row in rows if row["ran"]] == [("r2", "alembic upgrade head")]


def test_releases_of_an_app_that_was_never_deployed(controller: Controller) -> None:
    system = FakeSystem(commands={"systemctl list-units ...": ""})
    history.query({"app": "hello"}, system, controller.conversation)
    (answer,) = controller.heard()
    assert isinstance(answer, events.Answered)
    assert (answer.data["app"], answer.data["releases"]) == ("hello", [])
    assert answer.data["disk"]["parts"] == {}


# -- disk --------------------------------------------------------------------------------------------------------


def test_what_an_app_takes() -> None:
    names = [f"{ROOT}/{name}" for name in ("repo.git", "releases", "trees", "venvs")]
    files = dict.fromkeys(names)
    argv = " ".join(("du --summarize --block-size=1024 --one-file-system --", *names))
    out = f"10\t{ROOT}/repo.git\n1\t{ROOT}/releases\n12\t{ROOT}/trees\n160\t{ROOT}/venvs\n"
    found = disk.usage(FakeSystem(files=files, commands={argv: out}), Layout("hello"))
    assert found["parts"] == {"git": 10240, "releases": 1024, "trees": 12288, "environments": 163840}
    assert (found["path"], found["whole"]) == (ROOT, True)
    assert 0 < found["free"] < found["size"]


def test_a_slow_disk_holds_up_nobody() -> None:
    class Slow(FakeSystem):
        def run(self, argv: Any, **options: Any) -> Any:
            options["on_line"](f"10\t{ROOT}/repo.git")
            raise CommandFailed(argv, -15, (), f"ended after its deadline of {options['timeout']} s")

    found = disk.usage(Slow(files={f"{ROOT}/repo.git": None, f"{ROOT}/venvs": None}), Layout("hello"))
    assert (found["parts"], found["whole"]) == ({"git": 10240}, False)


# -- status ------------------------------------------------------------------------------------------------------


SHOWN = "ActiveState=active\nSubState=running\nNRestarts=2\nMemoryCurrent={}\nControlGroup=/system.slice/x\n"
UNITS = (
    "hello@r3.socket loaded active running x\nhello@r3.service loaded active running x\n"
    "hello@r1.service loaded deactivating stop-sigterm x\n"
)


def test_status_of_an_app() -> None:
    system = server(commands={"systemctl show ...": SHOWN.format(1 << 26), "systemctl list-units ...": UNITS})
    found = status.app_status(system, Layout("hello"))
    assert found["provisioned"]
    assert found["release"] == {
        "id": "r3",
        "commit": "c3" * 20,
        "subject": "three",
        "since": 300.0,
        "by": "ann@laptop",
    }
    assert found["units"] == {
        "hello@r3.socket": "active", "hello@r3.service": "active", "hello@r1.service": "deactivating",
    }  # fmt: skip
    assert (found["running"], found["restarts"], found["memory_bytes"], found["connections"]) == (
        True,
        2,
        1 << 26,
        0,
    )
    assert found["health"]["ok"] is False
    assert found["health"]["problem"] == "nothing listens there (No such file or directory)"


def test_memory_without_a_controller_is_the_sum_of_shares() -> None:
    system = server(
        commands={"systemctl show ...": SHOWN.format("[not set]"), "systemctl list-units ...": UNITS}
    )
    system.put("/sys/fs/cgroup/unified/system.slice/x/cgroup.procs", "11\n12\n13\n")
    for pid in (11, 12):
        system.put(f"/proc/{pid}/smaps_rollup", "Rss: 999 kB\nPss:  100 kB\nPss_Anon: 7 kB\n")
    assert status.app_status(system, Layout("hello"))["memory_bytes"] == 200 * 1024


def test_status_before_the_first_deploy() -> None:
    found = status.app_status(FakeSystem(), Layout("hello"))
    assert found == {"provisioned": False, "release": None, "maintenance": None}


# -- logs --------------------------------------------------------------------------------------------------------


def test_arguments_of_journalctl() -> None:
    layout = Layout("hello")
    base = ("--no-pager", "--quiet", "--no-hostname", "--output=short-iso")
    assert logs.arguments(layout, {"lines": 100}, "r3") == (
        "journalctl",
        "--unit=hello@r3.*",
        *base,
        "--lines=100",
    )
    asked = {"all": True, "since": "-1h; rm -rf /", "grep": "--help", "follow": True, "lines": 0}
    assert logs.arguments(layout, asked, "r3") == (
        "journalctl", "--unit=hello@*", *base, "--lines=all", "--since=-1h; rm -rf /", "--grep=--help", "--follow",
    )  # fmt: skip
    # the last lines since then: systemd of Debian 12 takes --lines with --since for the first ones
    asked = {"since": "-1h", "lines": 2}
    assert logs.arguments(layout, asked, "r3")[-3:] == ("--lines=2", "--reverse", "--since=-1h")
    assert "--reverse" not in logs.arguments(layout, {**asked, "follow": True}, "r3")
    with pytest.raises(StepError, match="nothing was deployed yet"):
        logs.arguments(layout, {}, "")
    with pytest.raises(StepError, match="unknown format 'xml'"):
        logs.arguments(layout, {"format": "xml"}, "r3")


@pytest.mark.parametrize("wanted", ["r2", "c2c2"])
def test_logs_of_another_release(controller: Controller, wanted: str) -> None:
    system = server(commands={"journalctl ...": "boom\n"})
    logs.query({"app": "hello", "release": wanted}, system, controller.conversation)
    assert "--unit=hello@r2.*" in system.ran[0]
    with pytest.raises(StepError, match="no release r9 was ever made here") as error:
        logs.query({"app": "hello", "release": "r9"}, system, controller.conversation)
    assert error.value.tail[0].startswith("r")


def test_logs_are_sent_line_by_line(controller: Controller) -> None:
    system = server(commands={"journalctl ...": "one\ntwo\n"})
    assert logs.query({"app": "hello", "lines": 2}, system, controller.conversation).outcome == "done"
    assert [(event.source, event.line) for event in controller.heard() if isinstance(event, events.Output)] == [
        ("hello", "one"), ("hello", "two"),
    ]  # fmt: skip


def test_the_last_lines_since_a_time_come_in_their_order(controller: Controller) -> None:
    system = server(commands={"journalctl ...": "two\none\n"})
    asked = {"app": "hello", "lines": 2, "since": "-1h"}
    assert logs.query(asked, system, controller.conversation).outcome == "done"
    assert [event.line for event in controller.heard() if isinstance(event, events.Output)] == ["one", "two"]


def test_nothing_that_matches_is_no_failure(controller: Controller) -> None:
    system = server(commands={"journalctl ...": {"exit": 1}})
    assert logs.query({"app": "hello", "grep": "x"}, system, controller.conversation).outcome == "done"


def test_a_job_that_never_ran_has_no_log(controller: Controller) -> None:
    about = json.dumps({"timers": {"tidy": {}}})
    said = "Failed to add filter for units: No data available"
    system = server(commands={"journalctl ...": {"exit": 1, "err": said}})
    system.put(f"{ROOT}/releases/r3/release.json", about)
    with pytest.raises(StepError) as error:
        logs.query({"app": "hello", "process": "tidy"}, system, controller.conversation)
    assert error.value.message == "tidy has written nothing yet"
    assert "inv status" in error.value.hint


@pytest.mark.parametrize("code", [1, 2])
def test_what_journalctl_does_not_understand(controller: Controller, code: int) -> None:
    system = server(commands={"journalctl ...": {"exit": code, "err": "Failed to parse timestamp: yesterdy"}})
    with pytest.raises(StepError) as error:
        logs.query({"app": "hello", "since": "yesterdy"}, system, controller.conversation)
    assert error.value.message == "journalctl: Failed to parse timestamp: yesterdy"
    assert "systemd.time(7)" in error.value.hint
    system = server(commands={"journalctl ...": {"exit": code, "err": 'Bad pattern "("'}})
    with pytest.raises(StepError) as error:
        logs.query({"app": "hello", "grep": "("}, system, controller.conversation)
    assert (error.value.message, error.value.hint) == ('journalctl: Bad pattern "("', "")


# -- run ---------------------------------------------------------------------------------------------------------


def test_a_command_in_the_release(controller: Controller) -> None:
    system = server(commands={"systemd-run ...": {"exit": 3, "out": "at head\n", "err": "careful\n"}})
    request = {"app": "hello", "run": "7f3a", "argv": ["alembic", "current"]}
    finished = execute.query(request, system, controller.conversation)
    assert (finished.outcome, finished.data) == ("done", {"exit_code": 3, "release": "r3"})
    said = [(event.source, event.line) for event in controller.heard() if isinstance(event, events.Output)]
    assert said == [("stdout", "at head"), ("stderr", "careful")]
    (argv,) = system.ran
    assert argv[-2:] == (f"{ROOT}/releases/r3/venv/bin/alembic", "current")
    assert "--unit=hostwright-command-hello-7f3a.service" in argv
    assert "--property=User=hello" in argv


def test_words_arrive_as_they_are(controller: Controller) -> None:
    """systemd would replace $NAME by a variable."""
    system = server(commands={"systemd-run ...": ""})
    argv = ["sh", "-c", "echo $$ ${HOME} $x '%n'"]
    system.put("/bin/sh", "")
    execute.query({"app": "hello", "run": "1", "argv": argv}, system, controller.conversation)
    assert system.ran[0][-3:] == ("/bin/sh", "-c", "echo $$$$ $${HOME} $$x '%n'")


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("./manage.py", f"{ROOT}/releases/r3/code/./manage.py"),
        ("/bin/true", "/bin/true"),
        ("printenv", "/usr/bin/printenv"),
    ],
)
def test_where_a_program_is_looked_for(controller: Controller, name: str, program: str) -> None:
    system = server(commands={"systemd-run ...": ""})
    execute.query({"app": "hello", "run": "1", "argv": [name]}, system, controller.conversation)
    assert system.ran[0][-1] == program


def test_a_program_that_is_not_executable(controller: Controller) -> None:
    with pytest.raises(StepError) as error:
        execute.query({"app": "hello", "run": "1", "argv": ["./web.py"]}, server(), controller.conversation)
    assert error.value.message == "./web.py is not executable"
    assert "python ./web.py" in error.value.hint


@pytest.mark.parametrize("name", ["alembik", "./manage.pie", "/opt/x", "cd"])
def test_a_program_that_is_not_there(controller: Controller, name: str) -> None:
    system = server()
    with pytest.raises(StepError, match=f"there is no program {name} in this release or on the server"):
        execute.query({"app": "hello", "run": "1", "argv": [name]}, system, controller.conversation)
    assert system.ran == []


def test_a_release_that_is_not_there(controller: Controller) -> None:
    with pytest.raises(StepError, match="there is no release r9 on this server"):
        execute.query(
            {"app": "hello", "run": "1", "argv": ["x"], "release": "r9"}, server(), controller.conversation
        )


def test_a_command_is_stopped_when_the_controller_has_had_enough(controller: Controller) -> None:
    system = server(commands={"systemd-run ...": "", "systemctl stop ...": ""})
    controller.say(control="cancel")
    with pytest.raises(RunCancelled):
        execute.query(
            {"app": "hello", "run": "7f3a", "argv": ["sleep", "9"]}, system, controller.conversation
        )
    assert system.ran[-1] == ("systemctl", "stop", "hostwright-command-hello-7f3a.service")


# -- listening ---------------------------------------------------------------------------------------------------


def test_pings_are_heard_and_change_nothing(controller: Controller) -> None:
    listener = Listener(controller.conversation)
    controller.say(control="ping")
    controller.say(control="ping")
    assert not listener.cancelled()
    listener.check()


@pytest.mark.parametrize("word", ["cancel", "detach"])
def test_the_controller_says_enough(controller: Controller, word: str) -> None:
    listener = Listener(controller.conversation)
    controller.say(control="ping")
    controller.say(control=word)
    assert listener.cancelled()
    with pytest.raises(RunCancelled):
        listener.check()


def test_the_controller_vanishes(controller: Controller) -> None:
    listener = Listener(controller.conversation)
    os.close(controller.up)
    assert listener.cancelled()
    with pytest.raises(Gone):
        listener.check()


def test_nobody_reads_the_lines_any_more(controller: Controller) -> None:
    listener = Listener(controller.conversation)
    os.close(controller.down)
    listener.line("x")("lost")
    listener.line("x")("also lost")
    assert listener.cancelled()
    with pytest.raises(Gone):
        listener.check()


def test_silence_is_an_end(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(controller.conversation)
    monkeypatch.setattr("hostwright.remote.release.listening.SILENCE", -1.0)
    assert listener.cancelled()
    assert listener.gone
