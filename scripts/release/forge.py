"""Makes a release on GitHub, GitLab or Gitea, with notes and files: what is missing there, and nothing twice."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from scripts.core.command import Runner
from scripts.core.errors import MALFORMED, OUTSIDE, REFUSED, SAME_COMMAND, ConfigError, RegistryError, ReleaseError
from scripts.core.files import sha256
from scripts.core.semver import highest, is_prerelease
from scripts.registry.reference import Registry, is_loopback
from scripts.registry.transport import TOO_MANY, Answer, Transport
from scripts.release.announce import Announced, Step, stopped

_HOST, _PROJECT = r"(?P<url>https?://[^/\s@]+/)", r"(?P<project>[\w.-]+/[\w.-]+)"
_LARGEST = 100 << 20  # bytes of a file
_PAGES = 5  # of a list of releases in which a draft of ours is looked for
_TYPES = {".tgz": "application/gzip", ".sha256": "text/plain", ".prov": "text/plain", ".json": "application/json"}


@dataclass(frozen=True)
class File:
    """A file of a release as the forge lists it: what it says of it, and where it is; `done` once it is whole."""

    name: str
    url: str
    size: int | None = None
    digest: str = ""
    id: str = ""
    done: bool = True


@dataclass(frozen=True)
class Made:
    """A release that is there; a `draft` is one that nobody sees yet."""

    id: str
    files: tuple[File, ...]
    draft: bool = False
    upload: str = ""


def read_forge(text: str, environ: Mapping[str, str], runner: Runner) -> Forge:
    """The forge that `text` names, as `github:OWNER/NAME`. Raises ConfigError, also where there is no token for it."""
    name, _, there = text.partition(":")
    kind = {"github": GitHub, "gitlab": GitLab, "gitea": Gitea}.get(name)
    if kind is None or (found := re.fullmatch(f"{kind.form}/?", there)) is None:
        raise ConfigError(
            "forge names no project",
            expected="github:OWNER/NAME, gitlab:GROUP/NAME, gitea:https://HOST/OWNER/NAME",
            found=repr(re.sub(r"//[^/]*@", "//***@", text)),
        )
    url = (found["url"] or kind.home).rstrip("/")
    if urlsplit(url).scheme != "https" and not is_loopback(urlsplit(url).netloc):
        raise ConfigError("a token is not sent without TLS", expected="https://...", found=url)
    token = next((environ[name] for name in kind.tokens if environ.get(name)), "")
    if not token:
        raise ConfigError(
            f"there is no token for {urlsplit(url).netloc}",
            expected=f"{' or '.join(kind.tokens)} in the environment",
            run=f"set {kind.tokens[0]} from a secret store",
        )
    runner.hide(token)
    return kind(url, found["project"], token, Transport(Registry(f"oci://{urlsplit(url).netloc}")))


@dataclass(frozen=True)
class Forge:
    """A project on a forge at `url`; what all of them have in common."""

    url: str
    project: str
    token: str = field(repr=False)
    transport: Transport = field(repr=False, compare=False)
    tokens: ClassVar[tuple[str, ...]] = ()
    home: ClassVar[str] = ""
    form: ClassVar[str] = f"{_HOST}?{_PROJECT}"
    full_name: ClassVar[str] = "full_name"
    """What the API calls the name of a project with its owner's."""

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    @property
    def shown(self) -> str:
        """Whose releases these are, for a person."""
        return f"{urlsplit(self.url).netloc}/{self.project}"

    def look(self, what: Announced) -> Step:
        """What the forge has of the version."""
        with self._reading():
            step = self._seen(what)
            if step.state in ("absent", "unknown"):
                self._demand_open()
            return step

    def _seen(self, what: Announced) -> Step:
        commit = self._tagged(what.tag)
        if commit is None:
            return Step(self.name, "unknown", f"waits for the tag {what.tag}: push it, then {SAME_COMMAND}")
        if what.commit is not None and commit != what.commit:
            error = ReleaseError(
                f"the tag {what.tag} of {self.shown} is at another commit",
                expected=what.commit,
                found=commit,
                run=f"release the commit that {what.tag} names there, as git ls-remote --tags says",
                code=REFUSED,
            )
            return stopped(self.name, error)
        made = self._find(what)
        if made is None:
            todo = f"make the release {what.tag} of {self.shown}, with {len(what.files())} files"
            return Step(self.name, "absent", todo)
        wrong = [name for name, content in what.files().items() if self._differs(made, name, content)]
        if wrong:
            error = ReleaseError(
                f"the release {what.tag} of {self.shown} has other content",
                expected="the files of this release, or none of that name",
                found="\n".join(wrong),
                run="see who has put them there; a version that is out is raised, not repaired",
                code=REFUSED,
            )
            return stopped(self.name, error)
        missing = self._missing(made, what)
        if made.draft or missing:
            left = ", ".join(missing) or "show it"
            return Step(self.name, "absent", f"finish the release {what.tag} of {self.shown}: {left}")
        return Step(self.name, "same", f"{what.tag} of {self.shown} has {len(what.files())} files of ours")

    def _demand_open(self) -> None:
        """Raises ReleaseError where the project is none that a release can be made in, as it says itself."""
        found = self._ask("GET", self.api)
        if found is None:
            run = f"correct forge, or let {' or '.join(self.tokens)} see the project"
            raise self.failure("there is no such project, or its token does not see it", "HTTP 404", run)
        if (known := found[self.full_name]).lower() != self.project.lower():
            raise self.failure(f"the project is called {known} now", "", f"name that in forge, then {SAME_COMMAND}")
        if found.get("archived"):
            raise self.failure("the project is archived, and takes no release", "", "take it out of the archive")

    def announce(self, what: Announced) -> str:
        """Make the release unseen, give it its files, and show it; what is there already is taken."""
        with self._reading():
            made = self._find(what)
            if made is None:
                try:
                    made = self._make(what)
                except ReleaseError as error:
                    if not re.search(r"HTTP (409|422)", error.found or ""):
                        raise
                    made = self._find(what)  # of somebody else, or of a request whose answer was lost
            if made is None:
                raise self.failure(f"the release {what.tag} is not there after it was made", "")
            for one in made.files:
                if not one.done and one.name in what.files():  # broken off while it was sent
                    self._drop(one)
            for name in self._missing(made, what):
                self._add(made, what, name)
            if made.draft:
                self._show(made, what)
        return f"{what.tag} is a release of {self.shown}"

    @staticmethod
    def _missing(made: Made, what: Announced) -> list[str]:
        there = {one.name for one in made.files if one.done}
        return [name for name in what.files() if name not in there]

    def _differs(self, made: Made, name: str, content: bytes) -> bool:
        """Whether the release has a file of that name which holds something else."""
        for one in made.files:
            if one.name != name or not one.done:
                continue
            if one.digest.startswith("sha256:"):
                same = one.digest == f"sha256:{sha256(content)}"
            else:
                same = one.size in (None, len(content)) and self._content(one.url) == content
            if not same:
                return True
        return False

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Has an answer of another form than we know be a failure."""
        try:
            yield
        except MALFORMED as error:
            found = f"{type(error).__name__}: {error}"
            raise self.failure("the answer has not the form that its API documents", found) from error

    @property
    def hosts(self) -> set[str]:
        """Who is given the token."""
        return {urlsplit(self.url).netloc, urlsplit(self.api).netloc}

    def failure(self, message: str, found: str, run: str = SAME_COMMAND) -> ReleaseError:
        """A failure of the forge, or on the way to it."""
        return ReleaseError(f"{self.shown}: {message}", found=found or None, run=run, code=OUTSIDE)

    # -- asking ----------------------------------------------------------------------------------------

    def _ask(self, method: str, url: str, **options: Any) -> Any:
        """The answer as JSON; None where there is nothing to get."""
        answer = self._send(method, url, accept="application/json", **options)
        if method == "GET" and answer.status == 404:
            return None
        if not 200 <= answer.status < 300:
            raise self._refusal(method, url, answer)
        try:
            return answer.json() if answer.body else {}
        except ValueError:
            raise self.failure("the answer is no JSON", answer.words()) from None

    def _tell(self, method: str, url: str, value: Mapping[str, Any]) -> Any:
        """The same with `value` as JSON."""
        return self._ask(method, url, content=("application/json", json.dumps(value).encode()))

    def _content(self, url: str) -> bytes | None:
        """A file; None where there is none."""
        answer = self._send("GET", url, accept="application/octet-stream", limit=_LARGEST)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._refusal("GET", url, answer)
        return answer.body

    def _send(self, method: str, url: str, **options: Any) -> Answer:
        there = urlsplit(url)
        known = there.netloc in self.hosts and there.scheme == urlsplit(self.url).scheme
        if not known and method != "GET":
            raise self.failure(f"a {method} is led to where it is not sent", url)
        login = self.authorization() if known else None  # a release may have links to anywhere
        try:
            return self.transport.send(method, url, authorization=login, **options)
        except RegistryError as error:
            untrusted = "is not trusted" in error.message  # a registry's own authority is not asked about a forge
            run = "set SSL_CERT_FILE to a file with the authorities to trust" if untrusted else SAME_COMMAND
            raise self.failure(f"{method} is not answered: {error.message}", error.found or "", run) from error

    def _refusal(self, method: str, url: str, answer: Answer) -> ReleaseError:
        words, run, host = _words(answer), SAME_COMMAND, urlsplit(self.url).netloc
        if "rate limit" in words.lower():  # by GitHub with 403
            run = TOO_MANY.format(host=host)
        elif answer.status == 401:
            run = f"give {' or '.join(self.tokens)} a token that {host} takes, and that has not expired"
        elif answer.status == 403:
            run = f"give {' or '.join(self.tokens)} the right to write releases of {self.shown}"
        return self.failure(f"{method} {urlsplit(url).path} is refused", words, run)

    # -- what differs from forge to forge ------------------------------------------------------------

    @property
    def api(self) -> str:
        """Where the project is in the forge's API."""
        raise NotImplementedError

    def authorization(self) -> str:
        return f"Bearer {self.token}"

    def _tagged(self, tag: str) -> str | None:
        """The commit that the forge's tag leads to; None where the forge has no such tag."""
        raise NotImplementedError

    def _find(self, what: Announced) -> Made | None:
        raise NotImplementedError

    def _make(self, what: Announced) -> Made:
        raise NotImplementedError

    def _add(self, made: Made, what: Announced, name: str) -> None:
        raise NotImplementedError

    def _drop(self, file: File) -> None:
        """Remove a file that was not sent whole."""

    def _show(self, made: Made, what: Announced) -> None:
        """Let others see what was a draft."""


