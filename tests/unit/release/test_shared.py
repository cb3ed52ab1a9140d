"""Directories that outlive releases, and the symlinks of the code that lead there."""

from __future__ import annotations

import pytest

from hostwright.remote.release import shared
from hostwright.remote.release.layout import Layout
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

LAYOUT = Layout("hello")
TARGET = "/srv/hello/shared"


def server(files: dict[str, object] | None = None) -> FakeSystem:
    return FakeSystem(
        files={"/srv/hello": None, **(files or {})},
        users={"hello": (990, 991, "/var/lib/hello", "/bin/sh")},
        groups={"www-data": (33, ())},
    )


@pytest.mark.parametrize("directory", [".", "sites/shop"])
def test_links_lie_in_the_apps_directory(directory: str) -> None:
    prefix = "" if directory == "." else "sites/shop/"
    assert shared.links(LAYOUT, directory, ["uploads", "a/b"]) == {
        f"{prefix}uploads": f"{TARGET}/uploads",
        f"{prefix}a/b": f"{TARGET}/a/b",
    }


def test_what_may_be_there() -> None:
    listing = {
        "uploads/.gitkeep": ("100644", 0),
        "uploads/a/.gitignore": ("100644", 0),
        "link": ("120000", 3),
    }
    found = shared.kinds(listing)
    assert found["link"] == "link"
    shared.check(found, {"uploads": f"{TARGET}/uploads", "new/a": f"{TARGET}/new/a"})


@pytest.mark.parametrize(
    ("found", "said", "hint"),
    [
        (
            {f"uploads/{n}.png": "file" for n in range(5)},
            "the shared directory uploads is not free in this commit: the app would not see uploads/0.png, "
            "uploads/1.png, uploads/2.png and 2 more",
            "git rm -r --cached uploads; what the app needs of it, copy to the server: /srv/hello/shared/uploads",
        ),
        ({"uploads": "link"}, "in this commit: uploads is a symlink", "git rm -r --cached uploads;"),
        ({"uploads": "file"}, "in this commit: uploads is a file", "git rm -r --cached uploads;"),
    ],
)
def test_what_the_app_would_not_see(found: dict[str, str], said: str, hint: str) -> None:
    with pytest.raises(StepError) as error:
        shared.check(found, {"uploads": f"{TARGET}/uploads"})
    assert said in error.value.message
    assert error.value.hint.startswith(hint)


def test_nothing_is_made_through_a_symlink() -> None:
    with pytest.raises(StepError, match="a is a symlink"):
        shared.check({"a": "link"}, {"a/b": f"{TARGET}/a/b"})


def test_what_a_build_left_there_is_told_otherwise() -> None:
    with pytest.raises(StepError, match="is not free in what was built: the app would not see up/x") as error:
        shared.check({"up/x": "file"}, {"up": f"{TARGET}/up"}, "what was built")
    assert error.value.hint == "The app alone writes there: the build needs a directory of its own."


def test_directories_are_made_once() -> None:
    system = server()
    for _ in range(2):
        shared.ensure(system, LAYOUT, ["uploads", "a/b"])
    made = {path: system.stat(f"{TARGET}{path}") for path in ("", "/uploads", "/a", "/a/b")}
    found = {path: (stat.mode, stat.uid, stat.gid) for path, stat in made.items() if stat}
    assert found == {
        "": (0o755, 0, 0), "/uploads": (0o2750, 990, 33), "/a": (0o755, 0, 0), "/a/b": (0o2750, 990, 33),
    }  # fmt: skip


def test_none_are_needed() -> None:
    system = server()
    shared.ensure(system, LAYOUT, [])
    assert not system.exists(TARGET)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (
            {f"{TARGET}/a": {"dir": True, "uid": 990, "mode": 0o2750}},
            "/srv/hello/shared/a belongs to the app",
        ),
        ({f"{TARGET}/a": {"link": "/etc"}}, "/srv/hello/shared/a is not a directory"),
        ({f"{TARGET}/a/b": "text"}, "/srv/hello/shared/a/b is not a directory"),
    ],
)
def test_root_makes_nothing_where_the_app_may_write(there: dict[str, object], said: str) -> None:
    with pytest.raises(StepError, match=f"cannot be made: {said}"):
        shared.ensure(server(there), LAYOUT, ["a/b"])


def test_links_replace_placeholders() -> None:
    system = server({"/t/uploads/.gitkeep": "", "/t/main.py": ""})
    shared.link(system, "/t", {"uploads": f"{TARGET}/uploads", "a/b": f"{TARGET}/a/b"})
    assert system.readlink("/t/uploads") == f"{TARGET}/uploads"
    assert system.readlink("/t/a/b") == f"{TARGET}/a/b"
    assert system.listdir("/t") == ["a", "main.py", "uploads"]
