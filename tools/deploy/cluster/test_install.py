"""The chart is installed, upgraded, scaled and rolled back on a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testkit.server_process import ROOT

from .api_server import HELM, KUBECTL, NAMESPACE, ApiServer

CHART = ROOT / "deploy" / "chart"
SANDBOX = CHART / "ci" / "sandbox-values.yaml"
NAME = "calls-call-request-gateway"


@pytest.fixture
def installed(server: ApiServer) -> Iterator[ApiServer]:
    """With the release `calls` of the sandbox's values."""
    server.helm("install", "calls", CHART, "--values", SANDBOX)
    yield server
    server.helm("uninstall", "calls")


def deployment(server: ApiServer) -> dict[str, Any]:
    found: dict[str, Any] = server.get("deployment", NAME)["spec"]
    return found


def env(spec: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in spec["template"]["spec"]["containers"][0]["env"]}


class TestRelease:
    """What helm does with a release, object by object on the server."""

    def test_installing_makes_its_objects(self, installed: ApiServer) -> None:
        """The Deployment, two Services, the account, the budget, the policy; no Secret but Helm's own."""
        kinds = "deployment,service,serviceaccount,poddisruptionbudget,networkpolicy,horizontalpodautoscaler,configmap"
        found = installed.get(kinds, "--selector", "app.kubernetes.io/instance=calls")["items"]
        assert sorted((each["kind"], each["metadata"]["name"]) for each in found) == [
            ("Deployment", NAME),
            ("NetworkPolicy", NAME),
            ("PodDisruptionBudget", NAME),
            ("Service", NAME),
            ("Service", f"{NAME}-headless"),
            ("ServiceAccount", NAME),
        ]
        assert {each["type"] for each in installed.get("secrets")["items"]} == {"helm.sh/release.v1"}

    def test_the_headless_service_has_no_address_and_finds_ready_pods_alone(self, installed: ApiServer) -> None:
        """Its name resolves to the pods' addresses, and to none that is not ready."""
        spec = installed.get("service", f"{NAME}-headless")["spec"]
        assert spec["clusterIP"] == "None"
        assert not spec.get("publishNotReadyAddresses")

    def test_an_upgrade_changes_what_was_changed_and_removes_what_was_removed(self, installed: ApiServer) -> None:
        """A setting that is gone from the values is gone from the pods; so is a Service."""
        upgrade = ("upgrade", "calls", CHART, "--values", SANDBOX)
        installed.helm(*upgrade, "--set", "settings.grace=50,settings.maxReads=7,headlessService.enabled=false")
        spec = deployment(installed)
        assert env(spec)["GATEWAY_MAX_READS"] == "7"
        assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 55
        services = ("service", "--selector", "app.kubernetes.io/instance=calls")
        assert [each["metadata"]["name"] for each in installed.get(*services)["items"]] == [NAME]
        installed.helm(*upgrade)
        assert "GATEWAY_MAX_READS" not in env(deployment(installed))
        assert len(installed.get(*services)["items"]) == 2

    def test_a_rollback_restores_the_revision(self, installed: ApiServer) -> None:
        """As it was, the number of pods too."""
        before = deployment(installed)
        installed.helm("upgrade", "calls", CHART, "--values", SANDBOX, "--set", "replicas=5,settings.workers=2")
        assert deployment(installed)["replicas"] == 5
        installed.helm("rollback", "calls", "1")
        assert deployment(installed) == before

    def test_the_same_values_again_change_nothing(self, installed: ApiServer) -> None:
        """No pod is replaced by an upgrade that changes nothing."""
        before = installed.get("deployment", NAME)["metadata"]["generation"]
        installed.helm("upgrade", "calls", CHART, "--values", SANDBOX)
        assert installed.get("deployment", NAME)["metadata"]["generation"] == before


