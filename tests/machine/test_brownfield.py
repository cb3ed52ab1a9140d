"""A server that somebody set up by hand: what a first provision finds there, refuses, adopts and leaves alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import FreshServer
from .project import Project, sh

SITES = """
cat >/etc/nginx/sites-available/blog <<'END'
server {
    listen 80;
    listen [::]:80;
    server_name blog.example.com;
    return 200 "the blog";
}
END
cat >/etc/nginx/sites-available/front <<'END'
server {
    listen 80 default_server;
    server_name front.example.com;
    return 200 "the front";
}
END
cat >/etc/nginx/conf.d/old-shop.conf <<'END'
server {
    listen 80;
    server_name www.example.com shop.example.com;
    return 200 "the old shop";
}
END
ln -s ../sites-available/blog ../sites-available/front /etc/nginx/sites-enabled/
rm /etc/nginx/sites-enabled/default
sed -i 's/worker_connections 768/worker_connections 777/' /etc/nginx/nginx.conf
nginx -t -q
systemctl reload nginx
"""


@pytest.fixture
def server(fresh_server: FreshServer) -> Server:
    return fresh_server("brown")


def test_a_server_that_somebody_set_up(tmp_path: Path, sandbox: Sandbox, server: Server) -> None:
    shop = Project(tmp_path, server)
    shop.write_inventory(domains="shop.example.com")

    def on(script: str) -> str:
        return sh(sandbox, server, f"export DEBIAN_FRONTEND=noninteractive\n{script}", timeout=240)

    _another_program_on_port_80(shop, on)
    on("systemctl disable --now apache2; apt-get install -qq -y nginx >/dev/null")
    on(SITES)

    refused = shop.inv("provision", code=1).out
    print(refused)
    said = _flat(refused)
    for words in (
        "/etc/nginx/nginx.conf was changed on this server and would be replaced",
        "/etc/nginx/sites-enabled/front answers for all other names on port 80, as one of ours has to; all of it "
        "would be switched off (front.example.com, port 80)",
        "/etc/nginx/conf.d/old-shop.conf serves shop.example.com, as one of ours has to",
        "Hostwright did not set up this server, and 3 things of it would be cut; nothing was changed",
        "`inv provision --adopt` goes on, and keeps what it replaces or switches off.",
    ):
        assert words in said, said
    assert "What is done stays done" not in said
    assert shop.curl("/", host="front.example.com") == (200, "the front")
    on("grep -q 777 /etc/nginx/nginx.conf; test ! -e /var/lib/hostwright/records.json; test ! -e /srv/hello")

    checked = _flat(shop.inv("provision", "--check", code=4).out)
    assert "a run would refuse to cut this" in checked
    assert "1 other nginx site stays as it is: /etc/nginx/sites-enabled/blog" in checked
    assert "set aside" not in checked
    checked = shop.inv("provision", "--check", "--adopt", code=4).out
    assert re.search(r"- set aside +/etc/nginx/sites-enabled/front", checked), checked

    _adopt(shop, on)
    _a_configuration_that_nginx_does_not_take(shop, on)


def _another_program_on_port_80(shop: Project, on: Callable[[str], str]) -> None:
    on("apt-get update -qq; apt-get install -qq -y apache2 >/dev/null; systemctl is-active -q apache2")
    for more in ((), ("--adopt",)):
        said = _flat(shop.inv("provision", *more, code=1).out)
        assert re.search(r"apache2 \(pid \d+\) listens on port 80: nginx could not start", said), said
        assert "sudo systemctl disable --now apache2.service" in said
        assert "--adopt does not help there" in said
    on("test ! -e /usr/sbin/nginx; systemctl is-active -q apache2; test ! -e /srv/hello")


def _adopt(shop: Project, on: Callable[[str], str]) -> None:
    text = shop.inv("provision", "--adopt").out
    print(text)
    said = _flat(text)
    kept = "the file that was there is kept as"
    conf = re.search(rf"~ file /etc/nginx/nginx.conf .*?{kept} (\S+)", said)
    front = re.search(rf"- set aside /etc/nginx/sites-enabled/front .*?{kept} (\S+)", said)
    old = re.search(rf"- set aside /etc/nginx/conf.d/old-shop.conf .*?{kept} (\S+)", said)
    assert conf, said
    assert front, said
    assert old, said
    on(f"grep -q 777 {conf[1]}; grep -q 'the front' {front[1]}; grep -q 'the old shop' {old[1]}")
    on('test ! -e /etc/nginx/conf.d/old-shop.conf; test -z "$(nginx -t -q 2>&1)"')
    assert (
        "1 other nginx site stays as it is: /etc/nginx/sites-enabled/blog (blog.example.com, port 80)" in said
    )

    assert shop.curl("/", host="blog.example.com") == (200, "the blog")
    assert shop.curl("/", host="shop.example.com")[0] == 502, "ours, and nothing is deployed yet"
    assert shop.curl("/", host="front.example.com")[0] == 0, "nobody's name is not answered"
    again = shop.inv("provision").out
    assert re.search(r"web1 .*0 changed", again), again
    assert "stays as it is" not in again


def _a_configuration_that_nginx_does_not_take(shop: Project, on: Callable[[str], str]) -> None:
    """`nginx -t` finds nothing wrong where another program holds the port."""
    on("systemd-run --quiet --unit=other python3 -m http.server 8081")
    on("echo 'server { listen 8081; }' >/etc/nginx/conf.d/other.conf")
    on("echo '# edited' >>/etc/nginx/sites-enabled/hostwright-hello.conf")
    for _ in range(2):
        text = shop.inv("provision", code=1).out
        print(text)
        said = _flat(text)
        assert "nginx did not take its new configuration and goes on with the old one" in said, said
        assert "bind() to 0.0.0.0:8081 failed (98: Address already in use)" in said, said
        assert "It stays pending: the next run tries again." in said, said
    on("systemctl stop other")
    said = shop.inv("provision").out
    assert re.search(r"! reload +nginx", said), said
    on("ss -tln | grep -q :8081")


def _flat(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())
