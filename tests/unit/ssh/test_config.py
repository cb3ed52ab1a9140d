"""sshd_config as tables: where our drop-in stands, what of it fits a server, what others say beside it."""

from __future__ import annotations

import pytest

from hostwright.remote.ssh import algorithms, config
from hostwright.remote.ssh.known import Known
from hostwright.testing import FakeSystem

DEBIAN = "# comment\nInclude /etc/ssh/sshd_config.d/*.conf\n\nUsePAM yes\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (DEBIAN, "first"),
        ("include sshd_config.d/*.conf\n", "first"),
        ("Include /etc/ssh/sshd_config.d/00-*.conf\n", "first"),
        ("PermitRootLogin yes\nInclude /etc/ssh/sshd_config.d/*.conf\n", "later"),
        ("Include /etc/ssh/other/*.conf\nInclude=/etc/ssh/sshd_config.d/*.conf\n", "later"),
        ("PermitRootLogin yes\n", "nowhere"),
        ("# Include /etc/ssh/sshd_config.d/*.conf\n", "nowhere"),
        ("Match User x\n  Include /etc/ssh/sshd_config.d/*.conf\n", "nowhere"),
        ("", "nowhere"),
    ],
)
def test_where_it_is_included(text: str, where: str) -> None:
    assert config.place(text) == where
    better = config.put_first(text)
    assert config.place(better) == "first"
    assert config.put_first(better) == better
    if where == "first":
        assert better == text


def test_what_is_moved_is_kept_as_a_comment() -> None:
    assert config.put_first("Port 2200\nInclude /etc/ssh/sshd_config.d/*.conf\n").splitlines() == [
        "# the first value wins: this is put here by Hostwright",
        "Include /etc/ssh/sshd_config.d/*.conf",
        "",
        "Port 2200",
        "#hostwright# Include /etc/ssh/sshd_config.d/*.conf",
    ]


def test_other_drop_ins_do_not_come_into_force_where_none_were() -> None:
    assert (
        "Include /etc/ssh/sshd_config.d/00-hostwright.conf" in config.put_first("UsePAM yes\n").splitlines()
    )


def known(*keywords: str, version: tuple[int, int] = (9, 2), **lists: list[str]) -> Known:
    fields = {
        "version": version,
        "keywords": keywords,
        "kex": [],
        "cipher": [],
        "mac": [],
        "HostKeyAlgorithms": [],
    }
    return Known({**fields, **lists})


@pytest.mark.parametrize(
    ("line", "values", "made"),
    [
        ("UseDNS no", {}, "UseDNS no\n"),
        ("Port @ports@", {"ports": ["2222", "22"]}, "Port 2222\nPort 22\n"),
        ("Port @ports@", {"ports": []}, "\n"),
        ("HostKey @host_keys@", {"host_keys": ["/a", "/b"]}, "HostKey /a\nHostKey /b\n"),
        ("Ciphers @ciphers@", {"ciphers": ["x", "y"]}, "Ciphers x,y\n"),
        ("Ciphers @ciphers@", {"ciphers": []}, "\n"),
        ("AllowGroups @groups@", {"groups": ["a", "b"]}, "AllowGroups a b\n"),
        ("RequiredRSASize @rsa_bits@ #?requiredrsasize", {"rsa_bits": ["3072"]}, "RequiredRSASize 3072\n"),
        ("PerSourceMaxStartups 10 #?persourcemaxstartups", {}, "\n"),
        ("Something @nobody_knows@", {}, "\n"),
    ],
)
def test_what_of_a_line_fits_a_server(line: str, values: dict[str, list[str]], made: str) -> None:
    assert config.compose(line, values, known("requiredrsasize")) == made


@pytest.mark.parametrize(
    ("now", "problem"),
    [
        ({"passwordauthentication": ["no"], "permitrootlogin": ["without-password"]}, None),
        ({"passwordauthentication": ["yes"]}, "passwordauthentication no, and sshd says yes"),
        ({"port": ["22", "2200"]}, None),
        ({}, None),
    ],
)
def test_whether_it_is_in_force(now: dict[str, list[str]], problem: str | None) -> None:
    content = "Port 22\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    assert config.not_in_force(content, now) == problem


def test_ports_of_others() -> None:
    system = FakeSystem(
        {
            config.MAIN: "Port 2200\n#Port 22\nMatch User x\n",
            config.FOLDER + "/50-other.conf": "Port 22\nport=2201\n",
            config.FOLDER + "/ignored": "Port 7\n",
            config.DROP_IN: "Port 8\n",
        }
    )
    assert config.other_ports(system, 22) == {
        config.MAIN: ["Port 2200"],
        config.FOLDER + "/50-other.conf": ["port=2201"],
    }
    assert config.ports(system) == [8, 22, 2200, 2201]
    assert config.ports(FakeSystem()) == [22]


def test_the_candidate_is_judged_with_everything_else() -> None:
    system = FakeSystem({config.FOLDER + "/50-x.conf": "", config.DROP_IN: "old"})
    _, text = config.scratch(system, "new\n", DEBIAN)
    assert text.splitlines() == [
        "new",
        "",
        "Include /etc/ssh/sshd_config.d/50-x.conf",
        "# comment",
        "",
        "UsePAM yes",
    ]


# -- algorithms, as `ssh -Q` of each version lists them ----------------------------------------------------------

CURVES = ["curve25519-sha256", "curve25519-sha256@libssh.org"]
MODP = ["diffie-hellman-group14-sha1", *algorithms.GROUPS, "ecdh-sha2-nistp256"]
SNTRUP = "sntrup761x25519-sha512@openssh.com"
MACS = ["hmac-sha1", *algorithms.MACS]


@pytest.mark.parametrize(
    ("version", "kex", "first", "last"),
    [
        ((8, 4), [*MODP, *CURVES], "curve25519-sha256", "diffie-hellman-group-exchange-sha256"),
        ((8, 9), [*MODP, *CURVES, SNTRUP], SNTRUP, "diffie-hellman-group-exchange-sha256"),
        ((9, 6), [*MODP, *CURVES, SNTRUP], SNTRUP, "diffie-hellman-group16-sha512"),
        ((10, 0), [*MODP, *CURVES, SNTRUP, "mlkem768x25519-sha256"], "mlkem768x25519-sha256", SNTRUP),
    ],
)
def test_key_exchanges(version: tuple[int, int], kex: list[str], first: str, last: str) -> None:
    found = algorithms.choose(known(version=version, kex=kex, mac=MACS))
    assert (found["kex"][0], found["kex"][-1]) == (first, last)
    assert not {"diffie-hellman-group14-sha1", "ecdh-sha2-nistp256"} & set(found["kex"])
    assert found["macs"][0] == (
        "hmac-sha2-512-etm@openssh.com" if version >= (9, 6) else "hmac-sha2-256-etm@openssh.com"
    )
    wide = algorithms.choose(known(version=version, kex=kex, mac=MACS), old_clients=True)
    assert set(CURVES) < set(wide["kex"])


def test_a_pinned_key_keeps_its_signature() -> None:
    names = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "rsa-sha2-512"]
    about = known(HostKeyAlgorithms=names)
    assert algorithms.choose(about)["host_key_algorithms"] == ["ssh-ed25519", "rsa-sha2-512"]
    pinned = algorithms.choose(about, pinned=["ecdsa-sha2-nistp256"])
    assert pinned["host_key_algorithms"] == ["ssh-ed25519", "rsa-sha2-512", "ecdsa-sha2-nistp256"]
    assert "ssh-rsa" not in pinned["public_key_algorithms"], "SHA-1"
