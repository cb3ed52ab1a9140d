"""A Let's Encrypt of our own: a Debian 13 server with pebble, and a DNS that says what a test tells it to.

Every start of a pebble makes a new issuing root and forgets its accounts. A test that wants a CA with other habits
takes `another`, so that the accounts of the others last.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostwright.sandbox import Sandbox, Server

from .project import sh, until

SUITE = "trixie"
HOME = "/srv/ca"
FIRST_PORT = 14000
DAY = 86400
PACKAGES = "pebble nftables"
# The CA of the ACME server's own TLS certificate, which has nothing to do with the certificates it issues.
PREPARE = """\
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends {packages} >/dev/null 2>&1
install -d {home} && cd {home}
new() {{ openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2>/dev/null; }}
new -x509 -keyout api-ca.key -out api-ca.pem -days 30 -subj '/CN=API of the test CA' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
new -keyout api.key -out api.csr -subj /CN=pebble
# Python 3.13 insists on what RFC 5280 says of extensions
printf '%s\\n' subjectAltName=IP:{address},IP:127.0.0.1 authorityKeyIdentifier=keyid subjectKeyIdentifier=hash > api.ext
openssl x509 -req -in api.csr -CA api-ca.pem -CAkey api-ca.key -CAcreateserial -days 30 -out api.pem \
  -extfile api.ext 2>/dev/null
systemd-run --quiet --unit=names pebble-challtestsrv -defaultIPv4 "" -defaultIPv6 "" -dns01 :53 -management :8055 \
  -http01 "" -https01 "" -tlsalpn01 "" -doh ""
cat api-ca.pem
"""
START = """\
systemctl stop {unit} 2>/dev/null || true
systemctl reset-failed {unit} 2>/dev/null || true
cat > {home}/{unit}.json
systemd-run --quiet --unit={unit} --property=StandardOutput=append:{home}/{unit}.log \
  --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT={nonces} --setenv=PEBBLE_AUTHZREUSE={reuse} \
  pebble -config {home}/{unit}.json -dnsserver 127.0.0.1:53
