"""Default deny for what comes in, by ufw where that is active already, else by a table of nftables of our own.

Reading it starts no process: files, and one question to the kernel about the rules that are in force.
"""

from __future__ import annotations

from ..digest import sha256
from ..firewall import outside
from ..firewall.paths import DROPIN, ENABLED, FILES, TABLE, UNIT, UNIT_FILE
from ..firewall.rule import Rule
from ..firewall.ruleset import SETTLE, Ruleset, read
from ..firewall.ufw import Ufw
from ..system import CommandFailed
from .base import Failed, Resource
from .file import Before, compared, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State, Value

NFT, UFW = "nftables", "ufw"
UNITS = "content of " + UNIT
GLOBAL = " 00 "  # the scope of an address in /proc/net/if_inet6 that the world can reach


class Firewall(Resource):
    """`name` is the path of its rules.

    Args:
        ssh: who may log in, as text of a Rule: "22/tcp from 203.0.113.0/24".
        allow: what else is open.
        leaves: ports that sshd is moved away from later in the same run.
    """

    kind = "firewall"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        ssh: str,
        allow: Sequence[str] = (),
        leaves: Sequence[int] = (),
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.ssh = ssh
        self.allow = tuple(allow)
        self.leaves = tuple(leaves)

    @property
    def rules(self) -> list[Rule]:
        """Everything that is open."""
        return [Rule.parse(text) for text in (self.ssh, *self.allow)]

    def ruleset(self, system: System) -> Ruleset:
        """What nftables has to hold here: all of it, or what ufw does not see."""
        return Ruleset(self.rules, outside.interfaces(system), filters=not Ufw(system).active)

    def desired(self, system: System) -> State:
        wanted = self.ruleset(system)
        state: dict[str, Value] = {
            "type": "file",
            "by": NFT if wanted.filters else UFW,
            "open": [str(rule) for rule in wanted.rules],
            "outside": list(wanted.outside),
            "content": sha256(wanted.text.encode())[:12],
            UNITS: sha256(_joined(text.encode() for _, text in FILES))[:12],
            "at boot": True,
            "in force": True,
        }
        if wanted.filters:
            state["left in ufw"] = []
        else:
            state["ufw by default"] = "deny"
        return state

    def read(self, system: System) -> State:
        ufw, content = Ufw(system), system.read(self.name)
        if ufw.active and not ufw.ipv6 and GLOBAL in (system.read("/proc/net/if_inet6") or b"").decode():
            raise Failed(
                "ufw does not filter IPv6 on this server, and the server has an IPv6 address",
                "Say IPV6=yes in /etc/default/ufw, then: sudo ufw reload",
            )
        text = (content or b"").decode("utf-8", "replace")
        opened, interfaces = read(text)
        return {
            "type": None if content is None else "file",
            "by": None if content is None else NFT if "chain input" in text else UFW,
            "open": ufw.open(self.rules) if ufw.active else opened,
            "outside": interfaces,
            "content": None if content is None else sha256(content)[:12],
            UNITS: sha256(_joined(system.read(path) or b"" for path, _ in FILES))[:12],
            "at boot": system.readlink(ENABLED) == UNIT_FILE,
            "in force": self._in_force(system, content),
            "left in ufw": ufw.ours if system.exists("/usr/sbin/ufw") else [],
            "ufw by default": "allow" if ufw.policy == "ACCEPT" else "deny",
        }

    def _in_force(self, system: System, content: Optional[bytes]) -> Value:
        """Compared where the file is the one that should be; another one is to be loaded anyway."""
        found, wanted = system.nft_chains(TABLE), self.ruleset(system)
        if content != wanted.text.encode():
            return bool(found or not wanted.shape)
        if (found or {}) == dict(wanted.shape):
            return True
        return False if found is None else "not as it should be"

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        wanted, ufw = self.ruleset(system), Ufw(system)
        if ufw.active:  # first: what ufw does not know yet, our own table may have opened until now
            ufw.change(self.rules)
        before = [Before(system, path) for path in (self.name, UNIT_FILE, DROPIN)]
        first = system.nft_chains(TABLE) is None
        try:
            self._load(system, wanted)
        except BaseException:
            restore(before)
            raise
        if first and wanted.filters:
            system.run(SETTLE, timeout=30)
        if not ufw.active and ufw.ours and system.exists("/usr/sbin/ufw"):
            ufw.change([])

    def refuse(self, system: System) -> None:
        wanted = self.ruleset(system)
        if not system.which("nft"):
            raise Failed("nft is not installed on this server", "sudo apt-get install nftables")
        try:
            system.run(("nft", "-c", "-f", "-"), timeout=60, input=wanted.text.encode(), read_only=True)
        except CommandFailed as error:
            reason = "nft refused the new rules (%s); nothing was changed" % error.reason
            raise CommandFailed(error.argv, error.exit_code, error.tail, reason) from None

    def _load(self, system: System, wanted: Ruleset) -> None:
        """Files first: what is in force now is what the next boot loads."""
        _put(system, self.name, wanted.text)
        stale = [path for path, text in FILES if _put(system, path, text)]
        enable = system.readlink(ENABLED) != UNIT_FILE
        if enable:  # from the file; the reload is for both
            system.run(("systemctl", "enable", "--no-reload", "--", UNIT), timeout=60)
        if stale or enable:
            system.run(("systemctl", "daemon-reload"), timeout=60)
        system.run(("systemctl", "reload-or-restart", "--", UNIT), timeout=60)

    def content_diff(self, system: System) -> list[str]:
        old, new = system.read(self.name), self.ruleset(system).text.encode()
        return compared(old, new) if old != new else []


def _joined(contents: Iterable[bytes]) -> bytes:
    return b"\0".join(contents)


def _put(system: System, path: str, text: str) -> bool:
    """Write a file of root's that all may read; was it another?"""
    content = text.encode()
    if system.read(path) == content:
        return False
    folder = path.rpartition("/")[0]
    if not system.exists(folder):
        system.mkdir(folder)
    system.write_atomic(path, content, mode=0o644)
    return True


def remove(system: System, name: str) -> None:
    """Take the firewall away: the inventory has none any more. Rules of others stay.

    Raises:
        CommandFailed, OSError
    """
    ufw = Ufw(system)
    if ufw.ours and system.exists("/usr/sbin/ufw"):
        ufw.change([])
    system.run(("systemctl", "disable", "--now", "--", UNIT), timeout=60, check=False)
    for path in (DROPIN, UNIT_FILE, name):
        system.unlink(path)
    system.run(("systemctl", "daemon-reload"), timeout=60)
