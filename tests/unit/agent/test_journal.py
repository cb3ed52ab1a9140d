"""Journals: what is kept, what is redacted, what a full disk does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hostwright.remote import events, lock, wire
from hostwright.remote.journal import Journal, Redact, prune
from hostwright.remote.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(str(tmp_path / "state"), str(tmp_path / "run"))
    found.make()
    return found


def test_both_places(paths: Paths) -> None:
    Journal(paths, "r1", []).emit(events.Output("x", "hello"))
    for path in (paths.journal("r1"), paths.kept_journal("r1")):
        assert wire.parse_line(Path(path).read_bytes().rstrip()) == {
            "event": "output",
            "source": "x",
            "line": "hello",
        }
        assert Path(path).stat().st_mode & 0o777 == 0o600


def test_a_disk_that_cannot_be_written_stops_nothing(paths: Paths) -> None:
    Path(paths.kept).rmdir()
    Path(paths.kept).write_text("in the way")
    Journal(paths, "r1", []).emit(events.Output("x", "hello"))
    assert b"hello" in Path(paths.journal("r1")).read_bytes()


@pytest.mark.parametrize(
    ("secrets", "line", "seen"),
    [
        (["hunter22"], "the password is hunter22.", "the password is ***."),
        (['a"b\\c d'], 'it is a"b\\c d', "it is ***"),
        (["päßwort"], "päßwort", "***"),
        (["first line\nsecond line"], "second line", "***"),
        (["abc"], "abc is too short to be told from a word", "abc is too short to be told from a word"),
        (["secret", "secret-longer"], "secret-longer", "***"),
        (['it\'s "ü"'], repr({"KEY": 'it\'s "ü"'}), "{'KEY': '***'}"),
        (['a"ü'], json.dumps({"key": 'a"ü'}), '{"key": "***"}'),
        (["p@ss/word"], "postgresql://shop:p%40ss%2Fword@db/shop", "postgresql://shop:***@db/shop"),
        (
            ["postgresql://shop:p%40ss@db/shop"],
            "password p@ss of shop, or p%40ss",
            "password *** of shop, or ***",
        ),
        (["redis://:hunter22@cache:6379/0"], "AUTH hunter22 cache", "AUTH *** cache"),
    ],
)
def test_redaction(secrets: list[str], line: str, seen: str) -> None:
    raw = Redact(secrets)(wire.line({"event": "output", "line": line}))
    assert wire.parse_line(raw.rstrip()) == {"event": "output", "line": seen}


def test_pruning_spares_the_run_that_goes_on(paths: Paths) -> None:
    holding = lock.take(paths, {"run": "old"}, 0, lambda _: None)
    assert holding is not None
    for age, run in enumerate(["new", "mid", "old"]):
        for path in (paths.kept_journal(run), paths.journal(run), paths.alive(run)):
            Path(path).write_text("x")
            os.utime(path, (1000 - age, 1000 - age))
    prune(paths, keep=1)
    assert sorted(path.name for path in Path(paths.kept).iterdir()) == ["new.jsonl", "old.jsonl"]
    assert {"old.jsonl", "old.alive"} <= {path.name for path in Path(paths.live).iterdir()}
    os.close(holding)
