"""`inv status` and `inv releases` as people read them."""

from __future__ import annotations

import time

from hostwright.errors import HostUnreachable
from hostwright.run.tables import ago_seconds, releases_table, status_table

HOST = {
    "uptime_seconds": 41 * 86400, "load": [0.08, 0.1, 0.1], "cores": 2, "memory_total": 2 << 30,
    "memory_available": 1 << 30, "disk_total": 100, "disk_free": 69, "failed_units": [], "reboot_required": False,
}  # fmt: skip


def app(**more: object) -> dict[str, object]:
    release = {
        "id": "20261121t141502-4f2c1d9",
        "commit": "4f2c1d9aa",
        "subject": "Fix",
        "since": time.time() - 720,
    }
    health = {"status": 200, "ms": 12.2, "expect": 200, "ok": True, "problem": ""}
    return {"provisioned": True, "release": release, "health": health, "restarts": 0, "units": {}, **more}


def test_status() -> None:
    answers = {
        "web1": {"apps": {"hello": app()}, "host": HOST},
        "web2": {
            "apps": {
                "hello": app(health={"status": 0, "ms": 0, "ok": False, "problem": "refused"}, restarts=3)
            },
            "host": {**HOST, "disk_free": 12, "reboot_required": True},
        },
        "web3": {"apps": {"hello": {"provisioned": True, "release": None}}, "host": HOST},
    }
    text = status_table(answers, {"db1": HostUnreachable("timed out after 5 s")}, {})
    lines = text.splitlines()
    assert lines[0].split() == [
        "host",
        "app",
        "release",
        "since",
        "health",
        "up",
        "load",
        "mem",
        "disk",
        "notes",
    ]
    assert " ".join(lines[1].split()) == "web1 hello 4f2c1d9 12 min 200 12 ms 41 d 0.1/2 1.0/2.0 GiB 31% -"
    assert lines[2].endswith("not healthy: refused, 3 restarts, disk nearly full, reboot needed")
    assert lines[3].endswith("nothing deployed")
    assert lines[4].endswith("unreachable: timed out after 5 s")


def release(id: str, state: str, why: str = "") -> dict[str, object]:
    return {
        "id": id, "state": state, "when": time.time() - 7200, "live": None, "seconds": 3.14, "who": "ann@laptop",
        "why": why, "subject": "Fix totals", "commit": "c", "present": True,
    }  # fmt: skip


def test_releases() -> None:
    answers = {"web1": {"releases": [release("b", "bad", "GET /health -> 500"), release("a", "current")]}}
    text = releases_table(answers, {}, {})
    assert [line.split() for line in text.splitlines()] == [
        ["release", "state", "when", "took", "who", "subject"],
        ["b", "bad", "2", "h", "3.1", "s", "ann@laptop", "GET", "/health", "->", "500"],
        ["a", "current", "2", "h", "3.1", "s", "ann@laptop", "Fix", "totals"],
    ]


def test_no_releases_yet() -> None:
    assert releases_table({"web1": {"releases": []}}, {}, {}) == "Nothing was deployed yet. Next: inv deploy"


def test_spans_of_time() -> None:
    spans = [ago_seconds(seconds) for seconds in (-1, 5, 119, 121, 7200, 86400, 200_000)]
    assert spans == ["0 s", "5 s", "119 s", "2 min", "2 h", "24 h", "2 d"]
