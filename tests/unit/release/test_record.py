"""The log of releases: states, the way back, what a rollback may name."""

from __future__ import annotations

import json

import pytest

from hostwright.remote.release.layout import Layout
from hostwright.remote.release.record import Log, choose, fold, previous, ran_since
from hostwright.remote.release.shelf import Shelf
from hostwright.remote.release.shorten import KEEP, shorten
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

COMMITS = {"a": "aaaa1111", "b": "bbbb2222", "c": "cccc3333", "d": "dddd4444", "a2": "aaaa1111"}


def lines(*story: str) -> list[bytes]:
    """`a`: deployed; `=a`: deployed, the same as what was live; `>a`: rolled back to; `!a`: refused; `?a`: failed."""
    found, current = [], ""
    for when, word in enumerate(story):
        name = word.lstrip("=>!?")
        did = {"!": "bad", "?": "failed"}.get(word[0], "live")
        entry = {
            "did": did, "id": name, "t": when, "by": "ann@laptop", "seconds": 2.0,
            "commit": COMMITS[name], "subject": f"subject {name}",
        }  # fmt: skip
        if did == "live":
            entry["before"], entry["again"], current = current, word[0] == "=", name
        else:
            entry["why"] = "GET /health -> 500"
        found.append(json.dumps(entry).encode())
    return found


# story, live release, gone from disk, where a rollback leads
BACK = [
    ((), "", (), ""),
    (("a",), "a", (), ""),
    (("a", "b"), "b", (), "a"),
    (("a", "b", "c"), "c", (), "b"),
    # after a rollback another one goes further back, not forward
    (("a", "b", "c", ">b"), "b", (), "a"),
    (("a", "b", "c", ">b", ">a"), "a", (), ""),
    # the next deploy goes back to what ran before it, not to what had been left
    (("a", "b", "c", ">b", "d"), "d", (), "b"),
    (("a", "b", "c", ">b", ">a", "d"), "d", (), "a"),
    # a named release forward again: its own way back
    (("a", "b", "c", ">a", ">c"), "c", (), "b"),
    (("a", "!b", "c"), "c", (), "a"),
    (("a", "?b", "c"), "c", (), "a"),
    # what is gone is passed over
    (("a", "b", "c"), "c", ("b",), "a"),
    (("a", "b", "c"), "c", ("a", "b"), ""),
    # the gate refused a rollback to a: it was good once, so it may be tried again
    (("a", "b", "!a"), "b", (), "a"),
    # deploying the same again is nothing to go back to
    (("a", "=a2"), "a2", (), ""),
    (("d", "a", "=a2"), "a2", (), "d"),
    (("d", "a", "=a2", "b"), "b", (), "a2"),
    (("d", "a", "=a2", "=c"), "c", ("a",), "d"),
    (("a", "b", ">a", "=a2"), "a2", (), ""),
    # a live release the log does not know
    (("a", "b"), "x", (), ""),
]


@pytest.mark.parametrize(("story", "current", "gone", "back"), BACK)
def test_previous(story: tuple[str, ...], current: str, gone: tuple[str, ...], back: str) -> None:
    known = fold(lines(*story))
    assert previous(known, current, set(known) - set(gone)) == back


CHOICES = [
    ("", "b"),
    ("a", "a"),
    ("aaaa", "a2"),  # a commit with two releases: the newest
    ("BBBB2", "b"),
    ("a2", "a2"),
]


@pytest.mark.parametrize(("wanted", "chosen"), CHOICES)
def test_choose(wanted: str, chosen: str) -> None:
    known = fold(lines("a", "a2", "b", "c"))
    assert choose(known, "c", set(known), wanted) == chosen


REFUSALS = [
    ("zzzz", "there is no release zzzz on this server"),
    # three characters of a commit say too little
    ("aaa", "there is no release aaa on this server; of a commit, at least 4 characters are needed"),
    ("d", 'd  dddd444 "subject d" is live already'),
    ("b", "b was marked bad: GET /health -> 500"),
    ("c", "c was removed: only the newest are kept"),
]


@pytest.mark.parametrize(("wanted", "message"), REFUSALS)
def test_refused_choice_says_what_could_be_named(wanted: str, message: str) -> None:
    known = fold(lines("a", "!b", "c", "d"))
    with pytest.raises(StepError) as error:
        choose(known, "d", {"a", "b", "d"}, wanted)
    assert error.value.message == message
    if "live already" not in message:
        assert error.value.tail == ('a  aaaa111 "subject a"',)
        assert error.value.hint == "Name one of these: inv rollback --to ID"
    assert not error.value.refused


def test_a_damaged_release_is_called_that() -> None:
    known = fold(lines("a", "b", "c"))
    with pytest.raises(StepError) as error:
        choose(known, "c", {"a", "c"}, "bbbb", {"b": "venv/bin/python"})
    assert error.value.message == "b is damaged: its venv/bin/python is missing on this server"
    assert error.value.tail == ('a  aaaa111 "subject a"',)


def test_a_rollback_that_kept_the_environment_leads_where_a_rollback_does() -> None:
    story = [json.loads(line) for line in lines("a", "b", "c")]
    story.append({"did": "live", "id": "b2", "commit": "bbbb2222", "before": "c", "of": "b"})
    known = fold([json.dumps(entry).encode() for entry in story])
    assert previous(known, "b2", set(known)) == "a"