"""
WALL = """\
table inet {name} {{
  chain {hook} {{
    type filter hook {hook} priority 0
    {rule}
  }}
}}
"""
CALLED = "calling handler()"  # pebble's log has a line with it for each request to its ACME port


@dataclass
class Authority:
    """One pebble.

    Attributes:
        bed: the server it runs on.
        number: 0, 1, ...; its ports are FIRST_PORT and FIRST_PORT + 1000, plus this.
        options: of the last start.
    """

    bed: Bed
    number: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """The name of its service."""
        return f"pebble{self.number}"

    @property
    def directory(self) -> str:
        """The URL that an ACME client is given."""
        return f"https://{self.bed.address}:{FIRST_PORT + self.number}/dir"

    def start(
        self,
        *,
        validity: int = 90 * DAY,
        blocked: Sequence[str] = (),
        accounts: dict[str, str] | None = None,
        nonces: int = 0,
        reuse: int = 0,
    ) -> None:
        """Starts it, or starts it anew: then with another root and without its accounts.

        Args:
            validity: of the certificates, seconds.
            blocked: names it refuses by policy.
            accounts: key id -> HMAC key (base64url); with any, it takes accounts bound to one of them alone.
            nonces: how many of 100 good nonces it rejects, as a busy CA does: certbot gives up at two in a row.
            reuse: how many of 100 times it takes a name that it has seen valid without asking again.
        """
        port = FIRST_PORT + self.number
        config = {
            "listenAddress": f"0.0.0.0:{port}",
            "managementListenAddress": f"0.0.0.0:{port + 1000}",
            "certificate": f"{HOME}/api.pem",
            "privateKey": f"{HOME}/api.key",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "keyAlgorithm": "ecdsa",
            "externalAccountBindingRequired": bool(accounts),
            "externalAccountMACKeys": accounts or {},
            "domainBlocklist": list(blocked),
            "retryAfter": {"authz": 1, "order": 1},
            "certificateValidityPeriod": validity,
        }
        script = START.format(unit=self.unit, home=HOME, nonces=nonces, reuse=reuse)
        self.bed.run(script, json.dumps({"pebble": config}))
        until(lambda: self._get("/dir"), 20, f"{self.unit} answers")

    def stop(self) -> None:
        """Nobody listens at its ports any more."""
        self.bed.run(f"systemctl stop {self.unit}")

    def root(self) -> str:
        """The root of the chains it issues, PEM. It signs the intermediate that a server sends along."""
        return self._get("/roots/0", 1000)

    def calls(self) -> int:
        """How many requests it has had so far, all starts together; `start` asks for the directory itself."""
        return int(self.bed.run(f"grep -c {CALLED!r} {HOME}/{self.unit}.log || true"))

    def orders(self) -> int:
        """How many certificates it was asked for so far: what a CA counts, and limits."""
        return int(self.bed.run(f"grep -c 'POST /order-plz' {HOME}/{self.unit}.log || true"))

    def log(self, lines: int = 30) -> str:
        """The end of what it says, to look into a failure."""
        return self.bed.run(f"tail -n {lines} {HOME}/{self.unit}.log")

    def _get(self, path: str, offset: int = 0) -> str:
        """A page of its ACME port (or the management port, 1000 higher); empty when nobody answers."""
        url = f"https://{self.bed.address}:{FIRST_PORT + self.number + offset}{path}"
        argv = ("curl", "-sS", "-m", "5", "--cacert", str(self.bed.bundle), url)
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


class Bed:
    """The server with the CAs and the DNS.

    Args:
        server: a fresh one with Debian 13.
        folder: an empty one of this machine, for the bundle.

    Attributes:
        bundle: file with the CA that the directories are trusted with.
        ca: the CA that is always there; `staging` another, for dry tries.
    """

    def __init__(self, sandbox: Sandbox, server: Server, folder: Path) -> None:
        self.sandbox, self.server = sandbox, server
        self.address = server.address
        self.bundle = folder / "ca.pem"
        began = time.monotonic()
        script = PREPARE.format(packages=PACKAGES, home=HOME, address=self.address)
        self.bundle.write_text(self.run(script, timeout=240) + "\n")
        self._authorities: list[Authority] = []
        self.ca = self.another()
        self.staging = self.another()
        print(f"the CA was made in {time.monotonic() - began:.1f} s")

    def run(self, script: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What a shell script says that runs as root on the CA's server."""
        done = self.sandbox.exec(self.server.name, ("sh", "-ec", script), timeout=timeout, input=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout).strip()

    def another(self, **options: Any) -> Authority:
        """One more CA; see `Authority.start`."""
        found = Authority(self, len(self._authorities), options)
        self._authorities.append(found)
        found.start(**options)
        return found

    def install(self, *packages: str, timeout: float = 240) -> None:
        """Debian packages, on the CA's server."""
        names = " ".join(packages)
        install = f"apt-get install -y -qq --no-install-recommends {names}"
        script = f"{install} >/dev/null 2>/tmp/apt || {{ cat /tmp/apt; exit 1; }}"
        self.run(f"export DEBIAN_FRONTEND=noninteractive; {script}", timeout=timeout)

    # -- DNS -----------------------------------------------------------------------------------------------

    def points(self, name: str, *addresses: str) -> None:
        """What the DNS answers for a name from now on; no address: it has none."""
        for kind in ("a", "aaaa"):
            self._tell(f"clear-{kind}", host=name)
            found = [address for address in addresses if (":" in address) == (kind == "aaaa")]
            if found:
                self._tell(f"add-{kind}", host=name, addresses=found)

    def caa(self, name: str, *values: str) -> None:
        """Who may issue for a name, e.g. `letsencrypt.org`; nobody named: there is no CAA record."""
        self._tell("clear-caa", host=name)
        if values:
            self._tell("add-caa", host=name, policies=[{"tag": "issue", "value": value} for value in values])

    def _tell(self, what: str, **data: Any) -> None:
        argv = ("curl", "-sS", "-f", "-m", "5", "-d", json.dumps(data), f"{self.management}/{what}")
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def walled_off(self, address: str) -> Iterator[None]:
        """A firewall between the CAs and port 80 of a server drops what they send, while the block runs."""
        self.run(
            "nft -f -", WALL.format(name="wall", hook="output", rule=f"ip daddr {address} tcp dport 80 drop")
        )
        try:
            yield
        finally:
            self.run("nft delete table inet wall")

    @property
    def management(self) -> str:
        """Base URL of the DNS's own interface: what a DNS-01 hook posts `set-txt` and `clear-txt` to."""
        return f"http://{self.address}:8055"

    def view(self, folder: Path) -> tuple[str, ...]:
        """What to put before a command so that the names it asks for are looked up in this DNS.

        Args:
            folder: where its /etc/resolv.conf and /etc/hosts are written.
        """
        resolv, hosts = folder / "resolv.conf", folder / "hosts"
        resolv.write_text(f"nameserver {self.address}\noptions timeout:2 attempts:1\n")
        hosts.write_text("127.0.0.1 localhost\n")
        script = 'mount --bind "$1" /etc/resolv.conf; mount --bind "$2" /etc/hosts; shift 2; exec "$@"'
        return ("unshare", "--mount", "sh", "-ec", script, "sh", str(resolv), str(hosts))


def knows(sandbox: Sandbox, server: Server, names: Mapping[str, str]) -> None:
    """A server's own idea of names (-> address), in its /etc/hosts; what an earlier call said is forgotten."""
    lines = "\n".join(f"{address} {name} # test" for name, address in names.items())
    script = f"sed -i '/# test$/d' /etc/hosts; cat >> /etc/hosts <<'END'\n{lines}\nEND"
    sh(sandbox, server, script)
