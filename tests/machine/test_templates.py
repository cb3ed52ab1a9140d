"""A project's own templates on a server: what is ejected changes nothing, an edit does, an old one is told."""

from __future__ import annotations

import re
from pathlib import Path

from hostwright.sandbox import Sandbox

from .conftest import FreshServer
from .project import Project, sh

SITE = "nginx/app.conf.j2"
TIMEOUT = "proxy_read_timeout {{ front.seconds(app.nginx.timeouts.read) }}"


def test_templates_of_a_project(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("brown-templates")
    shop = Project(tmp_path, server)
    shop.inv("provision")
    names = shop.inv("template.list").out.split()
    for name in names:
        shop.inv("template.eject", name)
    unchanged = shop.inv("provision").out
    assert re.search(r"web1 .*0 changed", unchanged), unchanged
    assert "overrides ours" not in unchanged

    path = shop.folder / "templates" / SITE
    text = path.read_text().replace(TIMEOUT, "proxy_read_timeout 77s")
    path.write_text(text)
    assert "1 changed" in shop.inv("provision").out
    sh(sandbox, server, "nginx -T 2>/dev/null | grep -q 'proxy_read_timeout 77s'")

    path.write_text(re.sub(r"original: \w+", "original: 0123456789ab", text))
    told = " ".join(shop.inv("provision").out.split())
    assert f"templates/{SITE} overrides ours, which has changed since: inv template.diff {SITE}" in told
    assert re.search(r"web1 .*0 changed", told), told
    shown = shop.inv("template.diff", SITE).out
    assert f"-{TIMEOUT};\n+proxy_read_timeout 77s;\n" in shown
    assert "Ours has changed since." in shown
    # what it says to write is what ends the notice
    path.write_text(re.sub(r"\{# original: \w+ #\}", re.findall(r"\{# original: \w+ #\}", shown)[-1], text))
    assert "overrides ours" not in shop.inv("provision").out
