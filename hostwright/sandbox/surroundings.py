"""What a machine needs to reach package registries from where it stands, so that its sandbox servers can too.

Its own certificate authorities (behind a TLS-inspecting proxy nothing else works), its proxies, its name
servers, and the package indexes pip and uv are told to use. Where the machine has none of these, the server
gets none, and is as bare as one from a cloud.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .command import run

CA_FOLDER = Path("/usr/local/share/ca-certificates")
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
APT_KEPT = re.compile(
    r'^Acquire::(http|https|Retries|ForceIPv4|ForceIPv6|Check-Valid-Until|Check-Date)\b[^ ]* "[^"]*";$'
)
PROXY_NAMES = ("http_proxy", "https_proxy", "no_proxy")
LOOPBACK = re.compile(r"//(?:[^@/]*@)?(localhost|127\.[0-9.]+|\[::1\])(?=[:/]|$)")


@dataclass(frozen=True)
class Surroundings:
    """How this machine reaches the world.

    Attributes:
        certificates: file name -> PEM text of each certificate authority added by the machine's owner.
        apt: lines of apt.conf(5).
        proxies: `http_proxy` and friends with their values.
        indexes: URLs of package indexes, the default first; none means the public one.
    """

    certificates: tuple[tuple[str, str], ...] = ()
    apt: tuple[str, ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    indexes: tuple[str, ...] = ()

    def files(self) -> dict[str, str]:
        """Path -> text of the files that give a server the same, beside the certificates themselves."""
        found: dict[str, str] = {}
        if self.apt or self.proxies:
            found["/etc/apt/apt.conf.d/80machine"] = "\n".join(self.apt_lines()) + "\n"
        if self.proxies:
            found["/etc/environment"] = "".join(f'{name}="{value}"\n' for name, value in self.proxies)
        pip = [f"cert = {CA_BUNDLE}"] if self.certificates else []
        uv = ["system-certs = true"] if self.certificates else []
        for place, url in enumerate(self.indexes):
            pip.append(f"{'extra-' if place else ''}index-url = {url}")
            uv += ["", "[[index]]", f'url = "{url}"', *([] if place else ["default = true"])]
        if pip:
            found["/etc/pip.conf"] = "\n".join(["[global]", *pip]) + "\n"
            found["/etc/uv/uv.toml"] = "\n".join(uv).strip() + "\n"
        return found

    def apt_lines(self) -> tuple[str, ...]:
        """apt.conf(5) lines: the machine's own, and its proxies where it has no word on them."""
        given = "\n".join(self.apt)
        extra = [
            f'Acquire::{scheme}::Proxy "{value}";'
            for scheme in ("http", "https")
            for name, value in self.proxies
            if name == f"{scheme}_proxy" and f"Acquire::{scheme}::Proxy" not in given
        ]
        return (*self.apt, *extra)


def survey(environ: Mapping[str, str], home: Path) -> Surroundings:
    """Looks around on this machine."""
    certificates = tuple((file.name, file.read_text()) for file in sorted(CA_FOLDER.rglob("*.crt")))
    pip_files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    texts = [file.read_text() for file in pip_files if file.is_file()]
    return Surroundings(
        certificates=certificates,
        apt=kept_apt_lines(run("apt-config", "dump")),
        proxies=proxies(environ),
        indexes=indexes(texts, environ),
    )


def kept_apt_lines(dump: str) -> tuple[str, ...]:
    """The lines of `apt-config dump` about how to reach a mirror. A proxy on loopback is no use to others."""
    lines = (line for line in dump.splitlines() if APT_KEPT.match(line) and not line.endswith(' "";'))
    return tuple(line for line in lines if not LOOPBACK.search(line))


def proxies(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Proxy settings in `environ`, in lower case. A proxy on loopback is of no use to another machine."""
    found = []
    for name in PROXY_NAMES:
        value = environ.get(name) or environ.get(name.upper()) or ""
        if value and '"' not in value and not LOOPBACK.search(value):
            found.append((name, value))
    return tuple(found) if any(name != "no_proxy" for name, _ in found) else ()


def indexes(pip_configs: Iterable[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """HTTP package indexes that pip or uv are told to use here; empty when that is the public one."""
    default = ""
    extra: list[str] = []
    for text in pip_configs:
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(text)
        default = parser.get("global", "index-url", fallback=default)
        extra += parser.get("global", "extra-index-url", fallback="").split()
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        default = environ.get(name) or default
    extra += environ.get("PIP_EXTRA_INDEX_URL", "").split()
    if not _remote(default):
        return ()
    return (default, *dict.fromkeys(url for url in extra if _remote(url)))


def _remote(url: str) -> bool:
    return url.startswith(("http://", "https://")) and not LOOPBACK.search(url)


def name_servers(candidates: Iterable[Path] = ()) -> str:
    """A resolv.conf(5) that works elsewhere: not the one that names a resolver on this machine's loopback."""
    places = tuple(candidates) or (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
    texts = [place.read_text() for place in places if place.is_file()]
    for text in texts:
        if re.search(r"^nameserver\s+(?!127\.|::1)", text, re.MULTILINE):
            return "".join(
                line + "\n" for line in text.splitlines() if not re.match(r"nameserver\s+(127\.|::1)", line)
            )
    return texts[0] if texts else ""
