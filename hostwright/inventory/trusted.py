"""Reading files that decide what runs as root: only when nobody else could have written them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from hostwright.errors import UsageError


def display_name(path: Path) -> str:
    """The path as short as it is clear: relative to the working directory when it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_trusted(path: Path, environ: Mapping[str, str], *, missing: str | None = None) -> str:
    """The text of `path`, UTF-8 with or without a byte order mark.

    Args:
        environ: `SUDO_UID` names the person behind sudo, whose files are as good as root's.
        missing: the hint for a file that is not there.

    Raises:
        UsageError: missing, unreadable, not UTF-8, writable by everybody, or owned by somebody who is
            neither root nor the user: its content ends up running as root on servers.
    """
    shown = display_name(path)
    try:
        with path.open("rb") as file:
            problem = _distrust(os.fstat(file.fileno()), environ)
            content = b"" if problem else file.read()
    except FileNotFoundError:
        raise UsageError(f"{shown} does not exist", hint=missing) from None
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}") from None
    if problem:
        what, command = problem
        raise UsageError(
            f"{shown} {what}; what it says runs as root on servers", hint=f"If it is yours: {command} {shown}"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{shown}:{line} is not UTF-8 text") from None


def require_trusted(path: Path, environ: Mapping[str, str]) -> None:
    """Refuse a file or a directory that somebody else could have changed; nothing happens where there is none.

    A directory counts because whoever may write it may replace what is in it. `environ`: as in `read_trusted`.

    Raises:
        UsageError
    """
    try:
        status = path.stat()
    except OSError:
        return  # whoever reads it says so
    problem = _distrust(status, environ)
    if problem:
        what, command = problem
        shown = display_name(path)
        raise UsageError(
            f"{shown} {what}; what it says runs as root on servers", hint=f"If it is yours: {command} {shown}"
        )


def _distrust(status: os.stat_result, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a file cannot be trusted and the command that mends it, or None."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None  # a pipe, e.g. of the shell's <(...): it is whoever called us
    sudo_uid = environ.get("SUDO_UID", "")
    mine = {0, os.geteuid()} | ({int(sudo_uid)} if sudo_uid.isdecimal() else set())
    if status.st_uid not in mine:
        return f"belongs to another user (uid {status.st_uid})", "chown $(id -u)"
    sticky = (
        stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    )  # one makes files there, and moves none
    if status.st_mode & stat.S_IWOTH and not sticky:
        return "can be written by everybody", "chmod o-w"
    return None
