"""What nginx's templates are told about one app beside its settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hostwright.inventory import App
from hostwright.recipes.https import Https, Site
from hostwright.recipes.render import Render
from hostwright.remote.release.assets import is_shared

FOLDER = "/etc/nginx/hostwright"
ACME = f"{FOLDER}/acme.conf"
# a path that nginx.conf(5) can hold as it is
URL = re.compile(r"(/[A-Za-z0-9_.~-]+)+")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
STRICT = "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
# the pages of Swagger UI and ReDoc, as FastAPI writes them: scripts and styles of a CDN, and inline ones
DOCS = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    "font-src 'self' data: https://fonts.gstatic.com; "
    "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class Static:
    """A URL path that nginx serves itself. `shared`: the app writes there, at any time and under any name."""

    url: str
    shared: bool

    @property
    def pattern(self) -> str:
        """The URL path in a regular expression."""
        return re.escape(self.url)


def static(app: App) -> list[Static]:
    """What nginx serves itself of an app, each shared directory by a URL path of its own."""
    found = {url: is_shared(directory, app.shared) for url, directory in app.static.items()}
    for url, directory in app.static.items():
        for name in app.shared:
            inside = f"{url}{name[len(directory) :]}"
            if name.startswith(f"{directory}/") and URL.fullmatch(inside):
                found[inside] = True
    return [Static(url, found[url]) for url in sorted(found)]


@dataclass(frozen=True)
class Header:
    """A header that answers get when the app does not set it. `id`: its name in nginx's variables."""

    name: str
    value: str

    @property
    def id(self) -> str:
        """E.g. x_frame_options."""
        return self.name.lower().replace("-", "_")


@dataclass(frozen=True)
class Limit:
    """Paths that are limited together; without a zone they are not limited."""

    pattern: str
    number: str = ""
    zone: str = ""
    rate: str = ""
    burst: int = 0


@dataclass(frozen=True)
class Name:
    """A server_name, and on what the server decides whether it is one."""

    name: str
    conditions: str


@dataclass(frozen=True)
class Pair:
    """A certificate's files, and when they are the ones that are served; empty: always."""

    chain: str
    key: str
    conditions: str

    @property
    def mark(self) -> str:
        """The end of a line that depends on it."""
        return f" #?{self.conditions}" if self.conditions else ""


@dataclass(frozen=True)
class Redirect:
    """A name that is redirected: how `if ($host ...)` finds it, and where it goes."""

    matches: str
    to: str
    conditions: str