def _words(answer: Answer) -> str:
    """What a forge says: `message` or `error`, with details where there are some."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        told = answer.json()
        text = told.get("message") or told.get("error") or ""
        more = json.dumps(told["errors"]) if told.get("errors") else ""
        return f"HTTP {answer.status}, {text} {more}".strip()[:500]
    return answer.words()


def _type_of(name: str) -> str:
    return next((kind for end, kind in _TYPES.items() if name.endswith(end)), "application/octet-stream")


class _Drafting(Forge):
    """A forge with GitHub's API for releases, where a draft is one that nobody sees yet."""

    def _find(self, what: Announced) -> Made | None:
        found = self._ask("GET", f"{self.api}/releases/tags/{quote(what.tag)}")
        return None if found is None else self._made(found)

    def _made(self, found: Mapping[str, Any]) -> Made:
        raise NotImplementedError

    def _make(self, what: Announced) -> Made:
        draft = {"tag_name": what.tag, "name": what.package.title, "body": what.notes, "draft": True}
        draft["prerelease"] = is_prerelease(what.package.version)
        return self._made(self._tell("POST", f"{self.api}/releases", draft))

    def _show(self, made: Made, what: Announced) -> None:
        self._tell("PATCH", f"{self.api}/releases/{made.id}", {"draft": False, **self._beside(what)})

    def _beside(self, _: Announced) -> Mapping[str, str]:
        """What else is said when a release is shown."""
        return {}


