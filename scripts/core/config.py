"""Reads `[tool.gati]` of pyproject.toml, the environment and the flags into one frozen value."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from scripts.core.errors import SAME_COMMAND, ConfigError
from scripts.core.files import demand_settled, read_any, sha256
from scripts.core.paths import as_on_disk, matching, shown
from scripts.core.words import meant

_NO = ("0", "false", "no", "")  # as the value of a variable that is a switch


@dataclass(frozen=True)
class Config:
    """What the toolkit works on. Paths are absolute once loaded.

    Every field but `root` and `project` can stand in `[tool.gati]`, in the environment as `GATI_<FIELD>`, and,
    where a task offers it, in a flag; the last of the three wins. A relative path starts at the folder of the file
    that says it, in a flag at the current folder.

    The file is the nearest at or above the chart: a `pyproject.toml` with `[tool.gati]`, or a `gati.toml`, where the
    keys stand without a heading. A table `[tool.gati.for."charts/a*"]` holds for the charts whose folder fits.
    """

    root: Path
    """The checkout of this toolkit."""
    project: Path = Path()
    """The folder of the file that configures the chart; the checkout, where no other is nearer."""
    chart: Path = Path("helm/gati")
    """The folder of the chart."""
    charts: tuple[str, ...] = ()
    """Folders of charts, as patterns (`charts/*`), for `--all` and `--changed`. Empty: `chart` alone.

    `**` goes down all folders, and passes over charts in the `charts/` of another.
    """
    values: tuple[str, ...] = ()
    """What the chart is rendered with, as patterns in its folder; `values.yaml` stands for no further file.

    Empty: each `ci/*-values.yaml`, or without one the bare `values.yaml`; and each `values-*.yaml`. (`.yml` too.)
    """
    test_chart: str = ""
    """The folder of a chart that uses this library chart, from the chart. Empty: one that depends on it by `file://`."""
    api_versions: tuple[str, ...] = ()
    """What the chart's clusters serve beside Kubernetes and the pinned operators: `group/version[/Kind]`."""
    schema_folders: tuple[str, ...] = ()
    """Folders of JSON schemas for kinds of others, named as by kubeconform or the CRDs catalogue; patterns too."""
    crds: tuple[str, ...] = ()
    """Files, or folders of files, with CustomResourceDefinitions of others; patterns too."""
    crd_modules: tuple[str, ...] = ()
    """Go modules with CustomResourceDefinitions: `PATH@VERSION:FOLDER h1:CHECKSUM`."""
    skip_kinds: tuple[str, ...] = ()
    """Kinds that are not checked, and why: `group/version Kind: reason`."""
    yamllint: str = ""
    """The rules for YAML. Empty: the nearest `.yamllint[.yaml|.yml]` at or above the chart; else syntax alone."""
    lint_errors: tuple[str, ...] = ()
    """Checks whose warnings are errors: helm, chart, values, yamllint, changelog."""
    changelog: Path = Path("CHANGELOG.md")
    """The chart's changelog; `none` where it has none. Other charts than `chart` have their own in their folder."""
    version_files: tuple[str, ...] = ()
    """Further files that name the chart's version, from the project's root; a bump changes them too."""
    meant_files: tuple[str, ...] = ()
    """Files of the chart that look like secrets and are meant to be packed: names below its folder, or patterns."""
    dist: Path = Path("dist")
    """Where results go, one file for what each task found."""
    cache_dir: Path = Path()
    """Where pinned tools are kept. Empty: the user's cache folder."""
    registry: str = ""
    """Where charts are published, as `oci://host/path`. Empty: the embedded registry on loopback, as `embedded` is."""
    embedded_registry: Path = Path(".registry")
    """The folder that keeps the embedded registry's content between runs."""
    plain_http: bool = False
    """Talk HTTP to a registry that is not on loopback."""
    registry_ca: str = ""
    """A file of authorities that the registry's certificate is checked with. Empty: the system's."""
    registry_cert: str = ""
    """A client certificate (PEM), for a registry that asks for one; `registry_key` is its key, without a passphrase."""
    registry_key: str = ""
    """The key of `registry_cert`."""
    require: tuple[str, ...] = ()
    """What a release has to show beforehand: `e2e`, that the smoke test has passed with these very bytes."""
    attach: bool = True
    """Whether a release attaches what speaks for it: record, provenance, test result, SBOM, verdict, changelog."""
    signing_key: str = ""
    """What a release is signed with: a file, `env://NAME`, a KMS reference as cosign has them, or `keyless` in CI.

    The passphrase stands in GATI_SIGNING_PASSWORD. Empty: it is not signed, which is said.
    """
    pgp_key: str = ""
    """The user id or fingerprint of a key that gpg has, for the `.prov` that `helm pull --verify` reads."""
    forge: str = ""
    """Where a release is made, too: `github:OWNER/NAME`, `gitlab:GROUP/NAME`, `gitea:https://HOST/OWNER/NAME`."""
    chart_index: str = ""
    """The HTTP chart repository whose index.yaml the version is added to: a folder, or `git:BRANCH[:FOLDER]`."""
    chart_index_url: str = ""
    """Where the archives of `chart_index` are served, for its entries. Empty: beside index.yaml."""
    artifacthub_repo: str = ""
    """The project's artifacthub-repo.yml, which is put where Artifact Hub looks for it, for a verified publisher."""
    initial_development: bool = True
    """Whether 0.y.z is judged as SemVer and cargo do, where the minor part is the breaking one; else as 1.y.z."""
    images: str = "auto"
    """Where base images come from: `registry`, `build` (from Debian and Go modules), or `auto`."""
    node_image: str = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
    """The kind node image to pull where a registry serves it: the one that the pinned kind is released with."""
    node_images: tuple[str, ...] = ()
    """Those of other Kubernetes minors, with a version and a digest each. A minor without one has its image built."""
    python_image: str = "python:3.13.9-slim-bookworm"
    """What the reference services are built on where a registry serves it; a digest may follow (`@sha256:...`)."""
    haproxy_image: str = "haproxy:3.2.7-bookworm"
    """The balancer of the compose stack with several replicas, where a registry serves it."""
    prometheus_image: str = "prom/prometheus:v3.7.3"
    """The Prometheus of the compose stack, where a registry serves it."""
    ca_bundle: str = ""
    """A file of authorities for the network that images are built on. Empty: SSL_CERT_FILE, where that is set."""
    http_port: int = 8080
    """Where the compose stack serves HTTP on this machine."""
    grpc_port: int = 50051
    """Where the compose stack serves gRPC on this machine."""
    prometheus_port: int = 9090
    """Where the compose stack's Prometheus listens on this machine."""

    e2e: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """A table, `[tool.gati.e2e]`: what `invoke e2e` cannot find out about the chart (docs/other-charts.md)."""

    embedded_meant: bool = False
    """Whether the embedded registry was asked for by its name."""
    elsewhere: bool = False
    """Whether `registry` is not at the host that is configured, for which alone the login in the environment is."""

    @property
    def checkout(self) -> str:
        """Six hexadecimal digits that name this checkout on an engine where others have their things too."""
        return sha256(str(self.root))[:6]

    @property
    def own_images(self) -> str:
        """What the names of the images begin with that are built for this checkout alone."""
        return f"gati-{self.checkout}"

    @property
    def version_paths(self) -> tuple[Path, ...]:
        """Where the `version_files` are."""
        return tuple(dict.fromkeys(as_on_disk((self.project / name).resolve()) for name in self.version_files))

    def result(self, chart: str, what: str) -> Path:
        """Where `dist/` keeps `what` ("lint.json") of the chart of that name; it holds those of several."""
        return self.dist / f"{re.sub(r'[^A-Za-z0-9._-]', '_', chart).lstrip('.')}.{what}"


