"""How much traffic of what kind."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Plan:
    """What the visitors do. Rates are requests a second.

    Attributes:
        address: the server's; port 80.
        host: the Host header.
        get: pages on new connections. Each page names an asset, which is asked for a moment later: as many again.
        post: bodies on new connections.
        kept: requests on `connections` kept connections, in turns a page and a body.
        idle: kept connections with one request in 3 s.
        slow: requests of `slow_seconds` started each second.
        sockets: WebSockets, opened again as soon as they are closed.
        connect_timeout, timeout: seconds; longer is a failure.
    """

    address: str
    host: str = "load"
    get: float = 20
    post: float = 10
    kept: float = 20
    connections: int = 4
    idle: int = 2
    slow: float = 1
    slow_seconds: float = 5
    sockets: int = 2
    connect_timeout: float = 10
    timeout: float = 60

    @property
    def rate(self) -> float:
        """Requests a second, all quick kinds together."""
        return 2 * self.get + self.post + self.kept

    def scaled(self, rate: float) -> Plan:
        """The same mix with that many quick requests a second."""
        factor = rate / self.rate
        return replace(self, get=self.get * factor, post=self.post * factor, kept=self.kept * factor)

    def to_json(self) -> str:
        """For the other process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
