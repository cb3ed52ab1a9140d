"""A user's project whose app has names and a certificate of the test CA, and what its visitors see."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from hostwright.sandbox import Sandbox, Server

from .acme import Authority, Bed, knows
from .load_tls import trusting
from .project import Project, sh
from .tiny import CODE

NAME, WWW = "hello.sandbox.test", "www.hello.sandbox.test"
LIVE = "/etc/letsencrypt/live"


@dataclass(frozen=True)
class Answer:
    """What a visitor got.

    Attributes:
        status: of HTTP; 0: nobody answered.
        headers: lower case; the last of equal ones.
        body: text.
        error: of curl, when there was no answer.
    """

    status: int
    headers: dict[str, str]
    body: str
    error: str = ""


class Secure(Project):
    """An app called tiny on one or more servers: one file, no dependencies, deployed in a second or two.

    Its commands ask the test CA's DNS for names, and so does the CA; what the server itself believes is in its
    /etc/hosts.

    Attributes:
        data: the inventory; `write` after a change.
        ca: whom the certificates are asked from.
    """

    def __init__(
        self,
        folder: Path,
        server: Server,
        sandbox: Sandbox,
        bed: Bed,
        domains: Sequence[str] = (NAME, WWW),
        ca: Authority | None = None,
    ) -> None:
        self.sandbox, self.bed, self.ca = sandbox, bed, ca or bed.ca
        self.data: dict[str, Any] = {}
        super().__init__(folder, server, name="tiny", app="tiny")
        subprocess.run(("rm", "-r", str(self.folder / "app")), check=True)
        self._prefix = bed.view(self.home)
        (self.folder / "ca.pem").write_text(bed.bundle.read_text())
        (self.folder / "requirements.txt").write_text("")
        (self.folder / "served.py").write_text(CODE)
        self.data = {
            "project": "tiny",
            "defaults": {
                "user": "ubuntu",
                "identity_file": str(server.identity_file),
                "tls": self.tls(),
                "hardening": False,
            },
            "apps": {"tiny": self.app_settings(domains)},
            "hosts": {"web1": {"address": server.address}},
        }
        self.point(*domains)
        self.write()

    def tls(self, **more: Any) -> dict[str, Any]:
        """`tls:` for certificates of our CA, without a dry try unless `staging` is among `more`."""
        return {
            "issuer": self.ca.directory,
            "ca": "ca.pem",
            "email": "ops@sandbox.test",
            "staging": False,
            **more,
        }

    @staticmethod
    def app_settings(domains: Sequence[str], **more: Any) -> dict[str, Any]:
        """An app of this project; the first domain is the one that the others lead to."""
        return {
            "module": "served:app",
            "interface": "wsgi",
            "requirements": "requirements.txt",
            "build_command": "true",
            "release_command": "true",
            "health": {"window": 0.2, "timeout": 20},
            "domains": list(domains),
            **({"nginx": {"canonical": domains[0]}} if domains else {}),
            **more,
        }

    @property
    def settings(self) -> dict[str, Any]:
        """The app's part of the inventory."""
        return self.data["apps"]["tiny"]  # type: ignore[no-any-return]

    @property
    def canonical(self) -> str:
        """The app's first name."""
        return str(self.settings["domains"][0])

    @property
    def tls_settings(self) -> dict[str, Any]:
        """The host's `tls:` in the inventory."""
        return self.data["defaults"]["tls"]  # type: ignore[no-any-return]

    def domains(self, *domains: str) -> None:
        """The app's names from now on; they lead to the server."""
        self.point(*domains)
        self.settings["domains"] = list(domains)
        self.write()

    def point(self, *domains: str) -> None:
        """Names lead to the server: for the CA, for the commands, and for the server itself."""
        for name in domains:
            if not name.startswith("*."):
                self.bed.points(name, self.server.address)
        knows(self.sandbox, self.server, dict.fromkeys(domains, self.server.address))

    def write(self) -> None:
        """The inventory as it is in `data`; JSON is YAML."""
        (self.folder / "inventory.yaml").write_text(json.dumps(self.data, indent=1))
        self.commit("inventory")

    def write_inventory(self, user: str = "ubuntu", domains: str = "") -> None:
        """Not before there is something to write."""
        if self.data:
            self.write()

    def argv(self, *argv: str) -> tuple[str, ...]:
        return (*self._prefix, *super().argv(*argv))

    def up(self) -> None:
        """Provision and deploy."""
        self.inv("provision")
        self.inv("deploy")

    def sh(self, script: str, timeout: float = 60) -> str:
        """What a shell script says that runs as root on the server."""
        return sh(self.sandbox, self.server, script, timeout=timeout)

    # -- what visitors see -----------------------------------------------------------------------------------

    def get(
        self,
        url: str,
        *options: str,
        root: str | None = None,
        server: Server | None = None,
    ) -> Answer:
        """Ask a server for a URL of any name; HTTPS is checked against a root (none: our CA's)."""
        pem = self.home / "root.pem"
        pem.write_text(self.ca.root() if root is None and url.startswith("https:") else root or "")
        address = (server or self.server).address
        argv = ("curl", "-sS", "-m", "10", "-i", "--http1.1", "--cacert", str(pem), *options)
        connect = f"::{address}:"
        done = subprocess.run(
            (*argv, "--connect-to", connect, url), capture_output=True, text=True, check=False
        )
        if done.returncode:
            return Answer(0, {}, "", done.stderr.strip())
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        status, *lines = head.split("\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(status.split()[1]), headers, body)

    def https(self, name: str = NAME, path: str = "/version", root: str | None = None) -> Answer:
        """A page over HTTPS, chain and name checked."""
        return self.get(f"https://{name}{path}", root=root)

    def http(self, name: str = NAME, path: str = "/version") -> Answer:
        """A page over HTTP."""
        return self.get(f"http://{name}{path}")

    def certificate(self, name: str = NAME, server: Server | None = None) -> x509.Certificate:
        """What is served to whoever asks for a name; not checked."""
        address = (server or self.server).address
        with socket.create_connection((address, 443), 10) as link:
            with trusting("").wrap_socket(link, server_hostname=name) as wrapped:
                return x509.load_der_x509_certificate(wrapped.getpeercert(True) or b"")

    def only_http(self) -> None:
        """HTTP gives the app, no redirect; nobody speaks TLS for the name."""
        answer = self.http()
        assert answer.status == 200, answer
        try:
            certificate = self.certificate()
        except (ssl.SSLError, OSError):
            return
        raise AssertionError(f"a certificate is served: {certificate.subject}")

    def both(self, name: str = NAME) -> None:
        """HTTPS gives the app with a certificate that is trusted, HTTP leads there."""
        answer = self.https(name)
        assert answer.status == 200, answer
        redirect = self.http(name)
        assert redirect.status == 308, redirect
        assert redirect.headers["location"] == f"https://{name}/version"


def names_in(certificate: x509.Certificate) -> set[str]:
    """Domains and IP addresses of a certificate."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in found.get_values_for_type(x509.IPAddress)}
    return set(found.get_values_for_type(x509.DNSName)) | addresses


def flat(said: str) -> str:
    """Output with each run of spaces and line breaks made one space: how it was wrapped does not matter."""
    return re.sub(r"\s+", " ", said)
