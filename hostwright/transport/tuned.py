"""paramiko with fewer round trips. Imports paramiko: import it late.

Measured against sshd 9.2 at a round trip of 50 ms, login and `true`: paramiko as it comes 10 round trips,
this 6. What differs: TCP_NODELAY (paramiko never sets it); TCP_QUICKACK (sshd leaves Nagle's algorithm on, so
its second small write waits for our acknowledgement); SERVICE_REQUEST, the signed USERAUTH_REQUEST and
CHANNEL_OPEN leave together; a command does not wait for the server to say that it was started. The order of
the messages is that of RFC 4252 and 4254; only the waiting in between is left out. That needs members of
paramiko that are not public: should one of them be gone, login.py goes the ordinary way.
"""

# mypy: disable-error-code="attr-defined,misc,arg-type"

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    cMSG_CHANNEL_OPEN,
    cMSG_CHANNEL_REQUEST,
    cMSG_GLOBAL_REQUEST,
)
from paramiko.message import Message

from hostwright.transport.hostkeys import HostKey

if TYPE_CHECKING:
    from paramiko import Channel, PKey

WINDOW = 1 << 24  # bytes the server may send before we have read them
PACKET = 1 << 15
GREETING_LIMIT = 1024
CIPHERS = (
    *("aes128-gcm@openssh.com", "aes256-gcm@openssh.com"),
    *("aes128-ctr", "aes192-ctr", "aes256-ctr"),
)
MACS = (
    *("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"),
    *("hmac-sha2-256", "hmac-sha2-512"),
)
SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}  # RFC 8332


class TunedSocket:
    """What paramiko needs of a socket, and what we want to know of it.

    Attributes:
        greeting: the first bytes that came, up to 1 KiB: evidence when it is not an SSH server.
        heard: when the last bytes came, on the clock of time.monotonic.
    """

    def __init__(self, connection: socket.socket | Channel) -> None:
        self._connection = connection
        self._tcp: socket.socket | None = None
        self.greeting = b""
        self.heard = time.monotonic()
        if isinstance(connection, socket.socket) and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._tcp = connection if hasattr(socket, "TCP_QUICKACK") else None

    def recv(self, size: int) -> bytes:
        """As socket.recv; TCP_QUICKACK is one-shot (tcp(7)), so it is set again each time."""
        data: bytes = self._connection.recv(size)
        self.heard = time.monotonic()
        if len(self.greeting) < GREETING_LIMIT:
            self.greeting += data
        if self._tcp:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                self._tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class PromptAuth(AuthHandler):
    """Sends the login without waiting for the answer to the service request.

    Attributes:
        offered: what the server would take instead, once it has refused.
        partial: it has not refused, but wants that besides.
    """

    offered: list[str] = []  # noqa: RUF012 - replaced, never changed
    partial = False

    def _request_auth(self) -> None:
        super()._request_auth()
        accepted = Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        super()._parse_service_accept(accepted)

    def _parse_userauth_failure(self, message: Message) -> None:
        self.offered, self.partial = message.get_list(), message.get_boolean()
        message.rewind()
        super()._parse_userauth_failure(message)

    @property
    def _client_handler_table(self) -> dict[int, Callable[[Message], None]]:
        table = dict(super()._client_handler_table)
        table[MSG_SERVICE_ACCEPT] = lambda message: None  # it answers what we did not wait for
        return table


