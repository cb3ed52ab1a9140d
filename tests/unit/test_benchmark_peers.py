"""What the peers of the benchmarks are given: complete files, and the same for all. No server takes part."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from benchmarks.end_state import LEFT_OUT
from benchmarks.peers import PEERS
from benchmarks.peers.bash import EVERYWHERE
from benchmarks.peers.peer import Failed, Work
from benchmarks.peers.site import filled
from hostwright.sandbox import Server


def make_work(folder: Path, apps: tuple[str, ...] = ("hello",), servers: int = 1) -> Work:
    for name in ("peer", "home", "site"):
        (folder / name).mkdir()
    (folder / "cert.pem").write_text("THE CERTIFICATE\n")
    (folder / "key.pem").write_text("THE KEY\n")
    return Work(
        servers=tuple(
            Server(
                f"web{n}", f"192.0.2.{n}", "bookworm", True, folder / "id", folder / "known", folder / "con"
            )
            for n in range(1, servers + 1)
        ),
        repository=folder / "site",
        remote="/srv/site.git",
        apps=apps,
        certificate=folder / "cert.pem",
        key=folder / "key.pem",
        admin="ann",
        admin_key="ssh-ed25519 AAAA ann",
        folder=folder / "peer",
        home=folder / "home",
    )


def prepared(folder: Path, name: str, apps: tuple[str, ...] = ("hello",), servers: int = 1) -> Work:
    work = make_work(folder, apps, servers)
    PEERS[name]().prepare(work)
    return work


def test_ansible_knows_every_host_and_app(tmp_path: Path) -> None:
    work = prepared(tmp_path, "ansible", ("hello", "shop"), servers=2)
    everything = yaml.safe_load((work.folder / "hosts.yml").read_text())["all"]
    assert sorted(everything["hosts"]) == ["web1", "web2"]
    assert [app["name"] for app in everything["vars"]["apps"]] == ["hello", "shop"]
    for playbook in work.folder.rglob("*.yml"):
        assert yaml.safe_load(playbook.read_text())
    assert (work.folder / "templates" / "env.j2").is_file()


def test_ansible_keeps_no_connection_of_another_path(tmp_path: Path) -> None:
    """The peer is prepared again for another path, and asks for other sockets then."""
    work = make_work(tmp_path)
    peer = PEERS["ansible"]()
    asked = []
    for _ in range(2):
        peer.prepare(work)
        (work.folder / "site.yml").write_text("[]")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "benchmarks.peers.ansible.measured",
                lambda argv, work, env: asked.append(env["ANSIBLE_SSH_CONTROL_PATH_DIR"]),
            )
            peer.provision(work)
    assert asked[0] != asked[1]


@pytest.mark.parametrize("name", ["pyinfra", "fabric"])
def test_programs_read_the_work_as_json(tmp_path: Path, name: str) -> None:
    work = prepared(tmp_path, name, ("hello", "shop"))
    site = json.loads((work.folder / "site.json").read_text())
    assert [host["address"] for host in site["hosts"]] == ["192.0.2.1"]
    assert site["apps"][1] == {"name": "shop", "domain": "shop.example.com", "greeting": "Hello from shop"}
    for program in work.folder.glob("*.py"):
        compile(program.read_text(), str(program), "exec")


@pytest.mark.parametrize("name", ["bash", "fujin"])
def test_scripts_hold_all_that_they_write(tmp_path: Path, name: str) -> None:
    work = prepared(tmp_path, name)
    for script in ("setup.sh", "deploy.sh", "rollback.sh"):
        text = (work.folder / script).read_text()
        assert [left for left in ("{{", "< files/", "APP/") if left in text] == []
        subprocess.run(("bash", "-n", str(work.folder / script)), check=True)
    text = (work.folder / "setup.sh").read_text()
    for held in ("THE CERTIFICATE", "THE KEY", "ssh-ed25519 AAAA ann", "server_name hello.example.com;"):
        assert held in text


def test_a_script_that_fails_on_one_host_fails(tmp_path: Path) -> None:
    """ssh is a stand-in that fails for web2; the others are waited for."""
    (tmp_path / "ssh").write_text('#!/bin/sh\ncat > /dev/null; [ "$3" != web2 ]\n')
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "a.sh").write_text("true\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    def code(*hosts: str) -> int:
        argv = ("sh", "-c", EVERYWHERE, "a.sh", *hosts)
        return subprocess.run(argv, cwd=tmp_path, env=env, check=False).returncode

    assert code("web1", "web3") == 0
    assert code("web1", "web2", "web3") == 1


def test_fujin_says_what_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="one app to one host"):
        prepared(tmp_path, "fujin", ("hello", "shop"))


def test_fujins_project_is_in_the_repository(tmp_path: Path) -> None:
    work = prepared(tmp_path, "fujin")
    assert 'address = "192.0.2.1"' in (work.repository / "fujin.toml").read_text()
    unit = (work.repository / ".fujin" / "systemd" / "web.service").read_text()
    assert "--workers WORKERS" not in unit


def test_templates_are_filled_in() -> None:
    assert filled("{{ app.name }} of {{ admin }}", {"app.name": "hello", "admin": "ann"}) == "hello of ann"


def test_what_is_left_out_is_a_test() -> None:
    tests = (Path(__file__).parents[2] / "benchmarks/end_state/test_end_state.py").read_text()
    assert set(LEFT_OUT) <= set(PEERS)
    for left_out in LEFT_OUT.values():
        for test in left_out:
            assert f"def {test}(" in tests
