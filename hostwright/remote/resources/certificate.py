"""A certificate from a CA that speaks ACME (RFC 8555): its names, who issues it, how it is renewed.

Reading it starts no process. What a timer renews is no difference: only one that it should have renewed long ago.
"""

from __future__ import annotations

from ..tls import x509
from ..tls.lineage import Lineage
from .base import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ..system import System
    from .base import Change, Context, State, Value

# of its life that is left when it is renewed by a run: the timer does so when a third is left
DUE = 0.25
CHALLENGES = {"webroot": "http-01", "manual": "dns-01"}


class Certificate(Resource):
    """`name` is certbot's name for it (--cert-name): the app's.

    Args:
        domains: in any order; all of them are in the certificate. `*.domain` needs DNS-01.
        addresses: IP addresses; they need certbot 5.4 and a CA that does that.
        directory: URL of the ACME directory.
        staging: URL of a directory for a dry try before names are asked for the first time; empty for none.
        email: where the CA writes to; empty for none.
        profile: the CA's certificate profile; empty for its default.
        key_type: ecdsa (P-256) or rsa.
        eab_kid, eab_hmac: external account binding; the latter is a secret.
        dns_auth, dns_cleanup: paths of the programs that make and remove a DNS record; then it is DNS-01.
        preflight: look before the CA does.
        reached: the address that the controller reaches the server at.
    """

    kind = "certificate"
    settles = True
    isolated = True

    def __init__(
        self,
        *,
        name: str,
        domains: Sequence[str],
        addresses: Sequence[str] = (),
        directory: str,
        staging: str = "",
        email: str = "",
        profile: str = "",
        key_type: str = "ecdsa",
        eab_kid: str = "",
        eab_hmac: str = "",
        dns_auth: str = "",
        dns_cleanup: str = "",
        preflight: bool = True,
        reached: str = "",
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.domains = tuple(domains)
        self.addresses = tuple(addresses)
        self.directory = directory
        self.staging = staging
        self.email = email
        self.profile = profile
        self.key_type = key_type
        self.eab_kid = eab_kid
        self.eab_hmac = eab_hmac
        self.dns_auth = dns_auth
        self.dns_cleanup = dns_cleanup
        self.preflight = preflight
        self.reached = reached

    def desired(self, system: System) -> State:
        return {
            "names": sorted({*self.domains, *self.addresses}),
            "directory": self.directory,
            "profile": self.profile,
            "key": self.key_type,
            "challenge": "dns-01" if self.dns_auth else "http-01",
            "validity": "good",
        }

    def read(self, system: System) -> State:
        lineage = Lineage(system, self.name)
        found = x509.read(system, lineage.chain)
        state: dict[str, Value] = dict.fromkeys(self.desired(system))
        if found is None or not system.exists(lineage.live + "/privkey.pem"):
            return state
        how = lineage.renewal()
        state["names"] = sorted({*found.names, *found.addresses})
        state["directory"] = how.get("server")
        state["profile"] = how.get("preferred_profile", "")
        state["key"] = found.key
        state["challenge"] = CHALLENGES.get(how.get("authenticator", ""), how.get("authenticator"))
        state["validity"] = validity(found, system.now())
        return state

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        from ..tls.issue import Issue

        Issue(system, self, context, [change.attribute for change in changes]).run()
        found = x509.read(system, Lineage(system, self.name).chain)
        if found is not None:
            context.note = "issued by %s" % (found.issuer or "a CA without a name")

    def pretend(self, system: System) -> None:
        system.assume(Lineage(system, self.name).chain, (*self.domains, *self.addresses))


def validity(found: x509.Certificate, now: float) -> str:
    """good, due or expired."""
    left = found.not_after - now
    if left <= 0:
        return "expired"
    return "due" if left < DUE * (found.not_after - found.not_before) else "good"
