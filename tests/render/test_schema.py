"""values.schema.json: strict, in step with values.yaml, and every refusal names the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tests.render.everything import EVERYTHING, merged, nested
from tests.render.figures import at
from tests.render.harness import CHART, render, render_error
from tests.render.schema_values import ACCEPTING, DEFAULTS, SCHEMA, Path, resolved, schema_at


def maps(schema: dict[str, Any] = SCHEMA, path: Path = ()) -> Iterator[Path]:
    """Every map of the values whose keys the schema knows."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path
        for key, child in schema["properties"].items():
            yield from maps(child, (*path, key))


def leaves(tree: Any = DEFAULTS, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every default that is no map, and every empty map."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def pointers(message: str) -> set[str]:
    """The places, as JSON pointers, that helm's message names."""
    return {line.split("'")[1] for line in message.splitlines() if "at '" in line}


def test_is_a_valid_schema() -> None:
    ACCEPTING.check_schema(SCHEMA)


def test_defaults_and_environments_satisfy_it() -> None:
    ACCEPTING.validate(DEFAULTS)
    ACCEPTING.validate(merged(DEFAULTS, EVERYTHING))
    for path in sorted(CHART.glob("values-*.yaml")):
        assert render(values_files=(path.name,)), path.name


PASSED_THROUGH = {"resources", "podSecurityContext", "securityContext"}  # Kubernetes knows more keys than it needs
# One place of each; `global` is open on purpose: see TestParentChart.
CLOSED = list({id(schema_at(path)): path for path in maps() if path != ("global",)}.values())


@pytest.mark.parametrize("path", CLOSED, ids=lambda path: ".".join(path) or "top")
def test_a_typo_is_refused_and_named(path: Path) -> None:
    message = render_error(nested((*path, "tpyo"), 1))
    assert "tpyo" in message
    assert "/" + "/".join(path) in message or not path


def wrong(value: Any) -> Any:
    """A value of a type that stands for no default of this kind."""
    return [["no"]] if isinstance(value, dict | str | bool | int | float) or value is None else {"no": "no"}


def test_a_wrong_type_is_refused_and_named_for_every_default() -> None:
    broken: dict[str, Any] = {}
    expected = set()
    for path, value in leaves():
        node = broken
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = wrong(value)
        expected.add("/" + "/".join(path))
    named = pointers(render_error(broken))
    assert not [pointer for pointer in expected if pointer not in named]


NUMBERS = [path for path, value in leaves() if isinstance(value, int) and not isinstance(value, bool)]


def test_a_percentage_where_a_number_must_stand_is_refused_and_named() -> None:
    broken: dict[str, Any] = {}
    wanted = {path for path in NUMBERS if path[0] != "pdb" and "rollingUpdate" not in path}
    for path in wanted:
        node = broken
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = "50%"
    named = pointers(render_error(broken))
    assert {"/" + "/".join(path) for path in wanted} <= named


@pytest.mark.parametrize("value", [0, -1, 65536, 8080.5, "http", "80"])
@pytest.mark.parametrize("path", ["ingress.service.port", "routeManager.service.targetPort", "tls.targetPort"])
def test_a_port_is_a_port(path: str, value: Any) -> None:
    message = render_error(nested(tuple(path.split(".")), value))
    assert "/" + path.replace(".", "/") in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ingress.replicaCount", -1),
        ("ingress.replicaCount", 1.5),
        ("ingress.replicaCount", None),
        ("ingress.hpa.minReplicas", 0),
        ("ingress.hpa.cpuUtilization", 0),
        ("ingress.image.pullPolicy", "Sometimes"),
        ("ingress.name", "Not_A_Name"),
        ("ingress.name", "1starts-with-a-digit"),
        ("ingress.readinessProbe.path", "healthz"),
        ("keda.requestsPerSecond", 0),
        ("multiZone.zoneLabel", ""),
        ("shutdown.terminationGracePeriodSeconds", 0),
        ("prometheusOperator.serviceMonitor.interval", "15 seconds"),
        ("commonLabels.bad key", "x"),
        ("commonLabels.key", "not a label value"),
        ("global.namespace", "Not A Namespace"),
        ("ingress.config.LARGE", 2**53),
        ("podSecurityContext.supplementalGroups", [0, ""]),
        ("routeManager.extraEnv", [{"name": "no=name"}]),
        ("networkPolicy.ingress.from", [{"ipBlock": {"cidr": "10.0.0.0"}}]),
        ("ingress.hostAliases", [{"ip": "ten"}]),
        ("ingress.minReadySeconds", 600),
        (
            "ingress.topologySpreadConstraints",
            [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}],
        ),
        ("podSecurityContext.seccompProfile", {"type": "Localhost"}),
        ("podSecurityContext.seccompProfile", {"localhostProfile": "a.json"}),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(path: str, value: Any) -> None:
    message = render_error(nested(tuple(path.split(".")), value))
    assert path.split(".")[-1] in message


