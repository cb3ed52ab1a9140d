"""sshd_config and its drop-ins. The first value of a keyword wins, so ours has to come before everybody else's."""

from __future__ import annotations

import fnmatch
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence

    from ..system import System
    from .known import Known

MAIN = "/etc/ssh/sshd_config"
FOLDER = "/etc/ssh/sshd_config.d"
DROP_IN = FOLDER + "/00-hostwright.conf"
EVERY = "Include %s/*.conf" % FOLDER
OURS = "Include %s" % DROP_IN
ASIDE = "#hostwright# "
HEAD = "# the first value wins: this is put here by Hostwright"
TOKEN = re.compile(r"@([a-z_]+)@")
CONDITION = re.compile(r"\s*#\?([a-z]+)\Z")
# may be there more than once, so others' values count beside ours
CUMULATIVE = (
    "port",
    "hostkey",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "acceptenv",
    "include",
)


def directives(text: str) -> list[tuple[str, str]]:
    """(keyword in lower case, value) of each line, up to the first Match; comments left out."""
    found = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        keyword, _, value = re.sub(r"\s*[\s=]\s*", " ", line, count=1).partition(" ")
        if keyword.lower() == "match":
            break
        found.append((keyword.lower(), value.strip().strip('"')))
    return found


def place(text: str) -> str:
    """Where sshd_config includes our drop-in: "first", "later" or "nowhere"."""
    for number, (keyword, value) in enumerate(directives(text)):
        if keyword == "include" and any(_covers(pattern) for pattern in value.split()):
            return "later" if number else "first"
    return "nowhere"


def _covers(pattern: str) -> bool:
    return fnmatch.fnmatchcase(DROP_IN, os.path.join("/etc/ssh", pattern))


def put_first(text: str) -> str:
    """sshd_config with our drop-in before everything else; what is only moved is kept as a comment."""
    where = place(text)
    if where == "first":
        return text
    lines = text.splitlines()
    if where == "later":
        for number, line in enumerate(lines):
            found = directives(line)
            if found and found[0][0] == "include" and any(_covers(part) for part in found[0][1].split()):
                lines[number] = ASIDE + line
    head = EVERY if where == "later" else OURS
    return "\n".join([HEAD, head, "", *lines]) + "\n"


def others(system: System) -> list[str]:
    """The paths of the other drop-ins that count."""
    return [
        os.path.join(FOLDER, name)
        for name in system.listdir(FOLDER)
        if name.endswith(".conf") and not name.startswith(".") and os.path.join(FOLDER, name) != DROP_IN
    ]


def text_of(system: System, path: str) -> str:
    """A file as text; empty where there is none."""
    return (system.read(path) or b"").decode("utf-8", "replace")


def other_ports(system: System, wanted: int) -> dict[str, list[str]]:
    """Path -> `Port` lines of others that would let sshd listen elsewhere too."""
    found = {}
    for path in (MAIN, *others(system)):
        lines = [
            line
            for line in text_of(system, path).splitlines()
            if [(k, v) for k, v in directives(line) if k == "port" and v != str(wanted)]
        ]
        if lines:
            found[path] = lines
    return found


def ports(system: System) -> list[int]:
    """Where the files let sshd listen."""
    found = []
    for path in (MAIN, DROP_IN, *others(system)):
        found += [int(v) for k, v in directives(text_of(system, path)) if k == "port" and v.isdigit()]
    return sorted(set(found)) or [22]


def compose(template: str, values: Mapping[str, Sequence[str]], known: Known) -> str:
    """Our drop-in for this server.

    Args:
        template: lines of sshd_config. `@name@` stands for values, joined by commas; for each of `host_keys` and
            `ports` the line is repeated. A line without its value is left out, and so is one that ends in `#?keyword`
            where this sshd does not know the keyword.
        values: name -> values.
        known: what it knows.
    """
    lines = []
    for raw in template.splitlines():
        condition = CONDITION.search(raw)
        if condition and condition[1] not in known.keywords:
            continue
        line = CONDITION.sub("", raw)
        token = TOKEN.search(line)
        if token is None:
            lines.append(line)
            continue
        found = [str(value) for value in values.get(token[1], ())]
        each = found if token[1] in ("host_keys", "ports") else [_joined(token[1], found)] if found else []
        lines += [line.replace(token[0], value) for value in each]
    return "\n".join(lines).rstrip("\n") + "\n"


def _joined(name: str, values: Sequence[str]) -> str:
    return (" " if name == "groups" else ",").join(values)


def scratch(system: System, content: str, main: str) -> tuple[str, str]:
    """(path, text) of a main file that says what the real ones would say with a candidate, for `sshd -t -f`."""
    rest = [line for line in main.splitlines() if not _includes_folder(line)]
    text = "\n".join([content, *("Include %s" % path for path in others(system)), *rest]) + "\n"
    return "/run/hostwright/sshd_config", text


def _includes_folder(line: str) -> bool:
    found = directives(line)
    return bool(found and found[0][0] == "include" and any(_covers(part) for part in found[0][1].split()))


def not_in_force(content: str, now: Mapping[str, Sequence[str]]) -> Optional[str]:
    """What our file says and sshd does not do: the first such line; None: it does all."""
    for keyword, value in directives(content):
        if keyword in CUMULATIVE or keyword not in now:
            continue
        if not _same(value, now[keyword][0]):
            return "%s %s, and sshd says %s" % (keyword, value, now[keyword][0])
    return None


def _same(ours: str, theirs: str) -> bool:
    a, b = ours.lower(), theirs.lower()
    return a == b or {a, b} == {"prohibit-password", "without-password"}
