"""What the recipe lays down: the scripts run here, with stubs for what they call; the pins are what servers can use."""

from __future__ import annotations

import re
import stat
import subprocess
import zlib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hostwright.inventory import Secret
from hostwright.recipes import certbot as recipe
from hostwright.remote.catalog import Catalog
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.file import File
from hostwright.remote.resources.virtual_environment import VirtualEnvironment

# Python 3.10 (Ubuntu 22.04) to 3.14
MINORS = (10, 11, 12, 13, 14)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def pins(minor: int) -> dict[str, tuple[str, int]]:
    """Name -> (version, hashes) for a Python."""
    found: dict[str, tuple[str, int]] = {}
    for line in recipe.requirements().splitlines():
        text, _, _ = line.partition(" --hash")
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"python_version": f"3.{minor}"}):
            assert wanted.name not in found
            found[wanted.name] = (str(wanted.specifier), len(HASH.findall(line)))
    return found


@pytest.mark.parametrize("minor", MINORS)
def test_each_python_gets_one_version_of_everything(minor: int) -> None:
    found = pins(minor)
    assert found["certbot"][0] == found["acme"][0]
    # addresses: --ip-address
    assert tuple(map(int, found["certbot"][0][2:].split("."))) >= (5, 4, 0)
    assert {"cryptography", "josepy", "requests", "urllib3", "certifi", "configobj", "parsedatetime"} <= set(
        found
    )
    assert all(version.startswith("==") and hashes for version, hashes in found.values())


def test_no_more_hashes_than_servers_need() -> None:
    """A pure wheel has one; one for the stable ABI two, one for each processor; cffi two for each Python."""
    many = {name: hashes for name, (_, hashes) in pins(12).items() if hashes > 1}
    assert set(many.values()) <= {2, 2 * len(MINORS)}, many
    assert len(HASH.findall(recipe.requirements())) == recipe.requirements().count("sha256:")


def test_they_travel_in_every_request_and_name_no_place() -> None:
    text = recipe.requirements()
    size = len(zlib.compress(text.encode(), 6))
    print(f"certbot.txt: {len(text)} bytes, {size} compressed")
    assert size < 3000
    assert "://" not in text


# -- the resources ---------------------------------------------------------------------------------------------------


def test_two_apps_with_dns_and_two_bundles_make_one_catalog() -> None:
    resources = [*recipe.certbot({"b": "PEM B", "a": "PEM A"})]
    for app in ("one", "two"):
        programs, auth, cleanup = recipe.hook(app, "#!/bin/sh\n", "", {})
        assert (auth, cleanup) == (f"/etc/hostwright/dns/{app}/auth", "")
        resources += programs
    catalog = Catalog(resources)
    assert Catalog.from_wire(catalog.to_wire()).to_wire() == catalog.to_wire()
    names = [resource.name for resource in resources]
    # a folder comes before what is in it
    for resource in resources:
        parent = str(Path(resource.name).parent)
        if parent in names and isinstance(resource, (File, Directory)):
            assert names.index(parent) < names.index(resource.name)
    environment = next(one for one in resources if isinstance(one, VirtualEnvironment))
    assert (environment.uv, environment.oldest) == ("/opt/hostwright/uv/bin/uv", 10)


def file(resources: list[Resource], name: str) -> File:
    return next(one for one in resources if isinstance(one, File) and one.name == name)


def test_secrets_of_a_dns_program_are_roots_alone() -> None:
    resources, _, _ = recipe.hook("shop", "PROGRAM", "", {"TOKEN": Secret("t0p"), "ZONE": "x"})
    env = file(resources, "/etc/hostwright/dns/shop/env")
    assert (env.mode, env.sensitive) == (0o600, True)
    assert env.content == "export TOKEN=t0p\nexport ZONE=x\n"
    folder = next(one for one in resources if isinstance(one, Directory))
    assert folder.mode == 0o700
    assert all(one.mode & 0o077 == 0 for one in resources if isinstance(one, File))


def test_the_units_are_hardened_and_the_timer_is_random() -> None:
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "Nice=15", "IOSchedulingClass=idle"):
        assert line in recipe.SERVICE.splitlines()
    assert "--no-random-sleep-on-renew" in recipe.SERVICE
    for line in ("OnCalendar=*-*-* 00,12:00:00", "RandomizedDelaySec=12h", "Persistent=true"):
        assert line in recipe.TIMER.splitlines()
    assert "After=network-online.target" in recipe.SERVICE


# -- the scripts -----------------------------------------------------------------------------------------------------


