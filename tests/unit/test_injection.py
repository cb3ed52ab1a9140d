"""Whatever an inventory holds: an error before anything is contacted, or the exact value in files of the same shape.

Values are drawn into an inventory that uses everything. What is accepted is rendered: all that provision writes, and
a release. Then the shape of each file is compared with that of a harmless inventory: the same directives in the same
blocks, the same keys in the same sections, the same Python but for its constants. No value can add a line, close a
block, leave a quote or become an option.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hostwright.errors import HostwrightError, InventoryError, UsageError
from hostwright.inventory import App, Host, Inventory, Secret, load
from hostwright.inventory.tls_material import materials
from hostwright.recipes.provision import catalog
from hostwright.recipes.release import Release, deploy_fields, release_message
from hostwright.recipes.render import renderer
from hostwright.remote.features import Features, fit
from hostwright.remote.nginx_sites import statements
from hostwright.remote.resources.base import Resource, Unknown
from hostwright.remote.resources.file import File
from hostwright.testing.system import FakeSystem

ENVIRON = {"SECRET_HERE": "c2VjcmV0"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr ann@laptop"
RELEASE = Release("20261121t141502000-4f2c1d9", "4f2c1d9" * 5 + "4f2c1", "A subject")
# what provision may write, and nothing else
TREES = (
    *("/etc/", "/opt/hostwright", "/opt/certbot", "/srv/", "/run/", "/var/lib/", "/var/www/hostwright"),
    *("/var/log/", "/usr/local/", "/home/", "/swapfile"),
)
PATHS = {
    "file",
    "directory",
    "symlink",
    "virtual_environment",
    "absent",
    "set_aside",
    "self_signed",
    "ssh_key",
}

DOCUMENT: dict[str, Any] = {
    "project": "shop",
    "apps": {
        "shop": {
            "source": "https://git.example.org/shop.git",
            "ref": "main",
            "directory": "web",
            "module": "app.main:app",
            "requirements": "web/requirements.txt",
            "domains": ["shop.example.org", "www.shop.example.org"],
            "health": {"path": "/health", "contains": "fine"},
            "release_command": "alembic upgrade head",
            "build_command": "make assets",
            "static": {"/static": "static"},
            "shared": ["uploads/pictures"],
            "processes": {"worker": "celery -A app worker"},
            "timers": {"nightly": {"command": "python -m app.nightly", "calendar": "hourly"}},
            "env": {"GREETING": "hello"},
            "build_env": {"INDEX": "none"},
            "client_max_body_size": "25m",
            "limits": {"memory": "512M"},
            "tls": {
                "email": "ops@example.org",
                "profile": "classic",
                "dns": {"auth": "auth.sh", "env": {"TOKEN": "abc"}},
                "eab": {"kid": "kid-1", "hmac_key": {"from_env": "SECRET_HERE"}},
            },
            "nginx": {
                "canonical": "shop.example.org",
                "headers": {"X-Custom": "DENY"},
                "csp": "default-src 'self'",
                "rate_limits": {"/login": "5r/m"},
                "trusted_proxies": ["10.0.0.0/8"],
                "real_ip_header": "X-Real-IP",
            },
        },
    },
    "hosts": {
        "web1": {
            "address": "203.0.113.9",
            "user": "deploy",
            "bootstrap_user": "admin",
            "timezone": "Etc/UTC",
            "locale": "C.UTF-8",
            "hostname": "web1.example.org",
            "packages": ["libpq5"],
            "users": {"ann": {"keys": [KEY], "sudo": True}},
            "firewall": {"allow": ["8443"], "ssh_from": ["192.0.2.0/24"]},
        },
    },
}
# place in the document, and a harmless value there; "KEY" in a place: the key of the mapping is drawn
FIELDS: dict[str, tuple[Any, ...]] = {
    "source": ("apps", "shop", "source"),
    "ref": ("apps", "shop", "ref"),
    "directory": ("apps", "shop", "directory"),
    "module": ("apps", "shop", "module"),
    "requirements": ("apps", "shop", "requirements"),
    "domain": ("apps", "shop", "domains", 1),
    "health.path": ("apps", "shop", "health", "path"),
    "health.contains": ("apps", "shop", "health", "contains"),
    "release_command": ("apps", "shop", "release_command"),
    "build_command": ("apps", "shop", "build_command"),
    "static": ("apps", "shop", "static", "/static"),
    "shared": ("apps", "shop", "shared", 0),
    "process": ("apps", "shop", "processes", "worker"),
    "job": ("apps", "shop", "timers", "nightly", "command"),
    "calendar": ("apps", "shop", "timers", "nightly", "calendar"),
    "env": ("apps", "shop", "env", "GREETING"),
    "build_env": ("apps", "shop", "build_env", "INDEX"),
    "body": ("apps", "shop", "client_max_body_size"),
    "memory": ("apps", "shop", "limits", "memory"),
    "email": ("apps", "shop", "tls", "email"),
    "profile": ("apps", "shop", "tls", "profile"),
    "issuer": ("apps", "shop", "tls", "issuer"),
    "dns.env": ("apps", "shop", "tls", "dns", "env", "TOKEN"),
    "eab.kid": ("apps", "shop", "tls", "eab", "kid"),
    "header": ("apps", "shop", "nginx", "headers", "X-Custom"),
    "csp": ("apps", "shop", "nginx", "csp"),
    "rate": ("apps", "shop", "nginx", "rate_limits", "/login"),
    "proxy": ("apps", "shop", "nginx", "trusted_proxies", 0),
    "real_ip_header": ("apps", "shop", "nginx", "real_ip_header"),
    "address": ("hosts", "web1", "address"),
    "user": ("hosts", "web1", "user"),
    "timezone": ("hosts", "web1", "timezone"),
    "locale": ("hosts", "web1", "locale"),
    "hostname": ("hosts", "web1", "hostname"),
    "package": ("hosts", "web1", "packages", 0),
    "key": ("hosts", "web1", "users", "ann", "keys", 0),
    "allow": ("hosts", "web1", "firewall", "allow", 0),
    "ssh_from": ("hosts", "web1", "firewall", "ssh_from", 0),
    "app KEY": ("apps", "shop"),
    "process KEY": ("apps", "shop", "processes", "worker"),
    "timer KEY": ("apps", "shop", "timers", "nightly"),
    "variable KEY": ("apps", "shop", "env", "GREETING"),
    "static KEY": ("apps", "shop", "static", "/static"),
    "header KEY": ("apps", "shop", "nginx", "headers", "X-Custom"),
    "rate KEY": ("apps", "shop", "nginx", "rate_limits", "/login"),
    "user KEY": ("hosts", "web1", "users", "ann"),
    "host KEY": ("hosts", "web1"),
}
PAYLOADS = (
    *("$(touch /tmp/canary)", "`touch /tmp/canary`", "; touch /tmp/canary", "| touch /tmp/canary"),
    *("&& touch /tmp/canary", "'; touch /tmp/canary; '", '"; touch /tmp/canary; "', "\n touch /tmp/canary\n"),
    *(
        "\r\nX-Evil: 1",
        "\nExecStart=/bin/id",
        "; return 200;",
        "} server { listen 81; }",
        '"; add_header X y; "',
    ),
    *(
        "$host",
        "${HOME}",
        "$$",
        "%h",
        "%%",
        "%n",
        "%i",
        "../../etc/passwd",
        "/../x",
        "..",
        "/etc/passwd",
        "~root",
    ),
    *(
        "-oProxyCommand=id",
        "--config=/tmp/x",
        "-",
        "--",
        "{{ 7 * 7 }}",
        "{% include '/etc/passwd' %}",
        "{# x #}",
    ),
    *(
        "#?nope",
        " #?{ nginx>=1",
        "#?}",
        "# x",
        "#",
        "\\",
        "\\\n",
        '\\"',
        "\0",
        "\x1b]0;x\x07",
        "\x7f",
        "\u2028",
    ),
    *("\u202e", "\u00e9", "\U0001f642", "\u0661", "ALL", "%wheel", "root", "a b", " ", "\t", "x" * 100_000),
    *(
        "'",
        '"',
        "'''",
        '"""',
        "\\x41",
        "\\u0041",
        "@reboot",
        "[Service]",
        "*",
        "?",
        "!",
        "=",
        ":",
        ",",
        "none",
    ),
)


