"""Who is banned, and whether a ban would keep anybody out."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..system import System

SECONDS = 10.0
SOCKET = "/run/fail2ban/fail2ban.sock"
LOG = "/var/log/fail2ban.log"
# of a server under attack the newest lines are enough
NEWEST = ("tail", "--lines=2000", LOG)
JAIL = "sshd"
# what the names of ban actions begin with -> the program that such an action calls
PROGRAMS = {"nftables": "nft", "iptables": "iptables", "ufw": "ufw", "firewallcmd": "firewall-cmd"}


def fail2ban(system: System) -> dict[str, Any]:
    """installed, running; banned: jail -> addresses; and of the jail of sshd, actions: what a ban does, None without
    that jail; missing: programs that those call and nobody has installed; refused: why the last ban did not work."""
    installed, running = bool(system.which("fail2ban-client")), system.exists(SOCKET)
    banned = _banned(system) if installed and running else {}
    # to ask for a jail that is not there is an error in its log
    actions = _actions(system) if JAIL in banned else None
    needed = {PROGRAMS.get(action.partition("-")[0], "") for action in actions or ()} - {""}
    return {
        "installed": installed,
        "running": running,
        "banned": banned,
        "actions": actions,
        "missing": sorted(program for program in needed if not system.which(program)),
        "refused": _refused(system) if actions else "",
    }


def _banned(system: System) -> dict[str, list[str]]:
    import ast

    said = system.run(("fail2ban-client", "banned"), timeout=SECONDS, check=False, read_only=True).out
    found: dict[str, list[str]] = {}
    try:  # [{'sshd': ['203.0.113.9']}]
        for jails in ast.literal_eval(said.strip() or "[]"):
            found.update({str(jail): [str(one) for one in addresses] for jail, addresses in jails.items()})
    except (ValueError, SyntaxError, AttributeError, TypeError):
        pass
    return found


def _actions(system: System) -> list[str]:
    """The jail sshd has the following actions:\\nnftables-multiport, iptables-allports"""
    argv = ("fail2ban-client", "get", JAIL, "actions")
    _, _, names = system.run(argv, timeout=SECONDS, check=False, read_only=True).out.partition(":\n")
    return names.replace(",", " ").split()


def _refused(system: System) -> str:
    """What came of the last ban since fail2ban was started; empty: it worked, or there was none."""
    _, out, _ = system.capture(NEWEST, timeout=SECONDS)
    for line in reversed(out.decode("utf-8", "replace").splitlines()):
        if " ERROR " in line and "Failed to execute ban jail '%s'" % JAIL in line:
            return line.partition("})': ")[2] or line
        if (
            "[%s] Ban " % JAIL in line
            or "[%s] Restore Ban " % JAIL in line
            or "Jail '%s' started" % JAIL in line
        ):
            break
    return ""
