"""sshd as it runs: what all its files amount to, and its host keys."""

from __future__ import annotations

from .keys import public_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..system import System

SECONDS = 10.0
USUAL = (".ssh/authorized_keys", ".ssh/authorized_keys2")
# sshd_config(5) in lower case, as `sshd -T` prints them
SETTINGS = (
    "port", "listenaddress", "permitrootlogin", "passwordauthentication", "kbdinteractiveauthentication",
    "challengeresponseauthentication", "permitemptypasswords", "pubkeyauthentication", "hostbasedauthentication",
    "x11forwarding", "allowtcpforwarding", "allowagentforwarding", "allowstreamlocalforwarding", "gatewayports",
    "permituserenvironment", "strictmodes", "ignorerhosts", "maxauthtries", "logingracetime", "maxstartups",
    "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "authorizedkeysfile", "allowgroups", "allowusers",
    "denygroups", "denyusers", "requiredrsasize", "usepam", "loglevel", "hostkey",
)  # fmt: skip


def daemon(system: System) -> dict[str, Any]:
    """there: is sshd installed; settings: name -> values, by `sshd -T`; host_keys: type, bits, fingerprint, path."""
    if not system.which("sshd"):
        return {"there": False, "settings": {}, "host_keys": []}
    settings = effective(_asked(system, check=True))
    used = settings.get("hostkey", [])
    return {"there": True, "settings": settings, "host_keys": _host_keys(system, used)}


def key_files(system: System) -> tuple[str, ...]:
    """AuthorizedKeysFile: paths, below the home where they are relative; what sshd takes by itself without a word."""
    values = effective(_asked(system, check=False)).get("authorizedkeysfile", [])
    words = tuple(word for value in values for word in value.split() if word != "none")
    return words if values else USUAL


def _asked(system: System, *, check: bool) -> str:
    """CommandFailed with `check`: its files are not in order, so it would not start again."""
    return system.run(("sshd", "-T"), timeout=SECONDS, check=check, read_only=True).out


def effective(text: str) -> dict[str, list[str]]:
    """The settings we know: each value of one that is there several times."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name.lower() in SETTINGS:
            found.setdefault(name.lower(), []).append(value)
    return found


def _host_keys(system: System, paths: list[str]) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        about = public_key((system.read(path + ".pub") or b"").decode("utf-8", "replace"))
        if about:
            found.append({**about, "path": path})
    return found