@st.composite
def hostile(draw: st.DrawFn, harmless: str) -> str:
    """Something drawn, alone or somewhere in a value that is fine."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    part = draw(
        st.sampled_from(PAYLOADS)
        | text
        | st.from_regex(r"[a-z0-9./:;$(){}|<>'\"\\ %#@=*+-]{1,20}", fullmatch=True)
    )
    at = draw(st.sampled_from(["alone", "before", "after", "inside"]))
    middle = len(harmless) // 2
    return {
        "alone": part,
        "before": part + harmless,
        "after": harmless + part,
        "inside": harmless[:middle] + part + harmless[middle:],
    }[at]


def place(document: dict[str, Any], field: str, value: str) -> None:
    """Put a value, or a key, into the document; nothing where another one has taken its place."""
    holder, path = document, FIELDS[field]
    for step in path[:-1]:
        if isinstance(holder, dict) and step not in holder:
            return
        holder = holder[step]
    if field.endswith(" KEY"):
        if path[-1] in holder:
            holder[value] = holder.pop(path[-1])
    elif isinstance(holder, list) or path[-1] in holder or path[-1] == "issuer":
        holder[path[-1]] = value


def harmless(field: str) -> str:
    value: Any = DOCUMENT
    for step in FIELDS[field][:-1]:
        value = value[step]
    last = FIELDS[field][-1]
    if field.endswith(" KEY"):
        return str(last)
    return "https://ca.example.org/dir" if field == "issuer" else str(value[last])


@st.composite
def drawn(draw: st.DrawFn) -> dict[str, str]:
    """Field -> value, of one field or some."""
    fields = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True))
    return {field: draw(hostile(harmless(field))) for field in fields}


# -- rendering ---------------------------------------------------------------------------------------------------


@dataclass
class Rendered:
    """Everything that would be sent to a server."""

    inventory: Inventory
    app: App
    host: Host
    resources: list[Resource]
    release: dict[str, Any]
    request: dict[str, Any]

    @property
    def files(self) -> dict[str, str]:
        """path -> content as the server gets it."""
        found: dict[str, str] = {}
        for one in self.resources:
            if isinstance(one, File):
                for path, text in {one.name: one.content, **(one.parts or {})}.items():
                    found[path] = fit(text, holds) if one.conditional and text else text
        folder = f"/srv/{self.app.name}/releases/{RELEASE.id}/"
        found.update({folder + name: about["content"] for name, about in self.release["files"].items()})
        return found


@cache
def holds(conditions: str) -> bool:
    """Every condition that a server knows is true; another one is an error there, and here."""
    server = Features(FakeSystem())
    for word in conditions.split():
        for one in word.split("|"):
            with suppress(Unknown):
                server.hold(one)
    return True


def rendered(file: Path, document: Mapping[str, Any]) -> Rendered | None:
    """None: refused, with words."""
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    try:
        inventory = load(file, ENVIRON)
        host, app = next(iter(inventory.hosts.values())), next(iter(inventory.apps.values()))
        wanted = catalog(
            inventory, host, renderer(file.parent), KEY, materials(inventory, host, ENVIRON), authorized(host)
        )
        env = app.resolve_env(ENVIRON, inventory.base)
    except UsageError as error:
        told(error)
        return None
    source = {"kind": "git", "url": app.source, "ref": app.ref, "prefix": "."}
    request = deploy_fields(app, host, source, app.resolve_build_env(ENVIRON))
    release = release_message(app, host, RELEASE, env, renderer(file.parent))
    return Rendered(inventory, app, host, list(wanted.resources), release, request)


def authorized(host: Host) -> dict[str, list[str]]:
    """The keys of its users that stand in the file; others are fetched first."""
    return {name: [key for key in user.keys if isinstance(key, str)] for name, user in host.users.items()}


def told(error: HostwrightError) -> None:
    """An error that a person can read: one line each, nothing that plays tricks on a terminal."""
    for problem in error.problems if isinstance(error, InventoryError) else (error.message,):
        assert problem.strip()
        assert problem.isprintable(), problem
        assert len(problem) < 2000, problem[:200]


# -- shapes --------------------------------------------------------------------------------------------------------


def shape(found: Rendered) -> Counter[Any]:
    """What must be the same whatever the values are."""
    counted: Counter[Any] = Counter()
    for path, text in found.files.items():
        counted.update((kind(path), *part) for part in parts(path, text))
    # a shared directory has as many above it as its path says
    counted.update(("resource", one.kind) for one in found.resources if one.kind != "directory")
    return counted


def kind(path: str) -> str:
    """A file without the names that the inventory gives."""
    if path.startswith("/etc/nginx"):
        return "nginx"
    if re.search(r"\.(service|socket|timer|conf)\Z", path) and ("systemd" in path or "/units/" in path):
        return "unit"
    return path if path.startswith(("/etc/fail2ban", "/etc/ssh", "/etc/apt", "/opt")) else "file"


def parts(path: str, text: str) -> Iterator[tuple[Any, ...]]:
    assert "\0" not in text, path
    if kind(path) == "nginx":
        yield from nginx(path, text)
    elif kind(path) == "unit":
        yield from unit(text)
    elif path.endswith(".py"):
        yield ("python", masked(text))
    elif path.endswith("/env"):
        yield ("env", len(environment(text)) if path.startswith("/srv") else len(shlex.split(text)))
    else:
        yield ("lines", len(re.split(r"[\n\r]", text)))


def nginx(path: str, text: str) -> Iterator[tuple[Any, ...]]:
    """The directives with the names of the blocks around them; in a map what stands first is a value."""
    depth = 0
    for blocks, words in statements(text):
        depth = len(blocks)
        in_map = blocks[-1:] in (["map"], ["geo"])
        # a list of names or of addresses may have any length
        size = 0 if words[0] in ("server_name", "allow", "include", "if") else len(words)
        yield (*blocks, "*" if in_map else words[0], size)
    assert depth <= 8, path
    unquoted = re.sub(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\\.", "", text, flags=re.DOTALL)
    assert unquoted.count("{") == unquoted.count("}"), path
    assert '"' not in unquoted, path
    assert "'" not in unquoted, path


def unit(text: str) -> Iterator[tuple[Any, ...]]:
    """(section, key) of each line, as systemd.syntax(7) joins and reads them."""
    section = ""
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.split("\n"):
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = line
            yield (section,)
            continue
        assert "=" in line, line
        yield (section, line.partition("=")[0])


def masked(text: str) -> str:
    """A program without its constants."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = "*"
            node.kind = None
    return ast.dump(tree)


