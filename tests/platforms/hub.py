"""Makes the Meltano Hub's definition of the loader from what the target says of itself.

python tests/platforms/hub.py > tests/platforms/hub/target-customerio.yml
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import yaml

DEFINITION = {
    "description": "Messaging platform for people, events and objects (Track API)",
    "domain_url": "https://customer.io/",
    "executable": "target-customerio",
    "keywords": ["meltano_sdk", "reverse_etl"],
    "label": "Customer.io",
    "log_parser": "singer-sdk",
    "maintenance_status": "active",
    "name": "target-customerio",
    "namespace": "target_customerio",
    "pip_url": "target-customerio",
    "quality": "unknown",
    "settings_group_validation": [["site_id", "api_key"], ["sandbox"]],
    "variant": "target-customerio",
}
KINDS = {
    "object": "object",
    "boolean": "boolean",
    "integer": "integer",
    "number": "decimal",
    "string": "string",
}


def about() -> dict[str, Any]:
    """Ask the target what it is."""
    done = subprocess.run(
        [sys.executable, "-m", "target_customerio", "--about", "--format=json"],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def settings(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the settings as Meltano describes them, in the target's order."""
    return [
        _setting(name, schema)
        for name, schema in about["settings"]["properties"].items()
    ]


def _setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    types = schema["type"]
    kind = next(kind for kind in KINDS if kind in types)
    setting = {
        "name": name,
        "kind": "options" if "enum" in schema else KINDS[kind],
        "label": schema.get("title", name.replace("_", " ").capitalize()),
        "description": schema["description"],
    }
    if schema.get("secret"):
        setting["sensitive"] = True
    if "default" in schema:
        setting["value"] = schema["default"]
    if "enum" in schema:
        setting["options"] = [
            {"label": choice.replace("_", " ").capitalize(), "value": choice}
            if len(choice) > 2
            else {"label": choice.upper(), "value": choice}
            for choice in schema["enum"]
        ]
    return setting


def definition(about: dict[str, Any]) -> dict[str, Any]:
    """Return the Hub's definition."""
    return {
        **DEFINITION,
        "capabilities": sorted(about["capabilities"]),
        "settings": sorted(settings(about), key=lambda setting: setting["name"]),
        "supported_python_versions": about["supported_python_versions"],
    }


def text(about: dict[str, Any]) -> str:
    """Return the Hub's file."""
    return yaml.safe_dump(definition(about), width=88, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(text(about()))