EMBEDDED = "embedded"  # in place of an address, the registry on loopback
_NO_KEYS = {"root", "project", "embedded_meant", "elsewhere"}
# Further variables of ours: the login, what our processes tell each other, the compose file, and the tests.
_VARIABLES = re.compile(r"GATI_(REGISTRY_USERNAME|REGISTRY_PASSWORD|SIGNING_PASSWORD|OWNER|BIND|TEST_\w+)")
_CHOICES = {
    "images": ("auto", "registry", "build"),
    "require": ("e2e",),
    "lint_errors": ("helm", "chart", "values", "yamllint", "changelog"),
}
_FORMS = {
    "api_versions": (
        r"(?:[a-z0-9.-]+/)?v[a-z0-9]+(?:/[A-Z]\w*)?",
        "group/version or group/version/Kind, as policy/v1/PodDisruptionBudget",
    ),
    "crd_modules": (
        r"(\S+)@(v\S+?):(\S*) +(h1:\S+)",
        "PATH@VERSION:FOLDER h1:CHECKSUM, as `go mod download -json PATH@VERSION` tells the Sum",
    ),
    "skip_kinds": (r"(?s)(\S+ \w+)\s*:\s+(.*\S)\s*", "group/version Kind: why it is not checked"),
}
"""Lists whose entries have parts, and how a person is told of these."""
KINDS = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "Path": "a path",
    "tuple[str, ...]": "a list of texts",
    "tuple[int, ...]": "a list of numbers",
}
"""The types of keys, for a person."""
_FILES = ("registry_ca", "registry_cert", "registry_key", "ca_bundle", "signing_key")  # names of files, or "" for none
_NO_FILE = re.compile(r"(keyless|\w+://.*)?")  # what stands for a key that is in no file, or for none
_OF_ONE_CHART = (
    "values", "test_chart", "api_versions", "schema_folders", "crds", "crd_modules", "skip_kinds", "yamllint",
    "lint_errors", "e2e",
)  # fmt: skip
"""What a project says for its charts, and not for one that lies elsewhere and has no file of its own."""