def environment(text: str) -> dict[str, str]:
    """systemd.exec(5), EnvironmentFile=, read by the letter: double quotes, and a backslash before \\ " ` $."""
    found, at = {}, 0
    while at < len(text):
        name, _, _ = text[at:].partition("=")
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name), name
        at += len(name) + 1
        assert text[at] == '"'
        at += 1
        value = []
        while text[at] != '"':
            if text[at] == "\\" and text[at + 1] in '\\"`$':
                at += 1
            value.append(text[at])
            at += 1
        assert text[at : at + 2] == '"\n'
        at += 2
        found[name] = "".join(value)
    return found


def exec_words(text: str) -> list[list[str]]:
    """The words of each ExecStart= after `env --`: quotes, backslashes, %% and $$ undone (systemd.service(5))."""
    found = []
    for line in text.split("\n"):
        if line.startswith("ExecStart=/usr/bin/env -- "):
            rest, words = line.partition(" -- ")[2], []
            while rest:
                match = re.match(r'"((?:[^"\\]|\\.)*)"(?: |\Z)', rest)
                assert match, rest
                word = re.sub(r"\\(.)", r"\1", match[1])
                assert not re.search(r"(?<!%)%(?:%%)*(?!%)", word), word
                words.append(word.replace("%%", "%").replace("$$", "$"))
                rest = rest[match.end() :]
            found.append(words)
    return found


