"""Which setting of the sandbox an app ran into, told from what it wrote. Pure.

The kernel only says that something is not permitted, and a program says that in words of its own. All of these were
seen on Debian 12 and 13 (tests/machine/test_forbidden.py); where two settings say the same, the likelier one is named.
"""

from __future__ import annotations

import posixpath
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

# a line of code, with or without marks below it, and what Python then says
CODE = r"[^\n]*\n(?:[ ~^]+\n)*"
EPERM = r"(?:PermissionError|OSError): \[Errno 1\]"
# Debian 12 and 13 answer the same in different words; an error with a path is about that
NO_PATH = r"(?:PermissionError|OSError): \[Errno (?:1|13)\] [^'\n]*(?:\n|\Z)"
# who changes priorities and processors
PRIORITY = r"\bnice\b|niceness|setpriority|affinity|ioprio|set_?scheduler|'s policy"
AS_ROOT = (
    r"set(?:res|re|e)?[ug]id|setgroups|sethostname|chroot|\bmount\b|SOCK_RAW|\bping\b|ptrace|cap_set_proc"
)
WRITES = "The app may write below /var/lib/%s (its HOME), in its `shared:` directories and in /tmp."
ELSEWHERE = " Elsewhere: `sandbox: {writable: [%s]}`."

# (what it wrote, the line of its sandbox that makes it so, what to do); the first that fits
FOUND = (
    (
        r"cannot allocate executable memory|Cannot allocate write\+execute memory|PROT_EXEC"
        r"|runtime code generation failed|javascript OOM in MemoryChunk|Check failed: 12 == \(\*__errno_location"
        r"|(?:mmap|mprotect|callback|CFUNCTYPE|executable)" + CODE + NO_PATH,
        "MemoryDenyWriteExecute=yes",
        "It makes machine code while it runs, which MemoryDenyWriteExecute forbids: `sandbox: {{jit: true}}`.",
    ),
    (
        r"\[Errno (?:101|111|-2|-3|-5)\]|[Nn]etwork is unreachable|name resolution|Connection refused",
        "PrivateNetwork=yes",
        "`sandbox: {{network: false}}` (PrivateNetwork) cuts the app off, also from what listens on 127.0.0.1. "
        "Leave it out, or reach that through a unix socket.",
    ),
    (
        r"\[Errno 97\]|Address family not supported",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "RestrictAddressFamilies leaves TCP, UDP and unix sockets, and it wants another kind: "
        "`sandbox: {{relax: [RestrictAddressFamilies]}}`.",
    ),
    (
        r"no.new.privileges|Command .*\bsudo\b.* returned non-zero",
        "NoNewPrivileges=yes",
        "NoNewPrivileges: an app never becomes another user, by sudo or a setuid program.",
    ),
    (
        r"\bunshare\b|new namespace|[Nn]o usable sandbox|\bsetns\b",
        "RestrictNamespaces=yes",
        "RestrictNamespaces forbids namespaces, which containers and the sandboxes of browsers are made of: "
        "`sandbox: {{relax: [RestrictNamespaces]}}`.",
    ),
    (
        r"chmod" + CODE + EPERM,
        "RestrictSUIDSGID=yes",
        "RestrictSUIDSGID forbids files that run as their owner: `sandbox: {{relax: [RestrictSUIDSGID]}}`.",
    ),
    (
        r"SIGSYS|Bad system call|signal 31\b|status=31/",
        "SystemCallFilter=@system-service",
        "SystemCallFilter ended it for a system call: `sandbox: {{relax: [SystemCallFilter]}}`.",
    ),
    (
        r"(?:" + PRIORITY + r")(?:" + CODE + EPERM + r"|[^\n]*Operation not permitted)",
        "SystemCallFilter=~@privileged @resources",
        "SystemCallFilter: an app does not change its priority or processors, `limits:` says what it gets. "
        "If it must: `sandbox: {{relax: [SystemCallFilter, RestrictRealtime]}}`.",
    ),
    (
        r"(?:" + AS_ROOT + r")[^\n]*(?:\n[^\n]*){0,2}(?:\[Errno 1\]|Operation not permitted)",
        "CapabilityBoundingSet=",
        "That takes rights of root, which no app gets (CapabilityBoundingSet, PrivateUsers).",
    ),
    (
        r"\[Errno 1\]|Operation not permitted",
        "SystemCallFilter=~@privileged @resources",
        "The sandbox forbids that, most likely SystemCallFilter: `sandbox: {{relax: [SystemCallFilter]}}`. "
        "docs/sandboxing.md tells how to find out.",
    ),
    (
        r"Failed to set up mount namespacing: (?:/run/systemd/(?:unit-root|mount-rootfs))?(?P<path>/\S+): No such file",
        "",
        "`sandbox: {{writable: ...}}` names {path}, which is not on this server: "
        "sudo install -d -o {app} -g {app} {path}",
    ),
    (r"Failed to set up mount namespacing|Failed at step NAMESPACE", "", "See `sandbox:` in the inventory."),
    (
        r"Failed at step CREDENTIALS|Failed to set up credentials",
        "",
        "systemd cannot give it its secrets on this server: `secrets: env`.",
    ),
)
HIDES = (
    ("/home", "ProtectHome=yes"),
    ("/root", "ProtectHome=yes"),
    ("/run/user", "ProtectHome=yes"),
    ("/etc/hostwright", "InaccessiblePaths="),
    ("/etc/ssh", "InaccessiblePaths="),
    ("/etc/letsencrypt", "InaccessiblePaths="),
    ("/boot", "InaccessiblePaths="),
)
DENIED = re.compile(
    r"(?:Read-only file system|Permission denied|Operation not permitted|No such file or directory): '(/[^'\n]*)'"
)
UNWRITTEN = re.compile(
    r"Read-only file system|PermissionError|unable to open database file|attempt to write a readonly database"
)


