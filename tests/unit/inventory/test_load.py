from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hostwright.errors import InventoryError
from hostwright.inventory import App, FromEnv, HealthCheck, Host, Limits, load
from tests.unit.inventory.conftest import Loader

EXAMPLE = Path(__file__).parents[3] / "inventory.yaml"


def test_the_example_describes_the_sample_app() -> None:
    inventory = load(EXAMPLE, {})
    app = inventory.apps["hello"]
    assert inventory.project == "hostwright-example"
    assert (app.source, app.directory, app.module) == (str(EXAMPLE.parent), ".", "app.main:app")
    assert (app.requirements, app.health.path, app.health.expect) == ("app/requirements.txt", "/health", 200)
    assert dict(app.env) == {"HELLO_GREETING": "Hello from Hostwright"}
    assert (EXAMPLE.parent / app.requirements).is_file()
    assert dict(inventory.hosts) == {}


def test_the_examples_comments_are_valid_too(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^( *)# ( *\w+:( .*)?)$", r"\1\2", EXAMPLE.read_text())
    text = text.replace("SHA256:...", "SHA256:" + "a" * 43)
    (tmp_path / "inventory.yaml").write_text(text)
    inventory = load(tmp_path / "inventory.yaml", {})
    host = inventory.hosts["web1"]
    assert (host.address, host.groups, host.apps, host.user) == (
        "203.0.113.10",
        ("production",),
        ("hello",),
        "deploy",
    )
    assert inventory.defaults.model_fields_set >= {
        "jump",
        "host_key",
        "sudo_password",
        "timezone",
        "packages",
    }
    app = inventory.apps["hello"]
    assert app.model_fields_set >= {"ref", "env_file", "build_env", "workers", "limits", "release_command"}
    assert set(app.env) == {"HELLO_GREETING", "HELLO_LOG_LEVEL", "DATABASE_URL"}


def test_defaults(inventory_of: Loader) -> None:
    inventory = inventory_of("apps: {hello: {module: 'app.main:app'}}\nhosts: {web1: }\n")
    assert inventory.hosts["web1"] == Host(name="web1", address="web1", apps=("hello",))
    host = inventory.hosts["web1"]
    assert (host.port, host.user, host.connect_timeout, host.sudo_password) == (22, "ubuntu", 10, None)
    app = inventory.apps["hello"]
    assert app.model_copy(update={"source": "."}) == App(name="hello", module="app.main:app")
    assert app.health == HealthCheck(path="/health", expect=200, timeout=30, window=2, interval=0.2)
    assert (app.keep_releases, app.workers, app.drain, app.limits) == (
        5,
        None,
        30,
        Limits(memory=None, tasks=None, cpu=None),
    )
    assert (app.requirements, app.client_max_body_size, app.domains, app.release_argv) == (
        "requirements.txt", "25m", (), (),
    )  # fmt: skip


def test_the_more_particular_key_wins(inventory_of: Loader) -> None:
    inventory = inventory_of(
        """
        defaults: {user: a, port: 1, jump: bastion, packages: [one, two], groups: [blue]}
        apps: {hello: {module: "a:b"}}
        groups:
          blue: {user: b, connect_timeout: 3}
          green: {user: c, packages: [three], apps: []}
        hosts:
          web1: {address: 203.0.113.1}
          web2: {address: 203.0.113.2, groups: [blue, green], port: 2}
          web3: {address: 203.0.113.3, groups: [green, blue], user: d, jump: null}
          web4: {address: 203.0.113.4, groups: []}
        """
    )
    seen = {
        name: (host.user, host.port, host.jump, host.packages, host.groups, host.connect_timeout, host.apps)
        for name, host in inventory.hosts.items()
    }
    assert seen == {
        "web1": ("b", 1, "bastion", ("one", "two"), ("blue",), 3, ("hello",)),
        "web2": ("c", 2, "bastion", ("three",), ("blue", "green"), 3, ()),
        "web3": ("d", 1, None, ("three",), ("green", "blue"), 3, ()),
        "web4": ("a", 1, "bastion", ("one", "two"), (), 10, ("hello",)),
    }
    assert dict(inventory.groups) == {"blue": ("web1", "web2", "web3"), "green": ("web2", "web3")}


def test_what_the_file_says_can_be_told_from_defaults(inventory_of: Loader) -> None:
    host = inventory_of("hosts: {web1: {port: 22}}").hosts["web1"]
    assert "port" in host.model_fields_set
    assert "user" not in host.model_fields_set


def test_groups_are_labels_without_a_groups_section(inventory_of: Loader) -> None:
    inventory = inventory_of("hosts: {web1: {groups: [production]}, web2: {groups: [production, eu]}}")
    assert dict(inventory.groups) == {"production": ("web1", "web2"), "eu": ("web2",)}


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir("/")
    (tmp_path / "inventory.yaml").write_text(
        """
        defaults: {identity_file: keys/id}
        apps:
          one: {module: "a:b", source: ../shop, env_file: .env, domains: [a.example.com]}
          two: {module: "a:b", source: ~/shop, env_file: /etc/shop.env}
        hosts: {web1: {identity_file: ~/.ssh/id}, web2: {}, web3: {identity_file: /k/id}, web4: {identity_file: null}}
        """
    )
    inventory = load(tmp_path / "inventory.yaml", {})
    assert [host.identity_file for host in inventory.hosts.values()] == [
        Path("/home/someone/.ssh/id"), tmp_path / "keys/id", Path("/k/id"), None,
    ]  # fmt: skip
    assert inventory.apps["one"].source == str(tmp_path / "../shop")
    assert inventory.apps["one"].env_file == tmp_path / ".env"
    assert inventory.apps["two"].source == "/home/someone/shop"
    assert inventory.apps["two"].env_file == Path("/etc/shop.env")
    assert inventory.defaults.identity_file == tmp_path / "keys/id"
    assert inventory.base == tmp_path


@pytest.mark.parametrize(
    ("source", "is_url"),
    [
        (".", False),
        ("../a:b", False),
        ("user/repo", False),
        ("https://git.example.com/x.git", True),
        ("ssh://git@git.example.com:2222/x.git", True),
        ("git@git.example.com:x/y.git", True),
        ("file:///srv/git/x.git", True),
    ],
)
def test_sources(inventory_of: Loader, source: str, is_url: bool) -> None:
    app = inventory_of(f"apps: {{x-y: {{module: 'a:b', source: '{source}'}}}}").apps["x-y"]
    assert app.is_git_url is is_url
    assert app.source == (source if is_url else str(Path.cwd() / source))


def test_yaml_that_is_written_as_it_comes(inventory_of: Loader) -> None:
    inventory = inventory_of(
        """
        apps:
          hello:
            module: app:create_app()
            interface: wsgi
            domains: [Hello.Example.COM., "*.example.org"]
            requirements: ./deploy//requirements.txt
            release_command: python -c 'print("a b")' --x="1 2"
            health: {path: "/health?full=1", window: 0.5}
            limits: {memory: 512M, tasks: 64}
            forward_agent: yes
            source: git@git.example.com:x.git
            ref: release/1.2
            env: {A: 022, B: 1.10, C: 2024-01-01, D: 1e3, E: "", F: ünï, NO: "x", 'ON': y, G: 12:30, H: -1, I: "a\\nb"}
        hosts: {1: {address: "::1", host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA comment"}}
        """.replace(" AAAAC3NzaC1lZDI1NTE5AAAAIAAA", " AAAAC3NzaC1lZDI1NTE5AAAA")
    )
    app = inventory.apps["hello"]
    assert app.domains == ("hello.example.com", "*.example.org")
    assert app.requirements == "deploy/requirements.txt"
    assert app.release_argv == ("python", "-c", 'print("a b")', "--x=1 2")
    assert app.forward_agent is True
    assert dict(app.env) == {
        "A": "022", "B": "1.10", "C": "2024-01-01", "D": "1e3", "E": "", "F": "ünï", "NO": "x", "ON": "y",
        "G": "12:30", "H": "-1", "I": "a\nb",
    }  # fmt: skip
    assert inventory.hosts["1"].host_key == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"


def test_empty_sections(inventory_of: Loader) -> None:
    inventory = inventory_of(
        "defaults:\napps:\n  a: {module: 'a:b', env: , domains: , health: , limits: }\ngroups:\nhosts:\n"
    )
    assert (dict(inventory.hosts), dict(inventory.groups), list(inventory.apps)) == ({}, {}, ["a"])
    assert inventory.apps["a"].health == HealthCheck()


def test_anchors_and_merge_keys(inventory_of: Loader) -> None:
    inventory = inventory_of(
        """
        x-web: &web {user: a, port: 1}
        x-slow: &slow {connect_timeout: 60, port: 2}
        hosts:
          one: {<<: *web, address: 203.0.113.1}
          two: {<<: [*web, *slow], user: b}
          three: &three {<<: *slow, port: 3}
          four: *three
        """
    )
    seen = {name: (host.user, host.port, host.connect_timeout) for name, host in inventory.hosts.items()}
    assert seen == {
        "one": ("a", 1, 10),
        "two": ("b", 1, 60),
        "three": ("ubuntu", 3, 60),
        "four": ("ubuntu", 3, 60),
    }


@pytest.mark.parametrize(
    ("folder", "project"),
    [("shop", "shop"), ("My Shop (new)", "My-Shop-new"), ("...", "project"), ("été", "t")],
)
def test_the_project_is_named_after_the_directory(tmp_path: Path, folder: str, project: str) -> None:
    directory = tmp_path / "x" / folder
    directory.mkdir(parents=True)
    (directory / "inventory.yaml").write_text("hosts: {}\n")
    assert load(directory / "inventory.yaml", {}).project == project


def test_the_version_fits(inventory_of: Loader) -> None:
    assert inventory_of('hostwright: ">=0.1,<9"')


def test_jump_hosts(inventory_of: Loader) -> None:
    inventory = inventory_of(
        "hosts: {bastion: {user: j}, web1: {jump: bastion}, web2: {jump: me@192.0.2.1:2222}}"
    )
    assert inventory.jump_host(inventory.hosts["web1"]) == inventory.hosts["bastion"]
    assert inventory.jump_host(inventory.hosts["web2"]) is None
    assert inventory.jump_host(inventory.hosts["bastion"]) is None


def test_nothing_changes(inventory_of: Loader) -> None:
    inventory = inventory_of(
        "apps: {a: {module: 'a:b', env: {A: x, B: {from_env: B}}}}\nhosts: {h: {groups: [g]}}"
    )
    app, host = inventory.apps["a"], inventory.hosts["h"]
    with pytest.raises(FrozenInstanceError):
        inventory.project = "x"  # type: ignore[misc]
    for model in (app, host, app.health, app.env["B"]):
        assert isinstance(model, (App, Host, HealthCheck, FromEnv))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, next(iter(type(model).model_fields)), "x")
    changes: list[Callable[[Any], object]] = [
        lambda m: m.update(x=1),
        lambda m: m.pop("a"),
        lambda m: m.popitem(),
        lambda m: m.setdefault("x", 1),
        lambda m: m.clear(),
        lambda m: m.__setitem__("x", 1),
        lambda m: m.__delitem__("a"),
        lambda m: m.__ior__({"x": 1}),
    ]
    for mapping in (inventory.apps, inventory.hosts, inventory.groups, app.env):
        for change in changes:
            with pytest.raises(TypeError, match="a loaded inventory does not change"):
                change(mapping)
    assert len({app, copy.deepcopy(app)}) == 1
    assert len({host, host.model_copy(update={"port": 2})}) == 2


