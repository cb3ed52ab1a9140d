"""`inv audit`: what sshd allows, against what a server that only takes keys needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hostwright.run.audit_finding import HIGH, INFO, LOW, MEDIUM, Finding, Findings, View, some

AREA = "ssh"
# algorithms that are broken; and those that ssh-audit's policies for the distributions leave out
BROKEN = re.compile(
    r".*-cbc(@.*)?|3des.*|arcfour.*|blowfish.*|cast128.*|rijndael.*|none|hmac-md5.*|hmac-ripemd.*|hmac-sha1-96.*"
    r"|diffie-hellman-group1-sha1|ssh-dss.*|ssh-rsa(-cert.*)?"
)
OLD = re.compile(
    r"hmac-sha1.*|umac-64.*|hmac-sha2-(256|512)|umac-128@openssh\.com|.*-sha1|ecdh-sha2-nistp.*"
    r"|diffie-hellman-group14-sha256|ecdsa-sha2-.*"
)
ALGORITHMS = ("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms")
# setting -> (value that is wrong, severity, what it means)
WRONG = (
    ("permitemptypasswords", ("yes",), HIGH, "accounts without a password may log in"),
    ("strictmodes", ("no",), HIGH, "key files that others may write are trusted"),
    ("hostbasedauthentication", ("yes",), MEDIUM, "other machines may vouch for their users"),
    ("ignorerhosts", ("no",), MEDIUM, "users may let machines in with .rhosts files"),
    ("permituserenvironment", ("yes",), MEDIUM, "users may set variables that get around what they may do"),
    ("gatewayports", ("yes", "clientspecified"), MEDIUM, "forwarded ports are open to everybody"),
    ("pubkeyauthentication", ("no",), MEDIUM, "keys are not accepted, so logins need passwords"),
    ("x11forwarding", ("yes",), LOW, "X11 is forwarded, which lets a server into your desktop"),
)
FORWARDING = ("allowtcpforwarding", "allowagentforwarding")
ROOT_YES, ROOT_KEYS = ("yes",), ("without-password", "prohibit-password")
SHORTEST = 3072
# what it is, severity, evidence
Seen = tuple[str, str, tuple[str, ...]]


def findings(view: View) -> Findings:
    """All about sshd."""
    ssh = view.area(AREA)
    if not ssh:
        return
    if not ssh["there"]:
        yield Finding(INFO, AREA, "there is no sshd: OpenSSH's server is not installed")
        return
    todo = view.harden("ssh")
    for what, severity, evidence in (*_logins(view), *_settings(view), *_algorithms(view), *_host_keys(view)):
        yield Finding(severity, AREA, what, evidence, todo)


def value(view: View, name: str) -> str:
    """The effective value of a setting; empty where this sshd has none of that name."""
    values: Sequence[str] = view.area(AREA).get("settings", {}).get(name, ())
    return values[0] if values else ""


def takes_passwords(view: View) -> bool:
    """Does sshd take passwords, in one way or the other?"""
    ways = ("passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication")
    return any(value(view, name) == "yes" for name in ways)


def _logins(view: View) -> list[Seen]:
    found: list[Seen] = []
    root = value(view, "permitrootlogin")
    passwords = takes_passwords(view)
    wanted = view.root_login or view.host.user == "root"
    if root in ROOT_YES:
        seen = f"permitrootlogin {root}"
        found.append(("root may log in, with a password too", HIGH if passwords else MEDIUM, (seen,)))
    elif root in ROOT_KEYS and not wanted:
        found.append(
            ("root may log in with a key: nobody sees which person it was", LOW, (f"permitrootlogin {root}",))
        )
    if passwords:
        severity = LOW if view.password_login else MEDIUM
        names = ("passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication")
        seen_all = tuple(f"{name} yes" for name in names if value(view, name) == "yes")
        found.append(("passwords may be tried", severity, seen_all))
    return found


def _settings(view: View) -> list[Seen]:
    found: list[Seen] = [
        (what, severity, (f"{name} {value(view, name)}",))
        for name, wrong, severity, what in WRONG
        if value(view, name) in wrong
    ]
    open_ = [name for name in FORWARDING if value(view, name) in ("yes", "all")]
    if open_ and not view.forwarding:
        seen = tuple(f"{name} {value(view, name)}" for name in open_)
        found.append(("whoever logs in may use the server as a way into its network", LOW, seen))
    return found


def _algorithms(view: View) -> list[Seen]:
    by_name = {name: value(view, name).split(",") for name in ALGORITHMS}
    broken = {name: [one for one in names if BROKEN.fullmatch(one)] for name, names in by_name.items()}
    old = {
        name: [one for one in names if OLD.fullmatch(one) and not BROKEN.fullmatch(one)]
        for name, names in by_name.items()
        if name != "hostkeyalgorithms"
    }
    found: list[Seen] = []
    for words, severity, which in (
        ("broken algorithms are offered", MEDIUM, broken),
        ("older algorithms are offered", LOW, old),
    ):
        seen = [f"{name}: {', '.join(names)}" for name, names in which.items() if names]
        if seen:
            found.append((words, severity, some(seen)))
    return found


def _host_keys(view: View) -> list[Seen]:
    found: list[Seen] = []
    for key in view.area(AREA)["host_keys"]:
        seen = (f"{key['path']}: {key['type']}, {key['bits']} bits, {key['fingerprint']}",)
        if key["type"] == "ssh-dss":
            found.append(("a host key is DSA", MEDIUM, seen))
        elif key["type"] == "ssh-rsa" and key["bits"] < SHORTEST:
            found.append((f"the RSA host key is shorter than {SHORTEST} bits", LOW, seen))
    return found


def state(view: View) -> str:
    """In a few words."""
    ssh = view.area(AREA)
    if not ssh or not ssh["there"]:
        return "no sshd"
    how = "keys and passwords" if takes_passwords(view) else "keys only"
    root = value(view, "permitrootlogin")
    who = "root too" if root in ROOT_YES else "root with a key" if root in ROOT_KEYS else "no root login"
    return f"{how}, {who}, port {' '.join(ssh['settings'].get('port', ['?']))}"