class TestScaling:
    """Who owns the number of pods."""

    AUTOSCALED = ("--values", SANDBOX, "--set", "autoscaling.enabled=true")

    def test_an_upgrade_leaves_what_the_autoscaler_has_scaled(self, server: ApiServer) -> None:
        """The chart leaves `replicas` out: Helm applies server-side, and would conflict with the autoscaler."""
        server.helm("install", "calls", CHART, *self.AUTOSCALED)
        try:
            assert server.get("hpa", NAME)["spec"]["scaleTargetRef"]["name"] == NAME
            server.kubectl("scale", f"deployment/{NAME}", "--replicas=7")
            server.helm("upgrade", "calls", CHART, *self.AUTOSCALED, "--set", "settings.maxReads=7")
            spec = deployment(server)
            assert (spec["replicas"], env(spec)["GATEWAY_MAX_READS"]) == (7, "7")
            server.helm("rollback", "calls", "1")
            assert deployment(server)["replicas"] == 7
        finally:
            server.helm("uninstall", "calls")

    def test_without_an_autoscaler_scaling_by_hand_conflicts_with_the_values(self, installed: ApiServer) -> None:
        """What docs/kubernetes.md warns of: helm names the field, and changes nothing."""
        installed.kubectl("scale", f"deployment/{NAME}", "--replicas=7")
        changed = ("upgrade", "calls", CHART, "--values", SANDBOX, "--set", "settings.maxReads=7")
        ended = installed.run(HELM, *changed)
        assert ended.returncode != 0
        assert ".spec.replicas" in ended.stderr
        assert deployment(installed)["replicas"] == 7
        installed.helm(*changed, "--force-conflicts")
        assert deployment(installed)["replicas"] == 2

    def test_turning_the_autoscaler_on_alone_would_fall_back_to_one(self, installed: ApiServer) -> None:
        """Why docs/kubernetes.md has the number scaled by hand first: a field that nobody owns has its default."""
        installed.helm("upgrade", "calls", CHART, *self.AUTOSCALED)
        assert deployment(installed)["replicas"] == 1

    def test_turning_the_autoscaler_on_keeps_the_number(self, installed: ApiServer) -> None:
        """As docs/kubernetes.md says: scaled to the same number by hand first, the field has an owner that stays."""
        installed.helm("upgrade", "calls", CHART, "--values", SANDBOX, "--set", "replicas=4")
        installed.kubectl("scale", f"deployment/{NAME}", "--replicas=5")
        installed.helm("upgrade", "calls", CHART, *self.AUTOSCALED)
        assert deployment(installed)["replicas"] == 5


class TestPodSecurity:
    """The namespace enforces the level `restricted`. Nothing makes pods here: the tests make them of the template."""

    @staticmethod
    def pods(server: ApiServer, values: Path) -> list[dict[str, Any]]:
        rendered = server.helm("template", "calls", CHART, "--namespace", NAMESPACE, "--values", values)
        documents = [each for each in yaml.safe_load_all(rendered) if each and each["kind"] == "Deployment"]
        templates = [each["spec"]["template"] for each in documents]
        return [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"of-tests-{number}", "labels": each["metadata"]["labels"]},
                "spec": each["spec"] | {"serviceAccountName": "of-tests"},
            }
            for number, each in enumerate(templates)
        ]

    @pytest.fixture(autouse=True)
    def account(self, server: ApiServer) -> Iterator[None]:
        """Controllers would make the account `default`, and Helm the chart's."""
        server.kubectl("create", "serviceaccount", "of-tests")
        yield
        server.kubectl("delete", "serviceaccount", "of-tests")

    @pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
    def test_its_pods_are_admitted(self, server: ApiServer, values: Path) -> None:
        """The gateway's and the engine's, whatever the values."""
        pods = self.pods(server, values)
        assert pods
        for pod in pods:
            ended = server.run(KUBECTL, "create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
            assert ended.returncode == 0, ended.stderr

    def test_a_pod_that_may_be_root_is_not(self, server: ApiServer) -> None:
        """The namespace does enforce it."""
        (pod,) = self.pods(server, SANDBOX)
        pod["spec"]["securityContext"]["runAsNonRoot"] = False
        pod["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] = False
        ended = server.run(KUBECTL, "create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
        assert ended.returncode != 0
        assert 'violates PodSecurity "restricted' in ended.stderr


class TestValues:
    """What the values may be."""

    @pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
    def test_the_server_takes_what_is_made_of_them(self, server: ApiServer, values: Path) -> None:
        """Field by field: the server refuses fields that it does not know, and its warnings are failures, too."""
        rendered = server.helm("template", "calls", CHART, "--namespace", NAMESPACE, "--values", values)
        ended = server.run(
            KUBECTL,
            *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors"),
            "--filename=-",
            stdin=rendered,
        )
        assert ended.returncode == 0, ended.stderr

    @pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
    def test_they_can_be_installed_and_removed(self, server: ApiServer, values: Path) -> None:
        """All parts of it, and nothing stays behind."""
        server.helm("install", "calls", CHART, "--values", values)
        server.helm("uninstall", "calls")
        kinds = "deployment,service,serviceaccount,pdb,networkpolicy,hpa,configmap,podmonitor,prometheusrule,grpcroute"
        assert server.get(kinds, "--selector", "app.kubernetes.io/instance=calls")["items"] == []

    def test_a_typo_is_refused_before_anything_is_changed(self, installed: ApiServer) -> None:
        """The name is in the message, and the release stays as it was."""
        typo = ("upgrade", "calls", CHART, "--values", SANDBOX, "--set", "settings.maxRead=7")
        ended = installed.run(HELM, *typo)
        assert ended.returncode != 0
        assert "maxRead" in ended.stderr
        history = json.loads(installed.helm("history", "calls", "--output", "json"))
        assert [each["status"] for each in history] == ["deployed"]
