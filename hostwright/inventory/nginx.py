"""How nginx stands in front of an app: names, limits, headers, who may say where a request comes from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hostwright.inventory.fields import (
    Domain,
    Positive,
    as_tuple,
    no_repeats,
    nothing_is_empty,
    seconds,
    whole_number,
)
from hostwright.inventory.files import check_url_path
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.written import describe

HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}\Z")
# what nginx's quoted strings can hold as it is: no quote, no backslash, no variable, no control character
TEXT = re.compile(r'[^"\\$\x00-\x1f\x7f-\U0010ffff]+\Z')
RATE = re.compile(r"[1-9][0-9]{0,5}r/[sm]\Z")
# headers that have another place, or that nginx writes itself
ELSEWHERE = {
    "content-security-policy": "that one is `csp`",
    "strict-transport-security": "that one is `hsts`, of `tls`",
    **dict.fromkeys(
        (
            "connection",
            "content-encoding",
            "content-length",
            "date",
            "server",
            "transfer-encoding",
            "upgrade",
        ),
        "nginx writes that one itself",
    ),
}


def check_header(value: str) -> str:
    """The name of a header that an answer may be given."""
    if not HEADER.match(value):
        raise ValueError(f"expected the name of a header, such as X-Frame-Options, {describe(value)}")
    if value.lower() in ELSEWHERE:
        raise ValueError(f"{ELSEWHERE[value.lower()]}, {describe(value)}")
    return value


def check_text(value: str) -> str:
    """A header's value. It ends up in nginx's configuration, in double quotes."""
    if not value.strip() or not TEXT.match(value):
        raise ValueError(f'expected one line of ASCII without ", \\ and $, {describe(value)}')
    if "#?" in value:  # what follows would be a condition of the line: remote/features.py
        raise ValueError(
            f'"#?" has a meaning in our templates, {describe(value)}: write "# ?" or leave it out'
        )
    return value


def check_headers(values: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Each once, however it is written."""
    names = [name.lower() for name in values]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f'"{name}" is there twice; upper and lower case are the same')
    return values


def check_prefix(value: str) -> str:
    """`/`, or the beginning of a URL's path."""
    return value if value == "/" else check_url_path(value)


def check_rate(value: str) -> str:
    """A rate as limit_req_zone takes it."""
    if not RATE.match(value):
        raise ValueError(
            f'expected requests a second or minute, such as "20r/s" or "5r/m", {describe(value)}'
        )
    return value


def check_network(value: str) -> str:
    """An IP address, or a network in CIDR notation."""
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(
                f"expected an IP address or a network, such as 10.0.0.0/8, {describe(value)}"
            ) from None
        raise ValueError(f"a network ends in zeros: write {network}, {describe(value)}") from None
    if network.prefixlen == 0:
        raise ValueError(f"everybody is in {network}, so anyone could claim any address; name your proxies")
    return str(network) if "/" in value else str(network.network_address)


def check_csp(value: object) -> object:
    """true, false, or a policy."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError(
            f"expected true, false or a policy, such as \"default-src 'self'\", {describe(value)}"
        )
    return check_text(value)


def _rate_alone(value: object) -> object:
    """`/login: 5r/m` is short for `/login: {rate: 5r/m}`."""
    return {"rate": value} if isinstance(value, str) else value


class Timeouts(Settings):
    """Seconds that nginx waits for the app."""

    connect: Annotated[float, Field(ge=1, le=75), BeforeValidator(seconds(1, 75))] = Field(
        default=5, description="Until the app takes a connection."
    )
    send: Annotated[float, Field(ge=1, le=86400), BeforeValidator(seconds(1, 86400))] = Field(
        default=120, description="Between two parts of a request that the app takes."
    )
    read: Annotated[float, Field(ge=1, le=86400), BeforeValidator(seconds(1, 86400))] = Field(
        default=120, description="Between two parts of the app's answer; also of a WebSocket."
    )


class RateLimit(Settings):
    """How often one client may ask."""

    rate: Annotated[str, AfterValidator(check_rate)] = Field(
        description='Requests of one address a second or minute, e.g. "20r/s", "5r/m". More are answered with 429.'
    )
    burst: Annotated[int, Field(ge=0, le=100_000), BeforeValidator(whole_number(0, 100_000))] = Field(
        default=5, description="How many more may come at once."
    )


HeaderName = Annotated[str, AfterValidator(check_header)]
HeaderValue = Annotated[str, AfterValidator(check_text)]
Prefix = Annotated[str, AfterValidator(check_prefix)]
Network = Annotated[str, AfterValidator(check_network)]


class Nginx(Settings):
    """How nginx serves the app; see docs/nginx.md."""

    canonical: Domain | None = Field(
        default=None,
        description="The one of `domains` that the others are redirected to, www or not. Omit to serve each.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = (
        Field(
            default=(),
            description="Addresses and networks of proxies in front of this server whose word about the client counts.",
        )
    )
    real_ip_header: HeaderName = Field(
        default="X-Forwarded-For", description="The header in which the trusted proxies name the client."
    )
    timeouts: Annotated[Timeouts, BeforeValidator(nothing_is_empty)] = Field(
        default=Timeouts(), description="How long nginx waits for the app."
    )
    buffering: bool = Field(
        default=True,
        description="Whether nginx takes an answer as fast as the app writes it. false: streams.",
    )
    request_buffering: bool = Field(
        default=True, description="Whether nginx takes the whole request body before the app sees any of it."
    )
    rate_limits: Annotated[
        Mapping[
            Prefix, Annotated[RateLimit, BeforeValidator(_rate_alone, json_schema_input_type=str | RateLimit)]
        ],
        BeforeValidator(nothing_is_empty),
        AfterValidator(FrozenDict),
    ] = Field(
        default_factory=FrozenDict,
        description='Beginning of a path -> limit, e.g. {"/": {rate: 20r/s, burst: 40}, /login: 5r/m}. The longest '
        'that fits counts; "/" leaves static files out.',
    )
    connections: Positive | None = Field(
        default=None, description="Connections that one client may have at once. Omit for no limit."
    )
    headers: Annotated[
        Mapping[HeaderName, HeaderValue | None],
        BeforeValidator(nothing_is_empty),
        AfterValidator(check_headers),
        AfterValidator(FrozenDict),
    ] = Field(
        default_factory=FrozenDict,
        description="Headers of answers that the app does not set itself, over our defaults; null for none.",
    )
    csp: Annotated[bool | str, BeforeValidator(check_csp)] = Field(
        default=False,
        description="Content-Security-Policy: true for a strict one that leaves /docs of FastAPI working, or a policy.",
    )
    error_pages: bool = Field(
        default=True, description="Whether a page of ours is shown while the app does not answer (502, 504)."
    )
