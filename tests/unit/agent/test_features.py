"""What is decided on the server: versions from dpkg, certificates from their files, lines that depend on them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostwright.remote import dpkg
from hostwright.remote.features import Features, fit, version
from hostwright.remote.resources.base import Unknown
from hostwright.remote.system import System
from hostwright.testing import FakeSystem
from tests.unit.tls.certificates import make, pem

LIVE = "/etc/letsencrypt/live/shop"
CHAIN = f"{LIVE}/fullchain.pem"


def package(name: str, version: str, depends: str = "libc6", status: str = "install ok installed") -> str:
    return (
        f"Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\nDepends: {depends}\n\n"
    )


# Debian 11 to 13, Ubuntu 22.04 and 24.04, nginx.org on Debian 12: (dpkg's status, nginx, OpenSSL)
SERVERS = {
    "bullseye": (
        package("nginx", "1.18.0-6.1+deb11u3", "nginx-core (<< 1.18.0-6.1.1~) | nginx-full")
        + package("nginx-core", "1.18.0-6.1+deb11u3", "libc6, libssl1.1 (>= 1.1.0), nginx-common")
        + package("libssl1.1", "1.1.1w-0+deb11u1"),
        (1, 18, 0),
        (1, 1, 1),
    ),
    "jammy": (
        package("nginx-core", "1.18.0-6ubuntu14.4", "libssl3 (>= 3.0.0~~alpha1)")
        + package("libssl3", "3.0.2-0ubuntu1.18"),
        (1, 18, 0),
        (3, 0, 2),
    ),
    "bookworm": (
        package("nginx", "1.22.1-9+deb12u11", "libssl3 (>= 3.0.0), zlib1g")
        + package("libssl3", "3.0.22-1~deb12u2")
        + package("libssl1.1", "1.1.1w-0+deb11u1"),
        (1, 22, 1),
        (3, 0, 22),
    ),
    "noble": (
        package("nginx", "1.24.0-2ubuntu7", "libssl3t64 (>= 3.0.0)")
        + package("libssl3t64", "3.0.13-0ubuntu3.4"),
        (1, 24, 0),
        (3, 0, 13),
    ),
    "trixie": (
        package("nginx", "1.26.3-3+deb13u11", "libssl3t64 (>= 3.0.0)")
        + package("libssl3t64", "3.5.9-1~deb13u1"),
        (1, 26, 3),
        (3, 5, 9),
    ),
    "nginx.org": (
        package("nginx", "1:1.28.0-1~bookworm", "libssl3 (>= 3.0.0)")
        + package("libssl3", "3.0.22-1~deb12u2"),
        (1, 28, 0),
        (3, 0, 22),
    ),
}


@pytest.mark.parametrize("name", SERVERS)
def test_versions(name: str) -> None:
    status, nginx, openssl = SERVERS[name]
    system = FakeSystem({dpkg.STATUS: status})
    for word, is_one in {
        "nginx>=1.18": True,
        "nginx<1.18": False,
        "nginx>=1.18.0": True,
        "nginx>=1.25.1": nginx >= (1, 25, 1),
        "nginx<1.25.1": nginx < (1, 25, 1),
        "nginx<1.19.4": nginx < (1, 19, 4),
        "openssl>=3.5": openssl >= (3, 5),
        "openssl<3.5": openssl < (3, 5),
        "openssl>=1.1.1 nginx>=1": True,
        "openssl>=9|nginx>=1": True,
        "openssl>=9|!nginx>=1": False,
        "!nginx>=9": True,
    }.items():
        assert system.has(word) is is_one, word
    assert system.ran == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1:3.0.2-0ubuntu1.18", (3, 0, 2)),
        ("1.18.0-6.1+deb11u3", (1, 18, 0)),
        ("3.5.0~beta1-1", (3, 5, 0)),
        ("1.1.1w-0+deb11u1", (1, 1, 1)),
        ("", ()),
        ("x", ()),
    ],
)
def test_version(text: str, meant: tuple[int, ...]) -> None:
    assert version(text) == meant


@pytest.mark.parametrize("status", ["", package("nginx", "1.22.1-9", status="deinstall ok config-files")])
def test_nginx_is_not_there_yet(status: str) -> None:
    system = FakeSystem({dpkg.STATUS: package("libssl3", "3.0.22-1") + status})
    with pytest.raises(Unknown) as unknown:
        system.has("nginx>=1.25.1")
    assert unknown.value.until == "the package nginx is installed"
    # which one it will use can be known
    assert system.has("openssl<3.5")
    with pytest.raises(Unknown):
        FakeSystem().has("openssl<3.5")


def test_what_dpkg_has_not_merged_yet_counts() -> None:
    system = FakeSystem({dpkg.STATUS: SERVERS["bookworm"][0]})
    system.put(f"{dpkg.UPDATES}/0001", package("nginx", "1.26.3-3", "libssl3", "install ok half-configured"))
    assert system.has("nginx>=1.26")


@pytest.mark.parametrize(
    "word",
    ["ipv5", "nginx=1", "nginx>1", "python>=3", "path:relative", "covers:/a", "certificate:", "a|ipv6"],
)
def test_unknown_conditions(word: str) -> None:
    with pytest.raises(ValueError, match="unknown condition"):
        FakeSystem().has(word)


def test_paths_and_ipv6() -> None:
    system = FakeSystem({"/etc/x": "", "/proc/net/if_inet6": ""})
    assert system.has("path:/etc/x ipv6 !path:/etc/y")
    assert not system.has("path:/etc/y")
    assert system.has("")


# -- certificates ----------------------------------------------------------------------------------------------


def with_certificate(*names: str, key: bool = True) -> FakeSystem:
    system = FakeSystem({f"{LIVE}/../../archive/shop/x": ""})
    system.put("/etc/letsencrypt/archive/shop/fullchain1.pem", pem(make(names)))
    system.put(CHAIN, {"link": "../../archive/shop/fullchain1.pem"})
    if key:
        system.put(f"{LIVE}/privkey.pem", "key")
    return system


@pytest.mark.parametrize(
    ("name", "is_in"),
    [
        ("shop.test", True),
        ("www.shop.test", True),
        ("a.b.shop.test", False),
        ("*.shop.test", True),
        ("other.test", False),
        ("192.0.2.7", True),
        ("2001:db8::1", True),
        ("192.0.2.8", False),
    ],
)
def test_names(name: str, is_in: bool) -> None:
    system = with_certificate("shop.test", "*.shop.test", "192.0.2.7", "2001:db8::1")
    assert system.has(f"certificate:{CHAIN}")
    assert system.has(f"covers:{CHAIN}:{name}") is is_in
    assumed = FakeSystem()
    assert not assumed.has(f"covers:{CHAIN}:{name}")
    assumed.assume(CHAIN, ("shop.test", "*.shop.test", "192.0.2.7", "2001:db8::1"))
    assert assumed.has(f"certificate:{CHAIN}")
    assert assumed.has(f"covers:{CHAIN}:{name}") is is_in


def test_what_is_no_certificate() -> None:
    assert not with_certificate("shop.test", key=False).has(f"certificate:{CHAIN}")
    assert not with_certificate("shop.test", key=False).has(f"covers:{CHAIN}:shop.test")
    for content in ("", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", {"dir": True}):
        system = with_certificate("shop.test")
        system.put(CHAIN, content)
        assert not system.has(f"certificate:{CHAIN}")


def test_a_certificate_is_read_again_when_its_link_moves(tmp_path: Path) -> None:
    """certbot writes a new file and moves the link; the rest of the time nothing is read."""

    class Counting(System):
        reads = 0

        def read(self, path: str) -> bytes | None:
            self.reads += 1
            return super().read(path)

    for number, name in enumerate(("one.test", "two.test")):
        (tmp_path / f"chain{number}.pem").write_text(pem(make([name])))
        os.utime(tmp_path / f"chain{number}.pem", (1, 1))
    (tmp_path / "privkey.pem").write_text("key")
    link = tmp_path / "fullchain.pem"
    link.symlink_to("chain0.pem")
    system = Counting()
    for _ in range(20):
        assert system.has(f"covers:{link}:one.test")
        assert not system.has(f"covers:{link}:two.test")
    assert system.reads == 1
    link.unlink()
    link.symlink_to("chain1.pem")
    assert system.has(f"covers:{link}:two.test")
    (tmp_path / "chain1.pem").unlink()
    assert not system.has(f"certificate:{link}")
    assert Features(system).hold("ipv6") is Path("/proc/net/if_inet6").exists()


# -- lines -----------------------------------------------------------------------------------------------------

TEXT = """\
one
two #?a
#?{ a
three
    #?{ b
    four #?c
    #?}
