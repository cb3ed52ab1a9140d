"""HTTPS: where the certificate of an app comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hostwright.inventory.environment import FromEnv, Variables, resolve_variables
from hostwright.inventory.fields import ControllerPath, nothing_is_empty, plain, whole_number
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.nearest import did_you_mean
from hostwright.inventory.secret import Secret
from hostwright.inventory.written import describe

if TYPE_CHECKING:
    from hostwright.inventory.app import App
    from hostwright.inventory.host import Host

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETSENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
WORDS = ("letsencrypt", "selfsigned", "files", "off")
URL = re.compile(r"https://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~%/?=&-]*)?\Z")
KID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~+/=:@-]{0,255}\Z")
# RFC 4648, 5, with or without its end
HMAC_KEY = re.compile(r"[A-Za-z0-9_+/-]+={0,2}\Z")
TWO_YEARS = 63_072_000
# names that no public CA certifies: RFC 2606, 6761, 6762, 8375, ICANN's .internal, and what routers like
PRIVATE_ENDS = (
    *("test", "example", "invalid", "localhost", "local", "internal", "lan", "home", "corp", "onion", "arpa"),
    *("example.com", "example.net", "example.org"),
)


def check_directory(value: str) -> str:
    """The URL of an ACME directory (RFC 8555, 7.1.1)."""
    if not URL.match(value):
        raise ValueError(f"expected the https:// URL of an ACME directory, {describe(value)}")
    return value


def check_issuer(value: str) -> str:
    """One of our words, or the URL of an ACME directory."""
    if value in WORDS:
        return value
    if value.startswith("https://"):
        return check_directory(value)
    words = "letsencrypt, selfsigned, files, off or the https:// URL of an ACME directory"
    raise ValueError(f"expected {words}, {describe(value)}.{did_you_mean(value, WORDS)}")


def _off(value: object) -> object:
    """YAML reads an unquoted `off` as false."""
    return "off" if value is False else value


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s,;<>\"'\\-][^@\s,;<>\"'\\]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", plain(value)):
        raise ValueError(f"expected an e-mail address, {describe(value)}")
    return value


def _profile(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
        raise ValueError(f"expected the name of a profile, such as shortlived, {describe(value)}")
    return value


def _kid(value: str) -> str:
    if not KID.match(value):  # it ends up in a configuration file of certbot's
        raise ValueError(
            f"expected a key identifier (kid) of letters, digits and _ . ~ + / = : @ -, {describe(value)}"
        )
    return value


def _no_plain_key(value: object) -> object:
    if isinstance(value, str):  # never shown: it is the key itself
        raise ValueError("a key does not belong into the file: write {from_env: NAME}")
    return value


class Eab(Settings):
    """External account binding: how a CA that knows its customers recognises one (RFC 8555, 7.3.4)."""

    kid: Annotated[str, AfterValidator(_kid)] = Field(description="The key identifier that the CA gave you.")
    hmac_key: Annotated[FromEnv, BeforeValidator(_no_plain_key, json_schema_input_type=FromEnv)] = Field(
        description="The HMAC key that the CA gave you: {from_env: NAME}."
    )


class Dns(Settings):
    """DNS-01: programs of yours that make and remove the TXT record _acme-challenge.DOMAIN."""

    auth: ControllerPath = Field(
        description="Program that makes the record and waits until it is seen; certbot's manual hook: it gets "
        "CERTBOT_DOMAIN and CERTBOT_VALIDATION. Relative to this file."
    )
    cleanup: ControllerPath | None = Field(default=None, description="Program that removes the record.")
    env: Variables = Field(
        default_factory=FrozenDict,
        description="Their environment, e.g. {DNS_TOKEN: {from_env: DNS_TOKEN}}; only root can read it there.",
    )


class Hsts(Settings):
    """Strict-Transport-Security (RFC 6797), sent over HTTPS only."""

    max_age: Annotated[int, Field(ge=0, le=10**9), BeforeValidator(whole_number(0, 10**9))] = Field(
        default=TWO_YEARS, description="Seconds a browser insists on HTTPS."
    )
    include_subdomains: bool = Field(default=False, description="Whether that goes for all subdomains too.")
    preload: bool = Field(default=False, description="Consent to be built into browsers: hstspreload.org.")

    @model_validator(mode="after")
    def _preload_needs_all(self) -> Hsts:
        if self.preload and not (self.include_subdomains and self.max_age >= 31_536_000):
            raise ValueError("preload needs include_subdomains: true and a max_age of 31536000 or more")
        return self

    @property
    def header(self) -> str:
        """The header's value."""
        return "; ".join(
            [
                f"max-age={self.max_age}",
                *(["includeSubDomains"] if self.include_subdomains else []),
                *(["preload"] if self.preload else []),
            ]
        )


def _switch(value: object) -> object:
    """`hsts: true` is the default; `hsts: false` makes browsers that have heard of it forget it."""
    return {"max_age": 0} if value is False else {} if value is True or value is None else value


def _dry_try(value: object) -> object:
    """`staging: false` is none."""
    return "" if value is False else value


def _check_staging(value: str) -> str:
    return check_directory(value) if value else value


