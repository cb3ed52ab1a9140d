from __future__ import annotations

import pytest

from hostwright.remote.resources.base import diff
from hostwright.report.changes import describe, mark

Values = dict[str, object]


@pytest.mark.parametrize(
    ("kind", "before", "after", "shown"),
    [
        (
            "file",
            {"type": None, "content": None, "mode": None, "owner": None, "group": None},
            {"type": "file", "content": "0a1b", "mode": "0640", "owner": "root", "group": "www-data"},
            ("+", "0640, root:www-data"),
        ),
        ("file", {"content": "aa"}, {"content": "bb"}, ("~", "content")),
        ("file", {"mode": "0644"}, {"mode": "0600"}, ("~", "mode 0644 -> 0600")),
        (
            "file",
            {"owner": "root", "group": "root"},
            {"owner": "hello", "group": "www-data"},
            ("~", "owner root -> hello:www-data"),
        ),
        ("file", {"owner": "root"}, {"owner": "hello"}, ("~", "owner root -> hello")),
        (
            "file",
            {"type": "link", "content": None},
            {"type": "file", "content": "bb"},
            ("~", "type link -> file, content"),
        ),
        ("file", {"type": "file"}, {"type": None}, ("-", "")),
        (
            "file",
            {"content": "aa", "content of app.conf": "aa", "content of x.conf": None},
            {"content": "bb", "content of app.conf": "bb", "content of x.conf": "cc"},
            ("~", "content, app.conf, x.conf"),
        ),
        ("file", {"content of app.conf": None}, {"content of app.conf": "bb"}, ("~", "app.conf")),
        (
            "file",
            {"type": None, "content of app.conf": None, "mode": None},
            {"type": "file", "content of app.conf": "bb", "mode": "0644"},
            ("+", "0644"),
        ),
        (
            "user",
            {"exists": False, "home": None, "groups": []},
            {"exists": True, "home": "/srv/a", "groups": ["www-data"]},
            ("+", "home /srv/a, groups www-data"),
        ),
        ("user", {"groups": ["a", "b"]}, {"groups": ["b", "c"]}, ("~", "groups +c -a")),
        (
            "user",
            {"shell": "/bin/sh"},
            {"shell": "/usr/sbin/nologin"},
            ("~", "shell /bin/sh -> /usr/sbin/nologin"),
        ),
        ("symlink", {"target": None}, {"target": "../a"}, ("+", "-> ../a")),
        ("symlink", {"target": "../b"}, {"target": "../a"}, ("~", "target ../b -> ../a")),
        ("absent", {"target": "../a"}, {"target": None}, ("-", "")),
        (
            "unit",
            {"enabled": False, "running": False},
            {"enabled": True, "running": True},
            ("+", "enabled, running"),
        ),
        ("unit", {"running": True}, {"running": False}, ("~", "running yes -> no")),
        ("user", {"exists": True}, {"exists": False}, ("-", "")),
        (
            "timezone",
            {"timezone": "Europe/Berlin"},
            {"timezone": "Etc/UTC"},
            ("~", "Europe/Berlin -> Etc/UTC"),
        ),
        ("upgrade", {"upgraded": None}, {"upgraded": "done"}, ("~", "")),
        ("authorized_key", {"key": None}, {"key": "present"}, ("+", "")),
        (
            "packages",
            {"nginx": None, "git": None},
            {"nginx": "installed", "git": "installed"},
            ("+", "nginx git"),
        ),
        ("packages", {"nginx": "half-configured"}, {"nginx": "installed"}, ("~", "nginx")),
        ("file", {"comment": ""}, {"comment": "x" * 80}, ("~", f'comment "" -> {"x" * 57}...')),
    ],
)
def test_changes_in_words(kind: str, before: Values, after: Values, shown: tuple[str, str]) -> None:
    changes = [change.to_wire() for change in diff(after, before)]  # type: ignore[arg-type]
    assert changes
    assert (mark(kind, changes), describe(kind, changes)) == shown


@pytest.mark.parametrize(("would", "words"), [(True, "(14 to install)"), (False, "(14 installed)")])
def test_many_packages_are_counted(would: bool, words: str) -> None:
    changes = [{"attribute": f"p{n}", "before": None, "after": "installed"} for n in range(14)]
    assert describe("packages", changes, would) == f"p0 p1 p2 ... {words}"
