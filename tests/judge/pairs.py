"""Ten steps from one version to the next, as charts that many use have taken them, rebuilt small.

Nothing of the real charts is here but what a step did. `level` is what a maintainer gives it, and `why` argues that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.chart.manifests import read_manifests
from scripts.judge.side import Side
from scripts.judge.verdict import Cell, Verdict, make_verdict


@dataclass(frozen=True)
class State:
    """A version of a chart: what it renders, and what can be set."""

    version: str
    rendered: str
    values: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    templates: str = ""

    @property
    def side(self) -> Side:
        """As the judge reads it."""
        return Side(
            {"apiVersion": "v2", "name": "pair", "version": self.version, **self.more},
            {"values.yaml": self.values},
            self.schema,
            {"templates/all.yaml": self.templates},
        )


@dataclass(frozen=True)
class Pair:
    """A step. `about` begins what the deciding reason speaks of."""

    name: str
    level: str
    part: str
    about: str
    why: str
    old: State
    new: State

    def judge(self) -> Verdict:
        """The verdict on it."""
        cells = [Cell("values.yaml", "1.33", read_manifests(self.old.rendered), read_manifests(self.new.rendered))]
        return make_verdict(
            self.old.side, self.new.side, cells, source=self.old.version, known=("1.33",), files=lambda: ("x",)
        )


def budget(api: str) -> str:
    """A PodDisruptionBudget in this version of its API."""
    return f"apiVersion: {api}\nkind: PodDisruptionBudget\nmetadata: {{name: web}}\nspec: {{minAvailable: 1}}\n"


def deployment(
    name: str, labels: str, image: str = "example.com/app:1.0.0", kind: str = "Deployment", more: str = ""
) -> str:
    """A workload with one container."""
    return f"""---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{{labels}}}}}
{more}
  template:
    metadata: {{labels: {{{labels}}}}}
    spec: {{containers: [{{name: main, image: "{image}"}}]}}
"""


def service(name: str, selector: str, port: int, named: str = "http") -> str:
    """A Service with one port."""
    return f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  selector: {{{selector}}}
  ports: [{{name: {named}, port: {port}}}]
"""


def claim(size: str, chart: str = "") -> str:
    """The lines of a StatefulSet's spec that claim a volume."""
    labels = f"labels: {{helm.sh/chart: {chart}}}, " if chart else ""
    return f"""  serviceName: db
  volumeClaimTemplates:
    - metadata: {{{labels}name: data}}
      spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}}}
"""


def crd(properties: str, served: str = "true") -> str:
    """A definition in crds/."""
    return f"""---
# Source: pair/crds/rules.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: rules.example.com}}
spec:
  group: example.com
  scope: Namespaced
  names: {{kind: Rule, plural: rules}}
  versions:
    - name: v1alpha1
      served: {served}
      storage: false
      schema: {{openAPIV3Schema: {{type: object}}}}
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {{spec: {{type: object, properties: {properties}}}}}
"""


APP = "app: web, release: r"
NEW = "app.kubernetes.io/name: web, app.kubernetes.io/instance: r"

PAIRS = (
    Pair(
        "a database: standard labels in the selector",
        "major",
        "major",
        "Deployment/web spec.selector",
        "the usual way to app.kubernetes.io labels: selectors are immutable, so every such step was a major version",
        State("7.4.1", deployment("web", APP)),
        State("8.0.0", deployment("web", NEW)),
    ),
    Pair(
        "a queue: the volume grows in its template",
        "major",
        "major",
        "StatefulSet/db spec.volumeClaimTemplates",
        "helm upgrade fails on every installation, although only a size is another one",
        State("3.1.0", deployment("db", APP, kind="StatefulSet", more=claim("8Gi"))),
        State("3.2.0", deployment("db", APP, kind="StatefulSet", more=claim("16Gi"))),
    ),
    Pair(
        "a cache: the chart's version in a claim's labels",
        "major",
        "major",
        "StatefulSet/db spec.volumeClaimTemplates",
        "a label that is harmless everywhere else is immutable here: each new version breaks the upgrade",
        State("1.0.0", deployment("db", APP, kind="StatefulSet", more=claim("8Gi", "cache-1.0.0"))),
        State("1.0.1", deployment("db", APP, kind="StatefulSet", more=claim("8Gi", "cache-1.0.1"))),
    ),
    Pair(
        "a monitoring stack: fields of its definitions",
        "major",
        "major",
        "CustomResourceDefinition/rules.example.com",
        "helm leaves crds/ alone, and a field that goes is dropped from objects that have it",
        State("44.3.0", crd("{limit: {type: integer}, window: {type: string}}")),
        State("45.0.0", crd("{limit: {type: integer}}")),
    ),
    Pair(
        "an ingress controller: an image of the next minor",
        "minor",
        "minor",
        "Chart.yaml appVersion",
        "the application has new features and breaks nothing, which the chart's version follows",
        State("4.6.1", deployment("web", APP, "example.com/c:1.7.1"), more={"appVersion": "1.7.1"}),
        State("4.7.0", deployment("web", APP, "example.com/c:1.8.0"), more={"appVersion": "1.8.0"}),
    ),
    Pair(
        "a certificate manager: a switch renamed",
        "major",
        "major",
        "values installCRDs",
        "who installs with the old key gets no definitions; nothing refuses the key, so that it is silent",
        State(
            "1.14.0",
            "",
            {"installCRDs": False, "replicas": 1},
            templates="{{ .Values.installCRDs }}{{ .Values.replicas }}",
        ),
        State(
            "1.15.0",
            "",
            {"crds": {"enabled": False}, "replicas": 1},
            templates="{{ .Values.crds.enabled }}{{ .Values.replicas }}",
        ),
    ),
    Pair(
        "a dashboard: one port, and another",
        "major",
        "minor",
        "Service/ui spec.ports[https].port",
        "clients call the old port; the version is below 1.0, so that its minor part is the breaking one",
        State("0.9.2", service("ui", APP, 443, "https")),
        State("0.10.0", service("ui", APP, 8443, "https")),
    ),
    Pair(
        "an API moves on: policy/v1beta1 to v1",
        "patch",
        "patch",
        "PodDisruptionBudget/web apiVersion",
        "the same object to the API server, which serves both: nobody notices",
        State("2.3.4", budget("policy/v1beta1")),
        State("2.3.5", budget("policy/v1")),
    ),
    Pair(
        "an operator: old Kubernetes is given up",
        "major",
        "major",
        "Chart.yaml kubeVersion",
        "an installation on what is given up cannot be upgraded, however long that has been without support",
        State("5.0.0", "", more={"kubeVersion": ">=1.20.0-0"}),
        State("6.0.0", "", more={"kubeVersion": ">=1.25.0-0"}),
    ),
    Pair(
        "a proxy: metrics of its own",
        "minor",
        "minor",
        "ServiceMonitor/web",
        "an object more, and a setting that turns it off; what was there stays as it was",
        State("1.2.3", service("web", APP, 80), {"metrics": {"enabled": True}}, templates="{{ .Values.metrics }}"),
        State(
            "1.3.0",
            service("web", APP, 80)
            + "---\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: web}\nspec: {}\n",
            {"metrics": {"enabled": True, "interval": "30s"}},
            templates="{{ .Values.metrics }}",
        ),
    ),
)