def test_an_app_can_be_written_as_json_without_a_secret(inventory_of: Loader) -> None:
    app = inventory_of(
        "apps: {a: {module: 'a:b', env: {TOKEN: {from_env: TOKEN}}}}", {"TOKEN": "hunter2"}
    ).apps["a"]
    text = app.model_dump_json()
    assert '"env":{"TOKEN":{"from_env":"TOKEN"}}' in text
    assert "hunter2" not in text
    assert "places" not in text


def test_five_hundred_hosts(inventory_of: Loader) -> None:
    hosts = "".join(
        f"  web{n}: {{address: 10.0.{n // 250}.{n % 250 + 1}, groups: [g{n % 7}]}}\n" for n in range(500)
    )
    inventory = inventory_of(f"apps: {{a: {{module: 'a:b'}}}}\ndefaults: {{user: deploy}}\nhosts:\n{hosts}")
    assert len(inventory.hosts) == 500
    assert inventory.hosts["web499"].address == "10.0.1.250"


def test_importing_it_is_cheap() -> None:
    heavy = "fabric paramiko invoke jinja2 rich dotenv packaging pytest"
    code = f"import sys, hostwright.inventory; print([m for m in {heavy.split()!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_problems_do_not_hide_each_other(inventory_of: Loader) -> None:
    with pytest.raises(InventoryError) as caught:
        inventory_of("hosts: {a: {port: x, apps: [y]}, a: {}}\nappps: {}\nhostwright: '>=3'\n")
    assert [problem.split("  ")[1].split(":")[0] for problem in caught.value.problems] == [
        "hosts.a.port", "hosts.a.apps[0]", "hosts.a", "appps", "hostwright",
    ]  # fmt: skip
