"""What operators write who come from other charts, or by flags, means what they mean, or is refused by the right key.

Each is rendered by both helms that operators have.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scripts.chart.manifests import read_manifests
from scripts.core.command import Result
from tests.render.everything import EVERYTHING
from tests.render.harness import CHART, NEWEST, runner, tool

HELMS = ("helm", "helm3")
# What no refusal may hold: the words of Go in place of a key.
RAW = ("nil pointer", "error calling", "can't iterate", "wrong type", "interface {}")

IMAGE = 'image: "ghcr.io/gati-gateway/gati-ingress'

# A values file and the lines that it stands for.
FILES: list[tuple[str, str]] = [
    # Numbers, booleans and texts of a configuration.
    ("ingress: {config: {WORKERS: 4}}", 'WORKERS: "4"'),
    ("ingress: {config: {MAX_BODY: 1048576}}", 'MAX_BODY: "1048576"'),
    ("ingress: {config: {ID: 9007199254740991}}", 'ID: "9007199254740991"'),
    ('ingress: {config: {RATE: "0.10"}}', 'RATE: "0.10"'),
    ('ingress: {config: {PIN: "0123"}}', 'PIN: "0123"'),
    ("ingress: {config: {DEBUG: yes}}", 'DEBUG: "true"'),
    ("ingress: {config: {SINCE: 2024-01-15}}", 'SINCE: "2024-01-15"'),
    ("ingress: {config: {EMPTY: ''}}", 'EMPTY: ""'),
    ("ingress: {config: {a.b-c_d: x}}", "a.b-c_d: x"),
    ("ingress: {config: {LIST: 'a,b'}}", "LIST: a,b"),
    ('ingress:\n  config:\n    JSON: |\n      {"a": 1}\n', "JSON: |"),
    # Images.
    ("ingress: {image: {tag: v1.2}}", 'image: "ghcr.io/gati-gateway/gati-ingress:v1.2"'),
    ("ingress: {image: {tag: 1.2.3}}", 'image: "ghcr.io/gati-gateway/gati-ingress:1.2.3"'),
    ("ingress: {image: {tag: 2024-01-15}}", 'image: "ghcr.io/gati-gateway/gati-ingress:2024-01-15"'),
    ("ingress: {image: {tag: null}}", 'image: "ghcr.io/gati-gateway/gati-ingress:1.0.0"'),
    (f"ingress: {{image: {{digest: 'sha512:{'0a' * 64}'}}}}", f'{IMAGE}@sha512:{"0a" * 64}"'),
    ("ingress: {image: {repository: 'localhost:5000/gati'}}", 'image: "localhost:5000/gati:1.0.0"'),
    (
        "global: {imageRegistry: harbor.example.com/proxy}",
        'image: "harbor.example.com/proxy/gati-gateway/gati-ingress:1.0.0"',
    ),
    (
        "global: {imageRegistry: '[fd00::1]:5000/group--a/my__mirror'}",
        'image: "[fd00::1]:5000/group--a/my__mirror/gati-gateway/gati-ingress:1.0.0"',
    ),
    ("imagePullSecrets: [regcred]", "- name: regcred"),
    ("imagePullSecrets: [{name: regcred}]", "- name: regcred"),
    ("global: {imagePullSecrets: [my.secret]}", "- name: my.secret"),
    ("global: {security: {allowInsecureImages: true}, storageClass: gp3}", "kind: Deployment"),
    (
        "httpRoute: {enabled: true, parentRefs: [{name: gw}], timeouts: {request: 300s}}",
        "request: 300s",
    ),
    # Labels, annotations, placement.
    ("commonLabels: {team: 7}", 'team: "7"'),
    ("commonLabels: {owner: ''}", 'owner: ""'),
    ("commonAnnotations: {'example.com/on': true}", 'example.com/on: "true"'),
    ("podAnnotations: {Example.com/Owner: a}", "Example.com/Owner: a"),
    ("nodeSelector: {ingress-ready: true}", 'ingress-ready: "true"'),
    ("tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 30}]", "tolerationSeconds: 30"),
    ("priorityClassName: high", 'priorityClassName: "high"'),
    ("ingress: {podAnnotations: {linkerd.io/inject: enabled}}", "linkerd.io/inject: enabled"),
    (
        "ingress: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::1:role/x'}}}",
        "eks.amazonaws.com/role-arn: arn:aws:iam::1:role/x",
    ),
    # The Service.
    ("ingress: {service: {type: LoadBalancer, annotations: {aws/idle: 3600}}}", 'aws/idle: "3600"'),
    ("ingress: {service: {type: NodePort, nodePort: 30080}}", "nodePort: 30080"),
    ("ingress: {service: {type: LoadBalancer, externalTrafficPolicy: Local}}", 'externalTrafficPolicy: "Local"'),
    ("ingress: {service: {port: 8000}}", "port: 8000"),
    # Replicas and scalers.
    ("ingress: {replicaCount: 3.0}", "replicas: 3"),
    ("ingress: {hpa: {enabled: true, maxReplicas: 1e1}}", "maxReplicas: 10"),
    ("ingress: {hpa: {enabled: true, behavior: {scaleDown: {selectPolicy: Disabled}}}}", "selectPolicy: Disabled"),
    ("pdb: {minAvailable: 50%}", "minAvailable: 50%"),
    ("pdb: {minAvailable: null, maxUnavailable: 25%}", "maxUnavailable: 25%"),
    ("pdb: {minAvailable: '', maxUnavailable: 0}", "maxUnavailable: 0"),
    ("pdb: {minAvailable: 0}", "minAvailable: 0"),
    ("keda: {enabled: true, requestsPerSecond: .5}", 'threshold: "0.5"'),
    ("keda: {enabled: true, requestsPerSecond: '50'}", 'threshold: "50"'),
    ("keda: {enabled: true, triggerMetadata: {ignoreNullValues: false}}", 'ignoreNullValues: "false"'),
    ("keda: {enabled: true, extraTriggers: [{type: cron, metadata: {desiredReplicas: 5}}]}", 'desiredReplicas: "5"'),
    # Resources.
    ("ingress: {resources: {requests: {cpu: 0.5}}}", "cpu: 500m"),
    ("ingress: {resources: {requests: {memory: .375Gi}}}", "memory: 384Mi"),
    ("ingress: {resources: {limits: {memory: 1073741824}}}", 'memory: "1073741824"'),
    ("ingress: {resources: {limits: {memory: '1e9'}}}", 'memory: "1e9"'),
    ("ingress: {resources: {limits: {nvidia.com/gpu: 1}}}", 'nvidia.com/gpu: "1"'),
    ("ingress: {resources: {requests: {cpu: 2}, limits: {cpu: null}}}", 'cpu: "2"'),
    # Security.
    ("podSecurityContext: {runAsUser: 1000680000}", "runAsUser: 1000680000"),
    ("podSecurityContext: {fsGroup: 0}", "fsGroup: 0"),
    ("securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}", "- NET_BIND_SERVICE"),
    # The way in.
    ("externalIngress: {enabled: true, hosts: [{host: a.example.com}]}", '- host: "a.example.com"'),
    ("externalIngress: {enabled: true, hosts: [{host: a.example.com, paths: [{path: /x}]}]}", "pathType: Prefix"),
    ("externalIngress: {enabled: true, hosts: [{host: '*.example.com'}]}", '- host: "*.example.com"'),
    ("externalIngress: {enabled: true, annotations: {nginx/read-timeout: 600}}", 'nginx/read-timeout: "600"'),
    (
        "httpRoute: {enabled: true, parentRefs: [{name: gw, sectionName: https}]}",
        "sectionName: https",
    ),
    ("tls: {enabled: true, secretName: cert}", 'secretName: "cert"'),
    # The rest of a pod.
    ("ingress: {lifecycle: {preStop: {exec: {command: [sh, -c, sleep 5]}}}}", "- sleep 5"),
    ("ingress: {initContainers: [{name: a, image: b, restartPolicy: Always}]}", "restartPolicy: Always"),
    ("ingress: {extraEnvFrom: [{secretRef: {name: s, optional: true}}]}", "optional: true"),
    ("ingress: {strategy: {rollingUpdate: {maxUnavailable: 25%}}}", "maxUnavailable: 25%"),
    ("fullnameOverride: edge", 'name: "edge-ingress"'),
    ("global: {namespace: ''}", 'namespace: "gati"'),
    ("prometheusOperator: {serviceMonitor: {enabled: true, labels: {release: kps}}}", "release: kps"),
    (
        "extraObjects:\n- |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: '{{ .Release.Name }}-x'}",
        "name: gati-x",
    ),
]

# Several files, the later one over the earlier, as GitOps lays them; what is gone in the end.
LAYERS: list[tuple[list[str], str]] = [
    (["ingress: {config: {GONE: x}}", "ingress: {config: {GONE: null}}"], "GONE"),
    (["commonAnnotations: {example.com/gone: x}", "commonAnnotations: {example.com/gone: null}"], "gone"),
    (["commonLabels: {gone: x}", "commonLabels: {gone: null}"], "gone"),
    (["nodeSelector: {gone: x}\nrouteManager: {enabled: false}", "ingress: {nodeSelector: {gone: null}}"], "gone:"),
    (["podAnnotations: {gone: x}\nrouteManager: {enabled: false}", "ingress: {podAnnotations: {gone: null}}"], "gone"),
    (["ingress: {config: {FEATURE_PLAYGROUND: null}}"], "FEATURE_PLAYGROUND"),
    (["revisionHistoryLimit: null"], "revisionHistoryLimit"),
    (["ingress: {livenessProbe: null}\nrouteManager: {enabled: false}"], "livenessProbe"),
    (["ingress: {resources: {limits: null}}\nrouteManager: {enabled: false}\ntests: {enabled: false}"], "limits"),
]

# Flags, and the line that they stand for.
FLAGS: list[tuple[list[str], str]] = [
    (["--set", "ingress.config.RATE=0.10"], 'RATE: "0.10"'),
    (["--set", "ingress.config.PIN=0123"], 'PIN: "0123"'),
    (["--set", "ingress.config.BIG=100000000"], 'BIG: "100000000"'),
    (["--set", "ingress.config.HUGE=12345678901234567890"], 'HUGE: "12345678901234567890"'),
    (["--set", "ingress.config.ON=1"], '"ON": "1"'),
    (["--set", r"ingress.config.LIST=a\,b"], "LIST: a,b"),
    (["--set-literal", "ingress.config.LIST=a,b{c}"], "LIST: a,b{c}"),
    (["--set-json", 'ingress.config={"N":5,"ON":true}'], '"ON": "true"'),
    (["--set-string", "ingress.image.tag=1.10"], 'image: "ghcr.io/gati-gateway/gati-ingress:1.10"'),
    (["--set-string", "ingress.extraEnv[0].name=A,ingress.extraEnv[0].value=5"], 'value: "5"'),
    (["--set", "imagePullSecrets={regcred}"], "- name: regcred"),
    (["--set", "imagePullSecrets[0].name=regcred"], "- name: regcred"),
    (["--set", "nodeSelector.ingress-ready=true"], 'ingress-ready: "true"'),
    (["--set", r"commonLabels.example\.com/team=a"], "example.com/team: a"),
    (["--set", "pdb.minAvailable=null,pdb.maxUnavailable=25%"], "maxUnavailable: 25%"),
    (["--set", "podSecurityContext.fsGroup=1000680000"], "fsGroup: 1000680000"),
    (["--set", "ingress.resources.requests.cpu=0.5"], "cpu: 500m"),
    (
        ["--set", "ingress.service.type=LoadBalancer,ingress.service.loadBalancerSourceRanges={10.0.0.0/8}"],
        'loadBalancerSourceRanges: ["10.0.0.0/8"]',
    ),
    (["--set", "keda.enabled=true", "--set", r'keda.query=sum(x{a="b"\,c="d"})'], 'query: sum(x{a="b",c="d"})'),
    (["--set-literal", "keda.query=max(x)", "--set", "keda.enabled=true"], "query: max(x)"),
    (["--set", "externalIngress.enabled=true,externalIngress.hosts[0].host=a.example.com"], '- host: "a.example.com"'),
    (["--set-json", 'routeManager.routes=[{"path":"/v1","upstream":"http://a:80"}]'], "upstream: http://a:80"),
]

# What cannot be meant as written, and the key that has to be named.
REFUSED: list[tuple[str, str]] = [
    ("ingress: {config: {RATE: 0.10}}", "/ingress/config/RATE"),
    ("ingress: {config: {ID: 12345678901234567890}}", "/ingress/config/ID"),
    ("ingress: {config: {N: 1}}", "ingress.config has the key false"),
    ("ingress: {config: {on: 1}}", "ingress.config has the key true"),
    ("ingress: {config: {LOG: {level: debug}}}", "/ingress/config/LOG"),
    ("ingress: {config: {HOSTS: [a, b]}}", "/ingress/config/HOSTS"),
    ("commonAnnotations: {version: 1.10}", "/commonAnnotations/version"),
    ("commonAnnotations: {example.com: {a: b}}", "/commonAnnotations/example.com"),
    ("commonLabels: {version: 1.10}", "/commonLabels/version"),
    ("commonLabels: {owner: team/a}", "/commonLabels/owner"),
    ("replicaCount: 3", "'replicaCount'"),
    ("deployment: {replicas: 3}", "'deployment'"),
    ("ports: {web: {port: 8000}}", "'ports'"),
    ("namespaceOverride: x", "'namespaceOverride'"),
    ("ingress: {replicas: 3}", "'replicas'"),
    ("ingress: {autoscaling: {enabled: true}}", "'autoscaling'"),
    ("ingress: {hpa: {enabled: 'true'}}", "/ingress/hpa/enabled"),
    ("ingress: {hpa: {targetCPUUtilizationPercentage: 50}}", "'targetCPUUtilizationPercentage'"),
    ("ingress: {hpa: {cpuUtilization: 60%}}", "/ingress/hpa/cpuUtilization"),
    ("ingress: {replicaCount: '3'}", "/ingress/replicaCount"),
    ("ingress: {service: {loadBalancerIP: 10.0.0.1}}", "'loadBalancerIP'"),
    ("ingress: {service: {nodePorts: {http: 30080}}}", "'nodePorts'"),
    ("ingress: {service: {targetPort: http}}", "/ingress/service/targetPort"),
    ("ingress: {image: 'nginx:1.2'}", "/ingress/image"),
    ("ingress: {image: {registry: x}}", "'registry'"),
    ("ingress: {image: {repository: 'ghcr.io/x/y:1.2'}}", "/ingress/image/repository"),
    ("ingress: {image: {repository: 'ghcr.io/x/y/'}}", "/ingress/image/repository"),
    ("ingress: {image: {tag: 20240115}}", "ingress.image.tag"),
    ("ingress: {image: {tag: 1.2+build}}", "/ingress/image/tag"),
    ("ingress: {image: {pullPolicy: always}}", "/ingress/image/pullPolicy"),
    ("imagePullSecrets: regcred", "/imagePullSecrets"),
    ("global: {imageRegistry: 'https://harbor.example.com/'}", "/global/imageRegistry"),
    ("ingress: {extraEnv: {A: b}}", "/ingress/extraEnv"),
    ("ingress: {extraEnv: [{name: A, value: 5}]}", "/ingress/extraEnv/0/value"),
    (
        "ingress: {initContainers: [{name: a, image: b, env: [{name: A, value: 5}]}]}",
        "/ingress/initContainers/0/env/0/value",
    ),
    ("ingress: {extraContainers: [{name: A_b, image: x}]}", "/ingress/extraContainers/0/name"),
    ("ingress: {extraVolumes: [{name: My_Vol, emptyDir: {}}]}", "/ingress/extraVolumes/0/name"),
    ("ingress: {extraVolumeMounts: [{name: nope, mountPath: /x}]}", "ingress.extraVolumeMounts"),
    (
        "routeManager: {initContainers: [{name: i, image: x, volumeMounts: [{name: nope, mountPath: /x}]}]}",
        "routeManager.initContainers i",
    ),
    ("ingress: {args: [--port, 8080]}", "/ingress/args/1"),
    (
        "ingress: {resources: {requests: {cpu: 2}}}",
        "ingress.resources.requests.cpu is 2, above ingress.resources.limits.cpu",
    ),
    ("routeManager: {resources: {requests: {memory: 0.3Gi}}}", "routeManager.resources.requests.memory"),
    ("ingress: {resources: {requests: {memory: 512MB}}}", "/ingress/resources/requests/memory"),
    ("ingress: {dnsConfig: {options: [{name: ndots, value: 2}]}}", "/ingress/dnsConfig/options/0/value"),
    ("podSecurityContext: {sysctls: [{name: a.b, value: 0}]}", "/podSecurityContext/sysctls/0/value"),
    ("podSecurityContext: {runAsUser: '1000'}", "/podSecurityContext/runAsUser': got string, want integer"),
    ("ingress: {service: {type: NodePort, nodePort: '30080'}}", "/ingress/service/nodePort': got string, want integer"),
    ("revisionHistoryLimit: '5'", "/revisionHistoryLimit': got string, want integer"),
    ("ingress: {hpa: {enabled: true, cpuUtilization: 60%}}", "/ingress/hpa/cpuUtilization': got string, want integer"),
    ("keda: {enabled: true, fallback: {replicas: '3'}}", "/keda/fallback/replicas': got string, want integer"),
    ("securityContext: {privileged: 'false'}", "/securityContext/privileged': value must be one of true, false, ''"),
    ("containerSecurityContext: {runAsUser: 1}", "'containerSecurityContext'"),
    ("ingress: {readinessProbe: {httpGet: {path: /x, port: http}}}", "'httpGet'"),
    ("tolerations: [{key: a, value: true}]", "/tolerations/0/value"),
    ("tolerations: {key: a}", "/tolerations"),
    ("pdb: {minAvailable: '2'}", "/pdb/minAvailable"),
    ("pdb: {create: true}", "'create'"),
    ("externalIngress: {enabled: true, hosts: [a.example.com]}", "/externalIngress/hosts/0"),
    ("externalIngress: {enabled: true, hostname: a.example.com}", "'hostname'"),
    ("externalIngress: {enabled: true, tls: true}", "/externalIngress/tls"),
    ("externalIngress: {enabled: true, hosts: [{host: 'https://a.example.com'}]}", "/externalIngress/hosts/0/host"),
    ("httpRoute: {enabled: true, parentRefs: [gw]}", "/httpRoute/parentRefs/0"),
    ("tls: {enabled: true, existingSecret: x}", "'existingSecret'"),
    (
        "tls: {enabled: true, certManager: {enabled: true, duration: 90d, issuerRef: {name: x}}}",
        "/tls/certManager/duration",
    ),
    ("prometheusOperator: {serviceMonitor: {interval: 30}}", "/prometheusOperator/serviceMonitor/interval"),
    ("routeManager: {routes: [{path: /, upstream: 'http://a', timeout: 5s}]}", "'timeout'"),
    ("shutdown: {preStopSeconds: 5s}", "/shutdown/preStopSeconds"),
    ("networkPolicy: {allowExternal: false}", "'allowExternal'"),
]


def template(helm: str, files: list[str], flags: list[str], folder: Path, chart: Path = CHART) -> Result:
    argv = [tool(helm), "template", "gati", str(chart), "--namespace", "gati", "--kube-version", NEWEST]
    for number, text in enumerate(files):
        file = folder / f"{number}.yaml"
        file.write_text(text)
        argv += ["--values", str(file)]
    return runner().run([*argv, *flags], check=False)


def lines(done: Result) -> set[str]:
    assert done.status == 0, done.stderr
    return {line.strip() for line in done.stdout.splitlines()}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("text", "line"), FILES, ids=[text for text, _ in FILES])
def test_a_file_means_what_it_says(text: str, line: str, helm: str, tmp_path: Path) -> None:
    assert line in lines(template(helm, [text], [], tmp_path))


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("flags", "line"), FLAGS, ids=[" ".join(flags) for flags, _ in FLAGS])
def test_flags_mean_what_they_say(flags: list[str], line: str, helm: str, tmp_path: Path) -> None:
    assert line in lines(template(helm, [], flags, tmp_path))


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("files", "gone"), LAYERS, ids=[files[-1] for files, _ in LAYERS])
def test_a_null_takes_it_away(files: list[str], gone: str, helm: str, tmp_path: Path) -> None:
    done = template(helm, files, [], tmp_path)
    assert not [line for line in lines(done) if gone in line]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("text", "named"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_cannot_be_meant_is_refused_by_its_key(text: str, named: str, helm: str, tmp_path: Path) -> None:
    done = template(helm, [text], [], tmp_path)
    assert done.status != 0
    assert named in done.stderr
    assert not [word for word in RAW if word in done.stderr]


@pytest.mark.parametrize("name", ["values", "values-dev", "values-staging", "values-prod", "everything"])
def test_both_helms_render_the_same_objects(name: str, tmp_path: Path) -> None:
    text = json.dumps(EVERYTHING) if name == "everything" else (CHART / f"{name}.yaml").read_text()
    rendered = [template(helm, [text], [], tmp_path) for helm in HELMS]
    assert not [done.stderr for done in rendered if done.status]
    first, second = [[document.data for document in read_manifests(done.stdout)] for done in rendered]
    assert first == second
    assert first


@pytest.mark.parametrize(("helm", "user"), [("helm", 65532), ("helm3", None)])
def test_what_a_null_of_a_parents_own_values_does_depends_on_the_helm(
    helm: str, user: int | None, tmp_path: Path
) -> None:
    """As the guide says; the spellings without null, tested elsewhere, mean the same to both."""
    parent = tmp_path / "platform"
    shutil.copytree(CHART, parent / "charts" / "gati")
    (parent / "Chart.yaml").write_text("{apiVersion: v2, name: platform, version: 1.0.0}")
    (parent / "values.yaml").write_text("gati: {podSecurityContext: {runAsUser: null}}")
    done = template(helm, [], [], tmp_path, parent)
    (context,) = {
        json.dumps(document.data["spec"]["template"]["spec"]["securityContext"])
        for document in read_manifests(done.stdout).all("Deployment")
    }
    assert json.loads(context).get("runAsUser") == user


def test_a_file_by_flag(tmp_path: Path) -> None:
    file = tmp_path / "object.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-a-file\n")
    assert "name: from-a-file" in lines(template("helm", [], ["--set-file", f"extraObjects[0]={file}"], tmp_path))
