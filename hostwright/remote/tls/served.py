"""What nginx serves on this server's own port 443: the certificate that counts is the one clients get."""

from __future__ import annotations

from . import x509

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Optional, Sequence

    from ..system import System

HERE, PORT = "127.0.0.1", 443
# seconds for one handshake on this machine, and for all of them
PATIENCE, ALL = 5.0, 30.0
# what a client asks for where the certificate is for every name below a domain
ANY = "any."
# OpenSSL's words for alerts (RFC 8446, 6), and what they mean where nginx sends them
REFUSED = {
    "TLSV1_UNRECOGNIZED_NAME": "nginx has no site with HTTPS for this name",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "nginx has no certificate that this client can use",
    "WRONG_VERSION_NUMBER": "what listens on port 443 does not speak TLS",
}


class Answer:
    """What came of one handshake.

    Attributes:
        name: what was asked for: a domain, as the inventory writes it, or an IP address; empty: no name at all.
        problem: why there is none.
        version: of TLS, as in `TLSv1.3`.
        certificate: the server's own.
        chain: DER of all that it sent, in its order; where this Python cannot tell, of its own alone.
    """

    def __init__(self, name: str, problem: str = "", version: str = "", chain: Sequence[bytes] = ()) -> None:
        self.name = name
        self.problem = problem
        self.version = version
        self.chain = list(chain)
        self.certificate = x509.parse(self.chain[0]) if self.chain else None


def targets(names: Sequence[str], addresses: Sequence[str]) -> list[str]:
    """What to ask nginx for; without names and addresses, for what it serves to everybody."""
    return [*names, *addresses] or [""]


def server_name(target: str) -> str:
    """The server name (SNI) that a client of `target` sends; none for an IP address: RFC 6066, 3."""
    if target.startswith("*."):
        return ANY + target[2:]
    digits = target.replace(".", "")
    return "" if ":" in target or (digits.isascii() and digits.isdigit()) else target


def ask(system: System, wanted: Sequence[str], address: str = HERE, port: int = PORT) -> list[Answer]:
    """One handshake for each target; whatever happens is in the answers."""
    end = system.monotonic() + ALL
    found: list[Answer] = []
    for target in wanted:
        late = system.monotonic() > end
        found.append(
            Answer(target, "not asked: nginx is too slow") if late else handshake(target, address, port)
        )
    return found


def handshake(target: str, address: str = HERE, port: int = PORT, patience: float = PATIENCE) -> Answer:
    """Connect as a client of `target` does, and look; nothing is verified."""
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=patience) as plain,
            context.wrap_socket(plain, server_hostname=server_name(target) or None) as link,
        ):
            return Answer(target, version=link.version() or "", chain=_chain(link))
    except ConnectionRefusedError:
        return Answer(target, "nothing listens on port %d" % port)
    except socket.timeout:  # before Python 3.10 no TimeoutError
        return Answer(target, "no answer within %g s" % patience)
    except ssl.SSLError as error:
        reason = error.reason or ""
        return Answer(target, REFUSED.get(reason) or "the handshake failed: %s" % (reason or error))
    except (OSError, ValueError) as error:
        return Answer(target, getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _chain(link: ssl.SSLSocket) -> list[bytes]:
    if hasattr(link, "get_unverified_chain"):  # since Python 3.13
        return [bytes(der) for der in link.get_unverified_chain()]
    own = link.getpeercert(binary_form=True)
    return [own] if own else []


def whole_chain(
    system: System, answer: Answer, address: str = HERE, port: int = PORT
) -> Optional[list[bytes]]:
    """DER of all certificates that nginx sends with an answer's; None where nobody on this server can tell."""
    import ssl

    if not answer.chain:
        return None
    if hasattr(ssl.SSLSocket, "get_unverified_chain"):
        return answer.chain
    if system.which("openssl") is None:
        return None
    name = server_name(answer.name)
    words = ("-servername", name) if name else ("-noservername",)
    argv = ("openssl", "s_client", "-connect", "%s:%d" % (address, port), "-showcerts", *words)
    shown = system.run(argv, timeout=PATIENCE, check=False, input=b"", read_only=True).out
    found = [der for der in x509.pieces(shown.encode()) if der]
    return found if found and found[0] == answer.chain[0] else None
