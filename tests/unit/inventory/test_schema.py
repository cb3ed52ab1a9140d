from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostwright.inventory import json_schema

EXAMPLE = Path(__file__).parents[3] / "inventory.yaml"
KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
IGNORED = {"title", "description", "default", "$schema", "$defs", "discriminator"}


def problems(schema: dict[str, Any], value: object, root: dict[str, Any], path: str = "") -> list[str]:
    """What the keywords that our schema uses (JSON Schema 2020-12) find wrong; an unknown one is an error."""
    found: list[str] = []
    for keyword, rule in schema.items():
        if keyword == "$ref":
            found += problems(root["$defs"][rule.removeprefix("#/$defs/")], value, root, path)
        elif keyword in ("anyOf", "oneOf"):
            if all(problems(option, value, root, path) for option in rule):
                found.append(f"{path}: fits nothing of anyOf")
        elif keyword == "type":
            kind = type(None) if rule == "null" else KINDS[rule]
            if not isinstance(value, kind) or (isinstance(value, bool) and rule != "boolean"):
                found.append(f"{path}: not {rule}")
        elif keyword in ("enum", "const"):
            if value not in (rule if keyword == "enum" else [rule]):
                found.append(f"{path}: not {rule}")
        elif keyword in ("minimum", "maximum"):
            if isinstance(value, (int, float)) and (value < rule if keyword == "minimum" else value > rule):
                found.append(f"{path}: {keyword}")
        elif keyword == "items":
            found += (
                [p for item in value for p in problems(rule, item, root, path)]
                if isinstance(value, list)
                else []
            )
        elif keyword == "required":
            found += [f"{path}: no {key}" for key in rule if isinstance(value, dict) and key not in value]
        elif keyword in ("properties", "additionalProperties", "patternProperties"):
            found += members(schema, keyword, value, root, path)
        elif keyword not in IGNORED:
            raise AssertionError(keyword)
    return found


def members(
    schema: dict[str, Any], keyword: str, value: object, root: dict[str, Any], path: str
) -> list[str]:
    if not isinstance(value, dict) or keyword == "patternProperties":
        return []
    known = schema.get("properties", {})
    if keyword == "properties":
        return [
            p
            for key in known
            if key in value
            for p in problems(known[key], value[key], root, f"{path}.{key}")
        ]
    rule = schema["additionalProperties"]
    ignored = tuple(pattern.removeprefix("^") for pattern in schema.get("patternProperties", {}))
    others = [key for key in value if key not in known and not (ignored and key.startswith(ignored))]
    if rule is False:
        return [f"{path}.{key}: unknown" for key in others]
    return (
        []
        if rule is True
        else [p for key in others for p in problems(rule, value[key], root, f"{path}.{key}")]
    )


def check(text: str) -> list[str]:
    schema = json_schema()
    return problems(schema, yaml.safe_load(text), schema)


def test_it_accepts_the_example() -> None:
    assert check(EXAMPLE.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "hosts:\napps:\ngroups:\ndefaults:\n",
        "hosts: {web1: , web2: {address: 203.0.113.1, identity_file: ~/x, sudo_password: {from_env: X}}}",
        "groups: {production: }",
        "apps: {a: {module: 'a:b', env: {A: 1, B: 1.5, C: x, D: {from_env: D}}, domains: , limits: , health: }}",
        "x-anything: {prot: 1}\ndefaults: {connect_timeout: 1.5, sudo_password: ask, apps: [a]}",
    ],
)
def test_it_accepts_what_load_accepts(text: str) -> None:
    assert check(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prot: 1", ".prot: unknown"),
        ("hosts: {web1: {port: 22a}}", ".hosts: fits nothing of anyOf"),
        ("defaults: {port: 70000}", ".defaults: fits nothing of anyOf"),
        ("apps: {a: {}}", ".apps: fits nothing of anyOf"),
        ("apps: {a: {module: 'a:b', interface: agsi}}", ".apps: fits nothing of anyOf"),
        ("apps: {a: {module: 'a:b', env: {A: true}}}", ".apps: fits nothing of anyOf"),
        ("defaults: {sudo_password: hunter2}", ".defaults: fits nothing of anyOf"),
    ],
)
def test_it_refuses(text: str, problem: str) -> None:
    assert problem in check(text)


def test_every_key_is_described() -> None:
    schema = json_schema()
    models = {"": schema, **schema["$defs"]}
    keys = {
        f"{model}.{key}": value for model, body in models.items() for key, value in body["properties"].items()
    }
    assert len(keys) > 60
    assert [key for key, value in keys.items() if not value.get("description")] == []


def test_it_is_json() -> None:
    assert json.loads(json.dumps(json_schema()))["title"] == "Hostwright inventory"


def test_the_example_names_it_in_its_first_line() -> None:
    assert EXAMPLE.read_text().startswith("# yaml-language-server: $schema=./inventory.schema.json\n")
