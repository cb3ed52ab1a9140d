"""What is removed, and what never is."""

from __future__ import annotations

import json

import pytest

from hostwright.remote.release.layout import Layout
from hostwright.remote.release.prune import obsolete, prune
from hostwright.remote.release.record import fold
from hostwright.testing import FakeSystem


def story(*words: str) -> list[bytes]:
    """`a:t1` went live with the tree t1; `!a:t1` was refused."""
    found, before = [], ""
    for word in words:
        name = word.lstrip("!").partition(":")[0]
        did = "bad" if word.startswith("!") else "live"
        found.append(json.dumps({"did": did, "id": name, "before": before}).encode())
        before = name if did == "live" else before
    return found


CASES = [
    # story, live, still running, keep, removed
    (("a:1", "b:2", "c:3"), "c", (), 5, []),
    (("a:1", "b:2", "c:3", "d:4"), "d", (), 2, ["a", "b"]),
    # one release to keep: still the way back
    (("a:1", "b:2", "c:3"), "c", (), 1, ["a"]),
    # an instance that still answers requests
    (("a:1", "b:2", "c:3", "d:4"), "d", ("a",), 2, ["b"]),
    # restarts and changed variables are releases over the same code: they push nothing out
    (("a:1", "b:2", "c:2", "d:2", "e:2"), "e", (), 2, ["b", "c"]),
    # after a rollback the one that was left may still be wanted
    (("a:1", "b:2", "c:3", "b:2"), "b", (), 3, []),
    (("a:1", "b:2", "c:3", "b:2"), "b", (), 2, ["c"]),
    # of those that went wrong only the newest is kept to look at
    (("a:1", "!b:2", "!c:3"), "a", (), 5, ["b"]),
    (("a:1", "!b:2", "c:3", "d:4"), "d", (), 5, []),
]


@pytest.mark.parametrize(("words", "current", "busy", "keep", "removed"), CASES)
def test_obsolete(
    words: tuple[str, ...], current: str, busy: tuple[str, ...], keep: int, removed: list[str]
) -> None:
    known = fold(story(*words))
    trees = dict(word.lstrip("!").split(":") for word in words)
    assert obsolete(known, sorted(known), current, trees, busy, keep) == removed


def test_what_the_log_does_not_know_is_left_to_self_healing() -> None:
    assert obsolete(fold(story("a:1", "b:2")), ["a", "b", "x"], "b", {}, (), 1) == []


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_way_back_is_never_removed(keep: int) -> None:
    words = [f"r{n}:{n}" for n in range(10)]
    known = fold(story(*words))
    trees = {name: name for name in known}
    gone = obsolete(known, sorted(known), "r9", trees, (), keep)
    assert not {"r9", "r8"} & set(gone)
    assert len(known) - len(gone) == max(keep, 2)


def test_code_and_environments_without_a_release_go_too() -> None:
    root = "/srv/hello"
    log = story("r1:1", "r2:2", "r3:3")
    files: dict[str, object] = {
        f"{root}/releases.jsonl": b"\n".join(log).decode() + "\n",
        f"{root}/current": {"link": "releases/r3"},
        f"{root}/repo.git/objects/pack": None,
        f"{root}/releases/.r0.tmp": None,
    }
    for number in (1, 2, 3):
        venv = "v1" if number == 1 else "v2"
        about = {"tree": f"t{number}", "venv": venv, "commit": f"c{number}"}
        files |= {f"{root}/releases/r{number}/release.json": json.dumps(about)}
        files |= {f"{root}/trees/t{number}/main.py": "", f"{root}/trees/t{number}.ok": ""}
        files |= {f"{root}/venvs/{venv}/bin/python": "", f"{root}/venvs/{venv}.ok": ""}
    # a damaged environment that r1 had; and one that r3 was led to when the run was cut, before release.json said so
    files |= {f"{root}/venvs/v1-r1/bin/python": "", f"{root}/venvs/v1-r1.ok": ""}
    files |= {f"{root}/venvs/v3/bin/python": "", f"{root}/venvs/v3.ok": ""}
    files |= {f"{root}/releases/r3/venv": {"link": "../../venvs/v3"}}
    system = FakeSystem(
        files=files,
        commands={
            "systemctl list-units ...": "hello@r3.service loaded active running hello: release r3\n",
            "git --git-dir=/srv/hello/repo.git -c core.hooksPath=/dev/null for-each-ref ...": "c3\nc2\nc1\n",
        },
    )
    assert prune(system, Layout("hello"), 2) == ["r1"]
    assert system.listdir(f"{root}/releases") == [".r0.tmp", "r2", "r3"]
    assert system.listdir(f"{root}/trees") == ["t2", "t2.ok", "t3", "t3.ok"]
    assert system.listdir(f"{root}/venvs") == ["v2", "v2.ok", "v3", "v3.ok"]


def test_what_the_release_before_served_stays_with_it() -> None:
    """Pages of what `previous` names are open in browsers, though it is far back in the log."""
    root = "/srv/hello"
    files: dict[str, object] = {
        f"{root}/releases.jsonl": b"\n".join(story("r1:1", "r2:2", "r3:3", "r4:4")).decode() + "\n",
        f"{root}/current": {"link": "releases/r4"},
        f"{root}/previous": {"link": "releases/r1"},
    }
    for number in (1, 2, 3, 4):
        about = {"tree": f"t{number}", "venv": "v", "assets": f"a{number}"}
        files |= {f"{root}/releases/r{number}/release.json": json.dumps(about)}
        files |= {f"{root}/assets/a{number}/static/x": "", f"{root}/assets/a{number}.ok": ""}
    commands = {"systemctl list-units ...": ""}
    system = FakeSystem(files=files, commands=commands)
    assert prune(system, Layout("hello"), 1) == ["r2"]
    assert system.listdir(f"{root}/releases") == ["r1", "r3", "r4"]
    assert system.listdir(f"{root}/assets") == ["a1", "a1.ok", "a3", "a3.ok", "a4", "a4.ok"]
