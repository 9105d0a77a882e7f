"""What no schema can say is refused by validate.yaml: each refusal names its keys, and each has a case here."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.render.everything import EVERYTHING, merged
from tests.render.figures import HPA
from tests.render.harness import CHART, NEWEST, OLDEST, render, render_error

RULES = CHART / "templates" / "_rules.tpl"
POLICIES = {"networkPolicy": {"enabled": True}}
BY_ZONE = {"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
SCRATCH = {"name": "tmp", "emptyDir": {}}

# (values, the keys that the message names, options of the render)
DISK = {"name": "twice", "emptyDir": {}}
MOUNT = {"name": "tmp", "mountPath": "/twice"}
VARIABLE = {"name": "TWICE", "value": "x"}
SIDECAR: dict[str, Any] = {"name": "side", "image": "x:1"}
SHIFTED = {"name": "shifted", "containerPort": 9, "hostPort": 10}
SYSCTL = {"name": "net.core.somaxconn", "value": "1024"}
VALUE = {"type": "Value", "value": 1}
MEAN = {"type": "AverageValue", "averageValue": 1}
OF_SERVICE = {"metric": {"name": "a"}, "describedObject": {"kind": "Service", "name": "b"}}
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
FIELD = {"name": "canary", "value": "1"}
CRON = {"type": "cron", "metadata": {"timezone": "UTC"}}
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
REWRITE = {"type": "URLRewrite", "urlRewrite": {"hostname": "a.b"}}
BY_PREFIX = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
RECORD = {"record": "a:b", "expr": "up"}
FILE = {"secret": {"name": "a", "items": [{"key": "b", "path": "c"}]}}
COPY = {"backendRef": {"name": "b", "port": 80}}
COST = "controller.kubernetes.io/pod-deletion-cost"
RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
ALWAYS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
RESIZE = {"resourceName": "cpu", "restartPolicy": "RestartContainer"}
MANAGER_TLS = {"tls": {"enabled": True, "certManager": {"enabled": True}}}


def measured(kind: str, **part: Any) -> dict[str, Any]:
    return merged(HPA, {"ingress": {"hpa": {"metrics": [{"type": kind, kind[0].lower() + kind[1:]: part}]}}})


def monitor(interval: str, timeout: str | None) -> dict[str, Any]:
    times = {"interval": interval, "scrapeTimeout": timeout}
    return {"prometheusOperator": {"serviceMonitor": {"enabled": True, **times}}}


def relabelled(**rule: Any) -> dict[str, Any]:
    return {"prometheusOperator": {"serviceMonitor": {"enabled": True, "metricRelabelings": [rule]}}}


def routed(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}], "filters": list(filters), **more}}


def share(**whose: str) -> dict[str, Any]:
    return {"resourceFieldRef": {"resource": "limits.cpu", **whose}}


def boxed(**part: Any) -> dict[str, Any]:
    """The ingress with a sidecar, and a volume that is a file system or a device."""
    disk = {"name": "disk", "persistentVolumeClaim": {"claimName": "a"}}
    return {"ingress": {"extraVolumes": [disk], "extraContainers": [{**SIDECAR, **part}]}}


def chosen(**term: Any) -> dict[str, Any]:
    """Pods kept apart by a label of theirs that changes with each rollout."""
    term = {"topologyKey": "a", "labelSelector": {}, **term}
    return {"affinity": {"podAntiAffinity": {ALWAYS: [term]}}}


def expression(operator: str, *values: str) -> dict[str, Any]:
    given = {"values": list(values)} if values else {}
    return {"matchExpressions": [{"key": "a", "operator": operator, **given}]}


def with_volume(**source: Any) -> dict[str, Any]:
    """The ingress with a volume that a sidecar has as a device."""
    device = {**SIDECAR, "volumeDevices": [{"name": "disk", "devicePath": "/dev/disk"}]}
    return {"ingress": {"extraVolumes": [{"name": "disk", **source}], "extraContainers": [device]}}


CASES: list[tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = [
    ({"podLabels": {"app.kubernetes.io/name": "x"}}, ("podLabels", "app.kubernetes.io/name"), {}),
    ({"ingress": {"name": "same"}, "routeManager": {"name": "same"}}, ("ingress.name", "routeManager.name"), {}),
    (
        {"shutdown": {"preStopSeconds": 40}},
        ("shutdown.terminationGracePeriodSeconds", "shutdown.preStopSeconds"),
        {},
    ),
    ({"ingress": {"name": "gati-test"}, **POLICIES}, ("ingress.name", "helm test"), {}),
    ({"routeManager": {"name": "blue-default-deny"}, **POLICIES}, ("routeManager.name",), {"release": "blue"}),
    (
        {"ingress": {"name": "route-manager-headless"}, "routeManager": {"service": {"headless": True}}},
        ("ingress.name", "headless"),
        {},
    ),
    ({"pdb": {"maxUnavailable": "50%"}}, ("pdb.minAvailable", "pdb.maxUnavailable"), {}),
    (
        {"routeManager": {"automountServiceAccountToken": True}, "rbac": {"create": False}},
        ("routeManager.automountServiceAccountToken", "rbac.create"),
        {},
    ),
    ({"ingress": {"hpa": None}, "keda": {"enabled": True}}, ("ingress.hpa.minReplicas", "ingress.hpa.maxReplicas"), {}),
    (
        merged(HPA, {"ingress": {"hpa": {"minReplicas": 11}}}),
        ("ingress.hpa.minReplicas", "ingress.hpa.maxReplicas"),
        {},
    ),
    (
        merged(HPA, {"ingress": {"hpa": {"handover": True}}}),
        ("ingress.hpa.handover", "ingress.hpa.minReplicas", "ingress.replicaCount"),
        {},
    ),
    (
        {"routeManager": {"lifecycle": {"preStop": {"sleep": {"seconds": 30}}}}},
        ("routeManager.lifecycle.preStop", "shutdown.terminationGracePeriodSeconds"),
        {},
    ),
    ({"ingress": {"extraEnv": [VARIABLE, VARIABLE]}}, ("ingress.extraEnv", "twice"), {}),
    (
        {"tls": {"caBundle": {"configMapName": "a", "secretName": "b"}}},
        ("tls.caBundle.configMapName", "tls.caBundle.secretName"),
        {},
    ),
    ({"tls": {"enabled": True, "certManager": {"enabled": True}}}, ("tls.certManager.issuerRef.name",), {}),
    ({"httpRoute": {"enabled": True}}, ("httpRoute.parentRefs",), {}),
    (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}], "matches": [{"path": {"value": "/a b"}}]}},
        ("httpRoute.matches", '"/a b"', "%XX"),
        {},
    ),
    ({"externalIngress": {"enabled": True, "hosts": None}}, ("externalIngress.hosts",), {}),
    ({"fullnameOverride": "x", "ingress": {"name": "x-route-manager"}}, ("ingress.name", "routeManager.name"), {}),
    ({"nameOverride": "2", "fullnameOverride": ""}, ("nameOverride", "ingress.name"), {"release": "1"}),
    ({"routeManager": {"image": {"tag": 1.0}}}, ("routeManager.image.tag", "quote"), {}),
    ({"ingress": {"image": {"tag": 0.1}}}, ("ingress.image.tag is the number 0.1", "quote"), {}),
    ({"ingress": {"image": {"tag": 20240101}}}, ("ingress.image.tag is the number 20240101", "quote"), {}),
    ({"ingress": {"service": {"nodePort": 30080}}}, ("ingress.service.nodePort", "ingress.service.type"), {}),
    (
        {"routeManager": {"service": {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]}}},
        ("routeManager.service.loadBalancerSourceRanges", "LoadBalancer"),
        {},
    ),
    (
        {"routeManager": {"strategy": {"rollingUpdate": {"maxSurge": "0%"}}}},
        ("routeManager.strategy.rollingUpdate", "maxSurge"),
        {},
    ),
    ({"routeManager": {"tls": {"enabled": True, "targetPort": 50051}}}, ("routeManager.tls.targetPort",), {}),
    ({"ingress": {"config": {"HTTP_PORT": 1}}}, ("ingress.config", "HTTP_PORT"), {}),
    ({"ingress": {"config": {"POD_NAME": "x"}}}, ("ingress.config", "POD_NAME"), {}),
    ({"ingress": {"config": {"false": "x"}}}, ("ingress.config", "false"), {}),
    (
        {"ingress": {"extraVolumeMounts": [{"name": "nope", "mountPath": "/x"}]}},
        ("ingress.extraVolumeMounts", "nope", "tmp", "ingress.extraVolumes"),
        {},
    ),
    (
        {"routeManager": {"resources": {"requests": {"memory": "1Gi"}}}},
        ("routeManager.resources.requests.memory", "1Gi", "routeManager.resources.limits.memory", "256Mi"),
        {},
    ),
    ({"routeManager": {"extraVolumes": [DISK, DISK]}}, ("routeManager.extraVolumes", "twice"), {}),
    ({"ingress": {"extraVolumeMounts": [MOUNT, MOUNT]}}, ("ingress.extraVolumeMounts", "/twice"), {}),
    (
        merged(HPA, {"ingress": {"hpa": {"cpuUtilization": ""}}}),
        ("cpuUtilization", "memoryUtilization", "metrics"),
        {},
    ),
    ({"keda": {"enabled": True, "idleReplicaCount": 0}}, ("keda.idleReplicaCount", "keda.scaleToZero"), {}),
    (
        {"tls": {"enabled": True, "http": "none", "backends": "http"}, "externalIngress": {"enabled": True}},
        ("tls.backends", "tls.http"),
        {},
    ),
    (
        {"externalIngress": {"enabled": True, "hosts": [{"host": "{{ .Release.Name }}.example.com"}]}},
        ("externalIngress.hosts", "templates.hosts"),
        {},
    ),
    (
        {"tls": {"enabled": True, "http": "redirect", "backends": "http"}, "externalIngress": {"enabled": True}},
        ("tls.backends", "tls.http", "redirect"),
        {},
    ),
    ({"tls": {"enabled": True, "nodePort": 30443}}, ("tls.nodePort", "ingress.service.type"), {}),
    (
        {"ingress": {"serviceAccount": {"name": "one"}}, "routeManager": {"serviceAccount": {"name": "one"}}},
        ("ingress.serviceAccount.name", "routeManager.serviceAccount.name"),
        {},
    ),
    ({"ingress": {"service": {"externalTrafficPolicy": "Local"}}}, ("ingress.service.externalTrafficPolicy",), {}),
    ({"routeManager": {"routes": []}}, ("routeManager.routes", "existingRoutesConfigMap"), {}),
    ({"routeManager": {"routes": None}}, ("routeManager.routes",), {}),
    (
        {"routeManager": {"routes": [{"upstream": "http://a"}, {"host": "*", "path": "/", "upstream": "http://b"}]}},
        ("routeManager.routes", "*/ stands twice"),
        {},
    ),
    (
        {"routeManager": {"extraContainers": [{"name": "route-manager", "image": "x:1"}]}},
        ("routeManager.extraContainers",),
        {},
    ),
    (
        {
            "ingress": {
                "initContainers": [{"name": "a", "image": "x:1"}],
                "extraContainers": [{"name": "a", "image": "x:1"}],
            }
        },
        ("ingress.extraContainers", "ingress.initContainers"),
        {},
    ),
    ({"tls": {"enabled": True, "targetPort": 8080}}, ("tls.targetPort", "ingress.service.targetPort"), {}),
    ({"ingress": {"prometheus": {"port": 80}}}, ("ingress.prometheus.port", "ingress.service.port"), {}),
    ({"ingress": {"livenessProbe": {"port": "https"}}}, ('ingress.livenessProbe has the port "https"', "are http"), {}),
    (
        {"ingress": {"prometheus": {"port": 443}}, "tls": {"enabled": True}},
        ("ingress.prometheus.port", "tls.servicePort"),
        {},
    ),
    (
        {"networking": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4", "IPv6"]}},
        ("networking.ipFamilyPolicy", "networking.ipFamilies"),
        {},
    ),
    (
        {"routeManager": {"initContainers": [{"name": "route-manager", "image": "x:1"}]}},
        ("routeManager.initContainers", "route-manager"),
        {},
    ),
    (
        {"ingress": {"topologySpreadConstraints": [BY_ZONE]}, "multiZone": {"enabled": True}},
        ("ingress.topologySpreadConstraints", "multiZone.enabled"),
        {},
    ),
    ({"ingress": {"extraVolumes": [SCRATCH]}}, ("ingress.extraVolumes", "tmp"), {}),
    (
        {"routeManager": {"extraVolumeMounts": [{"name": "routes", "mountPath": "/etc/gati/routes/"}]}},
        ("routeManager.extraVolumeMounts", "/etc/gati/routes"),
        {},
    ),
    (
        {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}},
        ("securityContext.appArmorProfile", "1.30"),
        {"kube_version": "1.29.0"},
    ),
    (
        {"ingress": {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}},
        ("ingress.lifecycle.preStop.sleep", "1.30"),
        {"kube_version": "1.29.0"},
    ),
    (
        {"routeManager": {"initContainers": [{**SIDECAR, "restartPolicy": "Always"}]}},
        ("routeManager.initContainers side.restartPolicy", "1.29"),
        {"kube_version": "1.28.0"},
    ),
    (
        {
            "ingress": {
                "extraEnv": [{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "tmp", "path": "a", "key": "b"}}}]
            }
        },
        ("ingress.extraEnv A.valueFrom.fileKeyRef", "1.35"),
        {"kube_version": "1.34.0"},
    ),
    ({"extraObjects": ["just words"]}, ("extraObjects",), {}),
    (
        {
            "externalIngress": {
                "enabled": True,
                "className": "alb",
                "annotations": {"kubernetes.io/ingress.class": "nginx"},
            }
        },
        ("externalIngress.className", "kubernetes.io/ingress.class"),
        {},
    ),
    (
        {"externalIngress": {"enabled": True, "hosts": [{"host": "a.b", "paths": [{"path": "/a//b"}]}]}},
        ("externalIngress.hosts", "/a//b"),
        {},
    ),
    ({"extraObjects": [{"kind": "ConfigMap", "metadata": {"name": "x"}}]}, ("extraObjects", "apiVersion"), {}),
    ({"keda": {"enabled": True, "renderMode": "fail"}}, ("keda.enabled", "keda.renderMode", "ScaledObject"), {}),
    (
        {"ingress": {"service": {"type": "NodePort", "nodePort": 30080}}, "tls": {"enabled": True, "nodePort": 30080}},
        ("ingress.service.nodePort", "tls.nodePort", "30080"),
        {},
    ),
    ({"ingress": {"lifecycle": {"preStop": {}}}}, ("ingress.lifecycle.preStop", "exec"), {}),
    (
        {"routeManager": {"readinessProbe": {"custom": {"periodSeconds": 3}}}},
        ("routeManager.readinessProbe.custom",),
        {},
    ),
    (
        {"ingress": {"livenessProbe": {"custom": {"tcpSocket": {"port": 1}, "successThreshold": 2}}}},
        ("ingress.livenessProbe.custom.successThreshold",),
        {},
    ),
    (
        {"ingress": {"readinessProbe": {"custom": {"httpGet": {"port": "https"}}}}},
        ('ingress.readinessProbe.custom has the port "https"', "are http"),
        {},
    ),
    (
        {"ingress": {"resources": {"requests": {"example.com/gpu": 1}}}},
        ("ingress.resources.requests.example.com/gpu", "limit"),
        {},
    ),
    (
        {"ingress": {"extraContainers": [{**SIDECAR, "ports": [{"containerPort": 8080}]}]}},
        ("ingress.extraContainers side", "8080 TCP"),
        {},
    ),
    (
        {
            "ingress": {
                "extraEnv": [{"name": "BOTH", "value": "x", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}}]
            }
        },
        ("ingress.extraEnv", "BOTH", "valueFrom"),
        {},
    ),
    ({"ingress": {"dnsPolicy": "None"}}, ("ingress.dnsPolicy", "ingress.dnsConfig with nameservers"), {}),
    ({"podSecurityContext": {"runAsUser": 0}}, ("podSecurityContext.runAsUser", "runAsNonRoot"), {}),
    ({"securityContext": {"privileged": True}}, ("securityContext.privileged", "allowPrivilegeEscalation"), {}),
    (
        {"keda": {"enabled": True, "extraTriggers": [{**CRON, "name": "requests"}]}},
        ("keda.extraTriggers", "requests"),
        {},
    ),
    (
        {
            "templates": {"hosts": True},
            "externalIngress": {"enabled": True, "hosts": [{"host": "{{ .Release.Name }}_x"}]},
        },
        ("externalIngress.hosts", "{{ .Release.Name }}_x", "gati_x"),
        {},
    ),
    (
        {"tls": {"enabled": True, "certManager": {"enabled": True, "duration": "240h", "issuerRef": {"name": "i"}}}},
        ("tls.certManager.duration is 240h", "tls.certManager.renewBefore"),
        {},
    ),
    (
        {"prometheusOperator": {"serviceMonitor": {"enabled": True, "scrapeTimeout": "1m"}}},
        ("prometheusOperator.serviceMonitor.scrapeTimeout is 1m", "prometheusOperator.serviceMonitor.interval"),
        {},
    ),
    (
        {"ingress": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        ("ingress.tolerations[0].operator", "ingress.tolerations[0].value to be left out"),
        {},
    ),
    (
        {"ingress": {"initContainers": [{**SIDECAR, "livenessProbe": {"exec": {"command": ["x"]}}}]}},
        ("ingress.initContainers side.livenessProbe", "restartPolicy to be Always"),
        {},
    ),
    (
        {"ingress": {"hostNetwork": True, "extraContainers": [{**SIDECAR, "ports": [SHIFTED]}]}},
        ("ingress.extraContainers side", "hostPort 10", "ingress.hostNetwork"),
        {},
    ),
    (
        {"ingress": {"readinessProbe": {"custom": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 5}}}},
        ("ingress.readinessProbe.custom.terminationGracePeriodSeconds",),
        {},
    ),
    (
        {"ingress": {"extraVolumeMounts": [{**MOUNT, "subPath": "x", "subPathExpr": "y"}]}},
        ("ingress.extraVolumeMounts tmp.subPath", "ingress.extraVolumeMounts tmp.subPathExpr to be left out"),
        {},
    ),
    (
        {"ingress": {"dnsConfig": {"searches": ["a" * 250] * 9}}},
        ("ingress.dnsConfig.searches has 2258 characters", "2048"),
        {},
    ),
    (
        {"ingress": {"topologySpreadConstraints": [{**BY_ZONE, "minDomains": 2}]}},
        ("ingress.topologySpreadConstraints", "minDomains"),
        {},
    ),
    (
        {"podSecurityContext": {"sysctls": [SYSCTL]}, "routeManager": {"hostNetwork": True}},
        ("podSecurityContext.sysctls", "routeManager.hostNetwork"),
        {},
    ),
    (
        {"networkPolicy": {"enabled": True, "routeManager": {"extraEgress": [{"ports": [{"endPort": 9}]}]}}},
        ("networkPolicy.routeManager.extraEgress", "endPort 9 with port none"),
        {},
    ),
    (
        merged(
            HPA,
            {
                "ingress": {
                    "hpa": {"metrics": [{"type": "Pods", "external": {"metric": {"name": "a"}, "target": VALUE}}]}
                }
            },
        ),
        ("ingress.hpa.metrics", "Pods with external"),
        {},
    ),
    (
        measured("Pods", metric={"name": "a"}, target=VALUE),
        ("ingress.hpa.metrics holds pods", '"type":"Value"', "give it averageValue"),
        {},
    ),
    (
        {"global": {"imageRegistry": f"mirror.example.com/{'a' * 240}"}},
        ("ingress.image.repository", "global.imageRegistry", "255"),
        {},
    ),
    (
        {
            "ingress": {
                "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "192.168.1.10/24"]}
            }
        },
        ("ingress.service", "192.168.1.10/24"),
        {},
    ),
    (
        {"keda": {"enabled": True, "triggerMetadata": {"query": "up"}}},
        ("keda.triggerMetadata sets query", "keda.query"),
        {},
    ),
    (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}, {"name": "a", "sectionName": "b"}]}},
        ("httpRoute.parentRefs", "sectionName"),
        {},
    ),
    (
        {"tls": {"enabled": True, "certManager": {"enabled": True, "issuerRef": {"name": "a", "kind": "issuer"}}}},
        ("tls.certManager.issuerRef.kind to be Issuer or ClusterIssuer", "tls.certManager.issuerRef.group", '"issuer"'),
        {},
    ),
    (
        {"prometheusOperator": {"serviceMonitor": {"enabled": True, "relabelings": [{"sourceLabels": ["a"]}]}}},
        ("prometheusOperator.serviceMonitor.relabelings[0].action", "targetLabel to be given"),
        {},
    ),
    (
        {"prometheusOperator": {"prometheusRule": {"enabled": True, "extraRules": [{"expr": "1"}]}}},
        ("prometheusOperator.prometheusRule.extraRules[0].alert", "record to be given"),
        {},
    ),
    (
        routed({"type": "URLRewrite", "urlRewrite": BY_PREFIX}, matches=[{"path": {"type": "Exact", "value": "/a"}}]),
        ("httpRoute.filters", "httpRoute.matches has Exact"),
        {},
    ),
    ({"extraObjects": [OBJECT, OBJECT]}, ("extraObjects", "ConfigMap gati a stands twice"), {}),
    (
        {
            "networkPolicy": {
                "enabled": True,
                "ingress": {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]},
            }
        },
        ("networkPolicy.ingress.from[0].ipBlock leaves 11.0.0.0/16 out of 10.0.0.0/8", "except"),
        {},
    ),
    (
        {"ingress": {"extraContainers": [{**SIDECAR, "restartPolicyRules": [RULE]}]}},
        ("ingress.extraContainers side.restartPolicyRules", "side.restartPolicy to be given"),
        {},
    ),
    (
        {"ingress": {"extraVolumeMounts": [{**MOUNT, "recursiveReadOnly": "Enabled"}]}},
        ("ingress.extraVolumeMounts", "recursiveReadOnly", "readOnly"),
        {},
    ),
    (
        {"affinity": {"podAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": {"topologyKey": "a"}}]}}},
        (f"ingress.affinity.podAffinity.{PREFERRED}[0].podAffinityTerm.topologyKey", "labelSelector to be given"),
        {},
    ),
    (
        {"keda": {"enabled": True, "extraTriggers": [{**CRON, "useCachedMetrics": True}]}},
        ('keda.extraTriggers[0].type is "cron"', "useCachedMetrics to be left out"),
        {},
    ),
    (
        {"ingress": {"hostAliases": [{"ip": "::ffff:10.0.0.1"}]}},
        ("ingress.hostAliases", "::ffff:10.0.0.1", "1.36"),
        {},
    ),
    (
        {"ingress": {"resources": {"limits": {"hugepages-2Mi": "3Mi"}}}},
        ("ingress.resources.limits.hugepages-2Mi is 3Mi", "a multiple of 2Mi"),
        {},
    ),
    (
        {"routeManager": {"extraContainers": [{**SIDECAR, "resources": {"limits": {"hugepages-2Mi": "2Mi"}}}]}},
        ("routeManager.extraContainers side.resources", "cpu or memory"),
        {},
    ),
    (
        {"ingress": {"extraVolumes": [{"name": "a", "downwardAPI": {"items": [{"path": "b", **share()}]}}]}},
        ("ingress.extraVolumes a.downwardAPI.items[0].resourceFieldRef", "to name a container"),
        {},
    ),
    (
        {"ingress": {"extraEnv": [{"name": "A", "valueFrom": share(containerName="gati-ingress")}]}},
        ("ingress.extraEnv A.valueFrom.resourceFieldRef", '"gati-ingress"', "its kind: ingress"),
        {},
    ),
    (
        measured("ContainerResource", name="cpu", container="gati-ingress", target=MEAN),
        ("ingress.hpa.metrics[0].containerResource", '"gati-ingress"', "its kind: ingress"),
        {},
    ),
    (
        {"ingress": {"initContainers": [{**SIDECAR, "resizePolicy": [RESIZE]}]}},
        ("ingress.initContainers side.resizePolicy", "restartPolicy to be Always"),
        {},
    ),
    (
        {"ingress": {"extraVolumeMounts": [{**MOUNT, "mountPropagation": "Bidirectional"}]}},
        ("ingress.extraVolumeMounts", "Bidirectional", "privileged"),
        {},
    ),
    (
        routed({"type": "RequestMirror", "requestMirror": {**COPY, "fraction": {"numerator": 101}}}),
        ("httpRoute.filters", "101 of 100"),
        {},
    ),
    (
        routed(timeouts={"request": "1m30s", "backendRequest": "90001ms"}),
        ("httpRoute.timeouts.backendRequest is 90001ms", "httpRoute.timeouts.request 1m30s"),
        {},
    ),
    (
        relabelled(targetLabel="a", regex="*.b"),
        ("serviceMonitor.metricRelabelings[0].regex", '"*.b", which is no regular'),
        {},
    ),
]
HASH = "pod-template-hash"
# The lists that the API server takes for maps or sets, each with two items that it takes for one.
TWICE: list[tuple[dict[str, Any], str]] = [
    (boxed(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]), "side.ports"),
    (boxed(ports=[{"containerPort": 1}, {"containerPort": 1, "name": "a"}]), "side.ports"),
    (boxed(resizePolicy=[RESIZE, RESIZE | {"restartPolicy": "NotRequired"}]), "side.resizePolicy"),
    (boxed(volumeDevices=[{"name": "disk", "devicePath": path} for path in ("/a", "/b")]), "side.volumeDevices"),
    (
        boxed(
            volumeDevices=[{"name": "disk", "devicePath": "/a"}],
            volumeMounts=[{"name": "disk", "mountPath": "/b"}],
        ),
        "side.volumeMounts",
    ),
    (
        merged(
            boxed(ports=[{"containerPort": 1, "hostPort": 9}]),
            {
                "ingress": {
                    "initContainers": [
                        {
                            "name": "first",
                            "image": "x:1",
                            "restartPolicy": "Always",
                            "ports": [{"containerPort": 2, "hostPort": 9}],
                        }
                    ]
                }
            },
        ),
        "ingress.initContainers first.ports and ingress.extraContainers side.ports",
    ),
    *(
        (chosen(matchLabelKeys=[HASH], **other), "ingress.affinity.podAntiAffinity")
        for other in (
            {"mismatchLabelKeys": [HASH]},
            {"labelSelector": {"matchLabels": {HASH: "a"}}},
            {"labelSelector": {"matchExpressions": [{"key": HASH, "operator": "Exists"}]}},
        )
    ),
    (
        {
            "routeManager": {
                "topologySpreadConstraints": [{**BY_ZONE, "labelSelector": {}, "matchLabelKeys": [HASH] * 2}]
            }
        },
        "routeManager.topologySpreadConstraints[0].matchLabelKeys",
    ),
    *(
        (routed({"type": "RequestHeaderModifier", "requestHeaderModifier": given}), "httpRoute.filters[0]")
        for given in ({"set": [FIELD, FIELD]}, {"add": [FIELD, FIELD]}, {"remove": ["a", "a"]})
    ),
    (
        {
            "ingress": {
                "extraVolumes": [
                    {
                        "name": "a",
                        "projected": {
                            "sources": [
                                {
                                    "podCertificate": {
                                        "signerName": "a.b/c",
                                        "keyType": "ED25519",
                                        "keyPath": "k",
                                        "certificateChainPath": "k",
                                    }
                                }
                            ]
                        },
                    }
                ]
            }
        },
        "ingress.extraVolumes",
    ),
]
# The same refusals, met in other ways.
SIBLINGS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (monitor("1w", "8d"), ("prometheusOperator.serviceMonitor.scrapeTimeout is 8d",)),
    (monitor("08s", "9s"), ("prometheusOperator.serviceMonitor.scrapeTimeout is 9s",)),
    (
        {"tls": {"enabled": True, "certManager": {"enabled": True, "issuerRef": {"name": "a", "kind": None}}}},
        ("tls.certManager.issuerRef.kind", 'that is ""'),
    ),
    ({"ingress": {"lifecycle": {"postStart": {"sleep": {"seconds": 60}}}}}, ("lifecycle.postStart sleeps for 60",)),
    (
        {"networkPolicy": {"enabled": True, "dns": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.2.3/31"]}}]}},
        ("networkPolicy.dns[0].ipBlock holds the network 10.1.2.3/31",),
    ),
    *(
        (
            {"networkPolicy": {"enabled": True, "routeManager": {"extraFrom": [{"ipBlock": block}]}}},
            (f"networkPolicy.routeManager.extraFrom[0].ipBlock {what}",),
        )
        for block, what in (
            ({"cidr": "fd00::1/8"}, "holds the network fd00::1/8"),
            ({"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}, "leaves 10.0.0.0/8 out of 10.0.0.0/8"),
            ({"cidr": "::/0", "except": ["fd00::/8", "10.0.0.0/8"]}, "leaves 10.0.0.0/8 out of ::/0"),
        )
    ),
    (measured("Pods", metric={"name": "a"}, target={"type": "AverageValue"}), ("give it averageValue",)),
    (measured("External", metric={"name": "a"}, target=VALUE | MEAN), ("external", "give it averageValue or value")),
    (measured("Resource", name="cpu", target=MEAN | {"averageUtilization": 5}), ("resource", "averageUtilization or")),
    (measured("Object", **OF_SERVICE, target=VALUE | {"type": "AverageValue"}), ("object", "give it averageValue")),
    (measured("Object", **OF_SERVICE, target=VALUE | {"type": "Utilization"}), ("object", "give it averageValue")),
    (
        {"ingress": {"extraContainers": [{**SIDECAR, "volumeDevices": [{"name": "disk", "devicePath": "/dev/x"}]}]}},
        ("ingress.extraContainers side.volumeDevices", "disk", "ingress.extraVolumes"),
    ),
    (
        {
            "ingress": {
                "extraVolumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "a"}}],
                "extraContainers": [
                    {
                        **SIDECAR,
                        "volumeMounts": [{"name": "tmp", "mountPath": "/a"}],
                        "volumeDevices": [{"name": "disk", "devicePath": "/a"}],
                    }
                ],
            }
        },
        ("ingress.extraContainers side.volumeMounts", "ingress.extraContainers side.volumeDevices", "the path /a"),
    ),
    (
        {"ingress": {"strategy": {"rollingUpdate": {"maxUnavailable": "00%", "maxSurge": "000%"}}}},
        ("ingress.strategy.rollingUpdate",),
    ),
    (routed(REDIRECT, REDIRECT), ("httpRoute.filters", "RequestRedirect")),
    (routed(REDIRECT, REWRITE), ("httpRoute.filters", "RequestRedirect or URLRewrite")),
    (
        {"ingress": {"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["::ffff:a00:0/104"]}}},
        ("ingress.service", "::ffff:a00:0/104"),
    ),
    (
        {"networkPolicy": {"enabled": True, "dns": [{"ipBlock": {"cidr": "0:0:0:0:0:ffff:a00:0/104"}}]}},
        ("networkPolicy", "0:0:0:0:0:ffff:a00:0/104"),
    ),
    ({"routeManager": {"dnsConfig": {"nameservers": ["0::FFFF:a00:1"]}}}, ("routeManager.dnsConfig", "0::FFFF:a00:1")),
    (
        {
            "affinity": {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "mismatchLabelKeys": ["b"]}]
                }
            }
        },
        ("ingress.affinity", "labelSelector"),
    ),
    ({"tls": None, "routeManager": MANAGER_TLS}, ("tls.certManager.issuerRef.name", "routeManager.tls.certManager")),
    ({"extraObjects": [{**OBJECT, "apiVersion": 1}]}, ("extraObjects", '"apiVersion":1')),
    ({"extraObjects": [{**OBJECT, "metadata": "a"}]}, ("extraObjects", '"metadata":"a"')),
    ({"extraObjects": [{**OBJECT, "metadata": {"name": 5}}]}, ("extraObjects", '"name":5')),
    ({"extraObjects": [{**OBJECT, "metadata": {"name": "a", "namespace": 5}}]}, ("extraObjects", '"namespace":5')),
    ({"extraObjects": [{**OBJECT, "metadata": {"name": "a", "labels": ["b"]}}]}, ("extraObjects", '"labels":["b"]')),
    (
        {component: {"service": {"type": "NodePort", "nodePort": 30080}} for component in ("ingress", "routeManager")},
        ("ingress.service.nodePort", "routeManager.service.nodePort"),
    ),
    ({"ingress": {"prometheus": {"port": 80, "scrape": False}}}, ("ingress.prometheus.port", "ingress.service.port")),
    (
        {"ingress": {"lifecycle": {"postStart": {"exec": {"command": ["a"]}, "httpGet": {"port": 1}}}}},
        ("ingress.lifecycle.postStart names exec and httpGet",),
    ),
    (
        {
            "routeManager": {
                "initContainers": [{**SIDECAR, "restartPolicy": "Always", "ports": [{"containerPort": 50051}]}]
            }
        },
        ("routeManager.initContainers side", "50051 TCP"),
    ),
    (
        {"ingress": {"extraContainers": [{**SIDECAR, "env": [VARIABLE, VARIABLE]}]}},
        ("ingress.extraContainers side", "TWICE"),
    ),
    (
        {"ingress": {"initContainers": [{**SIDECAR, "volumeMounts": [{"name": "tmp", "mountPath": "/a"}] * 2}]}},
        ("ingress.initContainers side", "/a"),
    ),
    ({"ingress": {"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]}}, ("ingress.hostAliases", "10.0.0.1")),
    (
        {"ingress": {"topologySpreadConstraints": [BY_ZONE, {**BY_ZONE, "maxSkew": 1}]}},
        ("ingress.topologySpreadConstraints",),
    ),
    (
        {"ingress": {"extraContainers": [{**SIDECAR, "livenessProbe": {"periodSeconds": 5}}]}},
        ("ingress.extraContainers side.livenessProbe names nothing to do",),
    ),
    (
        {"ingress": {"lifecycle": {"preStop": {"httpGet": {"port": "admin"}}}}},
        ('ingress.lifecycle.preStop has the port "admin"',),
    ),
    (
        {"ingress": {"extraContainers": [{**SIDECAR, "resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}]}},
        ("ingress.extraContainers side.resources.requests.cpu is 2", "limits.cpu 1"),
    ),
    (
        {"networking": {"ipFamilies": ["IPv4", "IPv6"]}},
        ("networking.ipFamilyPolicy", "networking.ipFamilies", 'that is ""'),
    ),
    (
        {
            "tls": {"enabled": True, "secretName": "one", "certManager": {"enabled": True, "issuerRef": {"name": "i"}}},
            "routeManager": {"tls": {"enabled": True, "secretName": "one", "certManager": {"enabled": True}}},
        },
        ("tls.secretName", "routeManager.tls.secretName", "one", "both names"),
    ),
    (
        {"routeManager": {"extraContainers": [{**SIDECAR, "securityContext": {"privileged": True}}]}},
        ("routeManager.extraContainers side", "allowPrivilegeEscalation"),
    ),
    (
        {"securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
        ("CAP_SYS_ADMIN in securityContext.capabilities", "allowPrivilegeEscalation"),
    ),
    (
        {"keda": {"enabled": True, "extraTriggers": [{**CRON, "name": "a"}] * 2}},
        ("keda.extraTriggers", "the trigger a"),
    ),
    (
        {
            "tls": {
                "enabled": True,
                "certManager": {"enabled": True, "issuerRef": {"name": "i"}, "dnsNames": ["{{ .Release.Name }}.x"]},
            }
        },
        ("tls.certManager.dnsNames", "templates.hosts"),
    ),
    (
        {
            "templates": {"hosts": True},
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": ["{{ .Values.nameOverride }}"]},
        },
        ("httpRoute.hostnames", "{{ .Values.nameOverride }}"),
    ),
    (
        {
            "routeManager": {"tls": {"enabled": True, "certManager": {"enabled": True}}},
            "tls": {"certManager": {"issuerRef": {"name": "i"}, "duration": "30m", "renewBefore": "10m"}},
        },
        ("tls.certManager.duration is 30m",),
    ),
    ({"tolerations": [{"value": "b"}]}, ("tolerations[0].key to be given",)),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, ("tolerations[0]", "NoExecute")),
    ({"podSecurityContext": {"sysctls": [SYSCTL, SYSCTL]}}, ("podSecurityContext.sysctls", SYSCTL["name"])),
    ({"commonLabels": {"true": "x"}}, ("commonLabels has the key true",)),
    (
        {
            "ingress": {
                "extraContainers": [{**SIDECAR, "ports": [SHIFTED, {**SHIFTED, "containerPort": 8, "hostPort": 8}]}]
            }
        },
        ("ingress.extraContainers side", "the port's name shifted"),
    ),
    (
        {
            "networkPolicy": {
                "enabled": True,
                "ingress": {"extraEgress": [{"ports": [{"port": "http", "endPort": 9}, {"port": 9, "endPort": 8}]}]},
            }
        },
        ("networkPolicy.ingress.extraEgress", "port http"),
    ),
    (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}], "filters": [{"type": "RequestRedirect"}]}},
        ("httpRoute.filters", "RequestRedirect with nothing"),
    ),
    (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}], "matches": [{"path": {"value": "api"}}]}},
        ("httpRoute.matches", "path api"),
    ),
    (
        routed({"type": "RequestRedirect", "requestRedirect": BY_PREFIX}, matches=[{"path": {"value": "/a"}}, {}]),
        ("httpRoute.filters", "httpRoute.matches has PathPrefix and PathPrefix"),
    ),
    (with_volume(emptyDir={}), ("ingress.extraContainers side.volumeDevices", '"disk"', "are none")),
    (
        {"ingress": {"extraVolumes": [{"name": "a", "projected": {"sources": [FILE, FILE]}}]}},
        ("ingress.extraVolumes", 'the file "c"'),
    ),
    (
        {"ingress": {"resources": {"requests": {"hugepages-2Mi": "2Mi"}, "limits": {"hugepages-2Mi": "4Mi"}}}},
        ("ingress.resources.requests.hugepages-2Mi is 2Mi", '"4Mi"'),
    ),
    (
        relabelled(action="LabelDrop", sourceLabels=["a"]),
        ("serviceMonitor.metricRelabelings", '"LabelDrop"', "sourceLabels to be left out"),
    ),
    (
        {"prometheusOperator": {"prometheusRule": {"enabled": True, "extraRules": [{**RECORD, "for": "5m"}]}}},
        ("prometheusOperator.prometheusRule.extraRules", "extraRules[0].for to be left out"),
    ),
    (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}], "matches": [{"queryParams": [FIELD, FIELD]}]}},
        ("httpRoute.matches[0].queryParams", "canary", "twice"),
    ),
]
# What a field needs beside it: values, the field's key, and the other's.
BESIDE: list[tuple[dict[str, Any], str, str]] = [
    *(
        ({"podAnnotations": {COST: cost}}, f"podAnnotations.{COST}", f"podAnnotations.{COST} to be a whole number")
        for cost in ("high", "007", "+5", "9999999999")
    ),
    (
        {"routeManager": {"service": {"annotations": {RANGES: "10.0.0.0/8"}}}},
        "routeManager.service.annotations",
        "routeManager.service.type to be LoadBalancer",
    ),
    (
        {"ingress": {"service": {"type": "NodePort", "loadBalancerClass": "a.b/c"}}},
        "ingress.service.loadBalancerClass",
        "ingress.service.type",
    ),
    (
        with_volume(
            ephemeral={
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce", "ReadWriteOncePod"],
                        "resources": {"requests": {"storage": 1}},
                    }
                }
            }
        ),
        "ingress.extraVolumes disk.ephemeral.volumeClaimTemplate.spec.accessModes",
        "accessModes to be ReadWriteOncePod alone",
    ),
    *(
        ({"ingress": {"extraEnvFrom": [source]}}, "ingress.extraEnvFrom[0].configMapRef", other)
        for source, other in (
            ({"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}}, "secretRef to be left out"),
            ({"prefix": "A_"}, "secretRef to be given"),
        )
    ),
    *(
        (
            {"networkPolicy": {"enabled": True, "dns": [{"ipBlock": {"cidr": "10.0.0.0/8"}, other: {}}]}},
            "networkPolicy.dns[0].ipBlock",
            f"{other} to be left out",
        )
        for other in ("podSelector", "namespaceSelector")
    ),
    *(
        ({"podSecurityContext": {"seccompProfile": profile}}, f"podSecurityContext.seccompProfile.{key}", other)
        for profile, key, other in (
            ({"type": "Localhost"}, "type", "localhostProfile to be given"),
            ({"localhostProfile": "a"}, "localhostProfile", "type to be Localhost"),
        )
    ),
    (
        {
            "ingress": {
                "extraVolumeMounts": [
                    {
                        **MOUNT,
                        "readOnly": True,
                        "recursiveReadOnly": "IfPossible",
                        "mountPropagation": "HostToContainer",
                    }
                ]
            }
        },
        "ingress.extraVolumeMounts tmp.recursiveReadOnly",
        "mountPropagation to be None",
    ),
    *(
        (
            {
                "ingress": {
                    "extraVolumes": [
                        {"name": "a", "projected": {"sources": [{"clusterTrustBundle": {"path": "b", **bundle}}]}}
                    ]
                }
            },
            f"clusterTrustBundle.{key}",
            other,
        )
        for bundle, key, other in (
            ({}, "name", "signerName to be given"),
            ({"name": "a", "labelSelector": {}}, "labelSelector", "signerName to be given"),
            ({"name": "a", "signerName": "a.b/c"}, "name", "signerName to be left out"),
        )
    ),
    *(
        (
            {"prometheusOperator": {"prometheusRule": {"enabled": True, "extraRules": [{**RECORD, **more}]}}},
            f"extraRules[0].{key}",
            other,
        )
        for more, key, other in (
            ({"alert": "a"}, "alert", "record to be left out"),
            ({"annotations": {"a": "b"}}, "record", "annotations to be left out"),
            ({"keep_firing_for": "5m"}, "record", "keep_firing_for to be left out"),
        )
    ),
    *(
        (
            {"ingress": {"initContainers": [{**SIDECAR, key: {"exec": {"command": ["a"]}}}]}},
            f"ingress.initContainers side.{key}",
            "restartPolicy to be Always",
        )
        for key in ("readinessProbe", "startupProbe")
    ),
    (
        {"ingress": {"initContainers": [{**SIDECAR, "lifecycle": {}}]}},
        "ingress.initContainers side.lifecycle",
        "restartPolicy to be Always",
    ),
    *(
        (routed(matches=[], filters=[{"type": "CORS", "cors": {key: ["*", other]}}]), f"cors.{key}", "to be * alone")
        for key, other in (("allowMethods", "GET"), ("allowOrigins", "https://a.b"))
    ),
    *(
        (
            {"ingress": {"tolerations": [], "affinity": {"nodeAffinity": {ALWAYS: {"nodeSelectorTerms": [term]}}}}},
            "nodeSelectorTerms[0].matchExpressions[0].operator",
            "values to be " + other,
        )
        for term, other in (
            (expression("In"), "texts of labels"),
            (expression("NotIn", "-4"), "texts of labels"),
            (expression("Exists", "b"), "left out"),
            (expression("Gt", "1", "2"), "one number"),
            (expression("Lt", "a"), "one number"),
        )
    ),
    *(
        ({"networkPolicy": {"enabled": True, "ingress": {"from": [{"podSelector": chooser}]}}}, "operator", other)
        for chooser, other in (
            (expression("NotIn"), "values to be texts of labels"),
            (expression("DoesNotExist", "b"), "values to be left out"),
        )
    ),
    *(
        (relabelled(action=action, **given), "serviceMonitor.metricRelabelings[0].action", other)
        for action, given, other in (
            ("hashmod", {"targetLabel": "a"}, "modulus to be given"),
            ("labeldrop", {"modulus": 2}, "modulus to be left out"),
            ("LabelKeep", {"targetLabel": "a"}, "targetLabel to be left out"),
        )
    ),
    *(
        ({"ingress": {"extraEnv": [{"name": "A", "valueFrom": {"resourceFieldRef": given}}]}}, "resource", "divisor to")
        for given in (
            {"resource": "limits.cpu", "divisor": "1k"},
            {"resource": "limits.memory", "divisor": "1m"},
            {"resource": "requests.hugepages-2Mi", "divisor": "1m"},
        )
    ),
    (
        routed({"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}}),
        "httpRoute.filters[0].urlRewrite.path holds the type ReplaceFullPath",
        "with nothing",
    ),
    *(
        (
            {"ingress": {"resources": {"limits": {"cpu": amount, "memory": "1Gi"}, "requests": {"cpu": amount}}}},
            f"ingress.resources.limits.cpu is {amount}",
            "a multiple of 1m",
        )
        for amount in ("500u", 0.0005, "1.0005", "1e-6")
    ),
]


@pytest.mark.parametrize(("values", "keys", "options"), CASES, ids=[" ".join(keys) for _, keys, _ in CASES])
def test_the_message_names_the_keys(values: dict[str, Any], keys: tuple[str, ...], options: dict[str, Any]) -> None:
    message = render_error(values, **options)
    assert "validate.yaml" in message
    assert not [key for key in keys if key not in message], message


@pytest.mark.parametrize(("values", "keys"), SIBLINGS, ids=[" ".join(keys) for _, keys in SIBLINGS])
def test_so_does_that_of_its_siblings(values: dict[str, Any], keys: tuple[str, ...]) -> None:
    message = render_error(values)
    assert "validate.yaml" in message
    assert not [key for key in keys if key not in message], message


@pytest.mark.parametrize(("values", "key", "other"), BESIDE)
def test_what_a_field_needs_beside_it_is_named(values: dict[str, Any], key: str, other: str) -> None:
    message = render_error(values)
    assert "validate.yaml" in message
    assert key in message
    assert other in message


def test_every_rule_has_a_case() -> None:
    """Each line of the table is what some values are refused for."""
    (table,) = re.findall(r'define "gati.rules.needs" -}}\n(.*?){{- end', RULES.read_text(), re.DOTALL)
    refused = [(values, options) for values, _, options in CASES] + [(values, {}) for values, *_ in SIBLINGS + BESIDE]
    said = "\n".join(render_error(values, **options) for values, options in refused)
    for keys, field, _, other, _, words in yaml.safe_load(table):
        at = rf"\S*({'|'.join(keys)})( [^ .]+|\[\d+\]|\.custom)?" if keys else r"[^:\n]*"
        assert re.search(
            rf"{at}\.{re.escape(field)} is .*, which needs [^\n]*\.{re.escape(other)} {re.escape(words)},", said
        ), (
            keys,
            field,
            other,
        )


@pytest.mark.parametrize(("values", "where"), TWICE, ids=[where for _, where in TWICE])
def test_what_the_api_takes_for_one_is_refused_twice(values: dict[str, Any], where: str) -> None:
    message = render_error(values)
    assert where in message
    assert "stands twice" in message


def test_every_refusal_has_a_case() -> None:
    source = (CHART / "templates" / "validate.yaml").read_text().splitlines()
    written = {number for number, line in enumerate(source, 1) if "{{- fail " in line}
    seen = {
        int(number)
        for values, _, options in CASES
        for number in re.findall(r"validate\.yaml:(\d+):", render_error(values, **options))
    }
    assert written == seen


@pytest.mark.parametrize(
    "values",
    [
        {"ingress": {"name": "gati-test"}},
        {"ingress": {"name": "route-manager-headless"}},
        {"ingress": {"prometheus": {"port": 80}}, "tls": {"enabled": True, "http": "none"}},
        {"ingress": {"extraVolumes": [{"name": "tls", "emptyDir": {}}]}},
        {"ingress": {"extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp/deeper", "subPath": "x"}]}},
        {"routeManager": {"enabled": False, "name": "gati-ingress"}},
        {"ingress": {"initContainers": [{"name": "route-manager", "image": "x:1"}]}},
        {"ingress": {"topologySpreadConstraints": [BY_ZONE]}},
        {
            "ingress": {"topologySpreadConstraints": [{**BY_ZONE, "whenUnsatisfiable": "DoNotSchedule"}]},
            "multiZone": {"enabled": True},
        },
        # Lists in which the API server takes two of a kind.
        {"tolerations": [{"operator": "Exists"}] * 2},
        {"ingress": {"dnsConfig": {"searches": ["a.b"] * 2, "options": [{"name": "rotate"}] * 2}}},
        {"ingress": {"extraEnvFrom": [{"secretRef": {"name": "a"}}] * 2}},
        {"securityContext": {"capabilities": {"add": ["NET_ADMIN"] * 2}}},
        chosen(labelSelector={"matchLabels": {HASH: "a"}}, mismatchLabelKeys=[HASH, HASH]),
        boxed(ports=[{"containerPort": last, "hostPort": 9, "hostIP": f"10.0.0.{last}"} for last in (1, 2)]),
        boxed(ports=[{"containerPort": 1, "hostPort": 9, "protocol": protocol} for protocol in ("TCP", "UDP")]),
        boxed(ports=[{"name": "http", "containerPort": 4180}]),
        boxed(volumeMounts=[{"name": "disk", "mountPath": path} for path in ("/a", "/b")]),
        routed({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [FIELD], "add": [FIELD]}}),
        # Targets of which the HPA goes by one value.
        measured("Pods", metric={"name": "a"}, target=VALUE | MEAN),
        measured("Object", **OF_SERVICE, target=VALUE | MEAN),
        measured("Resource", name="cpu", target={"type": "Utilization", "averageUtilization": 5, "value": 1}),
        # Resources of Kubernetes' own, in parts, and what is read of them.
        {"ingress": {"resources": {"requests": {"a.kubernetes.io/b": "0.5"}}}},
        {"ingress": {"resources": {"limits": {"example.com/gpu": "1000m", "hugepages-2Mi": "4Mi"}}}},
        {
            "ingress": {
                "extraEnv": [{"name": "A", "valueFrom": share()}, {"name": "B", "value": '"resourceFieldRef":{}'}]
            }
        },
        merged(boxed(), {"ingress": {"extraEnv": [{"name": "A", "valueFrom": share(containerName="side")}]}}),
        merged(boxed(), measured("ContainerResource", name="cpu", container="side", target=MEAN)),
        {"ingress": {"initContainers": [{**SIDECAR, "restartPolicy": "Always", "resizePolicy": [RESIZE]}]}},
        {"networking": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}},
        {"networking": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}},
        {"pdb": {"enabled": False, "maxUnavailable": 1}},
        {"ingress": {"service": {"type": "NodePort", "nodePort": 30080}}, "tls": {"nodePort": 30080}},
        {"ingress": {"initContainers": [{**SIDECAR, "ports": [{"containerPort": 8080}]}]}},
        {"ingress": {"extraContainers": [{**SIDECAR, "ports": [{"containerPort": 8080, "protocol": "UDP"}]}]}},
        {"ingress": {"readinessProbe": {"enabled": False, "custom": {"httpGet": {"port": "https"}}}}},
        {"ingress": {"readinessProbe": {"custom": {"httpGet": {"port": 9999}, "successThreshold": 2}}}},
        {"podSecurityContext": {"runAsUser": 0, "runAsNonRoot": False}},
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": True}},
        {
            "ingress": {
                "initContainers": [
                    {**SIDECAR, "securityContext": {"privileged": True, "allowPrivilegeEscalation": True}},
                    {"name": "root", "image": "x:1", "securityContext": {"runAsUser": 0, "runAsNonRoot": False}},
                ]
            }
        },
        {"keda": {"enabled": True, "extraTriggers": [{**CRON, "name": "demand"}, CRON, CRON]}},
        {"tls": {"certManager": {"duration": "1h"}}},
        {
            "networkPolicy": {
                "enabled": True,
                "dns": [
                    {"ipBlock": {"cidr": "10.1.2.3/32"}},
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
                    {"ipBlock": {"cidr": "FE80::/10", "except": ["fe80:0::7:8/128", "fe80::/11"]}},
                    {"ipBlock": {"cidr": "::2:3:4:5:6:7:8/128"}},
                ],
            }
        },
        routed(*[{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b", "port": 80}}}] * 2, REWRITE),
        routed(timeouts={"request": "1m30s", "backendRequest": "90000ms"}),
        routed(timeouts={"request": "0s", "backendRequest": "1h"}),
        {"ingress": {"extraVolumeMounts": [{**MOUNT, "recursiveReadOnly": "Disabled"}]}},
        with_volume(persistentVolumeClaim={"claimName": "a"}),
        {"ingress": {"extraVolumes": [{"name": name, "projected": {"sources": [FILE]}} for name in "ab"]}},
        {"ingress": {"resources": {kind: {"hugepages-2Mi": "4Mi"} for kind in ("requests", "limits")}}},
        routed({"type": "URLRewrite", "urlRewrite": BY_PREFIX}, matches=[{"method": "GET"}]),
        relabelled(action="labeldrop", regex="a|b", sourceLabels=[]),
        {"prometheusOperator": {"prometheusRule": {"enabled": True, "extraRules": [{**RECORD, "labels": {"a": "b"}}]}}},
        {"ingress": {"service": {"annotations": {"a": "::ffff:10.0.0.1"}}}},
        {"keda": {"renderMode": "fail"}, "httpRoute": {"renderMode": "fail"}},
        {"podSecurityContext": {"appArmorProfile": {"type": ""}}},
        {
            "externalIngress": {
                "enabled": True,
                "className": "alb",
                "annotations": {"kubernetes.io/ingress.class": "alb"},
                "hosts": [{"host": "a.b", "paths": [{"path": "/(a//)?", "pathType": "ImplementationSpecific"}]}],
            }
        },
        {"keda": {"enabled": True}, "ingress": {"prometheus": None}},
        {"pdb": None, "httpRoute": None, "externalIngress": None, "networking": None, "tests": None, "tls": None},
        {"externalIngress": {"enabled": True}, "tls": None},
        monitor("60s", "1m"),
        monitor("1d12h", "36h"),
        monitor("15s", None),
        {"tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]},
        {"ingress": {"resources": {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": 1}}}},
        {"pdb": {"minAvailable": "", "maxUnavailable": 1}},
        {"ingress": {"enabled": False, "podLabels": {"app.kubernetes.io/name": "x"}, "image": {"tag": 1.0}}},
        {"routeManager": {"routes": [], "existingRoutesConfigMap": "mine"}},
        {"routeManager": {"enabled": False, "routes": []}, "pdb": {"enabled": False}},
        {"keda": {"idleReplicaCount": 0}},
        {"ingress": {"hpa": {"handover": True}}},
        {"ingress": {"lifecycle": {"preStop": {"sleep": {"seconds": 29}}}}},
        {"ingress": {"lifecycle": None}},
        {"tls": {"nodePort": 30443}},
        {
            "ingress": {"serviceAccount": {"name": "one"}},
            "routeManager": {"serviceAccount": {"name": "one", "create": False}},
        },
        {"ingress": {"image": {"tag": 7, "digest": "sha256:" + "0" * 64}}},
        merged(EVERYTHING, {"ingress": {"prometheus": {"port": 8443}}}),
        {
            "extraObjects": [
                OBJECT,
                {**OBJECT, "metadata": {"name": "a", "namespace": "b"}},
                {**OBJECT, "kind": "Secret"},
            ]
        },
        {
            "httpRoute": {
                "enabled": True,
                "parentRefs": [{"name": "a", "port": 80}, {"name": "a", "port": 443}, {"name": "a", "namespace": "b"}],
                "matches": [
                    {"path": {"type": "RegularExpression", "value": "[a-z]//"}, "headers": [FIELD]},
                    {"path": {"value": "/a%20b;v=1"}, "headers": [FIELD], "queryParams": [FIELD]},
                ],
                "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "a.b"}}],
            }
        },
    ],
)
def test_what_only_looks_wrong_is_let_through(values: dict[str, Any]) -> None:
    assert render(values)


CLAIM = {"accessModes": ["ReadWriteOnce"], "volumeAttributesClassName": "a", "resources": {"requests": {"storage": 1}}}


@pytest.mark.parametrize(
    ("source", "field", "version"),
    [
        ({"projected": {"sources": [{"clusterTrustBundle": {"name": "a", "path": "b"}}]}}, "clusterTrustBundle", 29),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}}, "volumeAttributesClassName", 29),
        ({"image": {"reference": "a"}}, "image", 31),
        (
            {
                "projected": {
                    "sources": [{"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "keyPath": "d"}}]
                }
            },
            "podCertificate",
            34,
        ),
    ],
)
def test_a_field_that_an_older_cluster_lacks_is_refused_there(source: dict[str, Any], field: str, version: int) -> None:
    values = {"ingress": {"extraVolumes": [{"name": "a", **source}]}}
    message = render_error(values, kube_version=f"1.{version - 1}.0")
    assert re.search(rf"ingress\.extraVolumes a\.(\S+\.)?{field} is .*, which needs Kubernetes 1\.{version}", message)
    assert render(values, kube_version=f"1.{version}.0")


@pytest.mark.parametrize(
    ("values", "named", "version"),
    [
        ({"podSecurityContext": {"supplementalGroupsPolicy": "Strict"}}, "supplementalGroupsPolicy", 33),
        ({"podSecurityContext": {"seLinuxChangePolicy": "Recursive"}}, "seLinuxChangePolicy", 33),
        ({"ingress": {"extraEnv": [{"name": "2FA"}]}}, "ingress.extraEnv 2FA.name", 32),
        (
            {"routeManager": {"initContainers": [{**SIDECAR, "env": [{"name": "a b"}]}]}},
            "routeManager.initContainers side.env a b.name",
            32,
        ),
        (
            {"ingress": {"extraEnvFrom": [{"prefix": "2-", "secretRef": {"name": "a"}}]}},
            "ingress.extraEnvFrom[0].prefix",
            32,
        ),
        ({"ingress": {"dnsConfig": {"searches": ["_tcp.a.b"]}}}, "ingress.dnsConfig.searches", 33),
        (
            {"ingress": {"lifecycle": {"preStop": {"sleep": {"seconds": 0}}}}},
            "ingress.lifecycle.preStop.sleep.seconds",
            33,
        ),
        (boxed(resizePolicy=[RESIZE]), "ingress.extraContainers side.resizePolicy", 33),
        (
            chosen(mismatchLabelKeys=[]),
            f"ingress.affinity.podAntiAffinity.{ALWAYS}[0].mismatchLabelKeys",
            31,
        ),
        (boxed(restartPolicyRules=[]), "ingress.extraContainers side.restartPolicyRules", 35),
        *(
            (merged(scaler, {"ingress": {"hpa": {"behavior": {"scaleUp": {"tolerance": 0}}}}}), "scaleUp.tolerance", 35)
            for scaler in (HPA, {"keda": {"enabled": True}})
        ),
        (
            boxed(restartPolicy="Never", restartPolicyRules=[{**RULE, "action": "RestartAllContainers"}]),
            "ingress.extraContainers side.restartPolicyRules",
            36,
        ),
    ],
)
def test_what_an_older_cluster_leaves_out_or_refuses_is_refused_there(
    values: dict[str, Any], named: str, version: int
) -> None:
    """By the release from which its feature gate is on, not that of the field."""
    message = render_error(values, kube_version=f"1.{version - 1}.0")
    assert re.search(rf"{re.escape(named)} is .*, which needs Kubernetes 1\.{version},", message)
    assert render(values, kube_version=f"1.{version}.0")


@pytest.mark.parametrize(
    "source",
    [
        {"configMap": {"name": "a", "items": [{"key": "image", "path": "b", "mode": 256}]}},
        {"csi": {"driver": "a", "volumeAttributes": {"image": "b", "user": "1"}}},
        {"cephfs": {"monitors": ["a"], "user": "admin"}},
    ],
)
def test_a_field_that_only_sounds_young_is_let_through(source: dict[str, Any]) -> None:
    assert render({"ingress": {"extraVolumes": [{"name": "a", **source}]}}, kube_version="1.28.0")


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_key_of_the_users_own_that_sounds_like_a_field_is_let_through(version: str) -> None:
    words = {"type": "Localhost", "mountPath": "a", "prefix": "2", "sleep": "0", "fraction": "half", "endPort": "9"}
    words |= {"valueFrom": "a", "value": "b", "cidr": "10.1.2.3_8", "loadBalancerSourceRanges": "a"}
    words |= {"matchLabelKeys": "a", "labelSelector": "b"}
    driver = {"name": "disk", "csi": {"driver": "a", "volumeAttributes": words}}
    own = {"config": words, "service": {"annotations": words}, "extraVolumes": [driver], "nodeSelector": words}
    triggers = {"enabled": True, "extraTriggers": [{"type": "cron", "metadata": words}], "triggerMetadata": words}
    replaced = {"type": "Replacement"}
    values = {"ingress": own, "keda": triggers, "commonAnnotations": words, "podLabels": replaced, "tls": {}}
    assert render({**values, "affinity": chosen()["affinity"]}, kube_version=version)


@pytest.mark.parametrize("network", ["10.1.2.3/8", "::ffff:a00:0/104"])
def test_a_network_that_an_older_cluster_takes_is_let_through_there_and_kept(network: str) -> None:
    values = {"networkPolicy": {"enabled": True, "dns": [{"ipBlock": {"cidr": network}}]}}
    assert render(values, kube_version="1.35.0")
    assert render(values, upgrade=True)
