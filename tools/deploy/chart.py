"""Writes what deploy/chart/ takes from elsewhere: python -m tools.deploy.chart [--check].

- from server/settings/settings.py and docs/settings.md: the settings in values.schema.json, values.yaml and
  templates/_settings.tpl, so that the chart knows each setting with its bounds;
- from server/__init__.py: the version in Chart.yaml;
- copies of deploy/alerts/rules.yaml and deploy/dashboards/, since a chart reads no file outside its folder.

With --check nothing is written: the exit code is 1 when a file is stale.
"""

import functools
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from server import __version__
from server.settings import PREFIX, Settings
from tools.contract import ROOT

CHART = ROOT / "deploy" / "chart"
DASHBOARDS, RULES = ROOT / "deploy" / "dashboards", ROOT / "deploy" / "alerts" / "rules.yaml"

SET_BY = {
    "secrets_dir": "secrets",
    "listen": "ports.grpc",
    "metrics_listen": "ports.metrics",
    "webhook_listen": "webhook.enabled and ports.webhook",
    "tls_certificate": "tls.existingSecret",
    "tls_key": "tls.existingSecret",
    "tls_client_ca": "tls.clientCa",
    "callers": "callers",
    "vendor_ca": "vendorTls.ca",
    "vendor_certificate": "vendorTls.existingSecret",
    "vendor_key": "vendorTls.existingSecret",
    "state_ca": "stateCa",
    "webhook_tls_certificate": "webhook.tls.existingSecret",
    "webhook_tls_key": "webhook.tls.existingSecret",
    "webhook_tls_client_ca": "webhook.tls.clientCa",
}
"""The settings that other values determine, and which: ports, and files in mounted Secrets."""

SECRET_TOO = ("vendor_client_id",)
"""No secrets, but may be files beside them: replaced together, without a restart."""

_PORT = "[1-9][0-9]{0,4}"
_HOST = "(\\[[^\\s/?#@\\[\\]]+\\]|[^\\s/?#@:\\[\\]]+)"
_URL = f"^https?://{_HOST}(:{_PORT})?(/[^\\s?#@]*)?$"
_PATH = "^/[A-Za-z0-9._~/{}-]*$"
_NUMBER = "^[0-9]+([.][0-9]+)?$"
_NETWORKS = "^[0-9A-Fa-f.:/, ]*$"
_PATTERNS = {
    "vendor_url": _URL,
    "vendor_token_url": _URL,
    "otlp_endpoint": f"^https?://{_HOST}:{_PORT}/?$",
    "vendor_client_id": "^$|\\S",
    "vendor_token_path": _PATH,
    "vendor_cancel_path": _PATH,
    "webhook_sources": _NETWORKS,
    "webhook_trusted_proxies": _NETWORKS,
    "sandbox_listen": f"^\\S+:(0|{_PORT})$",
}
"""Forms that the gateway checks by code, as far as a pattern can have them."""


def camel(name: str) -> str:
    """A setting's name as a value of the chart: `vendor_url` is `vendorUrl`."""
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


@functools.cache
def _properties() -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    return properties


def _property(name: str) -> dict[str, Any]:
    found = _properties()[name]
    kinds: list[dict[str, Any]] = found.get("anyOf", [found])
    return next(each for each in kinds if each.get("type") != "null") | {"default": found["default"]}


def secret_names() -> list[str]:
    """The settings that come from Secrets."""
    secret = [name for name in Settings.model_fields if _property(name).get("format") == "password"]
    return sorted([*secret, *SECRET_TOO])


def plain_names() -> list[str]:
    """The settings that are values of `settings`. Raises SystemExit for a file that no value determines."""
    secret = {*secret_names(), *SET_BY} - {*SECRET_TOO}
    names = [name for name in Settings.model_fields if name not in secret]
    files = [name for name in names if _property(name).get("format") == "path"]
    if files:
        raise SystemExit(
            f"tools/deploy/chart.py: which values make the files of {', '.join(files)}? Add them to SET_BY"
        )
    return names


def descriptions(page: str) -> dict[str, str]:
    """What docs/settings.md says of each setting, as plain text."""
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \|[^|]*\| (.*) \|$", page, re.MULTILINE)
    return {name.lower(): re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text).replace("`", "") for name, text in rows}


