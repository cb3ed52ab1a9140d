"""A TCP connection that is made while what will speak over it is loaded: paramiko takes longer than a near server."""

from __future__ import annotations

import socket
import threading

from hostwright.transport.ssh_config import Target

UNACKNOWLEDGED_MS = 30_000


class Tcp:
    """A connection to a server, begun at once, in a thread. `take` it or `close` it.

    Args:
        target: which server.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._made: socket.socket | None = None
        self._error: Exception | None = None
        self._unwanted = False
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        target = self._target
        try:
            made = socket.create_connection((target.address, target.port), target.timeout)
        except Exception as error:
            self._error = error
            return
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # tcp(7): Linux only
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        with self._lock:
            if not self._unwanted:
                self._made = made
                return
        made.close()

    def take(self) -> socket.socket:
        """The connection, from now on the caller's to close. Waits until it is made.

        Raises:
            TransportError: it cannot be made.
        """
        from hostwright.transport import failures

        self._thread.join()
        if isinstance(self._error, (OSError, UnicodeError)):
            raise failures.connecting(self._target, self._error) from self._error
        if self._error:
            raise self._error
        assert self._made
        made, self._made = self._made, None
        return made

    def close(self) -> None:
        """It is not wanted any more; one that is taken is left alone."""
        with self._lock:
            self._unwanted = True
            made, self._made = self._made, None
        if made:
            made.close()
