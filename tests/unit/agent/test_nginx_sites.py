"""Which server of a file answers where, under which names."""

from __future__ import annotations

import pytest

from hostwright.remote.nginx_sites import includes, servers


def shown(text: str) -> list[tuple[list[str], list[str]]]:
    """(listens, names) of each server; a default one is marked with !."""
    return [
        (
            [f"{at.address}:{at.port}{'!' if at.default else ''}" for at in server.listens],
            server.names,
        )
        for server in servers(text)
    ]


@pytest.mark.parametrize(
    ("listen", "meant"),
    [
        ("80", "*:80"),
        ("80 default_server", "*:80!"),
        ("80 default", "*:80!"),
        ("*:8080", "*:8080"),
        ("0.0.0.0:80", "*:80"),
        ("[::]:80 default_server ipv6only=on", "[::]:80!"),
        ("[::1]", "[::1]:80"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("Example.com:81", "example.com:81"),
        ("443 ssl http2", "*:443"),
    ],
)
def test_listen(listen: str, meant: str) -> None:
    assert shown(f"server {{ listen {listen}; server_name a; }}") == [([meant], ["a"])]


@pytest.mark.parametrize("listen", ["unix:/run/x.sock", "8000-8010"])
def test_listen_that_is_no_port(listen: str) -> None:
    assert shown(f"server {{ listen {listen}; listen 81; }}") == [(["*:81"], [])]


def test_names_may_be_quoted_short_and_on_several_lines() -> None:
    text = "server {\n listen 80;\n server_name A.example\n   \"b.example\" .c.example;\n server_name '';\n}"
    assert shown(text) == [(["*:80"], ["a.example", "b.example", "c.example", "*.c.example", ""])]


def test_a_server_that_says_nothing_listens_on_80() -> None:
    assert shown("server {}") == [(["*:80"], [])]
    assert servers("server { server_name _ ''; }")[0].nameless
    assert not servers("server { server_name _ a.example; }")[0].nameless


def test_only_servers_of_http_count() -> None:
    text = """
    # server { listen 1; }
    upstream x { server 127.0.0.1:9; }
    map $a $b { default "server { listen 2; }"; }
    server {
        listen 80; # default_server
        location / { return 200 'server { listen 3; }'; set $x "${y}}"; }
        if ($host = a\\;b) { return 404; }
    }
    stream { server { listen 4; } }
    http { server { listen 5; } }
    """
    assert shown(text) == [(["*:80"], []), (["*:5"], [])]


@pytest.mark.parametrize(
    "text", ["", "}", "server {", '"', "server { listen; server_name", "\\", "{ { } } } ;"]
)
def test_nothing_breaks_it(text: str) -> None:
    servers(text)


def test_includes() -> None:
    text = "include a;\nhttp { include mime.types; include /x/*; server { include b; } }"
    assert includes(text) == ["mime.types", "/x/*"]
