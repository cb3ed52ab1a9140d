"""A project's own templates: made from ours, compared with ours, reported when ours have changed; and their docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hostwright.errors import HostwrightError, UsageError
from hostwright.inventory import Inventory, load
from hostwright.recipes import overrides as own
from hostwright.recipes.https import Https, Site
from hostwright.recipes.nginx import front, secure
from hostwright.recipes.provision import catalog
from hostwright.recipes.release import Release, release_message
from hostwright.recipes.render import renderer, templates
from hostwright.remote import events
from hostwright.report import Report
from hostwright.run.provision import tell_outdated
from hostwright.tasks import template

ROOT = Path(__file__).parents[2]
NAMES = own.names(templates())
SITE, APP = "nginx/site.conf.j2", "nginx/app.conf.j2"
DOCS = (ROOT / "docs" / "templates.md").read_text()


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEHWyqArxZn1jEboLM0pNStfO0hWOdzLcGmSr+8+sr2D"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder that is the current one."""
    (tmp_path / "inventory.yaml").write_text(
        "apps:\n  shop: {source: ., module: m:app, domains: [shop.example.com], processes: {worker: sh},"
        " timers: {nightly: {command: sh, calendar: daily}}}\n  blog: {source: ., module: m:app,"
        " nginx: {rate_limits: {/login: 5r/m}}}\n"
        'hosts: {web1: {address: 203.0.113.10, users: {ann: {keys: ["ssh-ed25519 '
        f'{KEY}"], sudo: true}}}}}}}}\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOSTWRIGHT_INVENTORY", raising=False)
    return tmp_path


def write(project: Path, text: str, name: str = SITE) -> Path:
    path = project / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def rendered(inventory: Inventory, render: Any) -> list[object]:
    """Everything that is rendered for the inventory's only host."""
    (host,) = inventory.hosts.values()
    release = Release("20261121t141502-4f2c1d9", "4f2c1d9" * 5, "a change")
    messages = [release_message(app, host, release, {}, render) for app in inventory.apps.values()]
    closed = render("nginx/closed.conf.j2")  # no host has both this and an app without domains
    shop = Site(inventory.apps["shop"], Https("/c.pem", "/k.pem", ("shop.example.com",)), ("192.0.2.7",))
    tls = [made.to_wire() for made in (*front([shop], render), *secure([shop], render))]
    return [catalog(inventory, host, render).to_wire(), messages, closed, tls]


class Recorder:
    """Renders, and keeps which names each template is given: always the same."""

    def __init__(self, project: Path) -> None:
        self.given: dict[str, set[str]] = {}
        self._render = renderer(project)
        self.has = self._render.has

    def __call__(self, name: str, /, **names: Any) -> str:
        assert self.given.setdefault(name, set(names)) == set(names)
        return self._render(name, **names)


# -- what is ejected -------------------------------------------------------------------------------------------


def test_what_is_ejected_renders_as_ours_does(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    inventory = load(project / "inventory.yaml", {})
    before = rendered(inventory, renderer(tmp_path_factory.mktemp("empty")))
    for name in NAMES:
        path, text = own.ejected(project, templates(), name)
        write(project, text, name)
        assert path == project / "templates" / name
    found = own.overrides(project, templates())
    assert [override.name for override in found] == NAMES
    assert not any(override.outdated or not override.made_from for override in found)
    assert rendered(inventory, renderer(project)) == before


def test_eject_writes_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template.eject.body(None, SITE)
    assert capsys.readouterr().out == f"wrote    templates/{SITE}\n"
    lines = (project / "templates" / SITE).read_text().splitlines(keepends=True)
    assert re.fullmatch(r"\{# original: [0-9a-f]{12} #\}\n", lines[0])
    assert "".join(lines[1:]) == (templates() / SITE).read_text()


@pytest.mark.parametrize(
    ("task", "name", "said"),
    [
        (
            template.eject,
            "nginx/sites.conf.j2",
            'there is no template nginx/sites.conf.j2. Did you mean "nginx/site.conf.j2"?\n'
            "  `inv template.list` lists them.",
        ),
        (template.eject, "../x.j2", "there is no template ../x.j2.\n  `inv template.list` lists them."),
        (template.eject, "--all", "usage: inv template.eject NAME"),
        (template.diff, None, "usage: inv template.diff NAME"),
        (template.diff, "x", "there is no template x.\n  `inv template.list` lists them."),
        (
            template.eject,
            "nginx/nginx.conf.j2",
            "templates/nginx/nginx.conf.j2 is there already\n"
            "  How it differs from ours: inv template.diff nginx/nginx.conf.j2",
        ),
        (
            template.diff,
            SITE,
            f"this project has no templates/{SITE} of its own\n  Make one: inv template.eject {SITE}",
        ),
    ],
)
def test_what_users_get_wrong(
    project: Path, task: Any, name: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = write(project, "mine\n", "nginx/nginx.conf.j2")
    with pytest.raises(SystemExit) as end:
        task.body(None, name)
    assert end.value.code == 2
    assert capsys.readouterr().err == said + "\n"
    assert kept.read_text() == "mine\n"


def test_in_hostwrights_own_repository_the_originals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert own.overrides(ROOT, templates()) == []
    with pytest.raises(UsageError, match="is the original; there is nothing to override here"):
        own.ejected(ROOT, templates(), SITE)


def test_a_template_that_cannot_be_read(project: Path) -> None:
    write(project, "").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"site\.conf\.j2 cannot be read: 'utf-8' codec"):
        own.overrides(project, templates())


# -- ours has changed since ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "made_from"),
    [
        ("{# original: 0123456789ab #}\n", "0123456789ab"),
        ("{#- original: 0123456789ab -#}\n", "0123456789ab"),
        ("{#original:0123456789ab#}", "0123456789ab"),
        ("", ""),
        ("# {# original: 0123456789ab #}\n", ""),
        ("\n{# original: 0123456789ab #}\n", ""),
        ("{# original: 0123 #}\n", ""),
    ],
)
def test_the_first_line(first: str, made_from: str) -> None:
    assert own.made_from(first + "server {}\n") == made_from


class Heard:
    """An Output that keeps what the controller says."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def begin(self, hosts: object, title: str) -> None: ...
    def event(self, host: str, event: events.Event) -> None: ...
    def error(self, host: str, error: HostwrightError) -> None: ...
    def end(self, report: Report) -> None: ...
    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{own.mark('0' * 12)}\nold\n", True),
        (f"{own.mark(own.version((templates() / SITE).read_text()))}\nmine\n", False),
        ("mine\n", False),
    ],
)
def test_provision_tells_only_what_has_changed(project: Path, text: str, told: bool) -> None:
    write(project, text)
    write(project, f"{own.mark('0' * 12)}\n", "nginx/not-ours.conf.j2")
    heard = Heard()
    tell_outdated(load(project / "inventory.yaml", {}), heard)
    said = f"templates/{SITE} overrides ours, which has changed since: inv template.diff {SITE}"
    assert heard.notices == ([said] if told else [])


def test_diff(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = (templates() / SITE).read_text()
    changed = ours.replace("/redirect*.conf;", "/redirect.conf;")
    assert changed != ours
    now = own.mark(own.version(ours))

    write(project, f"{now}\n{changed}")
    template.diff.body(None, SITE)
    shown = capsys.readouterr()
    lines = [line for line in shown.out.splitlines() if line[0] in "+-"]
    assert lines == [
        f"--- hostwright/{SITE}",
        f"+++ templates/{SITE}",
        "-    include {{ front.folder }}/redirect*.conf;",
        "+    include {{ front.folder }}/redirect.conf;",
    ]
    assert shown.err == ""

    advice = f"Once it has what it needs of ours, make this its first line: {now}\n"
    write(project, f"{own.mark('0' * 12)}\n{ours}")
    template.diff.body(None, SITE)
    assert capsys.readouterr() == (
        f"templates/{SITE} is the same as ours\n",
        f"Ours has changed since. {advice}",
    )
    write(project, ours)
    template.diff.body(None, SITE)
    assert capsys.readouterr().err == f"Nobody knows from which of ours it was made. {advice}"


def test_list(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, f"{own.mark('0' * 12)}\n")
    write(project, "mine\n", "nginx/nginx.conf.j2")
    write(project, own.ejected(project, templates(), "nginx/closed.conf.j2")[1], "nginx/closed.conf.j2")
    template.list_.body(None)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    notes = {line.split()[0]: line.partition("  ")[2].strip() for line in lines}
    assert {name: note for name, note in notes.items() if note} == {
        "nginx/closed.conf.j2": "overridden",
        "nginx/nginx.conf.j2": "overridden; its first line does not say from which of ours",
        SITE: "overridden; ours has changed since",
    }


# -- docs/templates.md -----------------------------------------------------------------------------------------


def documented() -> dict[str, set[str]]:
    """Template -> the names it is given, as the table says."""
    rows = [line.strip("| ").split(" | ") for line in DOCS.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[2])) for row in rows if len(row) == 3}


def test_the_docs_name_every_template_and_what_it_is_given(project: Path) -> None:
    inventory = load(project / "inventory.yaml", {})
    recorder = Recorder(project)
    rendered(inventory, recorder)
    assert documented() == recorder.given
    assert sorted(recorder.given) == NAMES


def test_what_the_docs_say_of_names_is_so(project: Path) -> None:
    inventory = load(project / "inventory.yaml", {})
    values = {
        "app": inventory.apps["shop"],
        "host": inventory.hosts["web1"],
        "release": Release("id", "commit", "subject"),
    }
    paths = set(re.findall(r"`((?:app|host|release)\.[\w.]+)`", DOCS))
    for path in paths:
        name, *attributes = path.split(".")
        value: Any = values[name]
        for attribute in attributes:
            value = getattr(value, attribute)
    used = {
        found
        for name in NAMES
        for found in re.findall(
            r"\b((?:app|release)\.(?!local\b)[a-z_]+(?:\.[a-z_]+)?)", (templates() / name).read_text()
        )
        if found not in ("app.main", "app.service", "app.conf", "release.conf")
    }
    assert used <= paths


def test_the_example_of_the_docs_renders(project: Path) -> None:
    (example,) = re.findall(r"```\n(\{% if app.name == .*?)```", DOCS, re.DOTALL)
    ours = (templates() / APP).read_text()
    write(project, ours.replace("location / {\n", "location / {\n" + example), APP)
    shop = load(project / "inventory.yaml", {}).apps["shop"]

    def text(name: str) -> str:
        site = Site(shop.model_copy(update={"name": name}))
        return str([made.to_wire() for made in front([site], renderer(project))])

    assert "auth_basic_user_file" not in text("shop")
    assert 'location / {\\n    auth_basic "staging";\\n' in text("staging")
