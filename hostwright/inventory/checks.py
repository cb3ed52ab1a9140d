"""What no single value can show: names that nothing has, two of the same, a file for another version.

Works on what the file says, before and whether or not the rest of it is valid, so that all problems
are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hostwright.inventory.nearest import did_you_mean
from hostwright.inventory.parse import Parsed, Path, Place, Problem, dotted


def check_references(parsed: Parsed, version: str) -> list[Problem]:
    """All problems between the parts of a file; `version` is that of Hostwright."""
    file = _Sections(parsed.data)
    problems: list[Problem] = []

    def report(path: Path, words: str, *, at_key: bool = False) -> None:
        places = parsed.keys if at_key else parsed.values
        problems.append(Problem(places.get(path, Place(1, 1)), dotted(path) + words))

    for path, words in (*_version(parsed.data, version), *_unknown(file), *_domains(file), *_jumps(file)):
        report(path, words)
    for name in file.hosts:
        if name in file.groups:
            report(("hosts", name), "a group has the same name: --host could mean either", at_key=True)
    return problems


class _Sections:
    """The sections of a file as far as they are mappings."""

    def __init__(self, data: object) -> None:
        self.data = _mapping(data)
        self.defaults = _mapping(self.data.get("defaults"))
        self.apps = _mapping(self.data.get("apps"))
        self.groups = _mapping(self.data.get("groups"))
        self.hosts = {name: merged(self.data, name) for name in _mapping(self.data.get("hosts"))}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def merged(data: Mapping[str, Any], host: str) -> dict[str, Any]:
    """A host's keys: defaults, then its groups in order, then its own. A list replaces, it is not joined."""
    defaults, own = _mapping(data.get("defaults")), _mapping(_mapping(data.get("hosts")).get(host))
    groups = _mapping(data.get("groups"))
    layers = [_mapping(groups.get(name)) for name in _names(own.get("groups", defaults.get("groups")))]
    return {key: value for layer in (defaults, *layers, own) for key, value in layer.items()}


def _version(data: object, version: str) -> Iterator[tuple[Path, str]]:
    wanted = _mapping(data).get("hostwright")
    if not isinstance(wanted, str):
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        if not SpecifierSet(wanted, prereleases=True).contains(version):
            yield ("hostwright",), f"this file is for Hostwright {wanted}, and this is {version}"
    except InvalidSpecifier:
        yield ("hostwright",), f'expected a version, such as ">=0.1", got "{wanted}"'


def _unknown(file: _Sections) -> Iterator[tuple[Path, str]]:
    """Apps and groups that are named and do not exist.

    Without a `groups:` section the groups of hosts are mere labels and need no declaration.
    """
    layers: list[tuple[Path, dict[str, Any]]] = [(("defaults",), file.defaults)]
    layers += [(("groups", name), _mapping(keys)) for name, keys in file.groups.items()]
    layers += [(("hosts", name), _mapping(keys)) for name, keys in _mapping(file.data.get("hosts")).items()]
    for path, keys in layers:
        yield from _missing((*path, "apps"), keys.get("apps"), file.apps, "app")
        if "groups" in file.data and path[0] != "groups":
            yield from _missing((*path, "groups"), keys.get("groups"), file.groups, "group")


def _missing(path: Path, names: object, known: Iterable[str], kind: str) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and name not in known:
            have = f" The {kind}s are: {', '.join(known)}." if known else f" There is no {kind} in this file."
            yield (*path, index), f'no {kind} is called "{name}".{did_you_mean(name, known) or have}'


def _domains(file: _Sections) -> Iterator[tuple[Path, str]]:
    """Each clash once, at the later app, with the first host that runs both."""
    seen: set[Path] = set()
    lists = {name: keys.get("domains") or [] for name, keys in file.apps.items() if isinstance(keys, dict)}
    domains = {name: _names(domains) for name, domains in lists.items() if isinstance(domains, list)}
    for host, keys in file.hosts.items():
        running = keys.get("apps")
        names = list(domains) if running is None else [name for name in _names(running) if name in domains]
        for path, words in same_domains({name: domains[name] for name in names}):
            if path not in seen:
                seen.add(path)
                yield path, f"{words}; both run on {host}"


def same_domains(domains: Mapping[str, Sequence[str]]) -> Iterator[tuple[Path, str]]:
    """Apps (name -> its domains) of one host that nginx could not tell apart."""
    owners: dict[str, str] = {}
    for app, names in domains.items():
        for index, name in enumerate(names or [""]):
            owner = owners.setdefault(name.lower().removesuffix("."), app)
            if owner == app:
                continue
            if name:
                yield ("apps", app, "domains", index), f'the app {owner} has the domain "{name}" too'
            else:
                yield (
                    ("apps", app),
                    f"neither this app nor {owner} has domains, so each would answer to every name",
                )


def _jumps(file: _Sections) -> Iterator[tuple[Path, str]]:
    """Hosts that are reached only through themselves. The place is the host's own `jump`, if it has one."""
    for host in file.hosts:
        way = [host]
        while (step := file.hosts[way[-1]].get("jump")) in file.hosts and step not in way:
            way.append(step)
        if step == host:
            own = "jump" in _mapping(_mapping(file.data.get("hosts")).get(host))
            path: Path = ("hosts", host, "jump") if own else ("hosts", host)
            hint = "" if own else "; end it there with `jump: null`"
            yield path, f"the way to {host} leads back to it: {' -> '.join([*way, host])}{hint}"
