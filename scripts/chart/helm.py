"""Runs helm, whose refusals become complaints."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.chart.complaints import Complaint, read_complaints, read_lint, refusal, written
from scripts.chart.manifests import mapping, mappings
from scripts.core.command import Result, Runner
from scripts.core.errors import ChartError, CommandFailed, OutputError, ReleaseError, telling
from scripts.core.owner import temporary
from scripts.core.parallel import BRIEF_GO
from scripts.core.paths import list_item
from scripts.core.yaml_read import dump, loaded

# A plugin cannot change what is rendered, and looking for plugins takes time.
# Nothing here is kept in a cluster or a database, which helm would connect to all the same.
_ENVIRONMENT: dict[str, str | None] = {"HELM_NO_PLUGINS": "1", "HELM_DRIVER": None, **BRIEF_GO}
# What is here needs no login, and helm, which reads them first, refuses everything where their file is damaged.
_NOWHERE = "/nonexistent"
_ALONE = {**_ENVIRONMENT, "HELM_REGISTRY_CONFIG": f"{_NOWHERE}/config.json", "DOCKER_CONFIG": _NOWHERE}
_SAVED = re.compile(r"^Successfully packaged chart and saved it to: (?s:.*/)?(.+)$", re.MULTILINE)
_UNSAVED = re.compile(r"^(?:Error: )?failed to save: (?:.*: )?(.+)$", re.MULTILINE)
# What a system says of a place that cannot be written, in Go's words too; all else lies in the chart.
_NO_PLACE = frozenset(
    os.strerror(getattr(errno, name)).lower()
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "EIO", "ENOENT")
)
_ABSENT = re.compile(r'failing loading "(https?://[^"]+)"')
_UNKNOWN_HOOK = re.compile(r'^level=INFO msg="skipping unknown hooks" hookTypes=(.*)$', re.MULTILINE)
_MOST = 64 << 20  # letters of one render


@dataclass(frozen=True)
class Helm:
    """The client. `path` is the binary."""

    path: Path
    runner: Runner

    def template(
        self,
        chart: str | Path,
        *,
        release: str = "release",
        namespace: str = "default",
        values: Sequence[Path] = (),
        flags: Sequence[str | Path] = (),
        kube_version: str | None = None,
        api_versions: Sequence[str] = (),
        definitions: bool = True,
        left_out: Callable[[str], object] = str,
    ) -> str:
        """The rendered text, by `definitions` of `crds/` too. Raises ValuesError for refused values, or ChartError.

        `left_out` is told each `helm.sh/hook` that helm does not know, and so leaves out the object that bears it.
        """
        argv: list[str | Path] = [self.path, "template", release, chart, "--namespace", namespace, *flags]
        argv += [*(["--include-crds"] if definitions else []), *_options(values, kube_version)]
        argv += [word for name in api_versions for word in ("--api-versions", name)]
        result, _ = self._validating(argv)
        if result.status != 0:
            with telling({str(Path(chart)): str(chart)}):  # an address is no path
                raise refusal(read_complaints(result.stderr, Path(chart), values), Path(chart))
        if len(result.stdout) > _MOST:
            raise ChartError(
                f"{chart} renders {len(result.stdout) >> 20} MiB",
                expected=f"at most {_MOST >> 20} MiB: helm keeps a release in a Secret, which holds 1 MiB, packed",
                run="look for a range or a repeat in its templates that goes too far",
            )
        for hook in _UNKNOWN_HOOK.findall(result.stderr):
            left_out(hook)
        return result.stdout

    def lint(
        self, chart: Path, *, values: Sequence[Path] = (), kube_version: str | None = None
    ) -> tuple[Complaint, ...]:
        """What `helm lint --strict` finds, and each `fail` that it lets pass. Raises CommandFailed without a reason."""
        argv: list[str | Path] = [self.path, "lint", chart, "--strict", *_options(values, kube_version)]
        result, absent = self._validating(argv)
        complaints = read_lint(result, chart, values)
        if absent:
            message = f"refers to {absent}, which cannot be fetched: values are not checked; keep a copy in the chart"
            complaints += (Complaint(message, level="warning", file=chart / "values.schema.json"),)
        if any(complaint.refused for complaint in complaints):
            complaints = self._located(complaints, chart, values, kube_version)
        if result.status != 0 and all(complaint.level == "info" for complaint in complaints):
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return complaints

    def _validating(self, argv: Sequence[str | Path], deadline: float = 180) -> tuple[Result, str]:
        """What a command says, and the absent address in a schema of values, without which it was said again; or ""."""
        env = _ENVIRONMENT if any("://" in str(word) for word in argv) else _ALONE
        result = self._asked(argv, env, deadline)
        absent = _ABSENT.search(result.stderr + result.stdout) if result.status else None
        if absent is None:
            return result, ""
        return self._asked([*argv, "--skip-schema-validation"], env, deadline), absent[1]

    def _asked(self, argv: Sequence[str | Path], env: Mapping[str, str | None], deadline: float) -> Result:
        """What came of a command that may refuse. Raises CommandFailed where it was killed, or had no memory left."""
        result = self.runner.run(argv, env=env, deadline=deadline, check=False)
        if result.status not in (0, 1):
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return result

    def _located(
        self, complaints: Sequence[Complaint], chart: Path, values: Sequence[Path], kube_version: str | None
    ) -> tuple[Complaint, ...]:
        """`complaints` with the places of refusals, which only a render tells, and without those that it does not."""
        argv: list[str | Path] = [self.path, "template", chart, *_options(values, kube_version)]
        result, _ = self._validating(argv, 60)
        if result.status == 0:  # linting has its own idea of values, and goes on after a refusal
            return tuple(c for c in complaints if not c.refused)
        places = {c.message: c for c in read_complaints(result.stderr, chart, values)}
        return tuple((places.get(c.message) or written(c, chart)) if c.refused else c for c in complaints)

    def build_dependencies(
        self, chart: Path, repositories: Sequence[str], *, near: bool = False, deadline: float
    ) -> None:
        """`helm dependency build`, which keeps to Chart.lock, with `repositories` known alone, as the user set them up.

        They are named as in Chart.yaml: by address, or as `@NAME` or `alias:NAME` one of the user's. (helm asks all
        that it knows, and ends where one of them cannot be had.) `near`: the OCI registries are on loopback, and speak
        plain HTTP. Raises CommandFailed.
        """
        where = self.runner.run([self.path, "env", "HELM_REPOSITORY_CONFIG"], env=_ENVIRONMENT, check=False)
        with temporary("repositories") as folder:
            known = folder / "repositories.yaml"
            known.touch(mode=0o600)  # the user's may hold passwords
            own = _set_up(Path(where.stdout.strip()), repositories)
            known.write_text(dump({"apiVersion": "", "repositories": own}), encoding="utf-8")
            places = {"HELM_REPOSITORY_CONFIG": str(known), "HELM_REPOSITORY_CACHE": str(folder)}
            env = {**_ENVIRONMENT, **places, "HELM_NO_PLUGINS": None}  # s3:// and the like are a plugin's
            listed = {str(one.get("url")).rstrip("/") for one in own}
            for url in repositories:
                if re.match(r"(?!oci:|file:)[^@]+://", url) and url.rstrip("/") not in listed:
                    name = re.sub(r"[^a-z0-9]+", "-", url.lower()).strip("-")
                    self.runner.run([self.path, "repo", "add", name, url], env=env, deadline=deadline)
            plain = ["--plain-http"] * near
            self.runner.run([self.path, "dependency", "build", chart, *plain], env=env, deadline=deadline)

    def package(
        self,
        chart: Path,
        into: Path,
        *,
        epoch: int,
        version: str | None = None,
        app_version: str | None = None,
        deadline: float = 60,
    ) -> Path:
        """The archive that helm makes in the folder `into`, at `epoch` (seconds). Raises ChartError, OutputError."""
        env = {**_ALONE, "SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC"}
        argv: list[str | Path] = [self.path, "package", chart, "--destination", into]
        argv += ["--version", version] if version else []
        argv += ["--app-version", app_version] if app_version else []
        result = self._asked(argv, env, deadline)
        if result.status != 0:
            unsaved = _UNSAVED.search(result.stderr)
            if unsaved is not None and unsaved[1] in _NO_PLACE:
                raise OutputError(f"helm cannot write {into}", found=unsaved[1], run="make room there, or set TMPDIR")
            raise refusal(read_complaints(result.stderr, chart), chart)
        # It says where; others may have archives in the same folder.
        if (saved := _SAVED.search(result.stdout)) is None:
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return into / saved[1]  # of a folder in no UTF-8 helm writes another name

    def verify(self, archive: Path, keyring: Path) -> None:
        """`helm verify`: that the `.prov` beside `archive` is of it, and by a key in `keyring`. Raises ReleaseError."""
        argv: list[str | Path] = [self.path, "verify", archive, "--keyring", keyring]
        result = self.runner.run(argv, env=_ENVIRONMENT, deadline=60, check=False)
        if result.status != 0:
            raise ReleaseError(result.stderr.strip().removeprefix("Error: ") or "helm verify gives no reason")

    def push(
        self,
        archive: Path,
        remote: str,
        *,
        registry_config: Path,
        flags: Sequence[str] = (),
        deadline: float = 300,
    ) -> None:
        """Upload `archive` below `remote` by the logins of `registry_config`. Raises CommandFailed, CommandTimeout."""
        argv: list[str | Path] = [self.path, "push", archive, remote, "--registry-config", registry_config, *flags]
        # Where its own file has no login helm would look at docker's.
        env = {**_ENVIRONMENT, "TZ": "UTC", "DOCKER_CONFIG": str(registry_config.parent)}
        self.runner.run(argv, env=env, deadline=deadline)


def _set_up(file: Path, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The entries of the user's repositories.yaml that `wanted` asks for; none where it cannot be read."""
    asked = {one.removeprefix("@").removeprefix("alias:").rstrip("/") for one in wanted}
    told = mappings(mapping(loaded(file)).get("repositories"))
    return [dict(one) for one in told if asked & {str(one.get("name")), str(one.get("url")).rstrip("/")}]


def _options(values: Sequence[Path], kube_version: str | None) -> list[str | Path]:
    options: list[str | Path] = ["--kube-version", kube_version] if kube_version else []
    for file in values:
        options += ["--values", list_item(file)]
    return options