# -- what is asserted ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("injection")
    (folder / "auth.sh").write_text("#!/bin/sh\n")
    return folder / "inventory.yaml"


@pytest.fixture(scope="module")
def usual(file: Path) -> Counter[Any]:
    found = rendered(file, DOCUMENT)
    assert found is not None
    assert "units/extra/shop.nightly.timer" in found.release["files"]
    return shape(found)


def check(found: Rendered, usual: Counter[Any]) -> None:
    app, env = found.app, found.app.resolve_env(ENVIRON, found.inventory.base)
    # nothing leaves our trees
    for one in found.resources:
        if one.kind in PATHS:
            assert one.name.startswith(TREES), one.name
            assert os.path.normpath(one.name) == one.name, one.name
            assert one.name.isprintable(), one.name
    for name in found.release["files"]:
        assert re.fullmatch(r"[A-Za-z0-9@._/-]+", name), name
        assert ".." not in name
    # no file has another shape
    now = shape(found)
    assert now == usual, (now - usual, usual - now)
    # the exact values arrive
    folder = f"/srv/{app.name}/releases/{RELEASE.id}/"
    values = environment(found.files[folder + "env"])
    assert {name: value for name, value in values.items() if not name.startswith("HOSTWRIGHT_")} == {
        name: value.reveal() if isinstance(value, Secret) else value for name, value in env.items()
    }
    wanted = [shlex.split(one.command) for one in (*app.processes.values(), *app.timers.values())]
    commands = [words for text in found.release["files"].values() for words in exec_words(text["content"])]
    assert sorted(commands) == sorted(wanted)
    assert found.request["release_command"] == shlex.split(app.release_command or "")
    for text in (text for path, text in found.files.items() if "/sudoers" in path):
        assert re.fullmatch(
            r"(#[^\n]*\n)*(?!ALL|[A-Z][A-Z0-9_]*\s)[A-Za-z_][A-Za-z0-9_.-]* ALL=\(ALL(:ALL)?\) NOPASSWD:\s?ALL\n",
            text,
        ), text
    # everything can be sent
    json.dumps([one.to_wire() for one in found.resources])
    json.dumps([found.release, found.request])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(values=drawn())
