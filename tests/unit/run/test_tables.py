"""`inv status` and `inv releases` as people read them."""

from __future__ import annotations

import time

import pytest

from hostwright.errors import HostUnreachable
from hostwright.report import Look
from hostwright.run.tables import ago_seconds, disk_line, moment, releases_table, status_table

HOST = {
    "uptime_seconds": 41 * 86400, "load": [0.08, 0.1, 0.1], "cores": 2, "memory_total": 2 << 30,
    "memory_available": 1 << 30, "disk_total": 100, "disk_free": 69, "failed_units": [], "reboot_required": False,
}  # fmt: skip


DISK = {
    "path": "/srv/hello", "parts": {"git": 10 << 20, "trees": 12 << 20, "environments": 160 << 20, "releases": 4096},
    "whole": True, "free": 4_402_341_478, "size": 20 << 30,
}  # fmt: skip
DISK_LINE = "/srv/hello 182 MiB: environments 160, trees 12, git 10; 4.1 GiB free of 20"


def app(**more: object) -> dict[str, object]:
    release = {
        "id": "20261121t141502-4f2c1d9",
        "commit": "4f2c1d9aa",
        "subject": "Fix",
        "since": time.time() - 720,
    }
    health = {"status": 200, "ms": 12.2, "expect": 200, "ok": True, "problem": ""}
    return {
        "provisioned": True,
        "release": release,
        "health": health,
        "restarts": 0,
        "units": {},
        "disk": DISK,
        **more,
    }


def test_status() -> None:
    answers = {
        "web1": {"apps": {"hello": app()}, "host": HOST},
        "web2": {
            "apps": {
                "hello": app(health={"status": 0, "ms": 0, "ok": False, "problem": "refused"}, restarts=3)
            },
            "host": {**HOST, "disk_free": 12, "reboot_required": True},
        },
        "web3": {
            "apps": {"hello": {"provisioned": True, "release": None, "disk": {**DISK, "parts": {}}}},
            "host": HOST,
        },
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
        "cert",
        "notes",
    ]
    assert " ".join(lines[1].split()) == "web1 hello 4f2c1d9 12 min 200 12 ms 41 d 0.1/2 1.0/2.0 GiB 31% - -"
    assert lines[2].endswith("not healthy: refused, 3 restarts, disk nearly full, reboot needed")
    assert lines[3].endswith("nothing deployed")
    assert lines[4].endswith("unreachable: timed out after 5 s")
    assert lines[5:] == [f"web1  {DISK_LINE}", f"web2  {DISK_LINE}"]


@pytest.mark.parametrize(
    ("left", "life", "cell", "note"),
    [
        (64.5, 90, "64 d", "-"), (13.5, 90, "13 d", "certificate: see inv cert.status"), (5.5, 6.6, "5 d", "-"),
        (-1, 90, "EXPIRED", "certificate: see inv cert.status"),
        (None, 90, "none", "certificate: see inv cert.status"),
    ],
)  # fmt: skip
def test_how_long_the_certificate_is_good_for(left: float | None, life: float, cell: str, note: str) -> None:
    end = None if left is None else time.time() + left * 86400
    held = {"not_after": end, "not_before": None if end is None else end - life * 86400}
    text = status_table({"web1": {"apps": {"hello": app(certificate=held)}, "host": HOST}}, {}, {})
    assert " ".join(text.splitlines()[1].split()).endswith(f"1.0/2.0 GiB 31% {cell} {note}")


def test_maintenance_is_the_first_note() -> None:
    """Today its time is enough."""
    since = time.time()
    hidden = app(maintenance={"since": since, "by": "ann@laptop"}, restarts=3)
    text = status_table({"web1": {"apps": {"hello": hidden}, "host": HOST}}, {}, {})
    assert text.splitlines()[1].endswith(f"maintenance since {moment(since)}, 3 restarts")
    assert len(moment(since)) == len("14:05")
    assert moment(1_800_000_000.0).startswith("2027-01-15 ")


def test_what_still_drains_is_named_by_its_release() -> None:
    now, old = "20261121t141502-4f2c1d9", "20261121t131502-9b1e002"
    units = {
        f"hello@{now}.service": "active",
        f"hello@{old}.service": "active",
        f"hello@{old}.socket": "active",
        f"hello.queue@{old}.service": "deactivating",
    }
    text = status_table({"web1": {"apps": {"hello": app(units=units)}, "host": HOST}}, {}, {})
    assert text.splitlines()[1].endswith(f"draining: {old}, queue@{old}")


def release(id: str, state: str, why: str = "", **more: object) -> dict[str, object]:
    return {
        "id": id, "state": state, "when": time.time() - 7200, "live": None, "seconds": 3.14, "who": "ann@laptop",
        "why": why, "subject": "Fix totals", "commit": "c", "present": True, "draining": False, "ran": "", **more,
    }  # fmt: skip


RELEASES = [
    release(
        "20261121t161502417-4f2c1d9", "bad", 'GET /health -> 500 instead of 200: "no database" (12 tries)'
    ),
    release("20261121t151502417-4f2c1d9", "current", ran="alembic upgrade head"),
    release("20261121t141502417-9b1e002", "previous", draining=True),
    release("20261121t131502417-9b1e002", "good", draining=True),
]
TABLE = """\
release                     state     when   took  who         subject
20261121t161502417-4f2c1d9  bad       2 h   3.1 s  ann@laptop  Fix totals; GET /health -> 500
                                                               instead of 200: "no database" (12
                                                               tries)
20261121t151502417-4f2c1d9  current   2 h   3.1 s  ann@laptop  Fix totals; ran: alembic upgrade head
20261121t141502417-9b1e002  previous  2 h   3.1 s  ann@laptop  Fix totals; draining
20261121t131502417-9b1e002  draining  2 h   3.1 s  ann@laptop  Fix totals
"""


def test_releases_in_a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Look, "of", classmethod(lambda cls, stream, environ: Look(width=100)))
    text = releases_table({"web1": {"releases": RELEASES, "disk": DISK}}, {}, {})
    assert [line.rstrip() for line in text.splitlines()] == [*TABLE.splitlines(), DISK_LINE]


def test_what_could_not_be_counted_in_time_is_said() -> None:
    disk = {**DISK, "parts": {"git": 10 << 20}, "whole": False}
    assert disk_line(disk) == "/srv/hello more than 10 MiB: git 10; 4.1 GiB free of 20"


def test_no_releases_yet() -> None:
    assert (
        releases_table({"web1": {"releases": [], "disk": DISK}}, {}, {})
        == "Nothing was deployed yet. Next: inv deploy"
    )


def test_spans_of_time() -> None:
    spans = [ago_seconds(seconds) for seconds in (-1, 5, 119, 121, 7200, 86400, 200_000)]
    assert spans == ["0 s", "5 s", "119 s", "2 min", "2 h", "24 h", "2 d"]
