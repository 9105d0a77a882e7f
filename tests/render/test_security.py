"""What every pod may do: Pod Security `restricted`, a read-only root, no token, networks denied by default."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.everything import EVERYTHING
from tests.render.figures import INGRESS, ROUTE_MANAGER
from tests.render.harness import Document, Documents, pod, render

CASES = [{}, EVERYTHING, {"ingress": {"initContainers": [{"name": "i", "image": "i"}]}}]
OWN_PORT = {"ingress": {"prometheus": {"port": 9102}}}
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def workloads(values: dict[str, Any]) -> list[Document]:
    found = [doc for doc in render(values) if doc["kind"] in ("Deployment", "Pod")]
    assert len(found) >= 2
    return found


@pytest.mark.parametrize("values", CASES, ids=["default", "everything", "init"])
class TestRestricted:
    """The Pod Security standard `restricted`, control by control."""

    def test_no_host_access(self, values: dict[str, Any]) -> None:
        for doc in workloads(values):
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(doc))
            for volume in pod(doc).get("volumes", []):
                assert set(volume) - {"name"} <= VOLUMES
            for box in boxes(doc):
                assert not [port for port in box.get("ports", []) if "hostPort" in port]

    def test_not_root(self, values: dict[str, Any]) -> None:
        for doc in workloads(values):
            assert pod(doc)["securityContext"]["runAsNonRoot"] is True
            assert pod(doc)["securityContext"]["runAsUser"] > 0
            assert pod(doc)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}

    def test_containers_gain_nothing(self, values: dict[str, Any]) -> None:
        for doc in workloads(values):
            for box in boxes(doc):
                context = box["securityContext"]
                assert context["allowPrivilegeEscalation"] is False
                assert context["readOnlyRootFilesystem"] is True
                assert context["capabilities"] == {"drop": ["ALL"]}
                assert not context.get("privileged")

    def test_what_a_test_needs_is_said_and_bounded(self, values: dict[str, Any]) -> None:
        """By a limit alone a pod asks for as much, and may find no place."""
        tests = [box for doc in workloads(values) if doc["kind"] == "Pod" for box in boxes(doc)]
        for needs in (box["resources"] for box in tests):
            assert set(needs["requests"]) == set(needs["limits"]) == {"cpu", "memory", "ephemeral-storage"}
            assert needs["requests"]["cpu"] != needs["limits"]["cpu"]

    def test_no_token(self, values: dict[str, Any]) -> None:
        assert all(pod(doc)["automountServiceAccountToken"] is False for doc in workloads(values))

    def test_no_environment_of_other_services(self, values: dict[str, Any]) -> None:
        assert all(pod(doc)["enableServiceLinks"] is False for doc in workloads(values))


def boxes(doc: Document) -> list[Document]:
    found: list[Document] = pod(doc)["containers"] + pod(doc).get("initContainers", [])
    return found


def test_contexts_can_be_changed_key_by_key() -> None:
    docs = render({"podSecurityContext": {"runAsUser": 1001}, "securityContext": {"readOnlyRootFilesystem": False}})
    for doc in docs.all("Deployment"):
        assert pod(doc)["securityContext"]["runAsUser"] == 1001
        assert pod(doc)["securityContext"]["runAsNonRoot"] is True
        assert boxes(doc)[0]["securityContext"]["readOnlyRootFilesystem"] is False


def test_openshift_can_assign_the_user() -> None:
    docs = render({"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}})
    for doc in docs.all("Deployment"):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod(doc)["securityContext"])


class TestNetworkPolicy:
    def policies(self, **more: Any) -> Documents:
        return render({"networkPolicy": {"enabled": True, **more}})

    def test_off_by_default(self) -> None:
        assert not render().all("NetworkPolicy")

    def test_everything_is_denied_first(self) -> None:
        docs = self.policies()
        deny = [doc for doc in docs.all("NetworkPolicy") if not {"ingress", "egress"} & set(doc["spec"])]
        assert [set(doc["spec"]["policyTypes"]) for doc in deny] == [{"Ingress", "Egress"}]

    def policy_of(self, docs: Documents, name: str) -> Document:
        selected = docs.one("Deployment", name)["spec"]["selector"]
        (found,) = [doc for doc in docs.all("NetworkPolicy") if doc["spec"]["podSelector"] == selected]
        return found

    @pytest.mark.parametrize("name", [INGRESS, ROUTE_MANAGER])
    def test_each_component_has_its_own(self, name: str) -> None:
        spec = self.policy_of(self.policies(), name)["spec"]
        assert set(spec["policyTypes"]) == {"Ingress", "Egress"}

    def test_route_manager_is_called_by_the_ingress_only(self) -> None:
        docs = self.policies()
        selected = docs.one("Deployment", INGRESS)["spec"]["selector"]
        callers = [
            peer
            for rule in self.policy_of(docs, ROUTE_MANAGER)["spec"]["ingress"]
            if 50051 in ports(rule, docs, ROUTE_MANAGER)
            for peer in rule["from"]
        ]
        assert {"podSelector": selected} in callers
        rules = self.policy_of(docs, ROUTE_MANAGER)["spec"]["ingress"]
        assert {port["protocol"] for rule in rules for port in rule["ports"]} == {"TCP"}
        assert {} not in callers

    def test_the_ingress_reaches_route_manager_and_dns(self) -> None:
        docs = self.policies()
        rules = self.policy_of(docs, INGRESS)["spec"]["egress"]
        reached = {number for rule in rules for number in ports(rule, docs, ROUTE_MANAGER)}
        assert {53, 50051} <= reached
        protocols = {port.get("protocol", "TCP") for rule in rules for port in rule["ports"] if port["port"] == 53}
        assert protocols == {"TCP", "UDP"}

    def test_pods_in_the_nodes_network_are_called_by_number_wherever_they_are(self) -> None:
        """To a policy they are no peers, and have no named ports."""
        values = {"hostNetwork": True}
        docs = render({"networkPolicy": {"enabled": True}, "ingress": values, "routeManager": values})
        opened = {number: {"ports": [{"port": number, "protocol": "TCP"}]} for number in (8080, 50051)}
        assert opened[50051] in self.policy_of(docs, INGRESS)["spec"]["egress"]
        tests = docs.one("NetworkPolicy", "gati-test")["spec"]["egress"]
        assert [rule for rule in tests if rule in opened.values()] == [*opened.values()]

    def test_clients_reach_the_ingress(self) -> None:
        docs = self.policies()
        rules = self.policy_of(docs, INGRESS)["spec"]["ingress"]
        open_rules = [rule for rule in rules if 8080 in ports(rule, docs, INGRESS)]
        assert open_rules
        peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}
        closed = self.policies(ingress={"from": [peer]})
        named = [rule["from"] for rule in self.policy_of(closed, INGRESS)["spec"]["ingress"] if "from" in rule]
        tests = closed.one("Pod", "gati-ingress-test")["metadata"]["labels"]
        peers = next(peers for peers in named if peer in peers)
        assert [set(one) for one in peers] == [{"namespaceSelector"}, {"podSelector"}]
        assert peers[1]["podSelector"]["matchLabels"].items() <= tests.items()
        assert peers[1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"

    @pytest.mark.parametrize(
        ("values", "metrics"),
        [
            ({}, 8080),
            ({"tls": {"enabled": True}}, 8080),
            ({"tls": {"enabled": True, "http": "none"}}, 8080),
            (OWN_PORT, 9102),
        ],
        ids=str,
    )
    def test_metrics_open_no_way_around_the_callers(self, values: dict[str, Any], metrics: int) -> None:
        caller = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}
        scraper = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}

        def peers(number: int, **policy: Any) -> list[Any]:
            docs = render({**values, "networkPolicy": {"enabled": True, "ingress": policy}})
            rules = [
                rule
                for rule in self.policy_of(docs, INGRESS)["spec"]["ingress"]
                if number in ports(rule, docs, INGRESS)
            ]
            return [peer for rule in rules for peer in rule.get("from", ["everyone"])]

        assert set(map(str, peers(metrics))) == {"everyone"}
        assert caller in peers(metrics, **{"from": [caller]})
        assert "everyone" not in peers(metrics, **{"from": [caller]})
        assert scraper in peers(metrics, **{"from": [caller], "metricsFrom": [scraper]})
        assert "everyone" not in peers(metrics, **{"from": [caller], "metricsFrom": [scraper]})

    @pytest.mark.parametrize(
        ("prometheus", "policy", "rules"),
        [
            ({}, {}, 1),
            ({"port": 9102}, {}, 2),
            ({}, {"metricsFrom": [{"podSelector": {}}]}, 2),
            ({"scrape": False}, {"metricsFrom": [{"podSelector": {}}]}, 1),
            ({"scrape": False, "port": 9102}, {}, 2),
        ],
        ids=["with clients", "a port of their own", "peers of their own", "off, with peers", "off, with a port"],
    )
    def test_metrics_have_a_rule_where_they_need_one(
        self, prometheus: dict[str, Any], policy: dict[str, Any], rules: int
    ) -> None:
        docs = render({"ingress": {"prometheus": prometheus}, "networkPolicy": {"enabled": True, "ingress": policy}})
        assert len(self.policy_of(docs, INGRESS)["spec"]["ingress"]) == rules

    def test_extra_egress_is_added(self) -> None:
        rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443, "protocol": "TCP"}]}
        docs = self.policies(ingress={"extraEgress": [rule]}, routeManager={"extraEgress": [rule]})
        for name in (INGRESS, ROUTE_MANAGER):
            assert rule in self.policy_of(docs, name)["spec"]["egress"]


def ports(rule: Document, docs: Documents, name: str) -> set[int]:
    """The rule's ports as numbers; the names are those of a Deployment's container."""
    named = {entry.get("name"): entry["containerPort"] for entry in boxes(docs.one("Deployment", name))[0]["ports"]}
    return {named.get(entry["port"], entry["port"]) for entry in rule["ports"]}