class Front:
    """One app behind nginx.

    Args:
        site: the app and its certificate.
        render: for the project's own locations.
    """

    def __init__(self, site: Site, render: Render) -> None:
        self.app, self.https, self.peers = site.app, site.https, site.peers
        self._render = render
        # in names of variables and zones
        self.id = self.app.name.replace("-", "_")
        self.folder = f"{FOLDER}/{self.app.name}"
        self.peers_upstream = f"hostwright_{self.id}_peers"
        self.acme = f"{self.folder}/acme.conf" if self.peers else ACME

    # -- names -------------------------------------------------------------------------------------------

    @property
    def _others(self) -> tuple[str, ...]:
        """Domains that are not the canonical one; none where each is served."""
        canonical = self.app.nginx.canonical
        return tuple(name for name in self.app.domains if canonical and name != canonical)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Domains that are redirected over HTTP already, whatever becomes of a certificate: there is none."""
        return () if self.https else self._others

    @property
    def names(self) -> tuple[str, ...]:
        """Domains that are served on port 80."""
        return tuple(name for name in self.app.domains if name not in self.elsewhere)

    @property
    def certificate(self) -> Https:
        """The certificate; only for templates that are rendered where there is one."""
        if self.https is None:
            raise ValueError(f"{self.app.name} has no certificate")
        return self.https

    def covers(self, name: str) -> str:
        """The condition that the certificate covers a name."""
        return f"covers:{self._chains}:{name}"

    @property
    def _chains(self) -> str:
        """The first of these that is there is served."""
        return ",".join([self.certificate.certificate, *self.certificate.before[:1]])

    @property
    def pairs(self) -> list[Pair]:
        """Chain and key that are served."""
        https = self.certificate
        own = (https.certificate, https.key)
        if not https.before:
            return [Pair(*own, "")]
        there = f"certificate:{https.certificate}"
        return [Pair(*own, there), Pair(*https.before, f"!{there}")]

    @property
    def tls_when(self) -> str:
        """When there is something to serve on port 443."""
        covered = [self.covers(name) for name in self.app.domains]
        return "|".join(covered) if covered else f"certificate:{self._chains}"

    @property
    def tls_names(self) -> list[Name]:
        """Names that are served on port 443."""
        canonical = self.app.nginx.canonical
        if not canonical:
            return [Name(name, self.covers(name)) for name in self.app.domains]
        others = [Name(name, f"{self.covers(name)} !{self.covers(canonical)}") for name in self._others]
        return [Name(canonical, self.covers(canonical)), *others]

    @property
    def tls_elsewhere(self) -> list[Name]:
        """Names that are redirected on port 443."""
        return [Name(name, self.covers(name)) for name in self._others]

    @property
    def any_elsewhere(self) -> str:
        """When there are such."""
        canonical = self.covers(self.app.nginx.canonical or "")
        return f"{canonical} {'|'.join(self.covers(name) for name in self._others)}"

    @property
    def redirects(self) -> list[Redirect]:
        """What is redirected to https. Wildcards first: a later rule wins."""
        domains = sorted(self.app.domains, key=lambda name: not name.startswith("*."))
        if domains:
            return [rule for name in domains for rule in self._redirects(name)]
        hosts = [
            (name, f"[{name}]" if ":" in name else name)
            for name in (*self.certificate.names, *self.certificate.addresses)
        ]
        return [Redirect(f'= "{host}"', host, self.covers(name)) for name, host in hosts]

    def _redirects(self, name: str) -> Iterator[Redirect]:
        canonical = self.app.nginx.canonical
        covered = self.covers(name)
        # a certificate's wildcard is one label, nginx's any number of them
        wild = name.startswith("*.")
        matches = rf'~ "^[^.]+{re.escape(name[1:])}$"' if wild else f'= "{name}"'
        own = "$host" if wild else name
        if canonical and canonical != name:
            yield Redirect(matches, canonical, f"{covered} {self.covers(canonical)}")
            covered = f"{covered} !{self.covers(canonical)}"
        yield Redirect(matches, own, covered)

    # -- the client ----------------------------------------------------------------------------------------

    @property
    def forwarded(self) -> bool:
        """Does TLS end at a trusted proxy?"""
        return bool(self.app.nginx.trusted_proxies) and self.https is None

    @property
    def scheme(self) -> str:
        """nginx's variable for the scheme that the visitor used."""
        return f"$hostwright_{self.id}_scheme" if self.forwarded else "$scheme"

    # -- limits ----------------------------------------------------------------------------------------------

    @cached_property
    def limits(self) -> list[Limit]:
        """Longest paths first. Static files do not count for `/`."""
        limited = self.app.nginx.rate_limits
        if not limited:
            return []
        free = {place.url for place in static(self.app)} - set(limited)
        found = []
        for number, prefix in enumerate(sorted({*limited, *free}, key=lambda url: (-len(url), url)), 1):
            pattern = "^/" if prefix == "/" else f"^{re.escape(prefix)}(/|$)"
            limit = limited.get(prefix)
            if limit is None:
                found.append(Limit(pattern))
            else:
                zone = f"hostwright_{self.id}_{number}"
                found.append(Limit(pattern, str(number), zone, limit.rate, limit.burst))
        return found

    # -- headers ---------------------------------------------------------------------------------------------

    @property
    def headers(self) -> list[Header]:
        """Ours and the app's own, without those that are switched off."""
        own = {name.lower(): value for name, value in self.app.nginx.headers.items()}
        named = {name.lower(): name for name in (*HEADERS, *self.app.nginx.headers)}
        values = {**{name.lower(): value for name, value in HEADERS.items()}, **own}
        return [Header(named[name], value) for name, value in values.items() if value is not None]

    @property
    def csp(self) -> str:
        """The policy; empty for none."""
        wanted = self.app.nginx.csp
        return wanted if isinstance(wanted, str) else STRICT if wanted else ""

    @property
    def docs_csp(self) -> str:
        """The policy for FastAPI's documentation, where the app may have it; empty where it needs none."""
        return DOCS if self.app.nginx.csp is True and self.app.interface == "asgi" else ""

    # -- the rest --------------------------------------------------------------------------------------------

    def seconds(self, value: float) -> str:
        """A time as nginx reads it."""
        return f"{value:.0f}s" if value == int(value) else f"{value * 1000:.0f}ms"

    @property
    def snippets(self) -> list[str]:
        """The project's own locations for this app, and for all apps."""
        templates = (f"nginx/locations/{self.app.name}.conf.j2", "nginx/locations.conf.j2")
        return [
            self._render(name, app=self.app, front=self).rstrip("\n")
            for name in templates
            if self._render.has(name)
        ]
