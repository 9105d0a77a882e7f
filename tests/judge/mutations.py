"""Changes of helm/gati, each with the level that a maintainer of charts gives it, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.core.yaml_read import loader

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Mutation:
    """A changed chart. `level` is what is expected, `about` begins what the deciding reason speaks of."""

    name: str
    level: str
    about: str
    why: str
    changes: tuple[Change, ...]


def text(file: str, old: str, new: str, count: int = 1) -> Change:
    """`old` becomes `new` where it stands in a file of the chart, `count` times."""

    def change(chart: Path) -> None:
        path = chart / file
        before = path.read_text()
        assert before.count(old) == count, f"{file} holds {old!r} {before.count(old)} times"
        path.write_text(before.replace(old, new))

    return change


def default(key: str, value: str, file: str = "values.yaml") -> Change:
    """The value at the dotted `key` of a values file becomes the YAML text `value`."""

    def change(chart: Path) -> None:
        path = chart / file
        before = path.read_text()
        node: Any = yaml.compose(before, Loader=loader())
        for part in key.split("."):
            node = next(child for name, child in node.value if name.value == part)
        end = node.end_mark.index
        ending = "\n" if node.end_mark.column == 0 else ""  # a block ends at the start of the next line
        path.write_text(before[: node.start_mark.index] + value + ending + before[end:])

    return change


def without(key: str, file: str = "values.yaml") -> Change:
    """The dotted `key` is taken out of a values file, together with what is below it."""

    def change(chart: Path) -> None:
        path = chart / file
        values = yaml.safe_load(path.read_text())
        node = values
        *parents, last = key.split(".")
        for part in parents:
            node = node[part]
        del node[last]
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    return change


def added(key: str, value: Any, file: str = "values.yaml") -> Change:
    """A new dotted `key` in a values file."""

    def change(chart: Path) -> None:
        path = chart / file
        values = yaml.safe_load(path.read_text())
        node = values
        *parents, last = key.split(".")
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    return change


def schema(edit: Callable[[dict[str, Any]], Any]) -> Change:
    """values.schema.json, changed by `edit`."""

    def change(chart: Path) -> None:
        path = chart / "values.schema.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content, indent=2))

    return change


def keys(content: dict[str, Any], *path: str) -> dict[str, Any]:
    """The part of a schema that speaks of the key at `path`; what it refers to is copied there first."""
    for part in path:
        properties = content["properties"]
        found = properties[part]
        if "$ref" in found:
            found = properties[part] = json.loads(json.dumps(_target(found["$ref"])))
        content = found
    return content


def _target(ref: str) -> Any:
    node: Any = SCHEMA
    for part in ref.split("/")[1:]:
        node = node[part]
    return node


SCHEMA = json.loads((Path(__file__).parents[2] / "helm/gati/values.schema.json").read_text())


def metadata(key: str, value: Any) -> Change:
    """A line of Chart.yaml; None takes it out."""

    def change(chart: Path) -> None:
        path = chart / "Chart.yaml"
        content = yaml.safe_load(path.read_text())
        content[key] = value
        if value is None:
            del content[key]
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    return change


def written(file: str, content: str) -> Change:
    """A new file, or another content of one."""

    def change(chart: Path) -> None:
        path = chart / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return change


def deleted(file: str) -> Change:
    """A file that goes."""

    def change(chart: Path) -> None:
        (chart / file).unlink()

    return change


def several(*changes: Change) -> Change:
    """All of `changes`, one after the other."""

    def change(chart: Path) -> None:
        for one in changes:
            one(chart)

    return change


HELPERS = "templates/_helpers.tpl"
NETWORK = "templates/_network.tpl"
POD = "templates/_pod.tpl"
INGRESS = "templates/ingress"
ROUTES = "templates/route-manager"
SELECTOR = "app.kubernetes.io/component: {{ .component }}\n{{- end }}"
PORTS = "  ports:\n    {{- range .ports }}\n    {{- if .port }}"
STRATEGY = "    {{- toYaml $strategy | nindent 4 }}\n"
BINDING = "templates/rbac/rolebinding-rbac.yaml"
ROLE_OF_IT = 'kind: Role\n  name: {{ include "gati.name" $context | quote }}'


def _all() -> Iterator[Mutation]:
    def one(name: str, level: str, about: str, why: str, *changes: Change) -> Mutation:
        return Mutation(name, level, about, why, changes)

    # -- nothing, and what nobody notices
    yield one(
        "only the version", "none", "", "labels carry the version, and nothing else does", metadata("version", "9.9.9")
    )
    yield one(
        "a word in the README",
        "patch",
        "files",
        "who installs it notices nothing",
        text("README.md", "# gati", "# The gati chart"),
    )
    yield one(
        "a comment in a template",
        "patch",
        "files",
        "renders the same",
        text(f"{INGRESS}/servicemonitor-ingress.yaml", "apiVersion:", "# a monitor\napiVersion:"),
    )
    yield one(
        "a description in Chart.yaml",
        "patch",
        "Chart.yaml description",
        "is only said",
        metadata("description", "An API gateway"),
    )
    yield one(
        "a default written out",
        "patch",
        "files",
        "the API server writes it anyway",
        text(NETWORK, "  selector:\n    {{- include", "  sessionAffinity: None\n  selector:\n    {{- include"),
    )
    yield one(
        "another order of the environment",
        "patch",
        "files",
        "the same variables",
        text(POD, "{{- $variables := list }}", "{{- $variables := list }}{{/* in order */}}"),
    )
    yield one(
        "a quantity in another unit", "patch", "values ", "1 is 1000m", default("ingress.resources.limits.cpu", '"1"')
    )

    # -- immutable fields
    yield one(
        "a version in the selector",
        "major",
        "Deployment/gati-ingress spec.selector",
        "the selector of a Deployment is immutable",
        text(
            HELPERS,
            SELECTOR,
            SELECTOR.replace("\n{{- end }}", "\nchart: gati-{{ .root.Chart.Version }}-next\n{{- end }}"),
        ),
    )
    yield one(
        "another component label",
        "major",
        "Deployment/route-manager spec.selector",
        "the selector of a Deployment is immutable",
        text(
            f"{ROUTES}/deployment-route-manager.yaml",
            '"component" "route-manager" "values"',
            '"component" "routes" "values"',
        ),
    )
    yield one(
        "the Service made headless",
        "major",
        "Service/route-manager spec.clusterIP",
        "clusterIP is immutable",
        text(NETWORK, "{{- if .name }}\n  clusterIP", '{{- if eq .component "route-manager" }}\n  clusterIP'),
    )
    yield one(
        "another role bound",
        "major",
        "RoleBinding/gati-ingress roleRef",
        "roleRef is immutable",
        text(BINDING, ROLE_OF_IT, "kind: ClusterRole\n  name: view"),
    )

    # -- objects that go, come, move, or get another name
    yield one(
        "the ingress renamed",
        "major",
        "Deployment/gati-ingress",
        "every object of it is made again",
        default("ingress.name", "edge"),
    )
    yield one(
        "a ConfigMap renamed",
        "major",
        "ConfigMap/gati-ingress-config",
        "others may mount it by name",
        text(HELPERS, '"gati.ingress.name" .) "config"', '"gati.ingress.name" .) "settings"'),
    )
    yield one(
        "the headless Service renamed",
        "major",
        "Service/route-manager-headless",
        "clients call it by name",
        text(HELPERS, '"gati.routeManager.name" .) "headless"', '"gati.routeManager.name" .) "pods"'),
    )
    yield one(
        "another namespace",
        "major",
        "Deployment/gati-ingress",
        "made again elsewhere",
        default("global.namespace", "gateway"),
    )
    yield one(
        "the budget gone",
        "major",
        "PodDisruptionBudget/gati-ingress",
        "a drain takes every pod",
        deleted(f"{INGRESS}/pdb-ingress.yaml"),
    )
    yield one(
        "the budget off by default",
        "major",
        "PodDisruptionBudget/gati-ingress",
        "it is deleted where nobody says otherwise",
        default("pdb.enabled", "false"),
    )
    yield one(
        "the HPA gone",
        "major",
        "HorizontalPodAutoscaler/gati-ingress",
        "nothing scales in production",
        deleted(f"{INGRESS}/hpa-ingress.yaml"),
    )
    yield one(
        "the Ingress gone",
        "major",
        "Ingress/gati-ingress",
        "its hosts are no longer served",
        deleted(f"{INGRESS}/ingress-ingress.yaml"),
    )
    yield one(
        "the ServiceMonitor gone",
        "major",
        "ServiceMonitor/gati-ingress (monitoring)",
        "metrics end",
        deleted(f"{INGRESS}/servicemonitor-ingress.yaml"),
    )
    yield one(
        "the tests of helm test gone",
        "patch",
        "Pod/gati-ingress-test",
        "no part of the release",
        deleted("templates/tests/pod-ingress.yaml"),
    )
    yield one("a hook added", "minor", "Job/migrate", "runs at each upgrade", written("templates/hook.yaml", HOOK))
    yield one("a ConfigMap added", "minor", "ConfigMap/extra", "something new", written("templates/extra.yaml", EXTRA))
    yield one(
        "a network policy for all, added",
        "major",
        "NetworkPolicy/closed",
        "what called before is refused",
        written("templates/closed.yaml", CLOSED),
    )
    yield one(
        "the Deployment made a StatefulSet",
        "major",
        "Deployment/route-manager",
        "deleted and made again",
        text(POD, "kind: Deployment", 'kind: {{ eq .component "ingress" | ternary "Deployment" "StatefulSet" }}'),
        text(
            POD,
            "  strategy:\n" + STRATEGY,
            '  {{- if eq .component "ingress" }}\n  strategy:\n'
            + STRATEGY
            + "  {{- else }}\n  serviceName: route-manager\n  {{- end }}\n",
        ),
    )
    yield one(
        "a definition added in crds/",
        "minor",
        "CustomResourceDefinition/routes.gati.io",
        "a further API",
        written("crds/routes.yaml", CRD),
    )

    # -- Services, labels, traffic
    yield one(
        "the Service's port",
        "major",
        "Service/gati-ingress spec.ports[http].port",
        "clients call the old one",
        default("ingress.service.port", "8000"),
    )
    yield one(
        "the port's name",
        "major",
        "Service/route-manager spec.ports[grpc].name",
        "others name it",
        text(NETWORK, "- name: grpc\n", "- name: rpc\n"),
        text("templates/validate.yaml", '"grpc" (list', '"rpc" (list'),
    )
    yield one(
        "a further port",
        "minor",
        "Service/gati-ingress spec.ports[admin]",
        "more is offered",
        text(
            NETWORK,
            PORTS,
            PORTS + '\n    {{- if eq $.component "ingress" }}\n    - {name: admin, port: 9901}\n    {{- end }}',
        ),
    )
    yield one(
        "a LoadBalancer",
        "minor",
        "Service/gati-ingress spec.type",
        "a further way in",
        text(
            NETWORK, "ternary $service.type", 'ternary (eq .component "ingress" | ternary "LoadBalancer" "ClusterIP")'
        ),
    )
    yield one(
        "the Service selects by a new label",
        "major",
        "Service/gati-ingress spec.selector",
        "the pods that run lack it: no traffic until new ones are ready",
        text(NETWORK, PORTS, '    {{- if eq .component "ingress" }}\n    tier: edge\n    {{- end }}\n' + PORTS),
        text(POD, '"app.kubernetes.io/part-of" "gati"', '"app.kubernetes.io/part-of" "gati" "tier" "edge"'),
    )
    yield one(
        "a pod label gone",
        "minor",
        "Deployment/gati-ingress spec.template.metadata.labels",
        "a label that describes",
        text(POD, 'dict "app.kubernetes.io/part-of" "gati"', "dict"),
    )
    yield one(
        "a pod label added",
        "patch",
        "Deployment/gati-ingress spec.template.metadata.labels",
        "nobody selects by it yet",
        text(POD, '"app.kubernetes.io/part-of" "gati"', '"app.kubernetes.io/part-of" "gati" "tier" "edge"'),
    )
    yield one(
        "a Service's label gone",
        "major",
        "Service/gati-ingress metadata.labels",
        "monitors find it by that",
        text(
            NETWORK,
            '(merge (dict "annotations" $service.annotations) .)',
            '(merge (dict "name" (.name | default (include "gati.name" .))) (omit . "component"))',
        ),
    )
    yield one(
        "a policy narrowed",
        "major",
        "NetworkPolicy/route-manager spec.ingress",
        "traffic is refused",
        text(
            f"{ROUTES}/networkpolicy-route-manager.yaml",
            '        - {{ include "gati.network.peer" (list . "test") | nindent 10 | trim }}\n',
            "",
        ),
    )
    yield one(
        "a policy widened",
        "minor",
        "NetworkPolicy/route-manager spec.ingress",
        "more is let through",
        text(
            f"{ROUTES}/networkpolicy-route-manager.yaml",
            "protocol: TCP}\n        {{- end }}\n  egress",
            "protocol: TCP}\n        {{- end }}\n        - {port: 9090, protocol: TCP}\n  egress",
        ),
    )
    yield one(
        "the Ingress' path",
        "major",
        "Ingress/gati-ingress spec.rules",
        "requests are no longer served",
        text(
            "values.yaml",
            "    - host: gati.local\n      paths:\n        - path: /\n",
            "    - host: gati.local\n      paths:\n        - path: /api\n",
        ),
    )

    # -- pods
    yield one(
        "one replica more",
        "minor",
        "Deployment/gati-ingress spec.replicas",
        "a changed default",
        default("ingress.replicaCount", "3"),
    )
    yield one(
        "more memory",
        "minor",
        "Deployment/gati-ingress",
        "nodes must have it",
        default("ingress.resources.requests.memory", "384Mi"),
    )
    yield one(
        "a probe's times",
        "patch",
        "values ingress.livenessProbe.periodSeconds",
        "is asked at other times",
        default("ingress.livenessProbe.periodSeconds", "20"),
    )
    yield one(
        "a probe's path",
        "minor",
        "values ingress.livenessProbe.path",
        "is asked another question",
        default("ingress.livenessProbe.path", "/health"),
    )
    yield one(
        "a probe gone",
        "minor",
        "Deployment/gati-ingress",
        "pods are judged otherwise",
        text(
            POD,
            'list "startupProbe" "readinessProbe" "livenessProbe"',
            'list "startupProbe" "readinessProbe"',
        ),
    )
    yield one(
        "another registry",
        "minor",
        "values ingress.image.repository",
        "mirrors must know it",
        default("ingress.image.repository", "quay.io/gati/ingress"),
    )
    yield one(
        "the tag pinned to what it was",
        "minor",
        "values routeManager.image.tag",
        "no longer follows appVersion",
        default("routeManager.image.tag", '"1.0.0"'),
    )
    yield one(
        "Recreate",
        "major",
        "Deployment/gati-ingress spec.strategy",
        "every upgrade has downtime",
        text(POD, STRATEGY, "    type: Recreate\n"),
    )
    yield one(
        "as root",
        "major",
        "Deployment/gati-ingress Pod Security",
        "`restricted` refuses the pods",
        default("podSecurityContext.runAsNonRoot", "false"),
    )
    yield one(
        "a hostPath",
        "major",
        "Deployment/gati-ingress Pod Security",
        "`restricted` refuses the pods",
        text(POD, "{emptyDir: {sizeLimit: 64Mi}}", "{hostPath: {path: /tmp}}"),
    )
    yield one(
        "an environment variable",
        "minor",
        "Deployment/gati-ingress",
        "set up otherwise",
        text(
            POD,
            '{{- $variables := list }}\n{{- if eq .component "ingress" }}',
            '{{- $variables := list (list "TRACE" "on") }}\n{{- if eq .component "ingress" }}',
        ),
    )
    yield one(
        "an annotation",
        "patch",
        "Deployment/route-manager metadata.annotations",
        "is only said",
        text(
            POD,
            'dict "annotations" .values.annotations',
            'dict "annotations" (merge (dict "example.com/note" "x") .values.annotations)',
        ),
    )
    yield one(
        "the history's length",
        "minor",
        "values revisionHistoryLimit",
        "a changed default",
        default("revisionHistoryLimit", "3"),
    )
    yield one(
        "a longer grace",
        "minor",
        "values shutdown.terminationGracePeriodSeconds",
        "a changed default",
        default("shutdown.terminationGracePeriodSeconds", "60"),
    )
    yield one(
        "the namespace no longer kept",
        "major",
        "Namespace/gati metadata.annotations",
        "deleted with the release, and all in it",
        text("templates/namespace.yaml", '"helm.sh/resource-policy" "keep"', '"a" "b"'),
    )

    # -- rights
    yield one(
        "rights widened",
        "minor",
        "ServiceAccount/gati-ingress rights",
        "who upgrades must hold them",
        text("templates/rbac/role-rbac.yaml", "verbs: [get, list, watch]", "verbs: [get, list, watch, update]"),
    )
    yield one(
        "rights narrowed",
        "minor",
        "ServiceAccount/gati-ingress rights",
        "what used the account beside",
        text("templates/rbac/role-rbac.yaml", "verbs: [get, list, watch]", "verbs: [get]"),
    )
    yield one(
        "a Role renamed with its binding",
        "major",
        "RoleBinding/gati-ingress roleRef",
        "roleRef is immutable",
        text(
            "templates/rbac/role-rbac.yaml",
            '"gati.componentMetadata" $context',
            '"gati.metadata" (merge (dict "name" (print $component "-reader")) $context)',
        ),
        text(BINDING, ROLE_OF_IT, "kind: Role\n  name: {{ $component }}-reader"),
    )
    yield one(
        "the account gone",
        "major",
        "ServiceAccount/gati-ingress",
        "pods use it, others gave it rights",
        default("rbac.create", "false"),
    )

    yield one(
        "a setting of production that has no effect any more",
        "major",
        "values ingress.hpa.maxReplicas",
        "production had twenty and gets ten",
        text(
            f"{INGRESS}/hpa-ingress.yaml",
            'maxReplicas: {{ include "gati.text" $hpa.maxReplicas }}',
            "maxReplicas: {{ 10 }}",
        ),
    )

    # -- values and their schema
    yield one(
        "a key gone",
        "major",
        "values keda.pollingInterval",
        "who sets it is refused",
        without("keda.pollingInterval"),
        schema(_without_polling),
        text(f"{INGRESS}/scaledobject-ingress.yaml", "{{ $keda.pollingInterval }}", "15"),
    )
    yield one(
        "a key renamed",
        "major",
        "values ingress.replicaCount",
        "who sets the old one is refused",
        text("values.yaml", "  replicaCount: 2\n", "  replicas: 2\n"),
        schema(_renamed),
        text(f"{INGRESS}/deployment-ingress.yaml", "$ingress.replicaCount", "$ingress.replicas"),
        _everywhere("ingress.replicaCount", "ingress.replicas"),
    )
    yield one(
        "a key renamed, and the old one read where the new one is empty",
        "major",
        "values revisionHistoryLimit",
        "the new one has a default, which always wins",
        text("values.yaml", "\nrevisionHistoryLimit: ", "\nhistoryLimit: "),
        schema(lambda s: s["properties"].update(historyLimit=s["properties"]["revisionHistoryLimit"])),
        text(
            "templates/_pod.tpl",
            ".root.Values.revisionHistoryLimit",
            "(.root.Values.historyLimit | default .root.Values.revisionHistoryLimit)",
        ),
    )
    yield one(
        "a key added",
        "minor",
        "values ingress.greeting",
        "a new setting",
        added("ingress.greeting", ""),
        schema(lambda s: s["properties"]["ingress"]["properties"].update(greeting={"type": "string"})),
    )
    yield one(
        "a setting that nothing reads any more",
        "major",
        "values keda.cooldownPeriod",
        "has no effect",
        text(f"{INGRESS}/scaledobject-ingress.yaml", "{{ $keda.cooldownPeriod }}", "300"),
    )
    yield one(
        "a type narrowed",
        "major",
        "schema ",
        "who gives half a request is refused",
        schema(lambda s: keys(s, "keda", "requestsPerSecond").update(type="integer")),
    )
    yield one(
        "a type widened",
        "minor",
        "schema multiZone.enabled",
        "more is taken",
        schema(lambda s: keys(s, "multiZone", "enabled").update(type=["boolean", "string"])),
    )
    yield one(
        "a key made required",
        "major",
        "schema keda.activationQuery",
        "null is refused",
        schema(lambda s: keys(s, "keda").setdefault("required", []).append("activationQuery")),
    )
    yield one(
        "a choice gone",
        "major",
        "schema multiZone.whenUnsatisfiable",
        "who has chosen it is refused",
        schema(lambda s: keys(s, "multiZone", "whenUnsatisfiable").update(enum=["ScheduleAnyway"])),
    )
    yield one(
        "a choice added",
        "minor",
        "schema multiZone.whenUnsatisfiable",
        "more is taken",
        schema(lambda s: keys(s, "multiZone", "whenUnsatisfiable")["enum"].append("Never")),
    )
    yield one(
        "a maximum lowered",
        "major",
        "schema revisionHistoryLimit",
        "who has more is refused",
        schema(lambda s: keys(s, "revisionHistoryLimit")["anyOf"][0].update(maximum=10)),
    )
    yield one(
        "a maximum raised",
        "minor",
        "schema revisionHistoryLimit",
        "more is taken",
        schema(lambda s: keys(s, "revisionHistoryLimit")["anyOf"][0].update(maximum=5000)),
    )
    yield one(
        "a pattern added",
        "major",
        "schema keda.serverAddress",
        "other addresses are refused",
        schema(lambda s: keys(s, "keda", "serverAddress").update(pattern="^http://")),
    )
    yield one(
        "a map closed",
        "major",
        "schema global",
        "further keys are refused",
        schema(lambda s: keys(s, "global").update(additionalProperties=False)),
    )
    yield one(
        "a map opened",
        "minor",
        "schema multiZone",
        "more is taken",
        schema(lambda s: keys(s, "multiZone").update(additionalProperties=True)),
    )
    yield one("the schema gone", "minor", "schema", "nothing is refused any more", deleted("values.schema.json"))
    yield one(
        "a description in the schema",
        "patch",
        "files",
        "is only said",
        schema(lambda s: keys(s, "multiZone").update(description="Zones.")),
    )
    yield one(
        "a refusal of values that production has",
        "major",
        "values set values-prod.yaml",
        "production cannot be upgraded",
        schema(lambda s: keys(s, "ingress", "hpa", "maxReplicas").update(maximum=10)),
    )
    yield one(
        "production's own file",
        "minor",
        "values-prod.yaml ingress.hpa.maxReplicas",
        "who installs with it",
        default("ingress.hpa.maxReplicas", "30", "values-prod.yaml"),
    )
    yield one(
        "production without its budget",
        "major",
        "PodDisruptionBudget/gati-ingress",
        "it is deleted where that file is used",
        default("pdb.enabled", "false", "values-prod.yaml"),
    )
    yield one(
        "a render that fails for what was taken",
        "major",
        "values set values-staging.yaml",
        "staging cannot be upgraded",
        written(
            "templates/refuse.yaml",
            '{{- if eq (int .Values.ingress.hpa.maxReplicas) 6 }}{{ fail "six is refused" }}{{ end }}',
        ),
    )

    # -- Chart.yaml
    yield one(
        "kubeVersion narrowed",
        "major",
        "Chart.yaml kubeVersion",
        "clusters of 1.28 are refused",
        metadata("kubeVersion", ">=1.29.0-0 <1.38.0-0"),
    )
    yield one(
        "kubeVersion without vendors' builds",
        "major",
        "Chart.yaml kubeVersion",
        "v1.33.4-gke.1 is refused",
        metadata("kubeVersion", ">=1.28.0 <1.38.0"),
    )
    yield one(
        "kubeVersion widened",
        "minor",
        "Chart.yaml kubeVersion",
        "more clusters",
        metadata("kubeVersion", ">=1.27.0-0 <1.38.0-0"),
    )
    yield one(
        "appVersion, a repair", "patch", "Chart.yaml appVersion", "by its own SemVer", metadata("appVersion", "1.0.1")
    )
    yield one(
        "appVersion, features", "minor", "Chart.yaml appVersion", "by its own SemVer", metadata("appVersion", "1.1.0")
    )
    yield one(
        "appVersion, breaking", "major", "Chart.yaml appVersion", "by its own SemVer", metadata("appVersion", "2.0.0")
    )
    yield one("a library", "major", "Chart.yaml type", "cannot be installed", metadata("type", "library"))
    yield one("deprecated", "minor", "Chart.yaml deprecated", "is given up", metadata("deprecated", True))
    yield one("another name", "major", "Chart.yaml name", "another chart", metadata("name", "gateway"))


HOOK = """apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {"helm.sh/hook": pre-upgrade}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "example.com/migrate:1.0.0"}]
"""
EXTRA = """apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
data: {a: b}
"""
CLOSED = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: gati}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: routes.gati.io}
spec:
  group: gati.io
  names: {kind: Route, plural: routes, singular: route}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object}}
"""


def _without_polling(content: dict[str, Any]) -> None:
    keda = content["properties"]["keda"]
    del keda["properties"]["pollingInterval"]
    keda["required"].remove("pollingInterval")


def _renamed(content: dict[str, Any]) -> None:
    properties = content["properties"]["ingress"]["properties"]
    properties["replicas"] = properties.pop("replicaCount")
    required = content["properties"]["ingress"].get("required", [])
    if "replicaCount" in required:
        required[required.index("replicaCount")] = "replicas"


def _everywhere(old: str, new: str) -> Change:
    """`old` becomes `new` in every template, and the last word of it in the further values files."""

    def change(chart: Path) -> None:
        for file in (chart / "templates").rglob("*"):
            if file.is_file():
                file.write_text(file.read_text().replace(old, new))
        for file in chart.glob("values-*.yaml"):
            values = yaml.safe_load(file.read_text())
            if "replicaCount" in values["ingress"]:
                values["ingress"]["replicas"] = values["ingress"].pop("replicaCount")
            file.write_text(yaml.safe_dump(values, sort_keys=False))

    return change


MUTATIONS = tuple(_all())
