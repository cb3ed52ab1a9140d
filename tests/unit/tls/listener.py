"""Something that speaks TLS on a port of this machine, with a certificate for each name, as nginx does."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from tests.unit.tls.certificates import pem


class Listener:
    """Serves handshakes until it is closed.

    Args:
        folder: for the files.
        chains: server name -> (private key, certificates); "" is for clients that send no name. A name that is not
            here is refused with an alert, as `ssl_reject_handshake` does.
        lowest, highest: versions of TLS.
        ciphers: of versions before 1.3, as OpenSSL writes lists; empty: what OpenSSL likes.
        answer: bytes sent after the handshake, when a request has come.
    """

    def __init__(
        self,
        folder: Path,
        chains: Mapping[str, tuple[Any, list[Any]]],
        *,
        lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        ciphers: str = "",
        answer: bytes = b"",
    ) -> None:
        self._contexts = {}
        for number, (name, (key, certificates)) in enumerate(chains.items()):
            path = folder / f"{number}.pem"
            private = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode()
            path.write_text(private + pem(*certificates))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with warnings.catch_warnings():  # old versions are asked for on purpose
                warnings.simplefilter("ignore")
                context.minimum_version, context.maximum_version = lowest, highest
            if ciphers:
                context.set_ciphers(ciphers)
            context.load_cert_chain(path)
            self._contexts[name] = context
        self._answer = answer
        self._default = self._contexts.get("") or next(iter(self._contexts.values()))
        self._default.sni_callback = self._choose
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _choose(self, link: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        if (name or "") not in self._contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        link.context = self._contexts[name or ""]
        return None

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            try:
                link.settimeout(5)
                with self._default.wrap_socket(link, server_side=True) as secure:
                    if secure.recv(65536) and self._answer:
                        secure.sendall(self._answer)
            except OSError:
                continue
            finally:
                link.close()

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