def forbidden(app: str, text: str, settings: str) -> str:
    """What to do, or an empty string when it does not look like the sandbox.

    Args:
        text: what it wrote.
        settings: the lines of its sandbox.
    """
    lines = settings.splitlines()
    told = _place(app, text, lines)
    if told:
        return told
    for pattern, line, what in FOUND:
        found = re.search(pattern, text)
        if found and (not line or line in lines):
            return what.format(app=app, **found.groupdict())
    if re.search(r"\bbind\b" + CODE + r"PermissionError", text):
        return "The app is served through a socket; it must not listen itself."
    return WRITES % app if UNWRITTEN.search(text) else ""


def _place(app: str, text: str, lines: Sequence[str]) -> str:
    """What to do about the last path that was refused."""
    found = DENIED.findall(text)
    if not found:
        return ""
    path = posixpath.normpath(str(found[-1]))
    for folder, line in HIDES:
        # one without a value takes the template's back
        if _below(path, folder) and any(one.startswith(line) and not one.endswith("=") for one in lines):
            name = line.partition("=")[0]
            return "%s hides %s from apps: `sandbox: {relax: [%s]}`, or keep that elsewhere." % (
                name,
                folder,
                name,
            )
    if _below(path, "/dev"):
        return _device(app, path, lines)
    if "Read-only file system: '%s" % found[-1] not in text:
        return ""
    if _below(path, "/proc") or _below(path, "/sys"):
        return "ProtectKernelTunables: an app does not change the kernel's settings."
    if _below(path, "/srv/%s" % app):
        return WRITES % app
    return WRITES % app + ELSEWHERE % posixpath.dirname(path)


def _device(app: str, path: str, lines: Sequence[str]) -> str:
    if "DeviceAllow=%s rw" % path in lines:
        group = "sudo usermod -aG $(stat -c %%G %s) %s" % (path, app)
        return "The app's user is not in the device's group: %s, then inv restart" % group
    if "PrivateDevices=yes" in lines or any(line.startswith("DeviceAllow=") for line in lines):
        return "PrivateDevices hides devices: `sandbox: {devices: [%s]}`." % path
    return ""


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")
