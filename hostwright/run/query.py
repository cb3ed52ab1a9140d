"""Queries: ask hosts something and collect their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.inventory import Host
from hostwright.remote import events
from hostwright.report import Output, Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import request


@dataclass
class Answers:
    """An Output that keeps what hosts answer and passes on the rest."""

    output: Output
    data: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: dict[str, HostwrightError] = field(default_factory=dict)

    def event(self, host: str, event: events.Event) -> None:
        """Keep an answer; output lines and notices go on."""
        if isinstance(event, events.Answered):
            self.data[host] = event.data
        elif isinstance(event, (events.Output, events.Noticed, events.Waited)):
            self.output.event(host, event)

    def error(self, host: str, error: HostwrightError) -> None:
        """Keep an error: a table may have a place for it."""
        self.errors[host] = error

    def notice(self, text: str) -> None:
        """Pass on."""
        self.output.notice(text)

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
    output: Output,
    fields: Callable[[Host], dict[str, Any]] = lambda _: {},
) -> tuple[Answers, Report]:
    """Ask each host.

    Args:
        action: see hostwright/remote/actions.py.
        project: whose apps.
        hosts: whom.
        logins: how.
        output: where lines that come meanwhile go.
        fields: what the action needs, by host.
    """
    answers = Answers(output)
    report = Fleet(hosts, logins.connect, answers).run(
        lambda host, _: request(action, project, action, apply=False, **fields(host))
    )
    return answers, report
