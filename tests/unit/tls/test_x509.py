"""The reader of certificates against `cryptography`, and against bytes that are none."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509 as reference
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hostwright.remote.tls import der as der_module
from hostwright.remote.tls import x509
from hostwright.testing.system import FakeSystem
from tests.unit.tls.certificates import KEYS, NOW, der, make, name, pem

PATH = "/etc/letsencrypt/live/hello/fullchain.pem"

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
# the last label of a name is no number, else it would be an address: WHATWG URL, "ends in a number"
top = label.filter(lambda text: not text.isdigit())
domain = st.builds(
    lambda labels, last: ".".join([*labels, last]), st.lists(label, min_size=1, max_size=3), top
)
wildcard = domain.map("*.{}".format)
address = st.ip_addresses().map(str)
people = st.text(
    st.characters(
        min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Cf", "Zs", "Zl", "Zp", "Cn")
    ),
    min_size=1,
    max_size=60,
).filter(lambda text: len(text.encode()) <= 64)  # X.520's upper bound
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# the years 1951 to 9980
moments = st.integers(-599_616_000, 252_771_235_200).map(lambda seconds: EPOCH + timedelta(seconds=seconds))


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(st.one_of(domain, wildcard, address), max_size=40),
    key=st.sampled_from(sorted(KEYS)),
    common=st.one_of(st.just(""), people),
    organization=st.one_of(st.just(""), people),
    issuer=st.one_of(st.none(), people),
    begin=moments,
    lasts=st.integers(1, 4000),
    serial=st.integers(1, 2**159 - 1),
)
def test_it_reads_what_cryptography_reads(
    names, key, common, organization, issuer, begin, lasts, serial
) -> None:
    end = begin + timedelta(days=lasts)
    made = make(
        names, key=key, subject=name(common, organization), issuer=None if issuer is None else name(issuer),
        begin=begin, end=end, serial=serial,
    )  # fmt: skip
    found = x509.parse(der(made))
    assert found
    try:
        alternative = made.extensions.get_extension_for_class(reference.SubjectAlternativeName).value
        domains = alternative.get_values_for_type(reference.DNSName)
        addresses = [str(one) for one in alternative.get_values_for_type(reference.IPAddress)]
    except reference.ExtensionNotFound:
        domains, addresses = [], []
    assert list(found.names) == domains
    assert [ip_address(one) for one in found.addresses] == [ip_address(one) for one in addresses]
    assert (found.not_before, found.not_after) == (int(begin.timestamp()), int(end.timestamp()))
    assert int(found.serial, 16) == serial
    assert found.self_signed == (made.issuer == made.subject)
    assert found.key == key.partition("-")[0]
    assert found.fingerprint == made.fingerprint(SHA256()).hex()
    assert found.subject == _shown(common or organization)
    assert all(found.covers(one) for one in names)


def _shown(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


# -- what is no certificate ------------------------------------------------------------------------------------

WHOLE = der(make(["example.com", "203.0.113.1", "2001:db8::1"]))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=2000))
@example(b"")
@example(b"\x30\x80\x00\x00")
@example(b"\x30\x84\xff\xff\xff\xff")
@example(b"\x3f" * 40)
def test_any_bytes_are_a_certificate_or_none(data: bytes) -> None:
    assert x509.parse(data) is None
    assert all(one is None for one in x509.every(b"-----BEGIN CERTIFICATE-----\n" + data))
    x509.every(data)


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_certificate_never_raises(changes) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    found = x509.parse(bytes(data))
    if found:  # the change hit what nobody looks at, or made another certificate
        assert all(
            isinstance(one, str) for one in (*found.names, *found.addresses, found.issuer, found.subject)
        )
        datetime.fromtimestamp(found.not_after, timezone.utc)


def test_every_cut_and_every_byte_more_is_seen() -> None:
    assert x509.parse(WHOLE)
    assert [at for at in range(len(WHOLE)) if x509.parse(WHOLE[:at])] == []
    assert x509.parse(WHOLE + b"\0") is None


def test_a_name_that_is_not_one_is_left_out() -> None:
    odd = WHOLE.replace(b"example.com", b"ex\x1b[2Je.com")
    found = x509.parse(odd)
    assert found
    assert found.names == ()
    assert found.addresses == ("203.0.113.1", "2001:db8::1")


def test_nothing_of_a_name_moves_the_cursor() -> None:
    made = x509.parse(der(make(subject=name("evil\x1b[2J\n" + "x" * 20), issuer=name("a\tb"))))
    assert made
    assert (made.subject, made.issuer) == ("evil [2J xxxxxxxxxxxxxxxxxxxx", "a b")


@pytest.mark.parametrize(
    ("tag", "text", "seconds"),
    [
        (0x17, b"700101000000Z", 0),
        (0x17, b"491231235959Z", 2524607999),
        (0x17, b"500101000000Z", -631152000),
        (0x18, b"20240229000000Z", 1709164800),
        (0x18, b"99991231235959Z", 253402300799),
    ],
)
def test_times(tag: int, text: bytes, seconds: int) -> None:
    assert der_module.moment(tag, text) == seconds


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x17, b"7001010000Z"), (0x17, b"700101000000"), (0x17, b"700101000000+0100"), (0x18, b"20230229000000Z"),
        (0x17, b"701301000000Z"), (0x17, b"700100000000Z"), (0x17, b"700101240000Z"), (0x18, b"20230101000000.5Z"),
        (0x18, b"00000101000000Z"), (0x17, b"20240229000000Z"), (0x04, b"700101000000Z"), (0x18, b""),
        (0x18, "２０２４０２２９".encode()),
    ],
)  # fmt: skip
def test_no_times(tag: int, text: bytes) -> None:
    with pytest.raises(der_module.Damaged):
        der_module.moment(tag, text)


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_the_calendar(seconds: int) -> None:
    at = EPOCH + timedelta(seconds=seconds)
    text = f"{at.year:04}{at.month:02}{at.day:02}{at.hour:02}{at.minute:02}{at.second:02}Z"
    assert der_module.moment(0x18, text.encode()) == seconds


# -- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "asked", "covered"),
    [
        (["example.com"], "example.com", True),
        (["example.com"], "EXAMPLE.com.", True),
        (["Example.COM"], "example.com", True),
        (["example.com"], "www.example.com", False),
        (["*.example.com"], "www.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "a.b.example.com", False),
        (["*.example.com"], "*.example.com", True),
        (["www.example.com"], "*.example.com", False),
        (["*.com"], "*.example.com", False),
        (["203.0.113.7"], "203.0.113.7", True),
        (["203.0.113.7"], "203.0.113.8", False),
        (["*.0.113.7"], "203.0.113.7", False),
        (["2001:db8::1"], "2001:0DB8:0:0:0:0:0:1", True),
        (["2001:db8::1"], "[2001:db8::1]", True),
        (["::ffff:1.2.3.4"], "::ffff:102:304", True),
        (["example.com"], "", False),
        (["example.com"], "a:b", False),
        (["example.com"], "1::2::3", False),
    ],
)
def test_covers(names, asked, covered) -> None:
    found = x509.parse(der(make(names)))
    assert found
    assert found.covers(asked) is covered


# -- files -----------------------------------------------------------------------------------------------------


def test_a_chain_is_read_in_its_order() -> None:
    certificates = [make([f"{at}.example.com"], subject=name(f"{at}")) for at in range(12)]
    system = FakeSystem({PATH: "some words before\n" + pem(*certificates)})
    assert [one.subject for one in x509.chain(system, PATH)] == [str(at) for at in range(12)]
    found = x509.read(system, PATH)
    assert found
    assert found.names == ("0.example.com",)


def test_what_is_damaged_has_a_place_among_the_others() -> None:
    good = pem(make(subject=name("good")))
    damaged = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
    endless = "-----BEGIN CERTIFICATE-----\nMII"
    found = x509.every((damaged + good + endless + good + endless).encode())
    assert [one.subject if one else None for one in found] == [None, "good", None, "good", None]
    assert x509.first(damaged.encode()) is None


@pytest.mark.parametrize(
    "content", ["", "hello", "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----\nMII="]
)
def test_a_file_without_a_certificate(content: str) -> None:
    system = FakeSystem({PATH: content})
    assert x509.read(system, PATH) is None
    assert x509.chain(system, PATH) == []
    assert x509.read(system, "/nowhere") is None


def test_a_directory_in_the_place_of_a_file(tmp_path: Path) -> None:
    from hostwright.remote.system import System

    assert x509.read(System(), str(tmp_path)) is None


def test_serial_and_people() -> None:
    found = x509.parse(der(make(subject=name(organization="Let's Encrypt"), serial=0xABC0)))
    assert found
    assert (found.subject, found.serial, found.self_signed) == ("Let's Encrypt", "abc0", True)
    empty = x509.parse(der(make(["203.0.113.7"], subject=name(), issuer=name("YE1"))))
    assert empty
    assert (empty.subject, empty.self_signed) == ("", False)


def test_reading_is_cheap() -> None:
    """A run that changes nothing reads every certificate of a server."""
    data = pem(make([f"name{at}.example.com" for at in range(40)], end=NOW + timedelta(days=90))).encode()
    x509.first(data)
    best = min(_seconds(data) for _ in range(50))
    print(f"one certificate with 40 names: {best * 1e6:.0f} us")
    assert best < 0.001


def _seconds(data: bytes) -> float:
    begin = time.perf_counter()
    x509.first(data)
    return time.perf_counter() - begin