def selector(operator: str, *values: str) -> dict[str, Any]:
    given = {"values": list(values)} if values else {}
    return {"matchExpressions": [{"key": "a", "operator": operator, **given}]}


def divided(resource: str, divisor: str) -> dict[str, Any]:
    return {"path": "a", "resourceFieldRef": {"containerName": "b", "resource": resource, "divisor": divisor}}


LONG = "a" * 1100
NODE = {"key": "metadata.name", "operator": "In", "values": ["node.example"]}
TARGET = {"type": "AverageValue", "averageValue": "1"}
STORAGE = {"resources": {"requests": {"storage": "1Gi"}}}
LACKING: list[dict[str, Any]] = [
    {"configMap": {}},
    {"configMap": {"name": "a", "items": [{"key": "k", "path": "../x"}]}},
    {"configMap": {"name": "a", "defaultMode": "0444"}},
    {"secret": {"name": "a"}},
    {"secret": {"secretName": "a", "defaultMode": 512}},
    {"persistentVolumeClaim": {"name": "a"}},
    {"emptyDir": {"size": "1Gi"}},
    {"emptyDir": {"medium": "memory"}},
    {"emptyDir": {"mode": 448}},  # as the other fields of a gate that is off, it would be dropped in silence
    {"hostPath": {"path": "/a", "type": "directory"}},
    {"nfs": {"server": "a", "path": "b"}},
    {"csi": {"driver": "a b"}},
    {"image": {"reference": "a", "pullPolicy": "always"}},
    {"ephemeral": {"spec": {}}},
    {"ephemeral": {"volumeClaimTemplate": {"spec": {"storage": "1Gi"}}}},
    {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "spec.nodeName"}}]}},
    {"projected": {"sources": [{"secret": {"secretName": "a"}}]}},
    {"projected": {"sources": [{"serviceAccountToken": {"path": "a", "expirationSeconds": 60}}]}},
    {"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "a"}}]}},
    *(
        {"projected": {"sources": [{"clusterTrustBundle": {"path": "a", **bundle}}]}}
        for bundle in (
            {"nmae": "a"},
            {"signerName": "a"},
            {"name": "a", "path": "b", "user": 1},
            {"name": "a", "path": "/"},
        )
    ),
    *(
        {"projected": {"sources": [{"podCertificate": {"signerName": "a.b/c", **certificate}}]}}
        for certificate in ({"keyType": "ED25519"}, {"keyType": "RSA1024", "keyPath": "a"})
    ),
    *(
        {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": [mode], "resources": resources}}}}
        for mode, resources in (
            ("RWO", {"requests": {"storage": "1Gi"}}),
            ("ReadWriteOnce", {}),
            ("ReadWriteOnce", {"requests": {"storage": "0"}}),
        )
    ),
    *(
        {"ephemeral": {"volumeClaimTemplate": {"metadata": metadata, "spec": {"accessModes": modes, **STORAGE}}}}
        for metadata, modes in (({"name": "a"}, ["ReadWriteOnce"]), ({}, []))
    ),
    {"hostPath": {"path": "/a/../b"}},
    {"azureFile": {"secretName": "a"}},
    {"iscsi": {"iqn": "iqn.2001-04.com.example:a", "lun": 0}},
]
NO_CORS: list[dict[str, Any]] = [
    {"allowOrgins": []},
    {"allowOrigins": ["*", "*"]},
    {"allowOrigins": ["a.b"]},
    {"allowMethods": ["get"]},
    {"maxAge": 0},
]
# What the API server refuses of the objects that a user gives in full, or an operator later and in silence.
OF_KUBERNETES: list[tuple[str, Any]] = [
    ("podSecurityContext.seLinuxChangePolicy", "Sometimes"),
    ("podSecurityContext.sysctls", [{"name": "net ipv4", "value": "1"}]),
    ("securityContext.procMount", "Unmasked"),
    ("ingress.service.loadBalancerClass", "a/b/c"),
    ("ingress.service.loadBalancerSourceRanges", [":::/8"]),
    ("ingress.config", {"..": "x"}),
    ("ingress.config", {"..data": "x"}),
    ("tls.caBundle.key", ".."),
    ("ingress.dnsConfig.nameservers", ["dns.example.com"]),
    ("ingress.dnsConfig.nameservers", ["10.0.0.1"] * 4),
    ("ingress.dnsConfig.searches", ["Example.com"]),
    ("ingress.hostAliases", [{"ip": "10.0.0.1", "hostnames": ["*.example.com"]}]),
    ("ingress.hostAliases", [{"ip": ":::"}]),
    ("externalIngress.hosts", [{"host": "10.0.0.1"}]),
    ("ingress.extraVolumes", [{"name": "two", "emptyDir": {}, "configMap": {"name": "a"}}]),
    ("ingress.extraEnvFrom", [{}]),
    ("ingress.extraEnvFrom", [{"secretRef": {}}]),
    ("ingress.extraEnv", [{"name": "A", "valueFrom": {"fieldRef": {}, "secretKeyRef": {}}}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "ports": [{"containerPort": "9"}]}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "imagePullPolicy": "always"}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "resources": {"limits": {"cpu": "lots"}}}]),
    ("ingress.initContainers", [{"name": "a", "image": "b", "securityContext": {"runAsRoot": True}}]),
    ("ingress.livenessProbe.custom", {"httpGet": {"path": "/"}}),
    ("ingress.livenessProbe.custom", {"tcpSocket": {"port": 0}}),
    ("ingress.livenessProbe.custom", {"sleep": {"seconds": 1}}),
    ("ingress.lifecycle.preStop", {"grpc": {"port": 1}}),
    ("ingress.lifecycle.preStop", {"httpGet": {"path": "/"}}),
    ("routeManager.livenessProbe.custom", {"grpc": {"port": "grpc"}}),
    ("ingress.livenessProbe.custom", {"tcpSocket": {"port": 1}, "periodSeconds": "10"}),
    ("ingress.resources.requests", {"gpu": 1}),
    ("ingress.resources", {"claims": [{"name": "gpu"}]}),
    ("ingress.hpa.metrics", [{"type": "pods"}]),
    ("ingress.hpa.metrics", [{"type": "Pods", "pods": "x"}]),
    ("ingress.hpa.metrics", [{"type": "Pods", "pods": {"target": {"type": 5}}}]),
    ("ingress.hpa.metrics", [{"type": "Pods", "pods": {"target": TARGET}}]),
    ("ingress.hpa.metrics", [{"type": "Resource", "resource": {"name": "cpu", "target": TARGET | {"value": "0m"}}}]),
    *(
        ("ingress.hpa.metrics", [{"type": "ContainerResource", "containerResource": {**which, "target": TARGET}}])
        for which in ({"name": "cpu"}, {"name": "gpu", "container": "a"})
    ),
    ("httpRoute.filters", [{"type": 5}]),
    *(
        ("httpRoute.filters", [{"type": part[0].upper() + part[1:], part: given}])
        for part, given in (
            ("requestHeaderModifier", {"set": [{"name": "a", "vale": "b"}]}),
            ("responseHeaderModifier", {"delete": ["a"]}),
            ("requestRedirect", {"schema": "https"}),
            ("requestRedirect", {"statusCode": 200}),
            ("urlRewrite", {"hostname": "*.example.com"}),
            ("urlRewrite", {"path": "/a"}),
            ("urlRewrite", {"path": {"type": "Prefix"}}),
            ("extensionRef", {"name": "a"}),
            ("requestMirror", {"backendRef": {"name": "a"}}),
            ("requestMirror", {"backendRef": {"nmae": "a", "port": 80}}),
            ("requestMirror", {"backendRef": {"name": "a", "port": 80}, "percent": 101}),
            ("requestMirror", {"backendRef": {"name": "a", "port": 80}, "percent": 1, "fraction": {"numerator": 1}}),
        )
    ),
    *(("httpRoute.filters", [{"type": kind, "cors": {}}]) for kind in ("", "Cors")),
    *(("httpRoute.filters", [{"type": "CORS", "cors": cors}]) for cors in NO_CORS),
    ("networkPolicy.ingress.from", [{"podSelector": {"matchLabels": {"a": 1}}}]),
    (
        "ingress.topologySpreadConstraints",
        [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "Maybe"}],
    ),
    ("prometheusOperator.serviceMonitor.relabelings", [{"source_labels": ["a"]}]),
    ("prometheusOperator.serviceMonitor.metricRelabelings", [{"action": "rename"}]),
    ("networkPolicy.ingress.from", [{}]),
    ("networkPolicy.ingress.from", [{"podSelector": {"app": "x"}}]),
    ("networkPolicy.ingress.extraEgress", [{"ports": [{"port": 443, "protocol": "tcp"}]}]),
    ("ingress.extraVolumes", [{"name": "a", "configmap": {"name": "a"}}]),
    ("ingress.extraVolumeMounts", [{"name": "tmp", "mountPath": "/a", "readonly": True}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "comand": ["c"]}]),
    ("ingress.extraContainers", [{"name": "a", "image": " b"}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "ports": [{"name": "80", "containerPort": 80}]}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "ports": [{"name": "a--b", "containerPort": 80}]}]),
    ("ingress.extraEnv", [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.hostname"}}}]),
    *(
        ("ingress.extraEnv", [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": what, "divisor": divisor}}}])
        for what, divisor in (("limits.gpu", 1), ("limits.cpu", "2"), ("limits.memory", "1n"))
    ),
    ("ingress.extraEnv", [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "b"}}}]),
    ("ingress.extraEnv", [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "b"}}}]),
    ("ingress.extraEnvFrom", [{"secretRef": {"name": "Up"}}]),
    ("affinity.podAffinity", {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 200}]}),
    ("affinity.nodeAffinity", {"requiredDuringSchedulingIgnoredDuringExecution": []}),
    *(
        ("affinity.nodeAffinity", {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}})
        for term in (selector("exists"), selector("Gt", "1 2"), {})  # by the last one no node is fit
    ),
    *(
        ("networkPolicy.ingress.from", [{"podSelector": expressions}])
        for expressions in (selector("NotIn", "b c"), selector("Gt", "1"))
    ),
    ("ingress.lifecycle.postStart", {"exec": {"command": "/app/warm"}}),
    ("ingress.livenessProbe.custom", {"exec": {}}),
    ("ingress.livenessProbe.custom", {"httpGet": {"port": 80, "httpHeaders": [{"name": "a", "value": 1}]}}),
    ("ingress.extraEnvFrom", [{"prefix": "A=", "secretRef": {"name": "a"}}]),
    ("ingress.hpa.metrics", [{"type": "Pods", "pods": {"target": {"type": "AverageValue", "averageValue": "many"}}}]),
    ("prometheusOperator.prometheusRule.extraRules", [{"alert": "A", "expr": ""}]),
    ("keda.extraTriggers", [{"type": "cron", "metadata": {"a": 2**53}}]),  # as 2**53 + 1 arrives
    ("httpRoute.matches", [{"header": []}]),
    *(("httpRoute.timeouts.request", text) for text in ("30", "1d", "100000s", "1h1m1s1ms1s")),
    ("httpRoute.matches", [{"method": "get"}]),
    ("httpRoute.matches", [{"path": {"type": "Prefix", "value": "/"}}]),
    ("httpRoute.matches", [{"headers": [{"name": "a"}]}]),
    ("ingress.prometheus.selector", "job=gati"),
    ("ingress.prometheus.selector", 'job="gati",,'),
    ("ingress.prometheus.selector", 'job="gati" ns="x"'),
    ("prometheusOperator.prometheusRule.extraRules", [{"alert": "A", "expr": "1", "for": "5min"}]),
    ("prometheusOperator.prometheusRule.extraRules", [{"alert": "A", "expr": "1", "labels": {"team": 5}}]),
    ("prometheusOperator.prometheusRule.extraRules", [{"alert": "A", "expr": "1", "annotation": {}}]),
    ("keda.extraTriggers", [{"type": "cron", "metadata": {}, "autenticationRef": {"name": "a"}}]),
    ("keda.extraTriggers", [{"type": "cron", "metadata": {"a": {"b": "c"}}}]),
    ("keda.extraTriggers", [{"type": "cron", "metadata": {}, "metricType": "average"}]),
    *(
        (key, {f"{prefix}/b": "c"})
        for key in ("commonLabels", "commonAnnotations")
        for prefix in ("a..b", "a-.b", LONG)
    ),
    *(("ingress.priorityClassName", name) for name in ("a..b", "a.-b")),
    ("global.imagePullSecrets", ["a..b"]),
    ("ingress.tolerations", [{"key": "a", "value": "b c"}]),
    *(
        ("affinity.nodeAffinity", {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}})
        for term in (
            selector("In", "b c"),
            *({"matchFields": [field]} for field in (NODE | {"key": "b"}, NODE | {"values": ["b", "c"]})),
            {"matchFields": [NODE | {"values": ["b c"]}]},
        )
    ),
    ("networkPolicy.ingress.from", [{"podSelector": selector("In", "b c")}]),
    ("networkPolicy.ingress.extraEgress", [{"ports": [{"port": "443"}]}]),
    ("ingress.livenessProbe.custom", {"httpGet": {"port": 80, "httpHeaders": [{"name": "a.b", "value": "c"}]}}),
    *(("tls.certManager.issuerRef.kind", kind) for kind in ("a: b", "Issuer\nb", " ")),
    *(("tls.certManager.issuerRef.group", group) for group in ("a: b", "{{ .a }}", "a..b")),
    *(
        ("ingress.hpa.metrics", [{"type": "Pods", "pods": {"metric": {"name": name}, "target": TARGET}}])
        for name in ("", " ", "a/b", "50%", "..")
    ),
    ("ingress.hpa.metrics", [{"type": "Pods", "pod": {"metric": {"name": "a"}, "target": TARGET}}]),
    ("ingress.hpa.metrics", [{"type": "Pods", "pods": {"metric": {"name": "a"}, "target": {"type": "Average"}}}]),
    (
        "ingress.hpa.metrics",
        [{"type": "Pods", "pods": {"metric": {"name": "a", "selector": {"a": "b"}}, "target": TARGET}}],
    ),
    *(("keda.extraTriggers", [{"type": "a", "metadata": {}, "authenticationRef": who}]) for who in ({}, {"name": ""})),
    *((f"keda.{key}", " ") for key in ("query", "activationQuery")),
    *(("prometheusOperator.prometheusRule.extraRules", [{"alert": "A", "expr": blank}]) for blank in (" ", "\n")),
    ("prometheusOperator.prometheusRule.extraRules", [{"alert": " ", "expr": "1"}]),
    ("securityContext.seLinuxOptions", {"levels": "s0"}),
    ("podSecurityContext.windowsOptions", {"runAsUser": "a"}),
    ("podSecurityContext.windowsOptions", {"hostProcess": True}),
    *(("securityContext.seccompProfile", {"type": "Localhost", "localhostProfile": path}) for path in ("/a", "../a")),
    *(
        ("ingress.extraContainers", [{"name": "a", "image": "b", "volumeDevices": [{"name": "c", "devicePath": path}]}])
        for path in ("/dev/../a", "..")
    ),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "volumeDevices": [{"name": "c"}]}]),
    ("ingress.extraContainers", [{"name": "a", "image": "b", "resizePolicy": [{"resourceName": "gpu"}]}]),
    *(
        ("ingress.extraContainers", [{"name": "a", "image": image}])
        for image in ("", "a:b:c", "a:", "a@b", "http://a/b", "a.b/Team/app:1")
    ),
    (
        "ingress.extraContainers",
        [{"name": "a", "image": "b", "restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]}],
    ),
    ("ingress.extraVolumeMounts", [{"name": "tmp", "mountPath": "/a", "bindMountOptions": ["noexec"]}]),
    *(
        ("ingress.extraVolumeMounts", [{"name": "tmp", "mountPath": "/a", "subPath": path}])
        for path in ("/b", "../b", "b/..", "b/../c")
    ),
    ("ingress.extraEnv", [{"name": "NONE", "valueFrom": {}}]),
    *(
        ("ingress.extraEnv", [{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "tmp", **file}}}])
        for file in ({"path": "a"}, {"path": "../a", "key": "b"})
    ),
    *(("ingress.resources.limits", {f"hugepages-{size}": "2Mi"}) for size in ("2MB", "0", "large")),
    *(("ingress.extraVolumes", [{"name": "a", **source}]) for source in LACKING),
]


