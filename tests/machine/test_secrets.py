"""Poison strings for secrets, everything that a project does, and then a search for them: on both sides, everywhere.

Two looks: while all of it happens, as somebody who has no rights on the server, and at every command line of the
machine (servers are containers, so their processes are seen from outside too); and afterwards, as root.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .acme import Bed
from .conftest import SUITES, FreshServer
from .project import Done, until
from .secure import NAME, WWW, Secure
from .test_https_kinds import AUTH, CLEANUP, make_own
from .tiny import CODE

pytestmark = pytest.mark.long

# where root keeps what somebody must read again, and why; nobody else may open any of it
KEPT = {
    r"/srv/tiny/releases/[^/]+/env": "systemd reads a release's variables at each start, also after a boot",
    r"/srv/tiny/releases/[^/]+/credentials/[A-Z_]+": "so it does with secrets that are credentials",
    r"/etc/hostwright/dns/tiny/[^/]+": "certbot's timer proves names through DNS without us",
    r"/etc/hostwright/tls/tiny/privkey.pem": "nginx reads its key at each start",
    r"/run/credentials/tiny[@.][^/]+/[A-Z_]+": "systemd's copy in memory for the app's user alone",
}
# as nobody, again and again while commands run; what cannot be opened is not found
SPY = """\
cat > /run/spy.sh <<'END'
while :; do
    grep -rlsF -D skip {patterns} /run /tmp /var/tmp /dev/shm /etc /srv /var/lib/hostwright /var/log
    sleep 0.3
done
END
chmod 755 /run/spy.sh
systemd-run --quiet --unit=spy --property=User=nobody --property=StandardOutput=append:/root/spied sh /run/spy.sh
"""
# never as an argument of ours: a command line is a field of what a program writes to the journal
POISON = "/root/poison"
SEARCH = f"grep -rlsF -D skip -f - {{places}} < {POISON} || true"


class CommandLines:
    """Of all processes that run while a block does, on this machine and in its servers."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _watch(self) -> None:
        known: dict[str, int] = {}
        while not self._stop.is_set():
            for folder in Path("/proc").iterdir():
                # one line for each process and each program that it becomes
                if folder.name.isdigit() and known.get(folder.name, 0) < 3:
                    known[folder.name] = known.get(folder.name, 0) + 1
                    try:
                        self.seen.add((folder / "cmdline").read_bytes())
                    except OSError:
                        continue
            time.sleep(0.004)


class Poisoned(Secure):
    """A project with a secret of each kind. `poison`: name -> value; `said`: what commands printed."""

    def __init__(self, folder: Path, server: Server, sandbox: Sandbox, bed: Bed, kind: str) -> None:
        names = ("from_file", "lines", "from_env", "build", "dns")
        self.poison = {name: f"poison-{name}-{secrets.token_hex(8)}" for name in names}
        self.said: list[Done] = []
        super().__init__(folder, server, sandbox, bed)
        (self.folder / ".gitignore").write_text("*.pem\n.env.production\n*.key\n")
        secret = self.folder / ".env.production"
        secret.write_text(
            f'API_TOKEN={self.poison["from_file"]}\nMANY_LINES="first\n{self.poison["lines"]}\nlast"\n'
        )
        secret.chmod(0o600)
        self.settings.update(
            env_file=".env.production",
            env={"DATABASE_PASSWORD": {"from_env": "POISON_ENV"}, "PLAIN": "is no secret"},
            build_env={"INDEX_TOKEN": {"from_env": "POISON_BUILD"}},
            build_command="sh -c 'echo built with $INDEX_TOKEN'",
            release_command="python told.py",
            processes={"worker": {"command": "python told.py stay", "window": 0.2}},
            secrets=kind,
        )
        (self.folder / "told.py").write_text(TOLD)
        (self.folder / "served.py").write_text(READS + CODE)
        self.write()

    def environ(self, **more: str) -> dict[str, str]:
        given = {"POISON_ENV": "from_env", "POISON_BUILD": "build", "POISON_DNS": "dns"}
        return super().environ(**{name: self.poison[kind] for name, kind in given.items()}, **more)

    def inv(
        self, *argv: str, code: int | None = 0, timeout: float = 300, prefix: tuple[str, ...] = ()
    ) -> Done:
        done = super().inv(*argv, code=code, timeout=timeout, prefix=prefix)
        self.said.append(done)
        return done

    def patterns(self) -> str:
        return " ".join(f"-e {value}" for value in self.poison.values())

    def own_key(self) -> None:
        """A certificate of one's own; a line from the middle of its key is poison too."""
        make_own(self, NAME, WWW)
        self.poison["key"] = (self.folder / "key.pem").read_text().splitlines()[2]
        self.settings["tls"] = {"certificate": "fullchain.pem", "key": "key.pem"}
        self.write()


