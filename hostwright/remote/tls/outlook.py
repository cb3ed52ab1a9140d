"""Looks at a name as a CA does: what it resolves to, and who answers there on port 80. Runs on both sides.

Everything ends in time, and every failure is a word: a look raises nothing.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from http.client import HTTPConnection
    from typing import Any, Callable, Collection, Mapping, Optional, Sequence

    Look = Mapping[str, Any]

PORT = 80
# seconds: for one connection (a CA waits 10), for one answer with all its redirects
CONNECT, FETCH = 6.0, 12.0
REDIRECTS = 5
# of an answer: enough for a token, and to show who answered
LARGEST = 4096
SHOWN = 60
# addresses of a name that are looked at, of each family
ADDRESSES = 4
USER_AGENT = "hostwright-preflight"


def in_time(work: Callable[[], Any], seconds: float, otherwise: Any) -> Any:
    """What `work` returns, or `otherwise` when it takes longer or raises; see `all_in_time`."""
    return all_in_time({"it": work}, seconds, otherwise)["it"]


def all_in_time(work: Mapping[str, Callable[[], Any]], seconds: float, otherwise: Any) -> dict[str, Any]:
    """What several return at once; `otherwise` for one that raises, or takes longer: it goes on and keeps nobody."""
    import threading

    found: dict[str, Any] = {}

    def call(name: str) -> None:
        try:
            found[name] = work[name]()
        except Exception:
            pass  # nobody is there to hear it; what it would have found is missing

    threads = [threading.Thread(target=call, args=(name,), daemon=True) for name in work]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.0))
    return {name: found.get(name, otherwise) for name in work}


def resolve(name: str) -> dict[str, Any]:
    """What this machine's resolver says: {addresses: [...], error: ""|"nxdomain"|"silent"|words}."""
    import socket

    try:
        found = socket.getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        missing = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        silent = error.errno == socket.EAI_AGAIN
        said = "nxdomain" if missing else "silent" if silent else str(error.strerror)
        return {"addresses": [], "error": said}
    except (OSError, UnicodeError) as error:
        return {"addresses": [], "error": str(error)}
    addresses: list[str] = []
    for entry in found:
        address = str(entry[4][0]).partition("%")[0]
        if address not in addresses:
            addresses.append(address)
    return {"addresses": addresses, "error": ""}


def chosen(addresses: Sequence[str]) -> list[str]:
    """A few of each family."""
    four = [address for address in addresses if ":" not in address]
    six = [address for address in addresses if ":" in address]
    return four[:ADDRESSES] + six[:ADDRESSES]


def look(
    name: str, path: str, token: str, found: Look, within: Optional[Collection[str]] = None
) -> dict[str, Any]:
    """A name's view: what it resolved to (`found`), and what each address answers for the path.

    Args:
        within: names that redirects are followed to; None: to all.

    Returns:
        addresses, error: as `resolve` has them; fetches: address -> see `fetch`.
    """
    wanted = chosen(found["addresses"])
    work = {address: _fetching(name, address, path, token, within) for address in wanted}
    late = {"ok": False, "error": "timeout"}
    return {**found, "fetches": all_in_time(work, FETCH, late)}


def _fetching(
    name: str, address: str, path: str, token: str, within: Optional[Collection[str]]
) -> Callable[[], dict[str, Any]]:
    return lambda: fetch(name, address, path, token, within)


def fetch(
    name: str, address: str, path: str, token: str, within: Optional[Collection[str]] = None
) -> dict[str, Any]:
    """Ask one address of a name for a path on port 80, as a CA would; redirects are followed, to HTTPS too.

    Returns:
        ok: it answered with the token. Else error: refused, timeout, reset, unreachable, local (this machine has no
        such network), http (it answered something else: status, server, body, url), or other words.
    """
    from urllib.parse import urljoin, urlsplit

    host = "[%s]" % name if ":" in name else name
    url, where = "http://%s%s" % (host, path), address
    status, server, body = 0, "", b""
    try:
        for _ in range(REDIRECTS + 1):
            parts = urlsplit(url)
            status, server, body, location = _get(url, where)
            if status not in (301, 302, 303, 307, 308) or not location:
                break
            url = urljoin(url, location)
            if within is not None and urlsplit(url).hostname not in within:
                break  # who answers there decides where we look: not into the network that we stand in
            # the first hop goes to the address in question, as do all that stay with its name
            where = address if urlsplit(url).hostname == parts.hostname else ""
    except Exception as error:  # whatever a foreign server does to an HTTP client
        return {"ok": False, "error": _word(error), "url": url}
    if status == 200 and body.strip() == token.encode():
        return {"ok": True, "error": "", "url": url}
    shown = body.decode("utf-8", "replace").strip().splitlines()
    return {
        "ok": False,
        "error": "http",
        "url": url,
        "status": status,
        "server": server[:SHOWN],
        "body": (shown[0] if shown else "")[:SHOWN],
    }


def _get(url: str, address: str) -> tuple[int, str, bytes, str]:
    """(status, Server, body, Location) of a GET; the connection goes to `address`, if there is one."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, address)
    try:
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc.rpartition("@")[2])
        connection.putheader("User-Agent", USER_AGENT)
        connection.putheader("Connection", "close")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read(LARGEST)
        return answer.status, answer.getheader("Server") or "", body, answer.getheader("Location") or ""
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: Optional[int], address: str) -> HTTPConnection:
    """Over HTTPS any certificate will do, as for a CA: RFC 8555, 8.3 and 10.2.

    Raises:
        ValueError: neither http nor https, or a port that no CA follows to.
    """
    from http.client import HTTPConnection

    if scheme not in ("http", "https") or port not in (None, 80, 443):
        raise ValueError("it redirects to %s, port %s: no CA follows there" % (scheme, port))
    import socket

    connection = HTTPConnection(host, port or (443 if scheme == "https" else 80), timeout=CONNECT)
    connection.sock = socket.create_connection((address or host, connection.port), CONNECT)
    if scheme == "https":
        import ssl

        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    return connection


def _word(error: BaseException) -> str:
    import errno

    number = getattr(error, "errno", None)
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT or "timed out" in str(error):
        return "timeout"
    if number == errno.ECONNREFUSED:
        return "refused"
    if number == errno.EHOSTUNREACH:
        return "unreachable"
    if number in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return "local"
    if number == errno.ECONNRESET or type(error).__name__ in ("RemoteDisconnected", "BadStatusLine"):
        return "reset"
    return str(error)[:200] or type(error).__name__