class GitHub(_Drafting):
    """https://docs.github.com/en/rest/releases: a draft is seen by those who may write alone."""

    tokens = ("GITHUB_TOKEN", "GH_TOKEN")
    home = "https://github.com"

    @property
    def _cloud(self) -> str:
        """The domain of a GitHub that GitHub runs, as github.com or an enterprise's below ghe.com, else ""."""
        host = urlsplit(self.url).netloc.lower()
        return host if host == "github.com" or host.endswith(".ghe.com") else ""

    @property
    def hosts(self) -> set[str]:
        return {*super().hosts, *({f"uploads.{self._cloud}"} if self._cloud else ())}

    @property
    def api(self) -> str:
        """A GitHub of one's own has the API below /api/v3."""
        root = f"https://api.{self._cloud}" if self._cloud else f"{self.url}/api/v3"
        return f"{root}/repos/{self.project}"

    def _tagged(self, tag: str) -> str | None:
        found = self._ask("GET", f"{self.api}/git/ref/tags/{quote(tag)}")
        if found is None:
            return None
        target = found["object"]
        if target["type"] == "tag":
            target = self._ask("GET", f"{self.api}/git/tags/{target['sha']}")["object"]
        return str(target["sha"])

    def _find(self, what: Announced) -> Made | None:
        """A draft is not found by its tag, but in the list."""
        drafts = (self._made(one) for one in self._listed() if one["tag_name"] == what.tag)
        return super()._find(what) or next(drafts, None)

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        for page in range(1, _PAGES + 1):
            some = self._ask("GET", f"{self.api}/releases", query=(("per_page", "100"), ("page", str(page)))) or []
            yield from some
            if len(some) < 100:
                break

    def _made(self, found: Mapping[str, Any]) -> Made:
        files = tuple(
            File(
                one["name"],
                one["url"],
                one.get("size"),
                one.get("digest") or "",
                str(one["id"]),
                one.get("state", "uploaded") == "uploaded",
            )
            for one in found["assets"]
        )
        return Made(str(found["id"]), files, bool(found["draft"]), str(found["upload_url"]).partition("{")[0])

    def _beside(self, what: Announced) -> Mapping[str, str]:
        """A release of an older line is not the latest, which GitHub would call whatever was shown last."""
        latest = str((self._ask("GET", f"{self.api}/releases/latest") or {}).get("tag_name"))
        version = what.package.version
        other = latest.removeprefix(what.tag.removesuffix(version))
        return {} if highest((version, other)) == version else {"make_latest": "false"}

    def _add(self, made: Made, what: Announced, name: str) -> None:
        content = (_type_of(name), what.files()[name])
        self._ask("POST", made.upload, query=(("name", name),), content=content)

    def _drop(self, file: File) -> None:
        self._ask("DELETE", f"{self.api}/releases/assets/{file.id}")


