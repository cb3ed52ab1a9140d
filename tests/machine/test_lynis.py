"""lynis judges a hardened server: only what docs/hardening.md names is left, and the number does not fall."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import SUITES, FreshServer
from .project import ROOT, sh
from .tiny import Tiny

pytestmark = pytest.mark.long

LEAST = 76
DOCUMENT = ROOT / "docs" / "hardening.md"
INSTALL = "apt-get -qq update && apt-get -qqy install --no-install-recommends lynis >/dev/null 2>&1"
AUDIT = "lynis audit system --quick --no-colors >/dev/null 2>&1; cat /var/log/lynis-report.dat"
# a row of the document's table: | DEB-0280 | why it is left |
ROW = re.compile(r"^\| ([A-Z]+(?:-[0-9]+)?) \| .{20,} \|$", re.MULTILINE)
FINDING = re.compile(r"^(?:warning|suggestion)\[\]=([^|]+)\|", re.MULTILINE)


def allowed() -> set[str]:
    """Findings that the document gives a reason for."""
    return set(ROW.findall(DOCUMENT.read_text(encoding="utf-8")))


def report(sandbox: Sandbox, server: Server) -> str:
    sh(sandbox, server, INSTALL, timeout=300)
    return sh(sandbox, server, AUDIT, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_lynis(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str) -> None:
    server = fresh_server("lynis", suite)
    project = Tiny(tmp_path, server, sandbox)
    project.edit_inventory(
        "hardening: off", "hardening: on, hostname: tiny.example.com, update_packages: false"
    )
    project.edit_inventory(
        "    workers: 2\n", "    workers: 2\n    domains: [tiny.example.com]\n    tls: selfsigned\n"
    )
    project.inv("provision")
    again = project.inv("provision")
    assert " 0 changed, " in again.out, str(again)
    found = report(sandbox, server)
    (index,) = re.findall(r"^hardening_index=([0-9]+)$", found, re.MULTILINE)
    findings = [line for line in found.splitlines() if FINDING.match(line)]
    print(f"{suite}: lynis {index}", *findings, sep="\n")
    assert set(FINDING.findall(found)) - allowed() == set()
    assert int(index) >= LEAST
