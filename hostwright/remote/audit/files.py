"""Files of ours that others could write or read: a walk through our trees that ends in time."""

from __future__ import annotations

import os
import re
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional, Sequence

TREES = (
    "/etc/hostwright",
    "/etc/nginx",
    "/etc/letsencrypt",
    "/etc/ssh",
    "/srv",
    "/var/lib/hostwright",
    "/opt",
)
# where everything should be root's; below /srv an app has its own, and /opt is for whoever came
ROOTS = ("/etc/hostwright", "/etc/nginx", "/etc/letsencrypt", "/etc/ssh", "/var/lib/hostwright", "/opt/hostwright",
         "/opt/certbot")  # fmt: skip
# of an app's directory below /srv; `build` is the builder's while it builds
RELEASES = ("releases", "trees", "venvs", "repo.git", "current", "previous")
# seconds; files; how many of each kind are named
PATIENCE, MOST, NAMED = 4.0, 400_000, 20
SECRET = re.compile(
    r"(.+\.key|privkey[0-9]*\.pem|id_(rsa|dsa|ecdsa|ed25519)|ssh_host_[a-z0-9]+_key|env|\.env(\..+)?|.+\.env|credentials)\Z"
)
HARMLESS = (".example", ".sample", ".template", ".dist", ".pub")
BEGIN = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# a line that sets something: what makes a file with variables worth hiding
VARIABLE = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASS|URL|DSN)[A-Z0-9_]*=\S", re.MULTILINE
)


class Walk:
    """What was found on the way; `clock` and `patience` in seconds."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.looked = 0
        self.whole = True
        self.end = time.monotonic() + patience
        self.found: dict[str, list[dict[str, Any]]] = {"writable": [], "foreign": [], "secrets": []}
        self.counts = dict.fromkeys(self.found, 0)

    def note(self, kind: str, path: str, about: os.stat_result) -> None:
        """Keep what was found, and count what is too much to keep."""
        self.counts[kind] += 1
        if len(self.found[kind]) < NAMED:
            mode = stat.S_IMODE(about.st_mode)
            self.found[kind].append({"path": path, "mode": mode, "uid": about.st_uid, "gid": about.st_gid})

    def go_on(self) -> bool:
        """Is there time for more?"""
        self.looked += 1
        if self.looked % 500 == 0 and time.monotonic() > self.end:
            self.whole = False
        if self.looked > MOST:
            self.whole = False
        return self.whole


def survey(
    trees: Sequence[str] = TREES, roots: Sequence[str] = ROOTS, srv: str = "/srv", patience: float = PATIENCE
) -> dict[str, Any]:
    """looked: how many; whole: all of them; writable (by everybody), foreign (not root's where all should be),
    secrets (readable by everybody): path, mode, uid, gid of the first ones; counts: of all of each."""
    walk = Walk(patience)
    for tree in trees:
        about = _stat(tree)
        if about is not None and stat.S_ISDIR(about.st_mode):
            _look(walk, tree, about, roots, srv)
            _below(walk, tree, bool(about.st_mode & stat.S_IXOTH), roots, srv)
    return {"looked": walk.looked, "whole": walk.whole, **walk.found, "counts": walk.counts}


def _below(walk: Walk, folder: str, reachable: bool, roots: Sequence[str], srv: str) -> None:
    """Everything below; `reachable`: everybody may search the way here."""
    folders = [(folder, reachable)]
    while folders:
        folder, reachable = folders.pop()
        for path, about in _entries(folder):
            if not walk.go_on():
                return
            if stat.S_ISLNK(about.st_mode):
                continue
            foreign = _look(walk, path, about, roots, srv)
            if stat.S_ISDIR(about.st_mode):
                if not foreign:  # one that is somebody's own is named, not all that is in it
                    folders.append((path, reachable and bool(about.st_mode & stat.S_IXOTH)))
            elif reachable and about.st_mode & stat.S_IROTH and is_secret(path):
                walk.note("secrets", path, about)


def _look(walk: Walk, path: str, about: os.stat_result, roots: Sequence[str], srv: str) -> bool:
    """Note what is wrong with owner and mode; True when it belongs to somebody that it should not."""
    sticky = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
    if about.st_mode & stat.S_IWOTH and not sticky and not stat.S_ISSOCK(about.st_mode):
        walk.note("writable", path, about)
    if about.st_uid != 0 and should_be_roots(path, roots, srv):
        walk.note("foreign", path, about)
        return True
    return False


def should_be_roots(path: str, roots: Sequence[str], srv: str) -> bool:
    """Is it in a tree where nobody but root has any business?"""
    if any(path == root or path.startswith(root + "/") for root in roots):
        return True
    if not path.startswith(srv + "/"):
        return False
    _, _, inside = path[len(srv) + 1 :].partition("/")
    return inside.partition("/")[0] in RELEASES


def is_secret(path: str) -> bool:
    """By its name, and by what is in it: a private key, or variables that are called as secrets are."""
    name = path.rpartition("/")[2]
    if name.endswith(HARMLESS) or not SECRET.match(name):
        return False
    try:
        with open(path, "rb") as file:
            begin = file.read(65536)
    except OSError:
        return False
    return bool(BEGIN.search(begin) or ("env" in name and VARIABLE.search(begin)) or name == "credentials")


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """What is in a folder; what vanishes meanwhile is not there."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = folder + "/" + name
        about = _stat(path)
        if about is not None:
            yield path, about


def _stat(path: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except OSError:
        return None
