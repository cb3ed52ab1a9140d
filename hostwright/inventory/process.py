"""What an app runs beside its web server: processes that stay up, and jobs at set times."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hostwright.inventory.fields import CommandLine, nothing_is_empty, plain, seconds
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.written import describe

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
# it ends up in a unit file: neither `%` nor a backslash, which would take the next line with it
CALENDAR = re.compile(r"[A-Za-z0-9 *.,/:~@_+-]{1,200}\Z")


def check_process_name(name: str) -> str:
    """Return `name` when it can be part of a unit's name; ValueError otherwise."""
    if not NAME.match(name):
        raise ValueError(
            f'"{name}" cannot be the name of a process or timer: lower-case letters, digits and "-", '
            "beginning with a letter, at most 31"
        )
    return name


def _shorthand(value: object) -> object:
    """`worker: "celery ..."` is short for `worker: {command: "celery ..."}`."""
    return {"command": value} if isinstance(value, str) else value


def check_calendar(value: str) -> str:
    """When a job runs. systemd decides on the server whether it makes sense; here it only may not be something else."""
    if not CALENDAR.match(plain(value)):
        raise ValueError(
            f'expected a time as systemd.time(7) writes it, such as "*-*-* 03:00" or hourly, {describe(value)}'
        )
    return value


class Process(Settings):
    """A process that stays up as long as its release is live, e.g. a queue's worker."""

    command: CommandLine = Field(
        description='What runs, e.g. "celery -A app worker". No shell runs it; systemd starts it again when it ends.'
    )
    overlap: bool = Field(
        default=False,
        description="Whether it may run in two releases at once: then it starts before the switch. Otherwise the "
        "old one stops first.",
    )
    window: Annotated[float, Field(ge=0, le=3600), BeforeValidator(seconds(0, 3600))] = Field(
        default=3, description="Seconds it must stay up, or the deploy is turned back."
    )
    stop: Annotated[float, Field(ge=0, le=86400), BeforeValidator(seconds(0, 86400))] = Field(
        default=60, description="Seconds it may take to end after SIGTERM, before it is killed."
    )

    @property
    def argv(self) -> tuple[str, ...]:
        """The command's words."""
        return tuple(shlex.split(self.command))


class Timer(Settings):
    """A job at set times. A running one is never killed by a switch."""

    command: CommandLine = Field(description='What runs, e.g. "python manage.py clearsessions".')
    calendar: Annotated[str, AfterValidator(check_calendar)] = Field(
        description='When, as systemd.time(7) writes it, e.g. "*-*-* 03:00" or "hourly"; in the host\'s time zone.'
    )
    timeout: Annotated[float, Field(ge=1, le=604800), BeforeValidator(seconds(1, 604800))] = Field(
        default=86400, description="Seconds a job may take before it is stopped."
    )

    @property
    def argv(self) -> tuple[str, ...]:
        """The command's words."""
        return tuple(shlex.split(self.command))


UnitName = Annotated[str, AfterValidator(check_process_name)]
Processes = Annotated[
    Mapping[UnitName, Annotated[Process, BeforeValidator(_shorthand, json_schema_input_type=str | Process)]],
    BeforeValidator(nothing_is_empty),
    AfterValidator(FrozenDict),
]
Timers = Annotated[Mapping[UnitName, Timer], BeforeValidator(nothing_is_empty), AfterValidator(FrozenDict)]
