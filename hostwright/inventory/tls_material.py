"""What lies on this machine and a certificate needs on the server: files of one's own, programs, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hostwright.inventory.app import App
from hostwright.inventory.host import Host
from hostwright.inventory.model import Inventory
from hostwright.inventory.secret import Secret
from hostwright.inventory.tls import tls_of
from hostwright.inventory.trusted import read_trusted


@dataclass(frozen=True)
class Material:
    """The contents that an app's certificate needs.

    Attributes:
        chain, key: a certificate of one's own; empty and None for none.
        ca: the CA bundle that an ACME directory is trusted with; empty for the system's alone.
        auth, cleanup: the DNS programs' contents; empty for none.
        dns_env: their environment, resolved.
        eab: the HMAC key of the external account binding.
    """

    chain: str = ""
    key: Secret | None = None
    ca: str = ""
    auth: str = ""
    cleanup: str = ""
    dns_env: Mapping[str, str | Secret] = field(default_factory=dict)
    eab: Secret | None = None

    @property
    def secrets(self) -> list[str]:
        """Values that must never be seen, for the agent to redact."""
        values = [self.key, self.eab, *self.dns_env.values()]
        return [value.reveal() for value in values if isinstance(value, Secret)]


def materials(inventory: Inventory, host: Host, environ: Mapping[str, str]) -> dict[str, Material]:
    """The material of a host's apps, by app.

    Raises:
        UsageError: a file is missing or not ours to trust; `check_tls` says so before, with everything else.
    """
    return {name: _material(inventory.apps[name], host, environ) for name in host.apps}


def _material(app: App, host: Host, environ: Mapping[str, str]) -> Material:
    tls = tls_of(app, host)

    def text(path: Path | None) -> str:
        return read_trusted(path, environ) if path is not None else ""

    return Material(
        chain=text(tls.certificate),
        key=Secret(text(tls.key)) if tls.key else None,
        ca=text(tls.ca),
        auth=text(tls.dns.auth if tls.dns else None),
        cleanup=text(tls.dns.cleanup if tls.dns else None),
        dns_env=tls.resolve_dns_env(environ, f"apps.{app.name}.tls")[0],
        eab=tls.resolve_eab(environ, f"apps.{app.name}.tls")[0],
    )
