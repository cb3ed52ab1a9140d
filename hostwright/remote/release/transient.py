"""Run one command as a transient systemd service: another user, a sandbox, an end in any case. systemd-run(1)."""

from __future__ import annotations

from .guard import full
from .journal import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from ..system import Result, System

    Line = Callable[[str], None]

STOP_TIMEOUT = 30.0
# systemd's own exit codes: it could not make the sandbox, change the user, ...; systemd.exec(5)
NOT_STARTED = range(200, 246)


def run(
    system: System,
    unit: str,
    argv: Sequence[str],
    properties: Sequence[str],
    *,
    timeout: float,
    on_line: Optional[Line] = None,
) -> Result:
    """Run a command to its end; stopped when the user cancels, when time is over, and when we are ended.

    Args:
        unit: its name; what is left of one of that name is stopped first.
        properties: of the service, `Name=value`. Nothing secret: everyone may read them.
        timeout: seconds.
        on_line: takes its lines as they come.

    Returns:
        What it printed; where systemd could not start it, what systemd says about that.

    Raises:
        CommandFailed: out of time.
        RunCancelled
    """
    system.run(("systemctl", "stop", unit), timeout=STOP_TIMEOUT, check=False)
    began = int(system.now())
    try:
        result = system.run(
            command(unit, argv, (*properties, "RuntimeMaxSec=%d" % (timeout + 10))),
            timeout=timeout,
            check=False,
            on_line=on_line,
            cancellable=True,
        )
    except BaseException:
        # systemd-run is gone, the service is not
        system.run(("systemctl", "stop", unit), timeout=STOP_TIMEOUT, check=False)
        raise
    if result.exit_code in NOT_STARTED and not (result.out or result.err):
        said = [line for line in journal(system, unit, began) if ": Failed" in line]
        result.err = "\n".join((*said, full(system))).strip()
    return result


def command(unit: str, argv: Sequence[str], properties: Sequence[str]) -> tuple[str, ...]:
    """The argv of systemd-run. Its exit code is the command's; 200 and up may be systemd's own, systemd.exec(5)."""
    # systemd would put variables in: "$$" is a dollar sign, systemd.service(5), "Command lines"
    words = [argv[0], *(word.replace("$", "$$") for word in argv[1:])]
    options = ["--property=" + line for line in (*properties, "KillMode=control-group", "TimeoutStopSec=10")]
    return (
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec", "--unit=" + unit,
        *options, "--", *words,
    )  # fmt: skip