def load_config(root: Path, *, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Config:
    """The configuration of the chart that is named, or of the project at `root`. Raises ConfigError naming the key."""
    fields = {field.name: field for field in dataclasses.fields(Config) if field.name not in _NO_KEYS}
    texts = {name: field for name, field in fields.items() if not str(field.type).startswith("Mapping")}
    _refuse_unknown(environ, texts)
    given: dict[str, Any] = {}
    for name, field in texts.items():
        variable = f"GATI_{name.upper()}"
        if variable in environ:
            given[name] = _value(field, environ[variable], variable)
    for name, value in overrides.items():
        if value is not None:
            flag = _value(fields[name], value, f"--{name.replace('_', '-')}")
            flag = _file(Path.cwd(), flag, name) if name in _FILES else flag
            given[name] = Path.cwd() / flag if isinstance(flag, Path) else flag
    home = _table(root / "pyproject.toml")
    where = f"{shown(root / 'pyproject.toml')}: [tool.gati] chart"
    own = (root / _value(fields["chart"], home.get("chart", Config.chart), where)).resolve()
    chart = (root / given.get("chart", own)).resolve()
    project, table = _nearest(chart, root, home)
    values, particular = _read(project, table, chart, fields)
    own = (project / values.get("chart", Config.chart)).resolve()
    if chart != own:  # what the project says about its chart is not true of another one
        told = values.keys() if chart == project else particular  # but for what is said of this one
        if "changelog" not in told and values.get("changelog") != Path("none"):
            values["changelog"] = _changelog(chart)
        if "version_files" not in told:
            values.pop("version_files", None)
        if "chart" in table and "e2e" not in told:
            values.pop("e2e", None)
        if not chart.is_relative_to(project):
            values = {name: value for name, value in values.items() if name not in _OF_ONE_CHART}
    if "cache_dir" not in values | given:
        values["cache_dir"] = _user_cache()
    for name, field in fields.items():
        if field.type == "Path":
            # What no file says is the toolkit's own business, and stays in its checkout; but for the changelog.
            ours = name not in values and name != "changelog"
            values[name] = (root if ours else project) / values.get(name, field.default)
    for name, base, source in ((name, *place) for place in ((project, values), (root, given)) for name in _FILES):
        if name in source:
            source[name] = _file(base, source[name], name)
    if given.get("changelog") == Path("none"):
        given["changelog"] = project / "none"
    values |= {**given, "chart": chart}
    if values.get("registry") == EMBEDDED:
        values |= {"registry": "", "embedded_meant": True}
    paths = {name: (root / values[name]).resolve() for name, field in fields.items() if field.type == "Path"}
    paths |= {name: as_on_disk(paths[name]) for name in ("chart", "changelog")}
    return Config(root=root, project=project, **{**values, **paths})


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a CI system runs us, which says true, 1 or its own name."""
    return environ.get("CI", "").lower() not in _NO


def demand_registry(config: Config, environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError where a CI job would publish to nowhere: no registry is configured, nor the embedded meant."""
    if in_ci(environ) and not (config.registry or config.embedded_meant):
        raise ConfigError(
            "no registry is configured, and what a CI job publishes to the embedded one is gone with the job",
            expected="registry in [tool.gati], GATI_REGISTRY or --registry oci://host/path",
            run=f"{SAME_COMMAND} --registry {EMBEDDED}",
        )


def _refuse_unknown(environ: Mapping[str, str], fields: Mapping[str, Any]) -> None:
    """Raises ConfigError for a variable GATI_... that means nothing, which is a slip of the pen."""
    known = {f"GATI_{name.upper()}" for name in fields}
    for name in sorted(environ):
        if name.startswith("GATI_") and name not in known and not _VARIABLES.fullmatch(name):
            raise ConfigError(
                f"the environment sets {name}, which means nothing",
                expected=meant(name, known),
                run=f"unset {name}",
            )


def _changelog(chart: Path) -> Path:
    """The changelog in a chart's folder, also as Changelog.md; where it would be, if there is none."""
    usual = chart / "CHANGELOG.md"
    if usual.exists() or not chart.is_dir():
        return usual
    return next((file for file in sorted(chart.iterdir()) if file.name.casefold() == usual.name.casefold()), usual)


def _nearest(chart: Path, root: Path, home: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """The folder and the table of the file that configures `chart`; the project's at `root` where there is none."""
    for folder in (chart, *chart.parents):
        if folder == root:
            break
        if os.path.lexists(folder / "gati.toml"):  # one that cannot be read, or leads nowhere, is not passed over
            return folder, _toml(folder / "gati.toml")
        if (folder / "pyproject.toml").is_file() and (table := _table(folder / "pyproject.toml")):
            return folder, table
    return root, home


def _read(
    project: Path, table: Mapping[str, Any], chart: Path, fields: Mapping[str, dataclasses.Field[Any]]
) -> tuple[dict[str, Any], set[str]]:
    """The values of a table, those of its `for` that fit the chart laid over them; and the names of the latter."""
    file = shown(project / ("gati.toml" if (project / "gati.toml").is_file() else "pyproject.toml"))
    particular = table.get("for", {})
    if not isinstance(particular, dict) or not all(isinstance(value, dict) for value in particular.values()):
        raise ConfigError(f"{file}: `for` must hold a table for each pattern", found=repr(particular))
    place = os.path.relpath(chart, project)
    layers = [(True, {key: value for key, value in table.items() if key != "for"})]
    layers += [(fnmatch(place, os.path.normpath(pattern)), value) for pattern, value in particular.items()]
    values = {}
    for fits, key, value in ((fits, *pair) for fits, layer in layers for pair in layer.items()):
        name = key.replace("-", "_")
        if name not in fields:
            run = "leave out the heading [tool.gati]" if key == "tool" else f"correct the key in {file}"
            raise ConfigError(f"{file}: [tool.gati] has no key {key!r}", expected=meant(name, fields), run=run)
        read = _value(fields[name], value, f"{file}: [tool.gati] {key}")
        if fits:
            values[name] = read
    for pattern, (fits, _) in zip(particular, layers[1:], strict=True):
        if not (fits or _fits_some(project, pattern)):
            expected = f"the folder of a chart, written from {shown(project)}"
            raise ConfigError(f"{file}: `for` has a table for {pattern!r}, which no chart fits", expected=expected)
    return values, {key.replace("-", "_") for fits, layer in layers[1:] if fits for key in layer}


def _fits_some(project: Path, pattern: str) -> bool:
    """Whether the folder of any chart fits a pattern of `for`, of which a `*` does not end at a slash."""
    near = (folder / "Chart.yaml" for folder in matching(project, pattern))  # most stand there as they are written
    charts = (file.parent.resolve() for file in itertools.chain(near, project.rglob("Chart.yaml")) if file.is_file())
    return any(fnmatch(os.path.relpath(chart, project), os.path.normpath(pattern)) for chart in charts)


def _table(file: Path) -> Mapping[str, Any]:
    """`[tool.gati]` of a pyproject.toml; empty where there is none."""
    tools = _toml(file).get("tool", {})
    table = tools.get("gati", {}) if isinstance(tools, dict) else tools
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: [tool.gati] must be a table", found=repr(table))
    return table


def _toml(file: Path) -> Mapping[str, Any]:
    content = read_any(file, ConfigError)
    if content is None and file.is_symlink():
        raise ConfigError(f"{file} is not valid TOML", found=f"a link to {file.readlink()}, which is not there")
    if content is None:
        return {}
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # the former: no UTF-8, no TOML, a number of thousands of digits
        demand_settled(str(file), content, ConfigError)
        raise ConfigError(f"{file} is not valid TOML", found=str(error), run="correct that line") from error


def _value(field: dataclasses.Field[Any], value: Any, where: str) -> Any:
    """`value` as the field's type; text is read the way a person writes it in the environment."""
    wanted = str(field.type)
    if isinstance(value, str | list) and "\0" in "".join(map(str, value)):
        raise ConfigError(f"{where} has the wrong type", expected="text without a NUL", found=repr(value))
    if wanted == "Path" and isinstance(value, str | Path) and str(value):
        return _expanded(value, where)
    if field.name == "registry" and isinstance(value, str):
        demand_no_login(value, where)
    if wanted.startswith("Mapping"):
        if isinstance(value, Mapping):
            return value
        raise ConfigError(f"{where} must be a table", found=repr(value))
    if wanted == "bool":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"1", "true", "yes", *_NO}:
            return value.lower() not in _NO
    if wanted.startswith("tuple"):
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return demand_choices(field.name, (part for part in parts if part), where)
    if wanted == "int":  # every whole number here is a port
        return whole_number(value, where, least=1, most=65535)
    if wanted == "str" and isinstance(value, str):
        allowed = _CHOICES.get(field.name)
        if allowed is None or value in allowed:
            return value
        raise ConfigError(f"{where} has an unknown value", expected=" or ".join(allowed), found=repr(value))
    raise ConfigError(f"{where} has the wrong type", expected=KINDS[wanted], found=repr(value))


def parts(name: str, entry: str, where: str = "") -> tuple[str, ...]:
    """Those of an `entry` of the key `name`. Raises ConfigError for one of another form."""
    pattern, form = _FORMS[name]
    if (found := re.fullmatch(pattern, entry)) is None:
        raise ConfigError(f"{where or name} cannot be used", expected=form, found=entry)
    return found.groups()


def demand_choices(name: str, words: Iterable[str], where: str = "") -> tuple[str, ...]:
    """The `words` of the key `name`, each once. Raises ConfigError for one that it does not know."""
    found = tuple(dict.fromkeys(words))
    for word in found if name in _FORMS else ():
        parts(name, word, where)
    allowed = _CHOICES.get(name, found)
    if unknown := [word for word in found if word not in allowed]:
        expected = " or ".join(allowed)
        raise ConfigError(f"{where or f'--{name}'} has an unknown value", expected=expected, found=", ".join(unknown))
    return found


def demand_no_login(address: str, where: str) -> None:
    """Raises ConfigError for an address with a login (a digest is none), or with a query, which may hold a token."""
    if re.search(r"@(?!sha\d+:|[0-9a-f]{64}$)|%40|[?#]", address):
        raise ConfigError(
            f"{where} holds a login, or a query that may be one, which the command line and logs would show",
            expected="oci://host/path",
            run="give it by helm registry login HOST, or GATI_REGISTRY_USERNAME and GATI_REGISTRY_PASSWORD",
        )


def _expanded(value: str | Path, where: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{where} begins with ~, and there is no home folder", found=str(value), run="write the whole path"
        ) from None


def _file(base: Path, name: str, where: str) -> str:
    """The whole name of a file, where it is one, that is named from `base`. Raises ConfigError for what is in one."""
    if "-----BEGIN" in name:
        signing = where.lower().endswith("signing_key")
        expected = f"the name of a file{', or env://NAME for what a variable holds' if signing else ''}"
        raise ConfigError(f"{where} holds a key or a certificate itself, which logs would show", expected=expected)
    return name if _NO_FILE.fullmatch(name) else str(base / _expanded(name, where))


def whole_number(value: Any, where: str, *, least: int = 0, most: int | None = None) -> int:
    """`value` as a whole number from `least` to `most`. Raises ConfigError naming `where`."""
    try:
        number = int(str(value))  # as it is written: of 80.5, of true and of inf it would make numbers, or fail
    except ValueError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        limits = f"from {least} to {most}" if most is not None else f"of {least} or more"
        raise ConfigError(f"{where} is not usable", expected=f"a whole number {limits}", found=repr(value))
    return number


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    with contextlib.suppress(RuntimeError):  # HOME is not set, and the system does not know this user
        found = user_cache_path("gati-toolkit")
        if found.is_absolute():
            return found
    raise ConfigError("there is no home folder to keep built tools in", run="set GATI_CACHE_DIR to a folder")
