"""What certbot keeps of a certificate: its files, and how it will renew them. Read here, put back when it fails.

/etc/letsencrypt/live/NAME/*.pem are symlinks to archive/NAME/*N.pem; renewal/NAME.conf says the rest. One that is
half there, or that certbot chokes on, breaks every later run of certbot on the server.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..system import System

HOME = "/etc/letsencrypt"
FILES = ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem")


class Lineage:
    """The certificate of a name (--cert-name).

    Attributes:
        live: its folder.
        conf: path of the file that says how it is renewed.
    """

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self._name = name
        self.live = "%s/live/%s" % (HOME, name)
        self.archive = "%s/archive/%s" % (HOME, name)
        self.conf = "%s/renewal/%s.conf" % (HOME, name)

    @property
    def chain(self) -> str:
        """Path of the certificate with its chain."""
        return self.live + "/fullchain.pem"

    @property
    def there(self) -> bool:
        """Is anything there?"""
        return any(self._system.stat(path) is not None for path in (self.live, self.archive, self.conf))

    @property
    def whole(self) -> bool:
        """Is everything there?"""
        files = all(self._system.exists("%s/%s" % (self.live, name)) for name in FILES)
        return files and bool(self._system.read(self.conf))

    def renewal(self) -> dict[str, str]:
        """How it is renewed: what renewal/NAME.conf says in [renewalparams]; empty where it says nothing."""
        found, inside = {}, False
        for line in (self._system.read(self.conf) or b"").decode("utf-8", "replace").splitlines():
            if line.strip().startswith("["):
                inside = line.strip() == "[renewalparams]"
                continue
            key, equals, value = line.partition("=")
            if inside and equals:
                found[key.strip()] = value.strip().strip("\"'")
        return found

    def remove(self) -> None:
        """Take all of it away."""
        self._system.remove_tree(self.live)
        self._system.remove_tree(self.archive)
        self._system.unlink(self.conf)

    def accounts(self, directory: str) -> list[str]:
        """The ids of the accounts that certbot has with a CA, the one this certificate came with first."""
        from urllib.parse import urlsplit

        parts = urlsplit(directory)
        found = self._system.listdir("%s/accounts/%s%s" % (HOME, parts.netloc, parts.path.rstrip("/")))
        mine = self.renewal().get("account")
        return sorted(found, key=lambda account: account != mine)


class Before:
    """A lineage as it was before an attempt, to put it back."""

    def __init__(self, system: System, lineage: Lineage) -> None:
        self._system = system
        self._lineage = lineage
        self.fresh = not lineage.there
        self._conf = system.read(lineage.conf)
        self._links = {name: system.readlink("%s/%s" % (lineage.live, name)) for name in FILES}
        self._kept = frozenset(system.listdir(lineage.archive))

    def restore(self) -> bool:
        """Take away what the attempt has left; True when there was something."""
        if self.fresh:
            left = self._lineage.there
            self._lineage.remove()
            return left
        if not self._changed():
            return False
        for name, target in self._links.items():
            if target is not None:
                self._system.symlink_atomic(target, "%s/%s" % (self._lineage.live, name))
        if self._conf is not None:
            self._system.write_atomic(self._lineage.conf, self._conf, mode=0o644)
        for name in self._system.listdir(self._lineage.archive):
            if name not in self._kept:
                self._system.unlink("%s/%s" % (self._lineage.archive, name))
        return True

    def _changed(self) -> bool:
        now: dict[str, Optional[str]] = {
            name: self._system.readlink("%s/%s" % (self._lineage.live, name)) for name in FILES
        }
        return now != self._links
