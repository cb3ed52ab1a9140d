"""Ansible as its experts run it: pipelining, connections kept, no facts gathered, as many forks as hosts."""

from __future__ import annotations

import json

from benchmarks.peers.peer import Done, Work, measured, tool
from benchmarks.peers.site import lay_out


class Ansible:
    """`ansible-playbook site.yml`, `deploy.yml`, `rollback.yml`."""

    name = "ansible"

    def __init__(self) -> None:
        self._prepared = 0

    def prepare(self, work: Work) -> None:
        """Playbooks, inventory, variables. Call it again for another path: connections are kept between runs."""
        site = lay_out(work, "ansible")
        templates = work.folder / "templates"
        templates.unlink(missing_ok=True)
        templates.symlink_to("files")
        hosts = {
            host["name"]: {
                "ansible_host": host["address"],
                "ansible_user": "ubuntu",
                "ansible_ssh_private_key_file": host["identity_file"],
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={host['known_hosts']} -o GlobalKnownHostsFile=none",
            }
            for host in site["hosts"]
        }
        variables = {name: value for name, value in site.items() if name != "hosts"}
        inventory = {"all": {"hosts": hosts, "vars": variables}}
        (work.folder / "hosts.yml").write_text(json.dumps(inventory, indent=2))
        self._prepared += 1

    def provision(self, work: Work) -> Done:
        """The site."""
        return self._play(work, "site.yml")

    def deploy(self, work: Work) -> Done:
        """The code and what it needs, from the playbook of its own that users make for it."""
        return self._play(work, "deploy.yml")

    def rollback(self, work: Work) -> Done:
        """What main was before."""
        return self._play(work, "rollback.yml")

    def _play(self, work: Work, playbook: str) -> Done:
        # sockets have short names, and those of another path lead nowhere
        sockets = work.home / f"cp{self._prepared}"
        env = work.environ(
            ANSIBLE_CONFIG=str(work.folder / "ansible.cfg"),
            ANSIBLE_SSH_CONTROL_PATH_DIR=str(sockets),
            LC_ALL="C.UTF-8",
        )
        return measured((tool("ansible-playbook"), playbook), work, env)
