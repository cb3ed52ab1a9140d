"""What is decided on the server: conditions that lines and files depend on. Runs on the server.

ipv6                                the kernel speaks it
nginx>=1.25.1  nginx<1.19.4         version of the installed nginx
openssl>=3.5   openssl<3.5          version of the OpenSSL that nginx uses
path:/abs/path                      exists
nginx-names:/abs/path               a file of nginx's configuration names something there, as a file or as a socket
certificate:/abs/fullchain.pem      can be read as a certificate, and privkey.pem lies beside it
covers:/abs/fullchain.pem:NAME      ... and this domain, `*.domain` or IP address is in it
                                    with several paths, `/abs/one.pem,/abs/other.pem`: the first that is one counts
!COND                               not
ONE|OTHER                           either

Words beside each other must all hold. No process is started: versions come from dpkg's files, and what was read is
kept as long as stat(2) says that the file is the same.
"""

from __future__ import annotations

import os
import re

from . import dpkg
from .resources.base import Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from .system import System
    from .tls.x509 import Certificate

    Version = tuple[int, ...]

# the packages that hold the program, as Debian, Ubuntu and nginx.org call them
NGINX = ("nginx", "nginx-core", "nginx-light", "nginx-full", "nginx-extras")
LIBSSL = re.compile(r"\blibssl[0-9][0-9a-z.]*")
# where nginx does not say which, or is not there yet: the newest that is
LIBSSLS = ("libssl3t64", "libssl3", "libssl1.1")
COMPARISON = re.compile(r"(nginx|openssl)(>=|<)([0-9]+(?:\.[0-9]+)*)\Z")
NO_NGINX = "the package nginx is installed"
LINKS = 8
# what Debian's nginx reads, and other projects' nginx.conf include
CONF, CONF_FOLDER = "/etc/nginx/nginx.conf", "/etc/nginx/"
CONF_FOLDERS = ("conf.d", "sites-enabled", "modules-enabled", "snippets", "streams-enabled")