def _schema_of_settings(texts: dict[str, str]) -> dict[str, Any]:
    kept = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern")
    properties = {}
    for name in plain_names():
        found = _property(name)
        schema = {key: found[key] for key in kept if key in found}
        if name in _PATTERNS:
            schema["pattern"] = _PATTERNS[name]
        kinds = [schema["type"]]
        if "number" in kinds:
            kinds, schema["pattern"] = ["number", "string"], _NUMBER  # helm's --set takes a fraction for a text
        schema["type"] = [*kinds, "null"]  # null: takes back what another file of values sets
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        properties[camel(name)] = {"description": texts.get(name, "")} | schema
    return {
        "description": f"The gateway's settings: maxReads is {PREFIX}MAX_READS.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _schema_of_secrets() -> dict[str, Any]:
    return {
        "description": "Settings that come from Secrets, which must exist.",
        "type": "object",
        "additionalProperties": False,
        "properties": {camel(name): {"$ref": "#/$defs/secretKey"} for name in secret_names()},
    }


def _schema_of_engine() -> dict[str, Any]:
    """The engine's chart's own, which Helm heeds only with valkey.enabled: a typo of that name would hide all."""
    schema = json.loads((CHART / "charts" / "valkey" / "values.schema.json").read_text())
    return {key: value for key, value in schema.items() if key not in ("$schema", "title")}


def _schema(current: str, texts: dict[str, str]) -> str:
    schema = json.loads(current)
    schema["properties"]["valkey"] = _schema_of_engine()
    schema["$defs"]["settings"] = _schema_of_settings(texts)
    schema["$defs"]["secrets"] = _schema_of_secrets()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _shown(value: object) -> str:
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def _between(text: str, name: str, lines: list[str]) -> str:
    """The text with the lines between the comments `# name:` and `# end of name` replaced."""
    pattern = re.compile(rf"(?P<begin>^ *# {name}: [^\n]*\n).*?(?P<end>^ *# end of {name}\n)", re.DOTALL | re.MULTILINE)
    if not pattern.search(text):
        raise SystemExit(f"no place for {name} in values.yaml")
    return pattern.sub(lambda match: match["begin"] + "".join(f"{each}\n" for each in lines) + match["end"], text)


def _values(current: str, texts: dict[str, str]) -> str:
    lines = []
    for name in plain_names():
        default = _property(name)["default"]
        value = "" if default is None else f" {_shown(default)}"
        prose = textwrap.wrap(texts[name], 116) if name in texts else []
        lines += [*(f"  # {each}" for each in prose), f"  # {camel(name)}:{value}"]
    text = _between(current, "settings", lines)
    return _between(text, "secrets", [f"  # {camel(name)}: {{existingSecret: …}}" for name in secret_names()])


def _bounds(name: str) -> dict[str, float]:
    found = _property(name)
    return {key: found[key] for key in ("minimum", "maximum", "exclusiveMinimum") if key in found}


def _template() -> str:
    names = {
        "bounds": {camel(name): found for name in plain_names() if (found := _bounds(name))},
        "plain": plain_names(),
        "secret": secret_names(),
        "setBy": SET_BY,
        "defaults": {
            camel(name): default for name in plain_names() if (default := _property(name)["default"]) is not None
        },
    }
    return (
        "{{/* The gateway's settings, written by tools/deploy/chart.py. */}}\n"
        '{{- define "gateway.settings" -}}\n' + json.dumps(names, indent=2) + "\n{{- end }}\n"
    )


def _chart(current: str) -> str:
    text = re.sub(r"^version: .*$", f"version: {__version__}", current, flags=re.MULTILINE)
    return re.sub(r"^appVersion: .*$", f'appVersion: "{__version__}"', text, flags=re.MULTILINE)


def files() -> dict[Path, str]:
    """The generated files as they should be."""
    texts = descriptions((ROOT / "docs" / "settings.md").read_text())
    written = {
        CHART / "values.schema.json": _schema((CHART / "values.schema.json").read_text(), texts),
        CHART / "values.yaml": _values((CHART / "values.yaml").read_text(), texts),
        CHART / "templates" / "_settings.tpl": _template(),
        CHART / "Chart.yaml": _chart((CHART / "Chart.yaml").read_text()),
    }
    copied = {CHART / "files" / "dashboards" / each.name: each.read_text() for each in DASHBOARDS.glob("*.json")}
    if RULES.exists():
        copied[CHART / "files" / RULES.name] = RULES.read_text()
    return written | copied


def left_over(current: dict[Path, str]) -> list[Path]:
    """Copies in the chart whose original is gone. current: as `files` returns them."""
    return [path for path in (CHART / "files").rglob("*") if path.is_file() and path not in current]


def main() -> None:
    current = files()
    stale = [path for path, text in current.items() if not path.exists() or path.read_text() != text]
    gone = left_over(current)
    if "--check" in sys.argv[1:]:
        if stale or gone:
            names = ", ".join(str(path.relative_to(ROOT)) for path in [*stale, *gone])
            raise SystemExit(f"stale: run `make generate`: {names}")
        return
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(current[path])
    for path in gone:
        path.unlink()


if __name__ == "__main__":
    main()
