"""`inv audit`: who can log in, and who can become root. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostwright.run.audit_finding import HIGH, INFO, LOW, MEDIUM, Finding, Findings, View, many, some
from hostwright.run.audit_ssh import takes_passwords

ACCOUNTS, KEYS = "accounts", "keys"
# an RSA key below the first is broken by those who can pay for it; below the second it should be the last
BROKEN, SHORT = 2048, 3072
# what the field of shadow(5) lets in: remote/audit/accounts.py
EMPTY, WEAK, SET = ("none",), ("weak",), ("set",)


def accounts(view: View) -> Findings:
    """Accounts with the rights of root, and with passwords."""
    found = view.area(ACCOUNTS)
    if not found:
        return
    users = found["users"]
    twins = [user["name"] for user in users if user["uid"] == 0 and user["name"] != "root"]
    if twins:
        todo = f"If you do not know it, somebody was here. Else on the server: userdel {twins[0]}"
        yield Finding(HIGH, ACCOUNTS, f"{' and '.join(twins)} is root under another name", ("uid 0",), todo)
    for user in users:
        if user["login"] and user["password"] in EMPTY:
            todo = f"On the server: passwd --lock {user['name']}"
            yield Finding(
                HIGH, ACCOUNTS, f"{user['name']} has an empty password", (f"shell {user['shell']}",), todo
            )
    yield from _passwords(view, users)
    yield from _sudo(view, found)


def _passwords(view: View, users: list[Mapping[str, Any]]) -> Findings:
    weak = [user["name"] for user in users if user["password"] in WEAK]
    if weak:
        what = "passwords are stored in a way that is quick to guess (DES or MD5)"
        yield Finding(MEDIUM, ACCOUNTS, what, some(weak), f"On the server: passwd {weak[0]}")
    able = [user["name"] for user in users if user["login"] and user["password"] in (*SET, *WEAK)]
    if able and takes_passwords(view):
        what = "these accounts have a password, and sshd lets anybody try it"
        yield Finding(MEDIUM, ACCOUNTS, what, some(able), view.harden("ssh"))
    elif able:
        yield Finding(INFO, ACCOUNTS, "these accounts have a password; sshd does not take it", some(able))


def _sudo(view: View, found: Mapping[str, Any]) -> Findings:
    sudo = found["sudo"]
    apps = [name for name in sudo if name in view.host.apps or name == "www-data"]
    for name in apps:
        todo = f"Take the line out: visudo {sudo[name]['by']}"
        yield Finding(HIGH, ACCOUNTS, f"the app's user {name} may use sudo", (_right(sudo[name]),), todo)
    others = [name for name in sudo if name not in view.users and name not in apps]
    if others:
        what = f"{', '.join(others[:4])} may use sudo, and the inventory does not know {_them(others)}"
        lines = some([f"{name}: {_right(sudo[name])}" for name in others])
        todo = f"Name who may under `users:`, or on the server: visudo {sudo[others[0]]['by']}"
        yield Finding(LOW, ACCOUNTS, what, lines, todo)
    known = [name for name in sudo if name in view.users and name not in apps]
    if known:
        lines = some([f"{name}: {_right(sudo[name])}" for name in known])
        yield Finding(INFO, ACCOUNTS, f"{many(len(known), 'account')} of the inventory may use sudo", lines)


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _right(right: Mapping[str, Any]) -> str:
    what = "any command" if right["everything"] else "some commands"
    return f"{what}{' without a password' if right['nopasswd'] else ''} ({right['by']})"


def keys(view: View) -> Findings:
    """authorized_keys of everybody."""
    for file in view.area(KEYS).get("found", []):
        if file["writable"]:
            seen = (f"mode {file['mode']:04o}, owner uid {file['owner']}",)
            todo = f"On the server: chown {file['user']} {file['path']} && chmod 600 {file['path']}"
            yield Finding(
                HIGH, KEYS, f"others may write {file['path']}, and so let themselves in", seen, todo
            )
        if file["unreadable"]:
            what = f"{many(file['unreadable'], 'line')} of {file['path']} cannot be read"
            yield Finding(LOW, KEYS, what, (), "Remove what you do not know.")
        for key in file["keys"]:
            yield from _weak(file, key)
        if file["keys"]:
            who = f"{file['user']} lets in {many(len(file['keys']), 'key')}"
            unable = "" if file["login"] else "; its shell lets nobody in"
            yield Finding(INFO, KEYS, who + unable, some([described(key) for key in file["keys"]], 10))


def _weak(file: Mapping[str, Any], key: Mapping[str, Any]) -> Findings:
    severity, why = "", ""
    if key["type"] == "ssh-dss":
        severity, why = HIGH, "DSA is broken"
    elif key["type"] == "ssh-rsa" and key["bits"] < BROKEN:
        severity, why = HIGH, f"RSA of {key['bits']} bits is broken"
    elif key["type"] == "ssh-rsa" and key["bits"] < SHORT:
        severity, why = LOW, f"RSA of {key['bits']} bits is short"
    if severity:
        todo = f"Replace it (ssh-keygen -t ed25519), then take it out of {file['path']}."
        yield Finding(severity, KEYS, f"{file['user']} lets in a weak key: {why}", (described(key),), todo)


def described(key: Mapping[str, Any]) -> str:
    """Type, bits, fingerprint, comment, what restricts it."""
    size = f" {key['bits']}" if key["bits"] else ""
    return " ".join(
        filter(None, [f"{key['type']}{size}", key["fingerprint"], key["comment"], key["options"]])
    )


def accounts_state(view: View) -> str:
    """In a few words."""
    found = view.area(ACCOUNTS)
    able = [user["name"] for user in found.get("users", []) if user["login"]]
    sudo = ", ".join(list(found.get("sudo", {}))[:4]) or "nobody"
    return f"{many(len(able), 'login')}, sudo: {sudo}"


def keys_state(view: View) -> str:
    """In a few words."""
    files = view.area(KEYS).get("found", [])
    users = {file["user"] for file in files if file["keys"]}
    return f"{many(sum(len(file['keys']) for file in files), 'key')} of {many(len(users), 'account')}"
