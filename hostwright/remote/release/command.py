"""A command of the app in one of its releases: its user, environment, directory and sandbox."""

from __future__ import annotations

from ..run import StepError
from . import transient
from .shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from ..system import Result, System
    from .layout import Layout

    Line = Callable[[str], None]

# what the release's PATH has behind the environment
PATH = ("/usr/local/bin", "/usr/bin", "/bin")


def properties(system: System, layout: Layout, release: str) -> tuple[str, ...]:
    """The service properties of a command in a release, as they were when the release was made."""
    return tuple(Shelf(system, layout).about(release).get("properties", ()))


def run(
    system: System,
    layout: Layout,
    release: str,
    unit: str,
    argv: Sequence[str],
    *,
    timeout: float,
    on_line: Optional[Line] = None,
) -> Result:
    """Run a command in a release, to its end.

    Args:
        unit: name of the transient service.
        timeout: seconds.
        on_line: takes its lines.

    Raises:
        CommandFailed: out of time.
        RunCancelled
    """
    return transient.run(
        system, unit, found(system, layout, release, argv), properties(system, layout, release),
        timeout=timeout, on_line=on_line,
    )  # fmt: skip


def found(system: System, layout: Layout, release: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command with the absolute path of its program: systemd looks before it knows the release's PATH.

    A name with a slash is one of the app's directory, any other is looked for in the release's environment first.

    Raises:
        StepError: there is no such program.
    """
    folder = layout.release(release)
    return (locate(system, argv[0], folder + "/venv/bin", folder + "/code"), *argv[1:])


def locate(system: System, program: str, programs: str, code: str) -> str:
    """The absolute path of a program.

    Args:
        programs: the folder of an environment's own.
        code: the app's directory.

    Raises:
        StepError: there is no such program.
    """
    places = [programs, *PATH]
    if program.startswith("/"):
        places = [""]
    elif "/" in program:
        places = [code]
    for place in places:
        path = "%s/%s" % (place, program.lstrip("/"))
        if not system.exists(path):
            continue
        file = system.stat(path)
        if len(places) == 1 and file and file.kind == "file" and not file.mode & 0o111:
            hint = "git update-index --chmod=+x %s, or name its interpreter: python %s" % (program, program)
            raise StepError("%s is not executable" % program, hint=hint)
        return path
    hint = "Is what brings it in the requirements? " if len(places) > 1 else ""
    raise StepError(
        "there is no program %s in this release or on the server" % program,
        hint=hint + "A shell's words need a shell: sh -c '...'",
    )