@example(values={"header": "x #?nope"})
@example(values={"csp": "default-src 'self' #?{ ipv6"})
@example(values={"calendar": "hourly\\"})
@example(values={"user": "ALL"})
@example(values={"user KEY": "ADMINS"})
@example(values={"package": "sudo-"})
@example(values={"email": "-x@example.org"})
@example(values={"eab.kid": "kid # [x]"})
@example(values={"env": "x" * 100_000})
@example(values={"dns.env": "a'b\n$(id)"})
@example(values={"process": "sh -c 'a && $b %i \"c\" \\ \u00e9'"})
@example(values={"shared": "a b; $(id)"})
@example(values={"ref": "a;id"})
def test_no_value_breaks_a_file(file: Path, usual: Counter[Any], values: dict[str, str]) -> None:
    document = deepcopy(DOCUMENT)
    for field, value in values.items():
        place(document, field, value)
    found = rendered(file, document)
    if found is not None:
        check(found, usual)


SHORT = [payload for payload in PAYLOADS if len(payload) < 1000]
LARGE = ("env", "dns.env", "process", "health.contains", "csp", "user", "ref")
VALUES = sorted(field for field in FIELDS if not field.endswith(" KEY"))
KEYS = sorted(set(FIELDS) - set(VALUES))


@pytest.mark.parametrize("payload", SHORT, ids=lambda payload: repr(payload)[:24])
def test_every_field_with_every_payload(file: Path, usual: Counter[Any], payload: str) -> None:
    """At once in all fields that take it, where each value is fine but for its end: most checks must see that."""
    fields = list(VALUES)
    while True:
        document = deepcopy(DOCUMENT)
        for field in fields:
            place(document, field, harmless(field) + payload)
        refused = [field for field in fields if field in problems(file, document)]
        if not refused:
            break
        fields = [field for field in fields if field not in refused]
    found = rendered(file, document)
    assert found is not None, problems(file, document)
    check(found, usual)


def problems(file: Path, document: Mapping[str, Any]) -> set[str]:
    """The fields that are complained about."""
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    try:
        inventory = load(file, ENVIRON)
        host = next(iter(inventory.hosts.values()))
        catalog(inventory, host, renderer(file.parent), KEY, None, authorized(host))
    except UsageError as error:
        told(error)
        places = re.sub(r"\[(\d+)\]", r".\1", str(error))
        named = {field for field in VALUES if ".".join(map(str, FIELDS[field])) in places}
        # a rule about two keys names the one above them; YAML itself names none
        return named or set(VALUES)
    return set()


@pytest.mark.parametrize("field", LARGE)
def test_a_hundred_kilobytes(file: Path, usual: Counter[Any], field: str) -> None:
    document = deepcopy(DOCUMENT)
    place(document, field, harmless(field) + "x" * 100_000)
    found = rendered(file, document)
    if found is not None:
        check(found, usual)


@pytest.mark.parametrize("field", KEYS)
def test_every_name_with_every_payload(file: Path, usual: Counter[Any], field: str) -> None:
    for payload in SHORT:
        document = deepcopy(DOCUMENT)
        place(document, field, harmless(field) + payload)
        found = rendered(file, document)
        if found is not None:
            check(found, usual)


REFUSED = [
    ("user", "ALL", 'sudo would read it as everybody'),
    ("user KEY", "ADMINS", "sudo would read it as"),
    ("package", "sudo-", "the name of a Debian package"),
    ("header", "a #?ipv6", "#?"),
    ("csp", "default-src 'self' #?{ ipv6", "#?"),
    ("calendar", "hourly\\", "systemd.time"),
    ("email", "-x@example.org", "expected an e-mail address"),
    ("eab.kid", "kid # [x]", "kid"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "words"), REFUSED, ids=lambda value: str(value)[:20])
def test_what_would_mean_something_is_refused_with_a_reason(
    file: Path, field: str, value: str, words: str
) -> None:
    document = deepcopy(DOCUMENT)
    place(document, field, value)
    file.write_text(yaml.safe_dump(document, allow_unicode=True))
    with pytest.raises(InventoryError) as error:
        load(file, ENVIRON)
    assert words in str(error.value)
    assert re.match(r".*inventory\.yaml:\d+:\d+  ", str(error.value))
