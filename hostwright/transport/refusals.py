"""What a server says when it does something else than run our command, and the error that is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hostwright.errors import AuthenticationFailed, TransportError
from hostwright.transport import sudo
from hostwright.transport.base import PythonMissing

# cloud images' authorized_keys of root; comes on stdout, and then the server waits 10 s
OTHER_USER = re.compile(r'Please login as the user "([^"]+)" rather than the user "([^"]+)"')
EXPIRED = re.compile(r"Password change required but no TTY available|change your password immediately")
NO_LOGIN = re.compile(r"This account is currently not available")


def other_user(line: str) -> AuthenticationFailed | None:
    """The error in a line of stdout that names the user to log in as."""
    found = OTHER_USER.search(line)
    if found is None:
        return None
    return AuthenticationFailed(
        f'this server is for the user "{found[1]}", not "{found[2]}"',
        hint=f"In the inventory: user: {found[1]}",
    )


def _no_such_program(program: str, text: str) -> bool:
    """As shells, env, sudo and sudo-rs say it."""
    return bool(re.search(rf"{re.escape(program)}['’]?: (command not found|not found|No such file)", text))


def explain(
    argv: Sequence[str], exit_code: int | None, stderr: Sequence[str], *, user: str, root: bool
) -> TransportError | None:
    """Why a command never ran; None when it did, as far as one can tell.

    Args:
        argv: the command, without sudo.
        exit_code: what the server told; None when nothing.
        stderr: last lines.
        user: who is logged in.
        root: it was to run as root.
    """
    text = "\n".join(stderr)
    if exit_code in (None, 0):
        return None
    if EXPIRED.search(text):
        return AuthenticationFailed(
            f"the password of {user} has expired, and the server wants a new one first",
            evidence=stderr[-3:],
            hint=f"Log in once by hand (ssh {user}@...) and set it.",
        )
    if NO_LOGIN.search(text):
        return AuthenticationFailed(f"{user} has no shell on this server", evidence=stderr[-3:])
    through_sudo = root and user != "root"
    if through_sudo and sudo.NO_SUDO.search(text):
        return sudo.explain(stderr, user)
    program = argv[0].rpartition("/")[2]
    if program.startswith("python") and (exit_code == 127 or _no_such_program(program, text)):
        return PythonMissing(f"the server has no {program}", evidence=stderr[-3:])
    if through_sudo and sudo.speaks(stderr):
        return sudo.explain(stderr, user)
    return None
