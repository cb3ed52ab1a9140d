"""Queries: ask hosts something and collect their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.inventory import Host
from hostwright.remote import events
from hostwright.report import Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import request


@dataclass
class Answers:
    """An Output that keeps what hosts answer; lines that come meanwhile go to `on_line`, other words to `say`."""

    on_line: Callable[[str, str], None]
    say: Callable[[str], None]
    data: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: dict[str, HostwrightError] = field(default_factory=dict)

    def event(self, host: str, event: events.Event) -> None:
        """Keep an answer, hand on a line."""
        if isinstance(event, events.Answered):
            self.data[host] = event.data
        elif isinstance(event, events.Output):
            self.on_line(host, event.line)
        elif isinstance(event, events.Noticed):
            self.say(f"{host}  {event.message}")
        elif isinstance(event, events.StepFailed):
            lines = [
                f"{host}  {event.message}",
                *(f"  | {line}" for line in event.tail),
                *([f"  {event.hint}"] if event.hint else []),
            ]
            self.say("\n".join(lines))

    def error(self, host: str, error: HostwrightError) -> None:
        """Keep an error: a table may have a place for it."""
        self.errors[host] = error

    def notice(self, text: str) -> None:
        """Pass on."""
        self.say(text)

    def begin(self, hosts: Sequence[str], title: str) -> None:
        """Nothing to say."""

    def end(self, report: Report) -> None:
        """Nothing to say."""

    def close(self) -> None:
        """Nothing to close."""


def query(
    action: str,
    project: str,
    hosts: Sequence[Host],
    logins: Logins,
    answers: Answers,
    fields: Callable[[Host], dict[str, Any]] = lambda _: {},
) -> Report:
    """Ask each host; what they answer is in `answers` afterwards.

    Args:
        action: see hostwright/remote/actions.py.
        project: whose apps.
        hosts: whom.
        logins: how.
        answers: where answers, lines and words go.
        fields: what the action needs, by host.
    """
    report = Fleet(hosts, logins.connect, answers, lasting=False).run(
        lambda host, _: request(action, project, action, apply=False, **fields(host))
    )
    # as the user named them, not as they answered
    answers.data = {host.name: answers.data[host.name] for host in hosts if host.name in answers.data}
    return report
