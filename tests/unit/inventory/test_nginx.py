"""The `nginx:` of an app: what it is without a word, what it takes, what it says to the rest."""

from __future__ import annotations

import pytest

from hostwright.errors import InventoryError
from hostwright.inventory.nginx import Nginx, RateLimit

from .conftest import Loader

APP = """\
apps:
  shop:
    source: .
    module: m:app
    domains: [shop.example.com, www.shop.example.com, "*.shop.example.com"]
    nginx: {{{}}}
hosts: {{web1: {{address: 203.0.113.10}}}}
"""


def nginx(inventory_of: Loader, keys: str) -> Nginx:
    return inventory_of(APP.format(keys)).apps["shop"].nginx


def test_without_a_word(inventory_of: Loader) -> None:
    found = nginx(inventory_of, "")
    assert found == Nginx()
    assert (found.timeouts.connect, found.timeouts.send, found.timeouts.read) == (5, 120, 120)
    assert inventory_of(APP.format("").replace("{}", "")).apps["shop"].nginx == found  # a key without a value


def test_what_it_takes(inventory_of: Loader) -> None:
    found = nginx(
        inventory_of,
        "canonical: WWW.shop.example.com, trusted_proxies: [10.0.0.0/8, 192.0.2.7, '2001:DB8::/32'], "
        "rate_limits: {/: {rate: 20r/s, burst: 40}, /login/: 5r/m}, headers: {X-Frame-Options: null, X-A: b}, "
        "csp: \"default-src 'self'\"",
    )
    assert found.canonical == "www.shop.example.com"
    assert found.trusted_proxies == ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")
    assert found.rate_limits == {
        "/": RateLimit(rate="20r/s", burst=40),
        "/login": RateLimit(rate="5r/m", burst=5),
    }
    assert found.headers == {"X-Frame-Options": None, "X-A": "b"}
    assert found.csp == "default-src 'self'"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            "canonical: shop.example.org",
            "apps.shop: nginx.canonical must be one of the domains (shop.example.com, www.shop.example.com), "
            'got "shop.example.org"',
        ),
        (
            'canonical: "*.shop.example.com"',
            "apps.shop: nginx.canonical must be one of the domains (shop.example.com, www.shop.example.com), "
            'got "*.shop.example.com"',
        ),
        (
            "trusted_proxies: [10.0.0.1/8]",
            'apps.shop.nginx.trusted_proxies[0]: a network ends in zeros: write 10.0.0.0/8, got "10.0.0.1/8"',
        ),
        (
            "trusted_proxies: [cloudflare]",
            "apps.shop.nginx.trusted_proxies[0]: expected an IP address or a network, such as 10.0.0.0/8, "
            'got "cloudflare"',
        ),
        (
            "trusted_proxies: ['::/0']",
            "apps.shop.nginx.trusted_proxies[0]: everybody is in ::/0, so anyone could claim any address; "
            "name your proxies",
        ),
        (
            "real_ip_header: proxy_protocol",
            "apps.shop.nginx.real_ip_header: expected the name of a header, such as X-Frame-Options, "
            'got "proxy_protocol"',
        ),
        (
            "rate_limits: {login: 5r/m}",
            "apps.shop.nginx.rate_limits.login: expected the beginning of a URL's path, such as /static, "
            'got "login"',
        ),
        (
            "rate_limits: {/: 5/m}",
            'apps.shop.nginx.rate_limits./: expected requests a second or minute, such as "20r/s" or "5r/m", '
            'got "5/m"',
        ),
        (
            "rate_limits: {/: {rate: 5r/m, burst: -1}}",
            "apps.shop.nginx.rate_limits./.burst: expected an integer from 0 to 100000, got -1",
        ),
        (
            "headers: {X-A: 'a\";return 200'}",
            'apps.shop.nginx.headers.X-A: expected one line of ASCII without ", \\ and $, '
            'got "a\\";return 200"',
        ),
        (
            "headers: {X-A: $host}",
            'apps.shop.nginx.headers.X-A: expected one line of ASCII without ", \\ and $, got "$host"',
        ),
        (
            "headers: {Server: x}",
            'apps.shop.nginx.headers.Server: nginx writes that one itself, got "Server"',
        ),
        (
            "headers: {strict-transport-security: x}",
            "apps.shop.nginx.headers.strict-transport-security: that one is `hsts`, of `tls`, "
            'got "strict-transport-security"',
        ),
        (
            "headers: {X-A: a, x-a: b}",
            'apps.shop.nginx.headers: "x-a" is there twice; upper and lower case are the same',
        ),
        (
            "csp: 1",
            "apps.shop.nginx.csp: expected true, false or a policy, such as \"default-src 'self'\", got 1",
        ),
        ("connections: 0", "apps.shop.nginx.connections: expected an integer of 1 or more, got 0"),
        (
            "timeouts: {connect: 90}",
            "apps.shop.nginx.timeouts.connect: expected seconds, a number from 1 to 75, got 90",
        ),
    ],
)
def test_what_it_refuses(inventory_of: Loader, keys: str, said: str) -> None:
    with pytest.raises(InventoryError) as error:
        nginx(inventory_of, keys)
    (problem,) = error.value.problems
    assert problem.split("  ", 1)[-1] == said