class Here:
    """The scripts in a folder, with programs of ours in place of the system's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self.unused = folder / "certificates" / "unused"
        self.program("systemctl", '[ "$1" != --quiet ] || exit 0; echo reloaded >> "$LOG"')
        self.program("nginx", "exit 0")

    def program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\nLOG={self.folder}/log\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def script(self, text: str) -> Path:
        text = text.replace("PATH=/usr/local/sbin:", f"PATH={self.folder}/bin:/usr/local/sbin:")
        path = self.folder / "script"
        path.write_text(text.replace(recipe.UNUSED, str(self.unused)))
        return path

    def hook(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = ("sh", str(self.script(recipe.HOOK_SCRIPT)), *args)
        return subprocess.run(argv, capture_output=True, text=True, env=env, check=False)

    @property
    def reloads(self) -> int:
        log = self.folder / "log"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


RENEWED = {"RENEWED_LINEAGE": "/etc/letsencrypt/live/shop"}
EMERG = '[emerg] unknown directive "brokn"'


def test_a_renewal_reloads_nginx(here: Here) -> None:
    assert here.hook(**RENEWED).returncode == 0
    assert here.reloads == 1
    assert here.hook("--check").returncode == 0
    assert here.reloads == 1, "nothing is left to do"


def test_a_configuration_that_is_no_good_stays_visible_until_it_is_mended(here: Here) -> None:
    here.program("nginx", f"echo '{EMERG}' >&2; exit 1")
    done = here.hook(**RENEWED)
    assert done.returncode == 1
    assert done.stderr == f"nginx does not use the new certificate of shop: it was not reloaded\n{EMERG}\n"
    assert here.unused.read_text() == f"{EMERG}\n"
    assert here.unused.parent.stat().st_mode & 0o777 == 0o700
    assert here.reloads == 0
    # what the service runs after certbot, and again half a day later
    assert here.hook("--check").returncode == 1
    here.program("nginx", "exit 0")
    assert here.hook("--check").returncode == 0
    assert here.reloads == 1
    assert not here.unused.exists()


def test_a_reload_that_systemd_refuses_is_a_failure_too(here: Here) -> None:
    here.program("systemctl", '[ "$1" != --quiet ] || exit 0; echo "Job failed" >&2; exit 1')
    done = here.hook(**RENEWED)
    assert done.returncode == 1
    assert "Job failed" in done.stderr
    assert here.unused.exists()


def test_an_nginx_that_does_not_run_has_nothing_to_reload(here: Here) -> None:
    here.program("systemctl", '[ "$1" = --quiet ] && exit 3; echo reloaded >> "$LOG"')
    here.program("nginx", "exit 1")
    assert here.hook(**RENEWED).returncode == 0
    assert here.reloads == 0


def test_what_is_trusted(tmp_path: Path) -> None:
    bundles, runtime = tmp_path / "acme", tmp_path / "run"
    bundles.mkdir()
    runtime.mkdir()
    (tmp_path / "system.pem").write_text("SYSTEM\n")
    text = recipe.TRUST_SCRIPT.replace(recipe.BUNDLES, str(bundles))
    script = tmp_path / "trust"
    script.write_text(text.replace(recipe.SYSTEM_BUNDLE, str(tmp_path / "system.pem")))

    def run() -> str:
        subprocess.run(("sh", str(script)), env={"RUNTIME_DIRECTORY": str(runtime)}, check=True)
        environment = runtime / "environment"
        return environment.read_text() if environment.exists() else ""

    assert run() == ""
    (bundles / "a.pem").write_text("A\n")
    (bundles / "b.pem").write_text("B\n")
    assert run() == f"REQUESTS_CA_BUNDLE={runtime}/trusted.pem\n"
    assert (runtime / "trusted.pem").read_text() == "SYSTEM\nA\nB\n"
    for path in bundles.iterdir():
        path.unlink()
    assert run() == "", "what is trusted no more is forgotten"


HARD = "quote \" and ' and $HOME and `id` and \\ and\nnewline"


def test_a_dns_program_gets_its_environment_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "dns"
    folder.mkdir()
    resources, auth, _ = recipe.hook(
        "shop", '#!/bin/sh\nprintf "%s|%s" "$TOKEN" "$CERTBOT_DOMAIN"\n', "", {"TOKEN": Secret(HARD)}
    )
    for one in resources:
        if isinstance(one, File):
            path = folder / Path(one.name).name
            path.write_text(one.content.replace("/etc/hostwright/dns/shop", str(folder)))
            path.chmod(one.mode)
    done = subprocess.run(
        (str(folder / Path(auth).name),),
        capture_output=True,
        text=True,
        env={"CERTBOT_DOMAIN": "a.test"},
        check=True,
    )
    assert done.stdout == f"{HARD}|a.test"