# the app reads all of its secrets, wherever they are; a command of it prints one, as people do
READS = """\
import os, pathlib
def secret(name):
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = pathlib.Path(folder or "/nowhere", name)
    return path.read_text() if path.exists() else os.environ[name]
assert secret("API_TOKEN").startswith("poison-from_file-")
assert secret("DATABASE_PASSWORD").startswith("poison-from_env-")
assert "poison-lines-" in secret("MANY_LINES") and secret("MANY_LINES").startswith("first\\n")
assert os.environ["PLAIN"] == "is no secret"
"""
TOLD = (
    READS
    + """\
import sys, time
if "stay" in sys.argv:
    time.sleep(3600)
print("connecting with", secret("DATABASE_PASSWORD"), "and", secret("API_TOKEN"))
print(secret("MANY_LINES"))
"""
)


def live_through(site: Poisoned) -> None:
    """All that a project does with its servers, with --debug wherever there is one."""
    site.inv("provision", "--debug")
    told = site.inv("deploy", "--json", "--debug").out
    assert "connecting with *** and ***" in told, told
    assert "built with ***" in told, told
    assert site.https().status == 200
    first = site.sh("basename $(readlink /srv/tiny/current)")
    site.own_key()
    site.inv("provision", "--debug", "--diff")
    site.inv("provision", "--check", "--diff", "--debug")
    (site.folder / "served.py").write_text(READS + CODE + "\n# another\n")
    site.commit("another")
    site.inv("deploy", "--debug")
    site.inv("rollback", "--debug")
    site.inv("rollback", "--to", first, "--keep-env", "--debug", code=None)
    site.inv("restart", "--debug")
    (site.folder / "served.py").write_text(READS + CODE + "\nraise RuntimeError('boom')\n")
    site.commit("boom")
    site.inv("deploy", "--debug", code=6)
    for argv in (
        ("run", "true"), ("run", "sh -c 'exit 3'", "--debug"), ("logs", "--lines", "500"),
        ("status", "--debug"), ("status", "--json"), ("releases", "--json"), ("cert.status", "--debug"),
        ("cert.renew", "--debug"), ("prune", "--debug"), ("verify",),
    ):  # fmt: skip
        site.inv(*argv, code=None)


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "kind"), list(zip(SUITES, ("env", "credentials"), strict=True)))
def test_secrets_are_nowhere_else(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, acme: Bed, suite: str, kind: str
) -> None:
    server = fresh_server("poisoned", suite=suite)
    site = Poisoned(tmp_path, server, sandbox, acme, kind)
    for name, text in (("auth.sh", AUTH), ("cleanup.sh", CLEANUP)):
        (site.folder / name).write_text(text)
        (site.folder / name).chmod(0o755)
    env = {"DNS_API": acme.management, "DNS_TOKEN": {"from_env": "POISON_DNS"}}
    site.tls_settings["dns"] = {"auth": "auth.sh", "cleanup": "cleanup.sh", "env": env}
    site.write()
    site.sh(SPY.format(patterns=site.patterns()))
    with CommandLines() as lines:
        live_through(site)
    site.sh("systemctl stop spy; rm /run/spy.sh")
    values = list(site.poison.values())
    site.sh(f"umask 077; printf '%s\\n' {' '.join(values)} > {POISON}")

    ours = [line for line in lines.seen if b"grep" not in line and b"spy" not in line]
    assert len(ours) > 100
    assert not [line for line in ours if any(value.encode() in line for value in values)]
    _others_see_nothing(site)
    _root_keeps_only(site, kind)
    _nor_does_the_journal(site)
    _nor_do_we(site, values)


def _others_see_nothing(site: Poisoned) -> None:
    assert site.sh("sort -u /root/spied") == "/run/spy.sh", "the search works, and found nothing but itself"
    everything = SEARCH.format(places="--exclude-dir=proc --exclude-dir=sys /")
    assert site.sh(f"runuser -u nobody -- {everything}", timeout=200) == ""