class Features:
    """Answers about one server.

    Args:
        system: the server.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._versions: dict[str, Version] = {}
        self._versions_of: object = None
        self._certificates: dict[str, tuple[object, Optional[Certificate]]] = {}
        self._assumed: dict[str, tuple[str, ...]] = {}

    def hold(self, conditions: str) -> bool:
        """Do all of these conditions hold?

        Raises:
            ValueError: one of them is none that we know.
            Unknown: it cannot be known before something is installed.
        """
        return all(self._either(word) for word in conditions.split())

    def assume(self, path: str, names: Sequence[str]) -> None:
        """Take a certificate as there, for these domains and addresses: a run would fetch it."""
        self._assumed[path] = tuple(name.lower() for name in names)

    def forget(self) -> None:
        """What was read is read again; what is assumed stays."""
        self._versions_of = None
        self._certificates.clear()

    def _either(self, word: str) -> bool:
        return any(self._one(one) for one in word.split("|"))

    def _one(self, condition: str) -> bool:
        if condition.startswith("!"):
            return not self._one(condition[1:])
        if condition == "ipv6":  # absent when booted with ipv6.disable=1; `listen [::]` would fail
            return self._system.exists("/proc/net/if_inet6")
        kind, _, rest = condition.partition(":")
        if rest.startswith("/"):
            if kind == "path":
                return self._system.exists(rest)
            if kind == "nginx-names":
                return self._named(rest)
            if kind == "certificate":
                return self._first(rest) is not None
            if kind == "covers" and ":" in rest:
                paths, name = rest.split(":", 1)
                path = self._first(paths)
                return path is not None and self._covers(path, name)
        compared = COMPARISON.match(condition)
        if not compared:
            raise ValueError("unknown condition %r" % condition)
        found, wanted = self._version(compared[1]), version(compared[3])
        return found >= wanted if compared[2] == ">=" else found < wanted

    def _named(self, path: str) -> bool:
        """Reads files only; what a variable becomes is not seen."""
        wanted = re.compile(rb"(?m)^[^#\n]*?(?:[\s\"':=]|^)" + re.escape(path.encode()) + rb"(?=[/\s;\"'])")
        places = [CONF, *(CONF_FOLDER + name for name in CONF_FOLDERS)]
        for place in places:
            names = (
                [place]
                if place == CONF
                else ["%s/%s" % (place, name) for name in self._system.listdir(place)]
            )
            for name in names:
                try:
                    if wanted.search(self._system.read(name) or b""):
                        return True
                except OSError:  # a directory, or a link that leads nowhere
                    continue
        return False

    # -- versions ----------------------------------------------------------------------------------------

    def _version(self, of: str) -> Version:
        now = (self._seen(dpkg.STATUS), self._system.listdir(dpkg.UPDATES))
        if now != self._versions_of:
            self._versions, self._versions_of = versions(self._system), now
        if of not in self._versions:
            raise Unknown(NO_NGINX)
        return self._versions[of]

    def _seen(self, path: str) -> object:
        """What tells a file from what it was, also behind symlinks: certbot only moves those."""
        seen: list[object] = []
        for _ in range(LINKS):
            found = self._system.stat(path)
            seen.append(found and (found.kind, found.size, found.mtime))
            link = self._system.readlink(path) if found and found.kind == "link" else None
            if link is None:
                break
            path = os.path.normpath(os.path.join(os.path.dirname(path), link))
            seen.append(path)
        return seen

    # -- certificates --------------------------------------------------------------------------------------

    def _read(self, path: str) -> Optional[Certificate]:
        from .tls import x509

        seen = self._seen(path)
        kept = self._certificates.get(path)
        if kept is None or kept[0] != seen:
            kept = (seen, x509.read(self._system, path))
            self._certificates[path] = kept
        return kept[1]

    def _first(self, paths: str) -> Optional[str]:
        """The first of several that is a certificate with its key."""
        return next((path for path in paths.split(",") if self._certificate(path)), None)

    def _certificate(self, path: str) -> bool:
        if path in self._assumed:
            return True
        key = os.path.join(os.path.dirname(path), "privkey.pem")
        return self._read(path) is not None and self._system.exists(key)

    def _covers(self, path: str, name: str) -> bool:
        if path in self._assumed:
            return covered(self._assumed[path], name)
        found = self._read(path)
        return found is not None and found.covers(name)


def fit(text: str, has: Callable[[str], bool]) -> str:
    """The lines of a text that belong on a server, without their marks; `has` says what holds there.

    A line that ends in `#?COND [COND ...]` stays where all of these hold; so do the lines between a line
    `#?{ COND [COND ...]` and a line `#?}`.

    Raises:
        ValueError: a block that does not end, or does not begin; an unknown condition.
        Unknown
    """
    if "#?" not in text:
        return text if text.endswith("\n") else text + "\n"
    lines: list[str] = []
    inside: list[bool] = []
    for line in text.splitlines():
        mark = line.strip()
        if mark.startswith("#?{"):
            inside.append(all(inside) and has(mark[3:]))
        elif mark == "#?}":
            if not inside:
                raise ValueError("a block ends with `#?}` and does not begin")
            inside.pop()
        elif all(inside):
            before, found, conditions = line.rpartition("#?")
            if not found:
                lines.append(line)
            elif has(conditions):
                lines.append(before.rstrip())
    if inside:
        raise ValueError("a block begins with `#?{` and does not end")
    return "\n".join(lines) + "\n"


def covered(names: Sequence[str], name: str) -> bool:
    """Is a name among those of a certificate? A wildcard is one label."""
    name = name.lower()
    return name in names or "*." + name.partition(".")[2] in names


def versions(system: System) -> dict[str, Version]:
    """Of nginx and of its OpenSSL, as far as they are installed."""
    nginx = dpkg.installed(system, NGINX)
    wanted = sorted({name for about in nginx.values() for name in LIBSSL.findall(about["Depends"])})
    libraries = dpkg.installed(system, wanted or LIBSSLS)
    found = {}
    for of, packages in (("nginx", nginx), ("openssl", libraries)):
        if packages:
            found[of] = max(version(about["Version"]) for about in packages.values())
    return found


def version(text: str) -> Version:
    """The upstream version in a package's: `1:3.0.2-0ubuntu1.18` is (3, 0, 2)."""
    found = re.match(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)", text)
    return tuple(map(int, found[1].split("."))) if found else ()
