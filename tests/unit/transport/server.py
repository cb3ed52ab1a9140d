"""A real SSH server on loopback, in this process: commands run in a shell of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.common import OPEN_FAILED_CONNECT_FAILED, OPEN_SUCCEEDED


@dataclass
class Server:
    """What it does, and what it has seen.

    Attributes:
        host_keys: its own keys.
        accepts: blobs of the public keys that open it.
        bin: a directory that comes first in the PATH of commands.
        offers: authentication methods it names.
        banner: shown before the login.
        open_session: decides about a session, given how many connections there have been.
        tried: (user, blob) of each key that was sent.
        connections: how many there have been.
        environment: of commands.
        commands: what was run, as the login shell got it.
        transports: the connections.
        processes: the commands.
    """

    host_keys: list[paramiko.PKey]
    accepts: set[bytes]
    bin: Path
    offers: str = "publickey"
    banner: str = ""
    open_session: Callable[[int, paramiko.Transport], int] = lambda count, transport: OPEN_SUCCEEDED
    tried: list[tuple[str, bytes]] = field(default_factory=list)
    connections: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    transports: list[paramiko.Transport] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _closing: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            transport = paramiko.Transport(connection)
            for key in self.host_keys:
                transport.add_server_key(key)
            self.transports.append(transport)
            transport.start_server(event=threading.Event(), server=_Session(self, transport))

    def close(self) -> None:
        """Stops everything and waits for it."""
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for process in self.processes:
            _kill(process)
        for transport in self.transports:
            transport.close()
            transport.packetizer.complete_handshake()
            transport.join(5)
        for thread in self._threads:
            thread.join(5)

    def run(self, channel: paramiko.Channel, command: str) -> None:
        """A login shell's job."""
        path = f"{self.bin}:{os.environ['PATH']}"
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": path, **self.environment},
            start_new_session=True,
        ) as process:
            self.processes.append(process)
            if self._closing:
                _kill(process)
            pumps = [
                threading.Thread(target=_pump, args=(process.stdout, channel.sendall), daemon=True),
                threading.Thread(target=_pump, args=(process.stderr, channel.sendall_stderr), daemon=True),
            ]
            for pump in pumps:
                pump.start()
            assert process.stdin
            # the feeder's own: a number that somebody else closes may be another command's input a moment later
            given = os.dup(process.stdin.fileno())
            process.stdin.close()
            self._spawn(_feed, channel, given)
            process.wait()
            for pump in pumps:
                pump.join(5)
            try:
                channel.send_exit_status(process.returncode % 256)
                channel.shutdown_write()
                channel.close()
            except (OSError, EOFError):
                pass

    def relay(self, channel: paramiko.Channel, address: tuple[str, int]) -> None:
        """A jump host's job."""
        with socket.create_connection(address) as far:
            back = threading.Thread(target=_pump_socket, args=(far, channel), daemon=True)
            back.start()
            _pump_socket(channel, far)
            back.join(5)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _pump(stream: object, send: Callable[[bytes], object]) -> None:
    with stream as source:  # type: ignore[attr-defined]
        while data := os.read(source.fileno(), 4096):
            try:
                send(data)
            except (OSError, EOFError):
                return


def _pump_socket(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except (OSError, EOFError):
        pass
    with contextlib.suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_RDWR)


def _feed(channel: paramiko.Channel, stdin: int) -> None:
    try:
        while data := channel.recv(65536):
            os.write(stdin, data)
    except OSError:
        pass
    finally:
        os.close(stdin)


class _Session(paramiko.ServerInterface):
    def __init__(self, server: Server, transport: paramiko.Transport) -> None:
        self.server = server
        self.transport = transport
        self.number = server.connections

    def get_banner(self) -> tuple[str, str]:
        return (self.server.banner, "en") if self.server.banner else (None, None)  # type: ignore[return-value]

    def get_allowed_auths(self, username: str) -> str:
        return self.server.offers

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.server.tried.append((username, key.asbytes()))
        if "publickey" not in self.server.offers:
            return paramiko.AUTH_FAILED
        return paramiko.AUTH_SUCCESSFUL if key.asbytes() in self.server.accepts else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return self.server.open_session(self.number, self.transport)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.server.commands.append(command.decode())
        self.server._spawn(self.server.run, channel, command.decode())
        return True

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: object) -> int:
        if destination[1] == 1:  # type: ignore[index]
            return OPEN_FAILED_CONNECT_FAILED
        if destination[1] == 2:  # type: ignore[index]
            time.sleep(1)
        self.server._spawn(self._relay, destination)
        return OPEN_SUCCEEDED

    def _relay(self, destination: tuple[str, int]) -> None:
        channel = self.transport.accept(5)
        if channel:
            self.server.relay(channel, destination)
