"""The host keys of git hosters that publish them: `git_hosts` beside this file, in the format of known_hosts."""

from __future__ import annotations

from pathlib import Path

from hostwright.remote.release.git_ssh import server_of

PUBLISHED = Path(__file__).with_name("git_hosts")


def published_host_keys(url: str) -> list[str]:
    """The lines of the server that a git URL leads to; none when it does not publish its keys, or is not ssh."""
    server = server_of(url)
    lines = PUBLISHED.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if server and server in line.split(" ", 1)[0].split(",")]
