"""The JSON Schema of inventory.yaml: completion, descriptions and first checks in an editor."""

from __future__ import annotations

from typing import Any

from hostwright.inventory.load import EXTENSION
from hostwright.inventory.model import Document

# sections of an app that may be empty
SECTIONS = ("static", "shared", "processes", "timers")


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of what `load` accepts, made from the same model.

    An editor checks less than `load` does: not the forms of names, and nothing between two keys.
    """
    schema = Document.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Hostwright inventory"
    schema["patternProperties"] = {f"^{EXTENSION}": {}}
    for key in ("defaults", "apps", "groups", "hosts"):
        _or_null(schema["properties"], key)
    for section in ("groups", "hosts"):
        _or_null(schema["properties"][section]["anyOf"][0], "additionalProperties")
    for definition in schema["$defs"].values():
        for key in ("env", "build_env", "domains", "packages", "groups", "health", "limits", *SECTIONS):
            if key in definition["properties"]:
                _or_null(definition["properties"], key)
    return schema


def _or_null(owner: dict[str, Any], key: str) -> None:
    """Let a section be empty: all of its lines may be commented out."""
    content = owner[key]
    about = {name: content.pop(name) for name in ("title", "description", "default") if name in content}
    owner[key] = {"anyOf": [content, {"type": "null"}], **about}