class TlsSettings(Settings):
    """Where certificates come from, as it stands in the file."""

    issuer: Annotated[
        str, BeforeValidator(_off, json_schema_input_type=str | bool), AfterValidator(check_issuer)
    ] = Field(
        default="letsencrypt",
        description="letsencrypt, the https:// URL of another ACME directory, selfsigned, files, or off.",
    )
    email: Annotated[str, AfterValidator(_email)] | None = Field(
        default=None, description="Where the CA writes about the account. Omit for none."
    )
    ca: ControllerPath | None = Field(
        default=None,
        description="PEM file of the CA that the ACME directory's own certificate is checked with, beside the "
        "system's.",
    )
    staging: (
        Annotated[
            str, BeforeValidator(_dry_try, json_schema_input_type=str | bool), AfterValidator(_check_staging)
        ]
        | None
    ) = Field(
        default=None,
        description="Directory for a dry try before the first certificate; false for none. Omit for Let's Encrypt's.",
    )
    eab: Eab | None = Field(default=None, description="External account binding, where the CA wants it.")
    profile: Annotated[str, AfterValidator(_profile)] | None = Field(
        default=None, description="The CA's certificate profile, e.g. shortlived."
    )
    key_type: Literal["ecdsa", "rsa"] = Field(default="ecdsa", description="ecdsa (P-256) or rsa (2048).")
    dns: Dns | None = Field(
        default=None,
        description="Prove the names through DNS instead of HTTP: for wildcards, or behind a CDN.",
    )
    preflight: bool = Field(
        default=True, description="Whether names, ports and CAA records are checked before the CA is asked."
    )
    certificate: ControllerPath | None = Field(
        default=None, description="Your own certificate with its chain, PEM, relative to this file."
    )
    key: ControllerPath | None = Field(
        default=None, description="Its private key, PEM; only you may be able to read it."
    )
    hsts: Annotated[Hsts, BeforeValidator(_switch, json_schema_input_type=Hsts | bool)] | None = Field(
        default=None,
        description="Strict-Transport-Security; false makes browsers forget it. Omit for two years of this name alone.",
    )

    @model_validator(mode="before")
    @classmethod
    def _files_say_so(cls, data: Any) -> Any:
        """A certificate of one's own needs no other word."""
        if isinstance(data, Mapping) and "issuer" not in data and "certificate" in data:
            return {**data, "issuer": "files"}
        return data

    @model_validator(mode="after")
    def _keys_fit_the_issuer(self) -> TlsSettings:
        if self.issuer == "files" and not (self.certificate and self.key):
            raise ValueError("issuer: files needs both `certificate` and `key`")
        if self.issuer != "files" and (self.certificate or self.key):
            raise ValueError(f"`certificate` and `key` are for issuer: files, and this is {self.issuer}")
        only_acme = ("email", "ca", "staging", "eab", "profile", "dns")
        given = [name for name in only_acme if getattr(self, name) is not None]
        if given and not self.is_acme:
            raise ValueError(f"`{given[0]}` is for certificates of an ACME CA, and issuer is {self.issuer}")
        return self

    @property
    def is_acme(self) -> bool:
        """Does a CA issue the certificate for us?"""
        return self.issuer not in ("selfsigned", "files", "off")

    @property
    def directory(self) -> str:
        """URL of the ACME directory; empty where there is none."""
        return "" if not self.is_acme else LETSENCRYPT if self.issuer == "letsencrypt" else self.issuer

    @property
    def dry_directory(self) -> str:
        """URL of the directory for a dry try; empty for none."""
        if self.staging is not None:
            return self.staging
        return LETSENCRYPT_STAGING if self.directory == LETSENCRYPT else ""

    @property
    def hsts_header(self) -> str:
        """Value of Strict-Transport-Security; empty for none.

        Browsers let nobody past a warning about a self-signed certificate once they have heard of HSTS.
        """
        if self.hsts is None:
            return "" if self.issuer == "selfsigned" else Hsts().header
        return self.hsts.header

    def resolve_dns_env(
        self, environ: Mapping[str, str], where: str
    ) -> tuple[dict[str, str | Secret], list[str]]:
        """The environment of the DNS programs, and a problem line for each variable that is not set.

        Args:
            environ: this machine's environment.
            where: the place in the file, e.g. `apps.hello.tls`.
        """
        variables = self.dns.env if self.dns else {}
        return resolve_variables(variables, environ, {name: f"{where}.dns.env.{name}" for name in variables})

    def resolve_eab(self, environ: Mapping[str, str], where: str) -> tuple[Secret | None, list[str]]:
        """The HMAC key of the external account binding, and the problem where it is not set."""
        if self.eab is None:
            return None, []
        name = self.eab.hmac_key.from_env
        if not environ.get(name):
            return None, [f"{where}.eab.hmac_key: the environment variable {name} is not set here"]
        if not HMAC_KEY.match(environ[name]):
            return None, [f"{where}.eab.hmac_key: {name} does not hold a key in base64url here"]
        return Secret(environ[name]), []


def _word(value: object) -> object:
    """`tls: selfsigned` is short for {issuer: selfsigned}; YAML reads an unquoted `off` as false."""
    if value is False:
        return {"issuer": "off"}
    if value is True:
        raise ValueError("expected letsencrypt, selfsigned, off, an ACME URL or a mapping, got true")
    return {"issuer": value} if isinstance(value, str) else nothing_is_empty(value)


Tls = Annotated[TlsSettings, BeforeValidator(_word, json_schema_input_type=str | bool | TlsSettings)]
OFF = TlsSettings(issuer="off")


def is_public(domain: str) -> bool:
    """Could a public CA certify this domain, as far as its name tells?"""
    name = domain.removeprefix("*.")
    ends = any(name == end or name.endswith("." + end) for end in PRIVATE_ENDS)
    return "." in name and not ends


def tls_of(app: App, host: Host) -> TlsSettings:
    """Where an app's certificate comes from on a host: what the app says, else the host, else what its names allow."""
    if app.tls is not None:
        return app.tls
    if host.tls is not None:
        return host.tls
    automatic = bool(app.domains) and all(
        is_public(name) and not name.startswith("*.") for name in app.domains
    )
    return TlsSettings() if automatic else OFF