RAN = {"did": "ran", "command": ["alembic", "upgrade", "the head"]}


def test_release_commands_that_ran() -> None:
    ran = [json.dumps({**RAN, "id": name}).encode() for name in ("b", "c", "x")]
    known = fold([ran[2], *lines("a"), ran[0], *lines("b"), ran[1], *lines("!c", "d")])
    assert "x" not in known, "nothing says how it ended: healing has to"
    assert [entry.id for entry in ran_since(known, "a")] == ["b", "c"]
    assert [entry.id for entry in ran_since(known, "b")] == ["c"]
    assert known["c"].ran == "alembic upgrade 'the head'"


def test_ambiguous_choice() -> None:
    known = fold(
        [
            json.dumps({"did": "live", "id": f"20261121t1{n}", "commit": f"c{n}" * 4}).encode()
            for n in range(3)
        ]
    )
    with pytest.raises(StepError) as error:
        choose(known, "", set(known), "20261121")
    assert error.value.message == "20261121 means several releases"
    assert len(error.value.tail) == 3


def test_nothing_to_go_back_to() -> None:
    known = fold(lines("a"))
    with pytest.raises(StepError) as error:
        choose(known, "a", {"a"})
    assert error.value.message == "there is no release to go back to"
    assert error.value.hint == "inv deploy makes a new release."


def test_torn_and_foreign_lines_are_passed_over() -> None:
    raw = [
        *lines("a"),
        b'{"did":"live","id":"b","t":1',
        b"",
        b"[1]",
        b'{"did":"danced","id":"z"}',
        *lines("c"),
    ]
    assert list(fold(raw)) == ["a", "c"]


def test_a_release_keeps_the_time_it_first_went_live() -> None:
    known = fold(lines("a", "b", ">a"))
    assert (known["a"].when, known["a"].live, known["a"].before) == (0, 2, "")


def test_log_on_disk() -> None:
    system = FakeSystem(files={"/srv/hello": None})
    log = Log(system, Layout("hello"))
    log.add("live", "r1", by="ann@laptop", commit="c" * 40, before="")
    log.add("bad", "r2", why="it ended")
    assert [(entry.id, entry.verdict) for entry in log.known().values()] == [("r1", "good"), ("r2", "bad")]


def test_a_long_log_is_shortened_and_what_lies_on_disk_stays_known() -> None:
    """Healing removes the release that no line speaks of."""
    system, layout = FakeSystem(files={"/srv/hello": None}), Layout("hello")
    log = Log(system, layout)
    for release in ("r1", "r2", "r3"):
        log.add("live", release, before="r0")
    for _ in range(2 * KEEP - 3):
        log.add("live", "r4")
    shorten(system, layout, ["r1", "r2", "r4"])
    assert len(log.lines()) == 2 * KEEP, "not long enough"
    log.add("live", "r4")
    shorten(system, layout, ["r1", "r2", "r4"])
    assert len(log.lines()) == KEEP + 3
    assert list(log.known()) == ["r1", "r2", "r4"]
    assert log.known()["r1"].before == "r0"


def test_what_is_the_same_again() -> None:
    def release(name: str, **other: str) -> dict[str, object]:
        folder = f"/srv/hello/releases/{name}"
        parts = {
            "gunicorn.conf.py": f"x = {name!r}",
            "env": f"R={name}\nA=1\n",
            "units/service.conf": "",
            **other,
        }
        links = {f"{folder}/code": {"link": "../../trees/t1"}, f"{folder}/venv": {"link": "../../venvs/v1"}}
        return {**links, **{f"{folder}/{part}": text for part, text in parts.items()}}

    files = {
        **release("r1"),
        **release("r2"),
        **release("r3", env="R=r3\nA=2\n"),
        **release("r4", **{"units/more": ""}),
    }
    system = FakeSystem(
        files={**files, **release("r5"), "/srv/hello/releases/r5/code": {"link": "../../trees/t2"}}
    )
    shelf = Shelf(system, Layout("hello"))
    assert [shelf.alike("r1", name) for name in ("r1", "r2", "r3", "r4", "r5")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_shelf_knows_whole_releases() -> None:
    folder = "/srv/hello/releases"
    files = {
        f"{folder}/r1/release.json": '{"commit": "abc"}',
        f"{folder}/r1/code": {"link": "../../trees/t"},
        f"{folder}/r1/venv": {"link": "../../venvs/v"},
        f"{folder}/r1/gunicorn.conf.py": "",
        f"{folder}/r1/env": "",
        "/srv/hello/trees/t": None,
        "/srv/hello/venvs/v/bin/python": "",
        f"{folder}/r2/release.json": "not json",
        f"{folder}/.r3.tmp/release.json": "{}",
        **{
            f"{folder}/r4/{part}": ""
            for part in ("release.json", "code", "venv/bin/python", "gunicorn.conf.py", "env")
        },
        "/srv/hello/current": {"link": "releases/r1"},
    }
    shelf = Shelf(FakeSystem(files=files), Layout("hello"))
    assert shelf.current() == "r1"
    assert shelf.present() == ["r1"]
    # one that tells nothing could be started, and then its health could not be asked for
    assert shelf.damaged() == {"r2": "code", "r4": "release.json"}
    assert shelf.about("r1") == {"commit": "abc"}
    assert shelf.about("r2") == {}
    assert shelf.about("r9") == {}
