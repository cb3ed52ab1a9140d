"""Would a firewall keep us out? Said before anything is changed. Only reads."""

from __future__ import annotations

from ..peer import peer
from ..records import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..resources.firewall import Firewall
    from ..system import System


def keep_us(firewall: Firewall, system: System) -> None:
    """We must be able to come back.

    Raises:
        Conflict: the firewall would keep us out.
    """
    us = peer(system)
    if us is None:
        return
    matching = [rule for rule in firewall.rules if rule.covers(us.port, "tcp")]
    if not matching and us.port not in firewall.leaves:
        raise Conflict(
            "the firewall would lock us out: we came in by port %d of this server, and for SSH it would open only %s; "
            "nothing was changed" % (us.port, firewall.ssh),
            "Say `port: %d` if sshd listens there. If something on the way leads another port to it, "
            "say: firewall: {allow: [%d]}" % (us.port, us.port),
        )
    ssh = matching or [firewall.rules[0]]
    if not any(rule.admits(us.address) for rule in ssh):
        sources = " and ".join(source for rule in ssh for source in rule.sources)
        raise Conflict(
            "the firewall would lock us out: we come from %s, and only %s could log in; nothing was changed"
            % (us.address, sources),
            "Add %s, or a network that it is in, to `firewall: {ssh_from: [...]}`." % us.address,
        )
