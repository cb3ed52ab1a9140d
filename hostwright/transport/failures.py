"""What went wrong while connecting, as an error a user can act on. Imports paramiko: import it late."""

from __future__ import annotations

import errno
import socket

from paramiko.ssh_exception import ChannelException, IncompatiblePeer

from hostwright.errors import (
    HostNotFound,
    HostUnreachable,
    ProtocolError,
    TransportError,
)
from hostwright.transport.ssh_config import Target
from hostwright.transport.tuned import TunedTransport

# what sshd writes instead of its greeting, what it means, and what to do
TURNED_AWAY = {
    b"Exceeded MaxStartups": ("too many logins at once (MaxStartups)", "Try again later."),
    b"Not allowed at this time": (
        "it turns us away for a while, after failed logins (PerSourcePenalties)",
        "That ends by itself: after some 15 s, or up to 10 minutes when more logins have failed. Then try again.",
    ),
}
REFUSED = "no SSH server listens there"
HINTS = {
    "refused": "Check address and port; a server that was just made may need another minute.",
    "timeout": "Check the address, and that a firewall lets this machine through.",
}


def connecting(target: Target, error: OSError | UnicodeError) -> TransportError:
    """Why no connection came about."""
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return _name(target, error)
    if isinstance(error, ConnectionRefusedError):
        return _unreachable(target, f"{target.called} refuses the connection: {REFUSED}", HINTS["refused"])
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        message = f"{target.called} does not answer: timed out after {target.timeout:g} s"
        return _unreachable(target, message, HINTS["timeout"])
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EHOSTDOWN):
        message = f"{target.called} cannot be reached: {(error.strerror or 'no route').lower()}"
        return _unreachable(target, message, "Check the address, and this machine's network.")
    return _unreachable(target, f"{target.called} cannot be reached: {error.strerror or error}")


def _name(target: Target, error: socket.gaierror | UnicodeError) -> TransportError:
    what = f'"{target.address}" does not resolve'
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        what = f'"{target.address}" cannot be looked up now: no name server answers'
    return HostNotFound(
        f"jump host {what}" if target.jump else what,
        host=target.name,
        hint="Check the spelling, or write the IP address.",
    )


def _unreachable(target: Target, message: str, hint: str | None = None, *evidence: str) -> HostUnreachable:
    return HostUnreachable(message, host=target.name, evidence=evidence, hint=hint)


def beyond_jump(target: Target, error: Exception) -> TransportError:
    """Why the jump host does not connect us (RFC 4254 section 5.1)."""
    where = f"the jump host {target.via.place}" if target.via else "the jump host"
    if isinstance(error, ChannelException) and error.code == 1:
        return _unreachable(
            target,
            f"{where} does not let us through to {target.place}",
            "Its sshd has AllowTcpForwarding no, or PermitOpen for other addresses only.",
        )
    reason = error.text.lower() if isinstance(error, ChannelException) else str(error)
    if "timeout" in reason.lower():
        reason = f"no answer after {target.timeout:g} s"
    return _unreachable(target, f"{where} cannot reach {target.place}: {reason}")


def greeting(target: Target, transport: TunedTransport | None, error: Exception) -> TransportError:
    """Why there was a connection, but no SSH.

    Args:
        target: the server.
        transport: as far as it came; None when not even that.
        error: what paramiko says.
    """
    heard = transport.line.greeting if transport else b""
    for words, (meaning, hint) in TURNED_AWAY.items():
        if heard.startswith(words):
            return _unreachable(target, f"{target.called} does not take logins now: {meaning}", hint)
    if heard and not heard.startswith(b"SSH-") and b"\nSSH-" not in heard:
        said = [line for line in heard.decode("utf-8", "replace").splitlines() if line.strip()][:3]
        return ProtocolError(
            f"{target.called} is not an SSH server",
            host=target.name,
            evidence=tuple("".join(c if c.isprintable() else "?" for c in line)[:100] for line in said),
            hint="Check the port.",
        )
    if isinstance(error, IncompatiblePeer):
        message = f"{target.called} and we have no algorithm in common"
        return ProtocolError(message, host=target.name, evidence=(str(error),))
    if isinstance(error, TimeoutError) or "timeout" in str(error).lower():
        message = f"{target.called} took the connection, then said nothing for {target.timeout:g} s"
        return _unreachable(target, message, "A server that is just starting may need another minute.")
    reason = (transport.disconnected if transport else "") or str(error)
    return _unreachable(
        target,
        f"{target.called} closed the connection before the login",
        # those words get lost when the connection is reset before we have read them
        "sshd may be starting, or keep this machine out: for a while after failed logins (PerSourcePenalties), "
        "or by fail2ban or hosts.deny.",
        *([reason] if reason else []),
    )


def session(target: Target, error: Exception) -> TransportError:
    """Why the login worked, but no session came about."""
    if isinstance(error, ChannelException):
        return ProtocolError(f"{target.called} opens no session: {error.text.lower()}", host=target.name)
    return ProtocolError(f"{target.called} opens no session: {error}", host=target.name)
