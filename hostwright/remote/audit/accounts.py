"""Accounts of the server: who can log in, with a password, as root. Read from passwd(5), shadow(5), sudoers(5)."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from ..system import System

# shells that let nobody in
CLOSED = ("nologin", "false", "sync", "halt", "shutdown")
SUDOERS, FOLDER = "/etc/sudoers", "/etc/sudoers.d"
# hashes that one guesses at once: DES, MD5; crypt(5)
WEAK = re.compile(r"\$1\$|[./0-9A-Za-z]{13}\Z")
RULE = re.compile(r"(?P<who>(?:\\.|\"[^\"]*\"|[^\s\\])+)\s+(?P<where>[^=]+)=\s*(?P<what>.+)\Z")
NO_RULE = re.compile(r"Defaults\b|(?:User|Runas|Host|Cmnd|Cmd)_Alias\b|[@#]include")


class User:
    """An account: name, uid, gid, home, shell; `login`: the shell lets somebody in."""

    __slots__ = ("gid", "home", "login", "name", "shell", "uid")

    def __init__(self, line: str) -> None:
        """ValueError: it is no line of passwd(5)."""
        self.name, _, uid, gid, _, self.home, self.shell = line.split(":")
        self.uid, self.gid = int(uid), int(gid)
        self.login = self.shell.rpartition("/")[2] not in CLOSED


def users(system: System) -> list[User]:
    """All accounts of /etc/passwd, in its order; lines that are none are left out."""
    found = []
    for line in _lines(system, "/etc/passwd"):
        try:
            found.append(User(line))
        except ValueError:
            continue
    return found


def accounts(system: System) -> dict[str, Any]:
    """users: name, uid, login, shell, password (none, set, weak, locked); sudo: who -> nopasswd, everything, by."""
    everyone = users(system)
    shadow = dict(line.split(":")[:2] for line in _lines(system, "/etc/shadow") if ":" in line)
    found = [
        {
            "name": user.name,
            "uid": user.uid,
            "login": user.login,
            "shell": user.shell,
            "password": password(shadow.get(user.name, "*")),
        }
        for user in everyone
    ]
    return {"users": found, "sudo": sudo(system, everyone)}


def password(field: str) -> str:
    """What the second field of shadow(5) lets in: none (an empty password), locked, weak (quick to guess), set."""
    if not field:
        return "none"
    if field[0] in "!*":
        return "locked"
    return "weak" if WEAK.match(field) else "set"


def sudo(system: System, everyone: list[User]) -> dict[str, dict[str, Any]]:
    """Who may become another user: name -> nopasswd, everything (any command), by (the file)."""
    members = _members(system, everyone)
    found: dict[str, dict[str, Any]] = {}
    for path in _sudoers(system):
        for who, what in rules(_text(system, path)):
            rights = {"nopasswd": "NOPASSWD:" in what, "everything": _everything(what), "by": path}
            names = members.get(who[1:], []) if who.startswith("%") else [who]
            for name in names:
                before = found.get(name)
                merged = before or rights
                if before:
                    merged = {
                        "nopasswd": before["nopasswd"] or rights["nopasswd"],
                        "everything": before["everything"] or rights["everything"],
                        "by": before["by"],
                    }
                found[name] = merged
    return {name: rights for name, rights in sorted(found.items()) if name != "root"}


def rules(text: str) -> Iterator[tuple[str, str]]:
    """(who, what) of each rule; aliases of users are replaced by what they stand for, one level deep."""
    lines = [line.split("#", 1)[0].strip() for line in text.replace("\\\n", " ").splitlines()]
    aliases = {}
    for line in lines:
        if line.startswith("User_Alias"):
            name, _, names = line[len("User_Alias") :].partition("=")
            aliases[name.strip()] = [one.strip() for one in names.split(",")]
    for line in lines:
        found = None if NO_RULE.match(line) else RULE.match(line)
        if not found:
            continue
        for who in re.split(r"\s*,\s*", found["who"]):
            for name in aliases.get(who, [who]):
                yield name.strip('"'), found["what"]


def _everything(what: str) -> bool:
    """Is ALL among the commands?"""
    commands = re.sub(r"\([^)]*\)", "", what)
    return any(re.sub(r"\w+:", "", one).strip() == "ALL" for one in commands.split(","))


def _sudoers(system: System) -> list[str]:
    """sudo reads no file with a dot in its name, nor one that ends in ~."""
    names = [name for name in system.listdir(FOLDER) if "." not in name and not name.endswith("~")]
    return [SUDOERS, *("%s/%s" % (FOLDER, name) for name in names)]


def _members(system: System, everyone: list[User]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _lines(system, "/etc/group"):
        fields = line.split(":")
        if len(fields) > 3:
            primary = [user.name for user in everyone if str(user.gid) == fields[2]]
            found[fields[0]] = sorted({*filter(None, fields[3].split(",")), *primary})
    return found


def _lines(system: System, path: str) -> list[str]:
    return _text(system, path).splitlines()


def _text(system: System, path: str) -> str:
    try:
        return (system.read(path) or b"").decode("utf-8", "replace")
    except OSError:  # a directory in its place
        return ""