@pytest.mark.parametrize(("path", "value"), OF_KUBERNETES, ids=str)
def test_what_the_api_server_refuses_is_refused_at_its_place(path: str, value: Any) -> None:
    place = path.split(".")
    values = merged(DEFAULTS, nested(tuple(place), value))
    errors = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).iter_errors(values)
    assert [error for error in errors if list(error.absolute_path)[: len(place)] == place]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ingress.strategy.rollingUpdate.maxSurge", "200%"),
        ("ingress.service.loadBalancerClass", "service.k8s.aws/nlb"),
        ("ingress.service.loadBalancerSourceRanges", ["1:2:3::4:5:6/64", "::/0", "10.0.0.0/8"]),
        ("routeManager.routes", [{"upstream": "http://[1:2:3::4:5:6]:80"}]),
        ("ingress.dnsConfig", {"nameservers": ["fd00::1"], "searches": [".", "svc.cluster.local."]}),
        ("ingress.config", {".a": "x", "a..b": "x"}),
        (
            "httpRoute.filters",
            [
                {
                    "type": "URLRewrite",
                    "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
                },
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["a"], "add": []}},
                {"type": "CORS", "cors": {"allowOrigins": ["*"], "allowMethods": ["GET", "PUT"], "maxAge": 60}},
                {
                    "type": "RequestMirror",
                    "requestMirror": {"backendRef": {"name": "a", "port": 80}, "fraction": {"numerator": 1}},
                },
            ],
        ),
        ("httpRoute.parentRefs", [{"name": "public.gateway", "sectionName": "a.b"}]),
        ("httpRoute.timeouts", {"request": "1h30m", "backendRequest": ""}),
        *(("ingress.image.digest", f"sha{bits}:{'0a' * (bits // 8)}") for bits in (256, 384, 512)),
        *((f"ingress.hpa.{which}Utilization", 1500) for which in ("cpu", "memory")),
        ("networkPolicy.ingress.from", [{"podSelector": {}, "namespaceSelector": {}}]),
        (
            "networkPolicy.ingress.from",
            [{"podSelector": selector("In", "b", "c")}, {"podSelector": selector("Exists")}],
        ),
        (
            "affinity.nodeAffinity",
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [selector("Lt", "-4")]}},
        ),
        (
            "affinity.nodeAffinity",
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [NODE]}]}},
        ),
        ("commonLabels", {"a.b-c.d--e.example.com/F_g": "", "0.1.2.3.4.5.6.7.8.9.example/x": "y"}),
        ("tls.certManager.issuerRef", {"name": "a", "kind": "AWSPCAClusterIssuer", "group": "awspca.cert-manager.io"}),
        (
            "ingress.hpa.metrics",
            [{"type": "External", "external": {"metric": {"name": "a.b|c", "selector": {}}, "target": TARGET}}],
        ),
        ("tolerations", [{"key": "a", "operator": "", "value": "b", "effect": ""}]),
        ("securityContext.seLinuxOptions", {"level": "s0:c1,c2", "type": "spc_t"}),
        ("ingress.resources.limits", {"nvidia.com/gpu": 1, "hugepages-2Mi": "4Mi", "ephemeral-storage": "1Gi"}),
        ("externalIngress.hosts", [{"host": "1.example"}, {"host": "gati"}, {"host": "*.4a.b2"}]),
        ("ingress.prometheus.selector", r"""job=~"a{2}" , ns!='x',b="\"" """),
        ("ingress.prometheus.selector", ' job="gati" ,\n'),
        ("commonLabels", {"a" * 64 + "." + "b" * 64 + "/x": "y"}),
        *(
            ("ingress.extraContainers", [{"name": "a", "image": image}])
            for image in ("a", "h:5000/a/b", "[::1]:5000/a:1", "h:5/a:1@sha256:" + "0" * 64, "A.b/c@sha256:" + "f" * 64)
        ),
        (
            "ingress.extraContainers",
            [
                {
                    "name": "a",
                    "image": "b",
                    "restartPolicy": "Never",
                    "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0, 3]}}],
                }
            ],
        ),
        *(
            ("ingress.extraVolumes", [{"name": "a", **source}])
            for source in (
                {"configMap": {"name": "a", "optional": True, "items": [{"key": "k", "path": "a/.b/..c", "mode": 0}]}},
                {"secret": {"secretName": "a.b", "defaultMode": 0o400}},
                {"persistentVolumeClaim": {"claimName": "a", "readOnly": True}},
                {"emptyDir": {"medium": "HugePages-2Mi", "sizeLimit": "1Gi"}},
                {"hostPath": {"path": "/a"}},
                {"nfs": {"server": "10.0.0.1", "path": "/a b"}},
                {
                    "csi": {
                        "driver": "csi.example.com",
                        "nodePublishSecretRef": {"name": "a"},
                        "volumeAttributes": {"a": "b"},
                    }
                },
                {"image": {"reference": "h:5000/a:1"}},
                {"hostPath": {"path": "/..a/b../.c/..."}},
                {
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                        }
                    }
                },
                {"downwardAPI": {"items": [divided("limits.cpu", "1m"), divided("requests.memory", "1Mi")]}},
                {
                    "projected": {
                        "sources": [
                            {"serviceAccountToken": {"path": "token", "audience": "a", "expirationSeconds": 600}},
                            {
                                "downwardAPI": {
                                    "items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels['a/b']"}}]
                                }
                            },
                            {"clusterTrustBundle": {"name": "a", "path": "ca.pem"}},
                            {"clusterTrustBundle": {"signerName": "a.b/c", "labelSelector": {}, "path": "ca.pem"}},
                            {"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "keyPath": "key.pem"}},
                        ]
                    }
                },
                {"azureFile": {"shareName": "a", "secretName": "b"}},
            )
        ),
        ("ingress.extraContainers", [{"name": "a", "image": "b", "ports": [{"name": "1-a2-3", "containerPort": 80}]}]),
        *(
            ("ingress.extraVolumeMounts", [{"name": "tmp", "mountPath": "/a", "subPath": path}])
            for path in ("", "..b/c..", "b//.c/...")
        ),
    ],
    ids=str,
)
def test_what_it_takes_is_taken(path: str, value: Any) -> None:
    ACCEPTING.validate(merged(DEFAULTS, nested(tuple(path.split(".")), value)))