class TunedTransport(paramiko.Transport):
    """One SSH connection.

    Args:
        connection: the socket, or the channel of a jump host.
        check: refuses a host key by raising; called before anything secret is sent.
        key_types: host key types in the order to ask for.
    """

    def __init__(
        self,
        connection: socket.socket | Channel,
        *,
        check: Callable[[HostKey], None],
        key_types: tuple[str, ...],
    ) -> None:
        self.line = connection if isinstance(connection, TunedSocket) else TunedSocket(connection)
        self._check = check
        self.disconnected = ""
        super().__init__(self.line)
        options = self.get_security_options()
        options.ciphers, options.digests = CIPHERS, MACS
        options.key_types = tuple(
            name for key_type in key_types for name in SIGNATURES.get(key_type, (key_type,))
        )

    def start_client(self, event: threading.Event | None = None, timeout: float | None = None) -> None:
        """Agree on keys and check the server's.

        Raises:
            HostKeyMismatch, paramiko.SSHException, EOFError, OSError
        """
        if timeout is not None:  # one limit for greeting and key exchange, and it is ours
            self.banner_timeout = self.handshake_timeout = timeout + 5
        super().start_client(event, timeout)
        if not self.initial_kex_done:  # paramiko returns without a word when the time is over
            raise TimeoutError("key exchange timed out")
        key = self.get_remote_server_key()
        self._check(HostKey(key.get_name(), key.asbytes()))

    def log_in(self, user: str, key: PKey) -> list[str]:
        """Log in with a key, one round trip after another. Returns what the server wants besides.

        Raises:
            paramiko.SSHException
        """
        return self.auth_publickey(user, key)

    def log_in_and_open(self, user: str, key: PKey) -> tuple[list[str], Channel | None]:
        """Log in with a key and open a session in one round trip. As `log_in`; the channel when there is one.

        Raises:
            paramiko.SSHException: also where the server does not like the pace.
        """
        done = threading.Event()
        self.auth_handler = login = PromptAuth(self)
        login.auth_publickey(user, key, done)
        channel, opened = self._ask_for_session()
        try:
            login.wait_for_response(done)
        except paramiko.ChannelException as error:  # some refuse the session too, in so many words
            if not login.partial and "publickey" not in login.offered:
                raise paramiko.BadAuthenticationType("refused", login.offered) from error
            if not login.partial:
                raise paramiko.AuthenticationException("refused") from error
        finally:
            if not self.is_authenticated():
                self._channels.delete(channel.chanid)
                self.channel_events.pop(channel.chanid, None)
        if login.partial:
            return login.offered, None
        if not opened.wait(self.channel_timeout) or self._channels.get(channel.chanid) is None:
            raise self.get_exception() or paramiko.SSHException("the session was not opened")
        return [], channel

    def _ask_for_session(self) -> tuple[Channel, threading.Event]:
        """What Transport.open_channel does before it begins to wait (RFC 4254 section 5.1)."""
        with self.lock:
            number = self._next_channel()
            channel = paramiko.Channel(number)
            self._channels.put(number, channel)
            self.channel_events[number] = opened = threading.Event()
            self.channels_seen[number] = True
            channel._set_transport(self)
            channel._set_window(WINDOW, PACKET)
        message = Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string("session")
        for value in (number, WINDOW, PACKET):
            message.add_int(value)
        self._send_user_message(message)
        return channel, opened

    def start_command(self, channel: Channel, command: str) -> None:
        """Ask for a command (RFC 4254 section 6.5) without waiting: if it is refused, the channel closes."""
        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(command)
        channel._event_pending()
        self._send_user_message(message)

    def knock(self) -> None:
        """Ask for a sign of life: whatever the answer, `line.heard` tells that it came."""
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)

    def _send_user_message(self, data: Message) -> None:
        """paramiko's, with one kind of error where it has three."""
        try:
            super()._send_user_message(data)
        except (EOFError, paramiko.SSHException) as error:
            if threading.current_thread() is self:
                raise
            raise ConnectionResetError(errno.ECONNRESET, str(error) or "connection closed") from error

    def end(self) -> None:
        """Close everything and wait for the thread."""
        with contextlib.suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)  # wakes the thread, which looks up every 100 ms only
        self.close()
        self.packetizer.complete_handshake()  # its timer would keep the process for 15 s
        self.packetizer.close()
        if self.is_alive() and self is not threading.current_thread():
            self.join(2)
        self.sock.close()

    def _parse_disconnect(self, message: Message) -> None:
        message.get_int()
        self.disconnected = message.get_text()
