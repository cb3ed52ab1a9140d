from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostwright.errors import UsageError
from hostwright.inventory import Address, parse_address
from hostwright.inventory.address import is_host, same_host

GOOD = {
    "203.0.113.10": Address("203.0.113.10"),
    "root@203.0.113.10": Address("203.0.113.10", "root"),
    "root@203.0.113.10:2222": Address("203.0.113.10", "root", 2222),
    "web1.example.com:1": Address("web1.example.com", None, 1),
    "web1.example.com.": Address("web1.example.com."),
    "web_1": Address("web_1"),
    "::1": Address("::1"),
    "2001:db8::22": Address("2001:db8::22"),
    "[::1]": Address("::1"),
    "[::1]:65535": Address("::1", None, 65535),
    "deploy@[2001:db8::1]:22": Address("2001:db8::1", "deploy", 22),
    "fe80::1%eth0": Address("fe80::1%eth0"),
    "[fe80::1%eth0]:22": Address("fe80::1%eth0", None, 22),
    "first.last@web1": Address("web1", "first.last"),
}


@pytest.mark.parametrize(("text", "address"), GOOD.items())
def test_parse(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


BAD = {
    "": '"": "" is neither a host name nor an IP address',
    "@web1": '"@web1": "" cannot be a user name',
    "-l@web1": '"-l@web1": "-l" cannot be a user name',
    "a@b@c": '"a@b@c": "a@b" cannot be a user name',
    "-oProxyCommand=id": '"-oProxyCommand=id": "-oProxyCommand=id" is neither a host name nor an IP address',
    "web1:": '"web1:": the port must be an integer from 1 to 65535, got ""',
    "web1:0": '"web1:0": the port must be an integer from 1 to 65535, got "0"',
    "web1:65536": '"web1:65536": the port must be an integer from 1 to 65535, got "65536"',
    "web1:22a": '"web1:22a": the port must be an integer from 1 to 65535, got "22a"',
    "web1:²": '"web1:²": the port must be an integer from 1 to 65535, got "²"',
    "::1:22:x": '"::1:22:x": write an IPv6 address with a port as [::1]:22',
    "[::1": '"[::1": write an IPv6 address with a port as [::1]:22',
    "[::1]22": '"[::1]22": write an IPv6 address with a port as [::1]:22',
    "[web1]:22": '"[web1]:22": write an IPv6 address with a port as [::1]:22',
    "203.0.113": '"203.0.113": "203.0.113" is neither a host name nor an IP address',
    "203.0.113.256": '"203.0.113.256": "203.0.113.256" is neither a host name nor an IP address',
    "web 1": '"web 1": "web 1" is neither a host name nor an IP address',
    "web1\n": '"web1\n": "web1\n" is neither a host name nor an IP address',
    "web1/x": '"web1/x": "web1/x" is neither a host name nor an IP address',
    "wéb": '"wéb": "wéb" is neither a host name nor an IP address',
    "fe80::1%$(id)": '"fe80::1%$(id)": write an IPv6 address with a port as [::1]:22',
    "a..b": '"a..b": "a..b" is neither a host name nor an IP address',
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert caught.value.message == message


@given(st.text(max_size=40))
def test_what_is_accepted_is_safe_and_stable(text: str) -> None:
    try:
        address = parse_address(text)
    except UsageError:
        return
    assert parse_address(str(address)) == address
    assert not address.host.startswith("-")
    assert set(address.host + (address.user or "")) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-%"
    )


@pytest.mark.parametrize("text", ["a" * 64, "a." * 127 + "a", "a-", "-a", "a.-b", "1.2.3.4.5"])
def test_not_a_host(text: str) -> None:
    assert not is_host(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("WEB1.example.com", "web1.example.com.", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("web1", "203.0.113.1", False),
    ],
)
def test_same_host(one: str, other: str, same: bool) -> None:
    assert same_host(one, other) is same