def _root_keeps_only(site: Poisoned, kind: str) -> None:
    places = f"--exclude={POISON.rpartition('/')[2]} /etc /run /srv /root /tmp /var /opt /home /dev/shm"
    found = site.sh(SEARCH.format(places=places), timeout=200).splitlines()
    kept = {path: next((why for why in KEPT if re.fullmatch(why, path)), None) for path in found}
    assert None not in kept.values(), [path for path, why in kept.items() if why is None]
    wanted = set(KEPT) if kind == "credentials" else {why for why in KEPT if "credentials" not in why}
    if kind == "credentials":  # plain variables are all that is left there
        wanted -= {r"/srv/tiny/releases/[^/]+/env"}
    wanted -= {r"/etc/hostwright/dns/tiny/[^/]+"} - set(kept.values())
    assert set(kept.values()) >= wanted, "the search works"
    modes = site.sh("stat -c '%a %U %n' " + " ".join(found)).splitlines()
    for line in modes:
        mode, owner, path = line.split()
        # systemd gives the app's user an ACL there, which counts as the group's bits
        copy = path.startswith("/run/credentials")
        assert int(mode, 8) & (0o007 if copy else 0o077) == 0, line
        assert owner == "root" or (copy and owner == "tiny"), line
    # kept in memory: nothing of a run's request is left
    assert site.sh("find /run/hostwright* -type f 2>/dev/null | grep request || true") == ""


def _nor_does_the_journal(site: Poisoned) -> None:
    exported = f"journalctl --no-pager -o export | grep -caF -f {POISON} || true"
    assert site.sh(exported) == "0"


def _nor_do_we(site: Poisoned, values: list[str]) -> None:
    told = [value for done in site.said for value in values if value in done.out]
    assert not told, told
    inputs = {site.folder / name for name in (".env.production", "key.pem")}
    for folder in (site.home, site.folder):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path not in inputs:
                content = path.read_bytes()
                assert not any(value.encode() in content for value in values), path


def test_an_older_systemd_says_so(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, acme: Bed
) -> None:
    """Decided from what is installed there, before anything is built."""
    server = fresh_server("older")
    site = Poisoned(tmp_path, server, sandbox, acme, "credentials")
    site.data["defaults"]["tls"] = "off"
    site.settings["nginx"] = {}
    site.write()
    site.inv("provision")
    site.sh(r"sed -i '/^Package: systemd$/,/^$/ s/^Version: .*/Version: 247.3-7/' /var/lib/dpkg/status")
    said = site.inv("deploy", code=1).out
    assert "`secrets: credentials` needs systemd 250, and this server has 247" in said
    assert "Say `secrets: env` in the inventory" in said
    assert site.sh("ls /srv/tiny/releases") == ""


def test_credentials_change_with_releases(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, acme: Bed
) -> None:
    """A rollback brings back its own, or takes today's along; a boot needs nobody to bring them."""
    server = fresh_server("creds", suite=SUITES[1])
    site = Poisoned(tmp_path, server, sandbox, acme, "credentials")
    site.data["defaults"]["tls"] = "off"
    site.settings["nginx"] = {}
    code = READS + CODE.replace('os.environ["HOSTWRIGHT_RELEASE"]', 'secret("API_TOKEN")')
    (site.folder / "served.py").write_text(code)
    site.write()
    site.up()
    old = site.poison["from_file"]
    assert site.http().body == old
    assert "API_TOKEN" not in site.sh("cat /srv/tiny/current/env")
    # no child inherits it, and other users cannot look
    assert "API_TOKEN" not in site.inv("run", "printenv").out
    new = f"poison-from_file-{secrets.token_hex(8)}"
    path = site.folder / ".env.production"
    path.write_text(path.read_text().replace(old, new) + "SECOND=poison-second\n")
    site.poison["from_file"] = new
    (site.folder / "served.py").write_text(code + "\n# another\n")
    site.commit("another")
    told = site.inv("deploy").out
    assert "API_TOKEN changed" in told
    assert "SECOND new" in told
    assert site.http().body == new
    site.inv("rollback")
    assert site.http().body == old
    site.inv("deploy")
    site.inv("rollback", "--keep-env")
    assert site.http().body == new
    assert site.sh("ls /srv/tiny/current/credentials/").split() == [
        "API_TOKEN", "DATABASE_PASSWORD", "MANY_LINES", "SECOND",
    ]  # fmt: skip
    assert "LoadCredential=SECOND" in site.sh("cat /srv/tiny/current/units/service.conf")
    properties = json.loads(site.sh("cat /srv/tiny/current/release.json"))["properties"]
    assert any(line.startswith("LoadCredential=SECOND:") for line in properties)
    sandbox.crash(server.name)
    sandbox.start(server.name)
    until(lambda: site.http().body == new, 30, "the app answers after a boot")
