"""Does a new login work? What a server asks before a change of who gets in stays.

It is a login to the server that asks, as the inventory says, whatever the question says: a server that somebody has
taken over gets nothing else out of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hostwright.errors import AuthenticationFailed, HostKeyMismatch, HostwrightError, SudoFailed
from hostwright.inventory import Host
from hostwright.run.login import Logins

# seconds: for one connection, so that a firewall that swallows packets leaves time for the rest; between two tries;
# kept back of the time that the server gives us
CONNECT, PAUSE, RESERVE = 4.0, 0.5, 1.0
# trying again does not help
FINAL = (AuthenticationFailed, HostKeyMismatch, SudoFailed)


def new_login(logins: Logins, host: Host, data: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Log in anew, with the same key, at the port that counts from now on, and become root.

    Args:
        logins: opens connections.
        host: the server that asks.
        data: host_keys: those that its sshd shows, as in known_hosts.
        timeout: seconds until the answer must be there.

    Returns:
        ok; as: whom we logged in as; or message, evidence: why we did not.
    """
    end = time.monotonic() + timeout - RESERVE
    wanted = host.model_copy(
        update={"bootstrap_user": None, "bootstrap_port": None, "connect_timeout": min(CONNECT, timeout)}
    )
    while True:
        try:
            logins.learn(wanted, [str(key) for key in data.get("host_keys", ())])
            return {"ok": True, "as": _log_in(logins, wanted)}
        except HostwrightError as error:
            if isinstance(error, FINAL) or time.monotonic() + PAUSE + CONNECT > end:
                return _no(error.message, error.evidence)
        except Exception as error:  # no answer would only take longer than one that says why
            return _no(f"{type(error).__name__}: {error}", ())
        time.sleep(PAUSE)


def _no(message: str, evidence: Sequence[str]) -> dict[str, Any]:
    return {"ok": False, "message": message, "evidence": list(evidence)}


def _log_in(logins: Logins, host: Host) -> str:
    """Whom we are logged in as, `ubuntu@203.0.113.10:22`.

    Raises:
        HostwrightError: we do not get in, or not to root.
    """
    transport = logins.connect(host)
    try:
        channel = transport.open(("id", "-u"))
        try:
            answer = b"".join(channel.lines()).strip()
        finally:
            channel.close()
        if answer != b"0":
            raise HostwrightError(f"sudo did not make {host.user} root: {answer.decode(errors='replace')}")
        return transport.label
    finally:
        transport.close()
