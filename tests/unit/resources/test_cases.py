"""Every kind of resource against a server in memory, as tables: tests/cases/KIND/WHAT_IT_SHOWS.json.

args       keywords of the resource
system     the server before, as in FakeSystem; "$APT", "$PIP" and "$UV" stand for the command and its options
recorded   the state we left last time, if any
changes    attribute -> [before, after], in this order; {} is "nothing to do": then nothing runs but `looked`
looked     commands that reading runs
ran        commands that applying runs
said       lines for people
after      path -> content, {what a node has}, or null for gone
failed     message, hint, tail of the Failed or CommandFailed that reading or applying ends with
unknown    until what the state cannot be known
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import apt
from hostwright.remote.resources import KINDS, from_wire
from hostwright.remote.resources.base import Change, Context, Failed, Resource, Unknown, diff
from hostwright.remote.resources.virtual_environment import PIP, UV_PIP
from hostwright.remote.system import CommandFailed
from hostwright.testing import FakeSystem

FOLDER = Path(__file__).parents[2] / "cases"
CASES = sorted(path for kind in KINDS for path in (FOLDER / kind).glob("*.json"))
KEYS = {
    *("args", "system", "recorded", "changes", "looked", "ran", "said", "kept", "note"),
    *("after", "failed", "unknown"),
}
ABBREVIATIONS = {
    "$APT": " ".join(("apt-get", *apt.OPTIONS)),
    "$PIP": " ".join(("-m pip install", *PIP)),
    "$UV": " ".join(UV_PIP),
}


def load(path: Path) -> dict[str, Any]:
    def readable(fields: dict[str, Any]) -> dict[str, Any]:
        if isinstance(fields.get("mode"), str):
            fields["mode"] = int(fields["mode"], 8)
        return fields

    text = path.read_text()
    for short, long in ABBREVIATIONS.items():
        text = text.replace(short, long)
    case: dict[str, Any] = json.loads(text, object_hook=readable)
    assert not set(case) - KEYS
    assert {"changes", "failed", "unknown"} & set(case)
    return case


def shown(changes: Sequence[Any]) -> dict[str, list[Any]]:
    return {change.attribute: [change.before, change.after] for change in changes}


def node(system: FakeSystem, path: str, wanted: object) -> object:
    """What the server has at a path, as far as the case tells it."""
    found = system.nodes.get(path)
    if found is None or wanted is None:
        return found
    readable = {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}
    return {k: readable.get(k) for k in wanted} if isinstance(wanted, dict) else readable.get("content")


class Outcome:
    """What became of a resource."""

    def __init__(self, resource: Resource, system: FakeSystem, recorded: dict[str, Any]) -> None:
        self.changes: list[Change] = []
        self.said: list[str] = []
        self.kept = self.note = ""
        self.looked: int | None = None
        self.failed: Failed | CommandFailed | None = None
        self.unknown: str | None = None
        try:
            self.changes = diff(resource.desired(system), resource.read(system))
            self.looked = len(system.ran)
            if self.changes:
                context = Context(self.said.append, recorded)
                resource.refuse(system)
                resource.apply(system, self.changes, context)
                self.kept, self.note = context.kept, context.note
        except Unknown as unknown:
            self.unknown = unknown.until
        except (Failed, CommandFailed) as error:
            self.failed = error

    def problem(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        """The failure, as far as the case tells it."""
        error = self.failed
        if error is None:
            return None
        message = error.message if isinstance(error, Failed) else error.reason
        found = {"message": message, "hint": getattr(error, "hint", ""), "tail": list(error.tail)}
        return {key: {**found, "reason": error.reason}[key] for key in wanted or found}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_case(path: Path) -> None:
    case = load(path)
    system = FakeSystem(**case.get("system", {}))
    resource = from_wire({"kind": path.parent.name, **case["args"]})
    assert from_wire(json.loads(json.dumps(resource.to_wire()))).to_wire() == resource.to_wire()

    outcome = Outcome(resource, system, case.get("recorded", {}))

    assert outcome.problem(case.get("failed", {})) == case.get("failed")
    assert outcome.unknown == case.get("unknown")
    assert shown(outcome.changes) == case.get("changes", {})
    assert list(shown(outcome.changes)) == list(case.get("changes", {}))  # also in this order
    commands = [" ".join(argv) for argv in system.ran]
    looked = len(commands) if outcome.looked is None else outcome.looked
    assert commands[:looked] == case.get("looked", [])
    assert commands[looked:] == case.get("ran", [])
    assert outcome.said == case.get("said", outcome.said)
    assert outcome.kept == case.get("kept", outcome.kept)
    assert outcome.note == case.get("note", outcome.note)
    after = case.get("after", {})
    assert {p: node(system, p, wanted) for p, wanted in after.items()} == after
    if outcome.changes and not outcome.failed:
        assert not diff(resource.desired(system), resource.read(system)), "it would change again"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_that_it_leaves_alone_what_is_right(kind: str) -> None:
    assert any(load(path).get("changes") == {} for path in CASES if path.parent.name == kind)