class TestParentChart:
    """A parent chart may share values."""

    def test_global_is_open(self) -> None:
        assert render({"global": {"imageRegistry": "x", "other": {"deep": [1]}}})

    @pytest.mark.parametrize("enabled", [True, False])
    def test_enabled_is_accepted(self, enabled: bool) -> None:
        assert render({"enabled": enabled})


class TestInStep:
    """values.yaml and the schema say the same keys."""

    def test_every_default_is_in_the_schema(self) -> None:
        for path, _ in leaves():
            schema: Any = SCHEMA
            for depth, key in enumerate(path):
                schema = resolved(schema)
                if "properties" not in schema:
                    break  # a map whose keys are the user's
                assert key in schema["properties"], ".".join(path[: depth + 1])
                schema = schema["properties"][key]

    def test_every_key_of_the_schema_has_a_default(self) -> None:
        for path in maps():
            here = at(DEFAULTS, *path) if path else DEFAULTS
            known = resolved(schema_at(path))["properties"]
            if isinstance(here, dict) and here and path != ("global",):
                missing = [".".join((*path, key)) for key in known if key not in here]
                assert missing in ([], ["enabled"]) or PASSED_THROUGH.intersection(path), missing

    def test_every_map_is_closed(self) -> None:
        for path in CLOSED:
            assert schema_at(path).get("additionalProperties") is False, ".".join(path)
