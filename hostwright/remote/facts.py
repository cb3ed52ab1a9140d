"""What the server is, read from files in a millisecond. Runs on the server."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def facts() -> dict[str, Any]:
    """os_id, os_like, os_version, os_name, python, machine, hostname, cores, memory_bytes, systemd, euid."""
    release = os_release()
    return {
        "os_id": release.get("ID", ""),
        "os_like": release.get("ID_LIKE", ""),
        "os_version": release.get("VERSION_ID", ""),
        "os_name": release.get("PRETTY_NAME", "Linux"),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "machine": os.uname().machine,
        "hostname": os.uname().nodename,
        "cores": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "systemd": os.path.isdir("/run/systemd/system"),
        "euid": os.geteuid(),
    }


def os_release(path: str = "/etc/os-release") -> dict[str, str]:
    """The server's os-release(5)."""
    values = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                name, found, value = line.strip().partition("=")
                if found:
                    values[name] = value.strip("\"'")
    except OSError:
        pass
    return values
