"""nginx's sites as far as they can clash: which server answers where, under which names. Runs on the server.

Reads nginx's syntax, not its meaning: a `listen` that comes out of an included file is not seen.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

# a comment, a quoted string, punctuation, a word (ngx_conf_read_token: `\` escapes, `${` belongs to the word)
TOKEN = re.compile(
    r"""(?P<comment>#[^\n]*)|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'"""
    r"""|(?P<mark>[{};])|(?P<word>(?:\\.|\$\{[^}]*\}|[^\s{};\\])+)""",
    re.DOTALL,
)
ANYWHERE = ("*", "[::]")


class Listen:
    """One `listen` of a TCP port: address ("*", "[::]", "127.0.0.1" ...), port, and whether it is the default."""

    __slots__ = ("address", "default", "port")

    def __init__(self, address: str, port: int, default: bool) -> None:
        self.address = address
        self.port = port
        self.default = default

    @property
    def local(self) -> bool:
        """Does it only hear this machine?"""
        return self.address.startswith("127.") or self.address in ("localhost", "[::1]")


class Server:
    """One `server { }` of http: where it listens, what it is called."""

    __slots__ = ("listens", "names")

    def __init__(self) -> None:
        self.listens: list[Listen] = []
        self.names: list[str] = []

    @property
    def nameless(self) -> bool:
        """Is it only reached as a default server? `_` is what people write for no name."""
        return not set(self.names) - {"", "_"}


def servers(text: str) -> list[Server]:
    """The servers of a file that nginx includes in `http`, or of nginx.conf itself."""
    found: list[Server] = []
    for path, words in statements(text):
        if path[-1:] == ["server"] and path[:-1] in ([], ["http"]):
            if words[0] == "{":
                found.append(Server())
            elif words[0] == "listen" and len(words) > 1:
                found[-1].listens += _listen(words[1:])
            elif words[0] == "server_name":
                found[-1].names += _names(words[1:])
    for server in found:
        server.listens = server.listens or [Listen("*", 80, False)]
    return found


def includes(text: str) -> list[str]:
    """What nginx.conf includes in `http`, in its order."""
    return [
        words[1]
        for path, words in statements(text)
        if path == ["http"] and words[0] == "include" and len(words) > 1
    ]


def statements(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """(names of the blocks around it, words) of each directive; a block begins as (its path, ["{"])."""
    path: list[str] = []
    words: list[str] = []
    for token in TOKEN.finditer(text):
        mark = token.group("mark")
        if mark is None:
            if token.group("comment") is None:
                words.append(next(part for part in token.groups()[1:] if part is not None))
            continue
        if mark == "{":
            path.append(words[0] if words else "")
            yield list(path), ["{"]
        elif mark == ";":
            if words:
                yield list(path), words
        elif path:
            path.pop()
        words = []


def _listen(words: Sequence[str]) -> list[Listen]:
    """ngx_http_core_listen; nothing for a unix socket, which clashes with nobody's port, and for ranges of ports."""
    where = words[0]
    if where.startswith("unix:") or ("-" in where and where.replace("-", "").isdigit()):
        return []
    address, port = where, "80"
    if where.isdigit():
        address, port = "*", where
    elif ":" in where.rpartition("]")[2]:
        address, _, port = where.rpartition(":")
    if not port.isdigit():
        return []
    address = "*" if address in ("", "0.0.0.0") else address.lower()  # noqa: S104 - read, not bound
    return [Listen(address, int(port), "default_server" in words or "default" in words)]


def _names(words: Sequence[str]) -> list[str]:
    """server_name; `.example.com` is short for two names."""
    names = []
    for word in words:
        name = word.lower()
        names += [name[1:], "*" + name] if name.startswith(".") else [name]
    return names
