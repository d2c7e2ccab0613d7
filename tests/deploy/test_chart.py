"""The chart knows every setting of the gateway, and its schema every value. What needs helm is in tools/deploy."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import PREFIX, Settings
from tools.contract import ROOT
from tools.deploy.chart import CHART, RULES, SET_BY, camel, descriptions, files, left_over, plain_names, secret_names
from tools.deploy.chart_check import repeated_keys

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = "".join(each.read_text() for each in sorted((CHART / "templates").iterdir()))


def test_its_generated_files_are_current() -> None:
    """`make generate` writes them; copies of what was removed are removed."""
    current = files()
    assert [path.name for path, text in current.items() if not path.exists() or path.read_text() != text] == []
    assert left_over(current) == []


def test_each_setting_has_its_value() -> None:
    """Among `settings`, among `secrets`, or as another value's file or port; none is forgotten, none invented."""
    assert {*plain_names(), *secret_names(), *SET_BY} == set(Settings.model_fields)
    assert list(SCHEMA["$defs"]["settings"]["properties"]) == [camel(name) for name in plain_names()]
    assert list(SCHEMA["$defs"]["secrets"]["properties"]) == [camel(name) for name in secret_names()]


def test_its_rules_have_what_the_template_replaces_in_that_form_only() -> None:
    """The job, what the objectives' rules join on, and the runbook: one in another form would be every release's."""
    rules = json.dumps(yaml.safe_load(RULES.read_text()), separators=(",", ":"))  # as the template has them
    template = (CHART / "templates" / "monitoring.yaml").read_text()
    replaced = [json.loads(text) for text in re.findall(r'\| replace ("(?:[^"\\]|\\.)+")', template)]
    every = (
        r"job *=[~!]?(?!%\[1\]q)",  # but for the alert's own, in its texts
        r"sloth_id *=",
        r"sloth_id\W*:",
        r'"runbook\w*":',
    )
    assert len(replaced) == len(every)
    for text, pattern in zip(replaced, every, strict=True):
        assert rules.count(text) == len(re.findall(pattern, rules)) > 0


@pytest.mark.parametrize("name", SET_BY)
def test_a_setting_that_other_values_determine_is_in_the_environment(name: str) -> None:
    """The template sets it, and the value that refusals name exists."""
    assert f'"{PREFIX}{name.upper()}"' in TEMPLATES
    for value in SET_BY[name].split(" and "):
        first, *others = value.split(".")
        found = VALUES[first]
        for each in others:
            found = found[each]


def test_each_setting_is_described() -> None:
    """With the words of docs/settings.md, in values.yaml and in the schema."""
    texts = descriptions((ROOT / "docs" / "settings.md").read_text())
    assert [name for name in plain_names() if not texts.get(name)] == []
    shown = (CHART / "values.yaml").read_text()
    assert [name for name in [*plain_names(), *secret_names()] if f"  # {camel(name)}:" not in shown] == []


@pytest.mark.parametrize("name", plain_names())
def test_a_default_is_within_its_schema(name: str) -> None:
    """The bounds are the gateway's own: a value that the schema takes starts it."""
    schema, default = SCHEMA["$defs"]["settings"]["properties"][camel(name)], Settings.model_fields[name].default
    assert "null" in schema["type"]
    if default is not None:
        assert schema.get("minimum", default) <= default <= schema.get("maximum", default)
        assert default in schema.get("enum", [default])


def test_the_schema_refuses_what_it_does_not_know() -> None:
    """Every object of ours is closed, so that a typo is an error; what is Kubernetes' own is open."""
    of_kubernetes = {"affinity", "tolerations", "valueFrom", "callersFrom", "metricsFrom", "webhookFrom", "extra"}
    other = {"parentRefs", "global"}
    found = {name for name, each in _objects(SCHEMA) if each.get("additionalProperties", True) is True}
    assert found == of_kubernetes | other


