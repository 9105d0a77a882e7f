"""Which images a bill names of an object."""

from __future__ import annotations

import pytest
import yaml

from scripts.release.sbom import _image, _images

DIGEST = "@sha256:" + "a" * 64
LONGER = "@sha512:" + "b" * 128


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{spec: {template: {spec: {initContainers: [{image: a}], containers: [{image: b:1}]}}}}", ["a", "b:1"]),
        ("{spec: {volumes: [{image: {reference: e.io/data:1}}]}}", ["e.io/data:1"]),
        (f"{{kind: KafkaConnect, spec: {{image: e.io/kafka{DIGEST}}}}}", [f"e.io/kafka{DIGEST}"]),
        ("{kind: Cluster, spec: {imageName: 'e.io/pg:17'}}", ["e.io/pg:17"]),
        ("{kind: Thing, spec: {image: {repository: e.io/x, tag: a}, text: {image: a picture}}}", []),
        ("{args: ['--reloader=e.io/r:v1.2.3', --engine, org/engine:v1.6.1]}", ["e.io/r:v1.2.3", "org/engine:v1.6.1"]),
        ("{env: [{name: RELATED, value: 'localhost:5000/a/b:1.0'}]}", ["localhost:5000/a/b:1.0"]),
        (f"{{env: [{{value: 'e.io/a:latest'}}, {{value: 'a/b{DIGEST}'}}]}}", ["e.io/a:latest", f"a/b{DIGEST}"]),
        (f"{{args: ['--with=e.io/a:x{LONGER}', 'a/b{LONGER}']}}", [f"e.io/a:x{LONGER}", f"a/b{LONGER}"]),
        ("{metadata: {annotations: {proxy: 'docker.io/istio/proxyv2:1.25'}}}", ["docker.io/istio/proxyv2:1.25"]),
        (
            "{args: ['--at=web.default.svc:8080', 'http://a.b/c:1', 'a:b', 'ns/key:tls.crt', 'a.b/c:80', '1.2.3.4/8']}",
            [],
        ),
        ("{kind: ConfigMap, data: {agent: 'e.io/a:1.2', b: 'web:80', c: 'e.io/c:8080'}}", ["e.io/a:1.2"]),
        (
            """data: {a: "- image: 'e.io/a:x'\\n  imagePullPolicy: Always\\nbImage: o/b:latest\\n"}""",
            ["e.io/a:x", "o/b:latest"],
        ),
        ("""data: {a: "runner.image = o/a:1\\r\\n", b: "{\\n  \\"image\\": \\"o/b:2\\",\\n"}""", ["o/a:1", "o/b:2"]),
        (
            """data: {a: "# image: o/a:1\\nimage: nginx\\nimage: data:image/png;base64,AA\\nimage: http://a.b/c:1"}""",
            [],
        ),
        ("""data: {a: "images:\\n  a: b\\nbackground-image: url(o/a:1)\\nimage: '{{ .x }}:1'"}""", []),
        ("{kind: ConfigMap, data: {image: 'e.io/a:1'}, metadata: {labels: {image: 'b'}}}", []),
    ],
)
def test_the_images_of_an_object(text: str, expected: list[str]) -> None:
    assert list(_images(yaml.safe_load(text))) == expected


@pytest.mark.parametrize(
    ("digest", "hashes"),
    [
        (DIGEST, [{"alg": "SHA-256", "content": "a" * 64}]),
        (LONGER, [{"alg": "SHA-512", "content": "b" * 128}]),
        (LONGER[:-1], None),
        ("@blake3:" + "c" * 64, None),
    ],
)
def test_an_image_has_the_hash_that_its_digest_says(digest: str, hashes: list[dict[str, str]] | None) -> None:
    assert _image(f"e.io/a:1{digest}", ()).get("hashes") == hashes
