"""YAML text to plain values that know their places. Duplicate keys and tags are reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hostwright.inventory.syntax import explain_syntax
from hostwright.inventory.written import WrittenFloat, WrittenInt

Path = tuple[str | int, ...]
PREFIX = "tag:yaml.org,2002:"
MAX_NODES = 100_000  # an alias of aliases of aliases grows without end


class Place(NamedTuple):
    """A position in the file, both numbers from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """Something wrong in the file: sorts by place."""

    place: Place
    text: str


@dataclass
class Parsed:
    """What a YAML file says, and where.

    Attributes:
        data: dicts, lists and scalars; numbers are WrittenInt and WrittenFloat; a date is text.
        values: the place of each value by its path, e.g. ("hosts", "web1", "port").
        keys: the place of each key by its path.
        texts: each scalar as it is written.
    """

    data: Any = None
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    empty: bool = False


def parse(text: str) -> Parsed:
    """Read one YAML document. Never raises for what the text says: see `problems`."""
    parsed = Parsed()
    try:
        node = _compose(text)
        if node is None:
            parsed.empty = True
            parsed.problems.append(Problem(Place(1, 1), "the file is empty"))
        else:
            parsed.data = _Reader(parsed).read(node, ())
    except yaml.YAMLError as error:
        line, column, words = explain_syntax(error, text)
        parsed.problems.append(Problem(Place(line, column), words))
    except _EndlessError as endless:
        parsed.problems.append(endless.problem)
    except RecursionError:
        parsed.problems.append(Problem(Place(1, 1), "is nested too deeply"))
    return parsed


def _compose(text: str) -> Node | None:
    """The tree of nodes: quickly with libyaml, again in Python for an error with the better words."""
    try:
        return yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeEncodeError):
        return yaml.compose(text, yaml.SafeLoader)


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


class _EndlessError(Exception):
    """Aliases that contain themselves, or multiply."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(place, text)


class _Reader:
    """Turns nodes into values. An anchor's values are read again, with its places, under each alias."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.constructor = yaml.SafeLoader("")
        self.open: set[int] = set()
        self.count = 0

    def read(self, node: Node, path: Path) -> object:
        """The value of a node that stands at `path`."""
        self._count()
        self.parsed.values[path] = _place(node)
        if isinstance(node, ScalarNode):
            self._join_surrogates(node, path)
            return self._scalar(node, path)
        if node.tag not in (f"{PREFIX}map", f"{PREFIX}seq"):
            self._problem(node, path, f"the tag {_short(node.tag)} means nothing here")
            return None
        with self._inside(node):
            if isinstance(node, SequenceNode):
                return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path) if isinstance(node, MappingNode) else None

    def _count(self) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise _EndlessError(Place(1, 1), "aliases make this too large")

    @contextmanager
    def _inside(self, node: Node) -> Iterator[None]:
        self._count()  # merging counts as well
        if id(node) in self.open:
            raise _EndlessError(_place(node), "an alias makes this endless")
        self.open.add(id(node))
        yield
        self.open.discard(id(node))

    def _problem(self, node: Node, path: Path, text: str) -> None:
        self.parsed.problems.append(Problem(_place(node), f"{dotted(path)}{text}"))

    def _join_surrogates(self, node: ScalarNode, path: Path) -> None:
        """JSON writes U+1F600 as two escapes, which PyYAML leaves apart; one without the other is an error."""
        if re.search("[\ud800-\udfff]", node.value):
            units = node.value.encode("utf-16", "surrogatepass")
            node.value = units.decode("utf-16", "replace")
            if "\ufffd" in node.value:
                self._problem(node, path, "is not valid Unicode text")

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in self._own_pairs(node, path):
            values[key.value] = self._member(key, value, path)
        for source in self._merged(node, path):
            for key, value in self._flat_pairs(source, path):
                if key.value not in values:
                    values[key.value] = self._member(key, value, path)
        return values

    def _member(self, key: ScalarNode, value: Node, path: Path) -> object:
        here = (*path, key.value)
        self.parsed.keys[here] = _place(key)
        result = self.read(value, here)
        if result is None and isinstance(value, ScalarNode) and not value.value:
            self.parsed.values[here] = _place(key)  # nothing stands after the key
        return result

    def _own_pairs(self, node: MappingNode, path: Path) -> Iterator[tuple[ScalarNode, Node]]:
        """The pairs written in this mapping itself; a key is the text that is written, be it `no` or 8."""
        first: dict[str, ScalarNode] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._problem(key, path, 'a key must be text; a value that begins with "{{" must be quoted')
                continue
            self._join_surrogates(key, path)
            if key.value in first and key.tag != f"{PREFIX}merge":
                line = _place(first[key.value]).line
                self._problem(key, (*path, key.value), f"duplicate key, first on line {line}")
            elif key.tag != f"{PREFIX}merge":
                first[key.value] = key
                yield key, value

    def _merged(self, node: MappingNode, path: Path) -> Iterator[MappingNode]:
        """The mappings that `<<` names, the strongest first (https://yaml.org/type/merge.html)."""
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.tag == f"{PREFIX}merge":
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if isinstance(source, MappingNode):
                        yield source
                    else:
                        self._problem(source, (*path, "<<"), "expected a mapping or a list of mappings")

    def _flat_pairs(self, node: MappingNode, path: Path) -> Iterator[tuple[ScalarNode, Node]]:
        """The pairs of a mapping and of what it merges itself."""
        with self._inside(node):
            own = [(key, value) for key, value in node.value if isinstance(key, ScalarNode)]
            yield from ((key, value) for key, value in own if key.tag != f"{PREFIX}merge")
            for source in self._merged(node, path):
                yield from self._flat_pairs(source, path)

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        self.parsed.texts[path] = node.value
        kind = node.tag.removeprefix(PREFIX)
        if kind == "bool":
            return self.constructor.construct_yaml_bool(node)
        if kind == "null":
            return None
        if kind in ("int", "float"):
            return self._number(node, path, kind)
        if kind not in ("str", "timestamp", "value", "merge"):
            self._problem(node, path, f"the tag {_short(node.tag)} means nothing here")
        return node.value

    def _number(self, node: ScalarNode, path: Path, kind: str) -> object:
        try:
            if kind == "int":
                return WrittenInt(self.constructor.construct_yaml_int(node), node.value)
            return WrittenFloat(self.constructor.construct_yaml_float(node), node.value)
        except ValueError:
            self._problem(node, path, f'"{node.value[:20]}" is not a number')
            return None


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(PREFIX)}" if tag.startswith(PREFIX) else tag


def dotted(path: Path) -> str:
    """`hosts.web1.apps[0]: ` for the head of a problem; nothing for the file itself."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"{text}: " if text else ""