def _objects(schema: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of objects, by the name of the value."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield name, schema
        for key, value in schema.items():
            yield from _objects(value, name if key in ("items", "properties", "anyOf") else key)
    elif isinstance(schema, list):
        for each in schema:
            yield from _objects(each, name)


def test_values_and_schema_have_the_same_names() -> None:
    """A value without a schema would be refused, one of the schema without a default would be a surprise."""
    assert {*SCHEMA["properties"]} - {"global"} == {*VALUES}
    for name, schema in SCHEMA["properties"].items():
        if "properties" in schema and name != "valkey":
            assert set(schema["properties"]) == set(VALUES[name]), name


@pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def test_the_gateway_takes_the_settings_of_the_examples(values: Path) -> None:
    """As the chart writes them into the environment; files and secrets aside."""
    names = {camel(name): name for name in plain_names()}
    given = yaml.safe_load(values.read_text())["settings"].items()
    texts = {names[name]: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given}
    secrets = {"vendor_client_id": "desk", "vendor_client_secret": "secret", "allow_sandbox": "true"}
    settings = Settings(**(secrets | texts))  # type: ignore[arg-type]  # texts, as in the environment
    assert settings.listen


def test_the_alerts_know_the_job_that_the_monitor_sets() -> None:
    """Whatever the release is called: else none of them would ever fire, the chart's own or those beside it."""
    monitoring = (CHART / "templates" / "monitoring.yaml").read_text()
    assert re.findall(r"replacement: (.*)", monitoring) == ['{{ include "gateway.job" . }}']
    assert '(printf "job=%q" (include "gateway.job" .))' in monitoring
    (defined,) = re.findall(r'define "gateway.job" -}}\n(.*)\n', TEMPLATES)
    job = re.sub(r"{{.*?}}", "x", defined)
    patterns = set(re.findall(r'job=~"([^"]*)"', RULES.read_text()))
    assert patterns
    assert all(re.fullmatch(pattern, job) for pattern in patterns)


def test_a_key_that_is_repeated_in_an_object_is_named() -> None:
    """At any depth and in any document; the same key in two objects is none."""
    documents = "a: {b: 1, c: 1}\nb: 2\n---\n- {d: 1, e: {f: 1, g: 2, f: 3}}\n---\n"
    assert list(repeated_keys(documents)) == ["f is there twice"]


def test_it_has_no_secret_of_its_own() -> None:
    """Secrets exist before it: what stands in values ends in a repository."""
    assert "kind: Secret" not in TEMPLATES


def test_the_api_server_of_the_checks_says_its_version() -> None:
    """It is linked in: built from modules it would be v0.0.0, which no chart's kubeVersion takes."""
    cluster = ROOT / "tools" / "go" / "cluster"
    (version,) = re.findall(r"k8s.io/kubernetes (v[0-9.]+)", (cluster / "go.mod").read_text())
    assert (cluster / "ldflags").read_text().strip().endswith(f"={version}")


def test_a_value_that_is_taken_away_is_named() -> None:
    """`ports: null` has the schema's sentence, not an error of a template; what may be empty may be absent."""
    assert set(SCHEMA["required"]) == {name for name, value in VALUES.items() if value and isinstance(value, dict)}
    for name in {*SCHEMA["required"]} - {"valkey"}:
        needed = {key for key, value in VALUES[name].items() if not isinstance(value, list) and value != {}}
        assert set(SCHEMA["properties"][name].get("required", [])) == needed, name


def test_each_refusal_is_tested() -> None:
    """Each sentence of _refusals.tpl is in helm-unittest's suites, but for one about how a chart is packaged."""
    refusals = (CHART / "templates" / "_refusals.tpl").read_text()
    sentences = re.findall(r'append \$lines (?:\(printf )?"([^"]+)"', refusals)
    patterns = re.findall(r'errorPattern: "([^"]+)"', (CHART / "tests" / "refusals_test.yaml").read_text())
    assert len(sentences) > 30
    untested = [each for each in sentences if not any(_is_of(pattern, each) for pattern in patterns)]
    assert untested == ["prometheusRule.enabled: this chart was packaged without rules"]


def _is_of(pattern: str, sentence: str) -> bool:
    """Whether the pattern is about that sentence, whose `%s` and the like it has filled in."""
    pieces = re.split(r"%[.0-9]*[a-z]", sentence)
    return any(pattern in piece or (len(piece) >= 10 and piece in pattern) for piece in pieces)