#?}
five #?a b
six"""


@pytest.mark.parametrize(
    ("holding", "left"),
    [
        ("", "one six"),
        ("a", "one two three six"),
        ("b", "one six"),
        ("ab", "one two three five six"),
        ("abc", "one two three four five six"),
        ("bc", "one six"),
    ],
)
def test_lines(holding: str, left: str) -> None:
    fitted = fit(TEXT, lambda words: set(words.split()) <= set(holding))
    assert fitted.split() == left.split()
    assert fitted.endswith("six\n")
    assert "#?" not in fitted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#?{ a\nx\n", "a block begins with `#?{` and does not end"),
        ("x\n#?}\n", "a block ends with `#?}` and does not begin"),
    ],
)
def test_blocks_that_are_not_closed(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("?", r"\?")):
        fit(text, lambda _: False)


def test_what_does_not_count_is_not_asked() -> None:
    """In a block that is left out, a condition may be unknown still."""

    def has(words: str) -> bool:
        assert words.strip() == "no"
        return False

    assert fit("#?{ no\nx #?nginx>=2\n#?{ nginx<2\n#?}\n#?}\ny\n", has) == "y\n"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("root /home/ann/site;", True),
        ("proxy_pass http://unix:/home/ann/app.sock;", True),
        ('alias "/home";', True),
        ("# root /home/ann;", False),
        ("root /srv/home/ann;", False),
        ("root /homepage;", False),
        ("access_log off; root\t/home/ann/;", True),
    ],
)
@pytest.mark.parametrize("where", ["nginx.conf", "sites-enabled/blog", "conf.d/x.conf", "snippets/a"])
def test_what_nginx_names(line: str, named: bool, where: str) -> None:
    system = FakeSystem(
        {f"/etc/nginx/{where}": f"user www-data;\nserver {{\n  {line}\n}}\n", "/etc/nginx/conf.d/d": None}
    )
    assert Features(system).hold("nginx-names:/home") is named
    assert Features(system).hold("!nginx-names:/home|nginx-names:/root") is not named


def test_without_nginx_it_names_nothing() -> None:
    assert not Features(FakeSystem()).hold("nginx-names:/home")


OWN = "/etc/hostwright/tls/shop/fullchain.pem"


@pytest.mark.parametrize(
    ("there", "covered"),
    [
        ((), []),
        ((OWN,), ["old.test", "shop.test"]),
        ((CHAIN, OWN), ["new.test", "shop.test"]),
        ((CHAIN,), ["new.test", "shop.test"]),
    ],
)
def test_of_several_certificates_the_first_that_is_there_counts(
    there: tuple[str, ...], covered: list[str]
) -> None:
    system = FakeSystem()
    names = {CHAIN: ("shop.test", "new.test"), OWN: ("shop.test", "old.test")}
    for path in there:
        system.put(path, pem(make(names[path])))
        system.put(str(Path(path).with_name("privkey.pem")), "key")
    assert system.has(f"certificate:{CHAIN},{OWN}") is bool(there)
    seen = [n for n in ("new.test", "old.test", "shop.test") if system.has(f"covers:{CHAIN},{OWN}:{n}")]
    assert seen == covered
