from __future__ import annotations

import io
import json

import pytest

from hostwright.errors import HostwrightError
from hostwright.remote.events import from_wire
from hostwright.report.__main__ import play
from hostwright.report.demo import SCENES
from hostwright.report.jsonl import JsonlOutput


@pytest.mark.parametrize("name", SCENES)
def test_every_line_is_an_object_and_nothing_is_lost(name: str) -> None:
    stream = io.StringIO()
    report = play(name, JsonlOutput(stream), 0)
    rows = [json.loads(row) for row in stream.getvalue().splitlines()]
    title, hosts, scene = SCENES[name]
    assert rows[0] == {"event": "begun", "title": title, "hosts": list(hosts)}
    assert rows[-1] == {"event": "report", **json.loads(json.dumps(report.to_json()))}
    assert len(rows) == len(scene) + 2
    for row, (_, host, what) in zip(rows[1:-1], scene, strict=True):
        if isinstance(what, str):
            assert row == {"event": "notice", "text": what}
            continue
        assert row.pop("host") == host
        if isinstance(what, HostwrightError):
            assert (row["event"], row["kind"], row["message"]) == ("error", type(what).__name__, what.message)
            assert row["exit_code"] == what.exit_code
        else:
            assert row == json.loads(json.dumps(what.to_wire()))
            assert type(from_wire(row)) is type(what)


def test_nothing_in_it_can_reach_a_terminal() -> None:
    stream = io.StringIO()
    JsonlOutput(stream).notice("\x1b[2J\x9b\u202e\x07 \ud83d é")
    assert stream.getvalue().rstrip("\n").isprintable()
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue())["text"] == "\x1b[2J\x9b\u202e\x07 \ud83d é"
