"""A certificate that the server signs itself: encrypted, and trusted by nobody who does not know it."""

from __future__ import annotations

import os

from ..tls import x509
from .base import Failed, Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from ..system import System
    from .base import Change, Context, State, Value

# days: what browsers accept at most of any certificate is 398; a run makes a new one when fewer are left
LIFE, LEFT = 397, 30
DAY = 86400.0
RUNTIME = "/run/hostwright"
# what it is for where nobody is meant to be answered
NOBODY = "nobody.invalid"


class SelfSigned(Resource):
    """`name` is the folder of fullchain.pem and privkey.pem (0600). ECDSA P-256, made by openssl(1).

    Args:
        domains, addresses: what it is for; neither: a name that nobody has.
        when: conditions (features.py); where they do not hold, nothing is made.
    """

    kind = "self_signed"

    def __init__(
        self,
        *,
        name: str,
        domains: Sequence[str],
        addresses: Sequence[str] = (),
        when: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.domains = tuple(domains)
        self.addresses = tuple(addresses)
        self.when = when

    @property
    def chain(self) -> str:
        """Path of the certificate."""
        return self.name + "/fullchain.pem"

    @property
    def key(self) -> str:
        """Path of its private key."""
        return self.name + "/privkey.pem"

    def _names(self) -> tuple[str, ...]:
        return self.domains if self.domains or self.addresses else (NOBODY,)

    def desired(self, system: System) -> State:
        if self.when and not system.has(self.when):
            return {}
        names = sorted({*self._names(), *self.addresses})
        return {"names": names, "key": "ecdsa", "validity": "good", "mode": "0600"}

    def read(self, system: System) -> State:
        found = x509.read(system, self.chain)
        key = system.stat(self.key)
        state: dict[str, Value] = {"names": None, "key": None, "validity": None, "mode": None}
        if key is not None:
            state["mode"] = "%04o" % key.mode
        if found is None or key is None:
            return state
        state["names"] = sorted({*found.names, *found.addresses})
        state["key"] = found.key if found.self_signed else "another's"
        left = found.not_after - system.now()
        state["validity"] = "expired" if left <= 0 else "due" if left < LEFT * DAY else "good"
        return state

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        folder = "%s/self-signed-%s" % (RUNTIME, os.urandom(4).hex())
        if system.stat(RUNTIME) is None:
            system.mkdir(RUNTIME, mode=0o700)
        system.mkdir(folder, mode=0o700)
        try:
            key, certificate = self._make(system, folder)
        finally:
            system.remove_tree(folder)
        if system.stat(self.name) is None:
            system.mkdir(self.name, mode=0o700)
        # nginx is reloaded after both: between them it has read neither
        system.write_atomic(self.key, key, mode=0o600)
        system.write_atomic(self.chain, certificate, mode=0o644)

    def _make(self, system: System, folder: str) -> tuple[bytes, bytes]:
        """(key, certificate) as PEM."""
        key, certificate = folder + "/key.pem", folder + "/certificate.pem"
        made = system.run(
            (
                *("openssl", "req", "-new", "-x509", "-nodes", "-sha256", "-newkey", "ec"),
                *("-pkeyopt", "ec_paramgen_curve:P-256", "-days", str(LIFE), "-config", "/dev/stdin"),
                *("-keyout", key, "-out", certificate),
            ),
            timeout=60,
            check=False,
            input=self._config().encode(),
        )
        found: list[Optional[bytes]] = [system.read(key), system.read(certificate)]
        if not made.ok or not found[0] or not found[1]:
            raise Failed(
                "openssl cannot make a certificate",
                "Is the package openssl installed?" if made.exit_code == 127 else "",
                tail=made.tail(),
                argv=made.argv,
                exit_code=made.exit_code,
            )
        return found[0], found[1]

    def _config(self) -> str:
        """For openssl-req(1); names of the inventory are checked there: letters, digits, dots, hyphens, one `*.`."""
        names = ["DNS:%s" % name for name in self._names()] + ["IP:%s" % one for one in self.addresses]
        return "\n".join(
            [
                "[req]",
                "prompt = no",
                "distinguished_name = who",
                "x509_extensions = what",
                "[who]",
                # a common name has 64 characters at most, and no client looks at it any more
                "CN = hostwright self-signed",
                "[what]",
                "basicConstraints = critical, CA:FALSE",
                "keyUsage = critical, digitalSignature",
                "extendedKeyUsage = serverAuth",
                "subjectAltName = %s" % ", ".join(names),
                "",
            ]
        )

    def pretend(self, system: System) -> None:
        system.assume(self.chain, (*self._names(), *self.addresses))