class Gitea(_Drafting):
    """https://docs.gitea.com/api, also of Forgejo; its own links lead to ROOT_URL, whatever we call it."""

    tokens = ("GITEA_TOKEN", "FORGEJO_TOKEN")
    form = rf"(?P<url>https?://[^/\s@]+/(?:[\w.-]+/)*){_PROJECT}"

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1/repos/{self.project}"

    def authorization(self) -> str:
        return f"token {self.token}"

    def _tagged(self, tag: str) -> str | None:
        found = self._ask("GET", f"{self.api}/tags/{quote(tag)}")
        return None if found is None else str(found["commit"]["sha"])

    def _made(self, found: Mapping[str, Any]) -> Made:
        files = tuple(
            File(one["name"], f"{self.url}/attachments/{one['uuid']}", one.get("size"), "", str(one["id"]))
            for one in found.get("assets") or []
        )
        return Made(str(found["id"]), files, bool(found["draft"]))

    def _add(self, made: Made, what: Announced, name: str) -> None:
        from urllib3 import encode_multipart_formdata

        form, kind = encode_multipart_formdata({"attachment": (name, what.files()[name], _type_of(name))})
        self._ask("POST", f"{self.api}/releases/{made.id}/assets", query=(("name", name),), content=(kind, form))


class GitLab(Forge):
    """https://docs.gitlab.com/api/releases: files are generic packages that the release links; there are no drafts."""

    tokens = ("GITLAB_TOKEN",)
    home = "https://gitlab.com"
    form = rf"{_HOST}?(?P<project>[\w.-]+(?:/[\w.-]+)+)"
    full_name = "path_with_namespace"

    @property
    def api(self) -> str:
        return f"{self.url}/api/v4/projects/{quote(self.project, safe='')}"

    def _tagged(self, tag: str) -> str | None:
        found = self._ask("GET", f"{self.api}/repository/tags/{quote(tag, safe='')}")
        return None if found is None else str(found["commit"]["id"])

    def _find(self, what: Announced) -> Made | None:
        found = self._ask("GET", f"{self.api}/releases/{quote(what.tag, safe='')}")
        if found is None:
            return None
        files = tuple(File(one["name"], one["url"], id=str(one["id"])) for one in found["assets"]["links"])
        return Made(what.tag, files)

    def _make(self, what: Announced) -> Made:
        files = what.files()
        for name in files:
            self._keep(what, name)  # before anybody sees the release
        value = {
            "tag_name": what.tag,
            "name": what.package.title,
            "description": what.notes,
            "assets": {"links": [self._link(what, name) for name in files]},
        }
        self._tell("POST", f"{self.api}/releases", value)
        return Made(what.tag, tuple(File(name, self._kept(what, name)) for name in files))

    def _add(self, made: Made, what: Announced, name: str) -> None:
        self._keep(what, name)
        link = self._link(what, name)
        self._tell("POST", f"{self.api}/releases/{quote(made.id, safe='')}/assets/links", link)

    def _keep(self, what: Announced, name: str) -> None:
        """Put a file among the generic packages, where it is not there; they would keep both."""
        url, content = self._kept(what, name), what.files()[name]
        there = self._content(url)
        if there is None:
            self._ask("PUT", url, content=(_type_of(name), content))
        elif there != content:
            raise ReleaseError(
                f"the package {what.package.title} of {self.shown} has other content",
                expected=f"sha256 {sha256(content)} as {name}",
                found=f"sha256 {sha256(there)}",
                run="see who has put it there; a version that is out is raised, not repaired",
                code=REFUSED,
            )

    def _kept(self, what: Announced, name: str) -> str:
        version = quote(what.package.version.replace("+", "-"), safe="")
        return f"{self.api}/packages/generic/{quote(what.package.name, safe='')}/{version}/{quote(name, safe='')}"

    def _link(self, what: Announced, name: str) -> dict[str, str]:
        return {"name": name, "url": self._kept(what, name), "link_type": "package"}
