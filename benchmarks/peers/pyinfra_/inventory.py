"""The hosts, and what is the same on all of them."""

import json
from pathlib import Path

site = json.loads(Path("site.json").read_text())
hosts = [
    (
        host["name"],
        {
            "ssh_hostname": host["address"],
            "ssh_user": "ubuntu",
            "ssh_key": host["identity_file"],
            "ssh_known_hosts_file": host["known_hosts"],
            "ssh_strict_host_key_checking": "yes",
            **{name: value for name, value in site.items() if name != "hosts"},
        },
    )
    for host in site["hosts"]
]
