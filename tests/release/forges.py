"""Stand-ins for the APIs of GitHub, GitLab and Gitea, which answer as these document it and hold what they are given.

GitHub: https://docs.github.com/en/rest/releases (releases, assets), /en/rest/git (refs, tags). GitLab:
https://docs.gitlab.com/api/releases, /api/releases/links, /api/tags, /user/packages/generic_packages. Gitea: the
swagger of /api/v1 (repoGetTag, repoCreateRelease, repoCreateReleaseAttachment).
"""

from __future__ import annotations

import email
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scripts.core.files import sha256
from tests.registry.servers import Reply, Request

TOKEN = "s3cret-of-a-forge"
PROJECT = "team/charts"


def said(status: int, value: Any = None) -> Reply:
    body = b"" if value is None else json.dumps(value).encode()
    return Reply(status, body, {"Content-Type": "application/json"} if body else {})


@dataclass
class Forge:
    """What all of them hold. `meddle` sees each request before it is answered, and may answer in its place."""

    host: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    releases: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    meddle: Callable[[Request], Reply | None] = lambda _: None
    asked: list[str] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: itertools.count(1))
    project: dict[str, Any] | None = field(default_factory=lambda: {"archived": False})
    login = root = ""
    full_name = "full_name"

    def answer(self, request: Request) -> Reply:
        self.asked.append(f"{request.method} {request.path}")
        if request.path.startswith("/store/"):  # what a download is led to, on another host
            if "authorization" in request.headers:
                return said(400, {"message": "only one way to log in is allowed"})
            return Reply(200, self.files[request.path.removeprefix("/store/")])
        if request.headers.get("authorization") != f"{self.login} {TOKEN}":
            return said(401, {"message": "Bad credentials"})
        if (instead := self.meddle(request)) is not None:
            return instead
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if (request.method, parts.path) == ("GET", self.root):
            return said(404) if self.project is None else said(200, {self.full_name: PROJECT, **self.project})
        return self.api(request, parts.path, query)

    def api(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        raise NotImplementedError

    def writes(self) -> list[str]:
        return [one for one in self.asked if not one.startswith("GET ")]

    def shown(self) -> list[dict[str, Any]]:
        """The releases that everybody sees."""
        return [one for one in self.releases if not one.get("draft")]


class GitHub(Forge):
    login = "Bearer"
    root = f"/api/v3/repos/{PROJECT}"

    def api(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        method, rest = request.method, path.removeprefix(self.root)
        if method == "GET" and rest.startswith("/git/ref/tags/"):
            tag = unquote(rest.rpartition("/")[2])
            return said(200, {"object": {"type": "tag", "sha": f"t-{tag}"}}) if tag in self.tags else said(404)
        if method == "GET" and rest.startswith("/git/tags/t-"):
            return said(200, {"object": {"type": "commit", "sha": self.tags[rest.removeprefix("/git/tags/t-")]}})
        if method == "GET" and rest.startswith("/releases/tags/"):
            found = [one for one in self.shown() if one["tag_name"] == unquote(rest.rpartition("/")[2])]
            return said(200, found[0]) if found else said(404, {"message": "Not Found"})
        if method == "GET" and rest == "/releases/latest":
            return said(200, self.latest()[-1]) if self.latest() else said(404, {"message": "Not Found"})
        if method == "GET" and rest == "/releases":
            size, page = int(query["per_page"]), int(query["page"])
            return said(200, self.releases[(page - 1) * size : page * size])
        if method == "GET" and rest.startswith("/releases/assets/"):
            there = f"http://localhost:{self.host.rpartition(':')[2]}/store/{rest.rpartition('/')[2]}"
            return Reply(302, b"", {"Location": there})
        if method == "POST" and rest == "/releases":
            told = json.loads(request.body)
            if not told["draft"] and any(one["tag_name"] == told["tag_name"] for one in self.shown()):
                return said(422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]})
            number = next(self.ids)
            upload = f"http://{self.host}{self.root}/uploads/{number}/assets{{?name,label}}"
            self.releases.append({**told, "id": number, "assets": [], "upload_url": upload})
            return said(201, self.releases[-1])
        if method == "POST" and "/uploads/" in rest:
            return self.upload(request, int(rest.split("/")[2]), query["name"])
        if method == "DELETE" and rest.startswith("/releases/assets/"):
            for one in self.releases:
                one["assets"] = [each for each in one["assets"] if str(each["id"]) != rest.rpartition("/")[2]]
            return said(204)
        if method == "PATCH" and rest.startswith("/releases/"):
            one = next(one for one in self.releases if str(one["id"]) == rest.rpartition("/")[2])
            one.update(json.loads(request.body))
            return said(200, one)
        raise AssertionError((method, path))

    def latest(self) -> list[dict[str, Any]]:
        """Those that were called the latest, the newest at the end."""
        return [one for one in self.shown() if not one["prerelease"] and one.get("make_latest") != "false"]

    def upload(self, request: Request, release: int, name: str) -> Reply:
        one = next(one for one in self.releases if one["id"] == release)
        if any(each["name"] == name for each in one["assets"]):
            return said(422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]})
        number = next(self.ids)
        self.files[str(number)] = request.body
        url = f"http://{self.host}{self.root}/releases/assets/{number}"
        one["assets"].append(
            {"id": number, "name": name, "url": url, "size": len(request.body), "state": "uploaded", "digest": None}
        )
        return said(201, one["assets"][-1])

    def held(self, release: dict[str, Any]) -> dict[str, bytes]:
        return {each["name"]: self.files[str(each["id"])] for each in release["assets"]}


class Gitea(Forge):
    login = "token"
    root = f"/api/v1/repos/{PROJECT}"

    def api(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        method, rest = request.method, path.removeprefix(self.root)
        if method == "GET" and rest.startswith("/tags/"):
            tag = unquote(rest.removeprefix("/tags/"))
            return said(200, {"name": tag, "commit": {"sha": self.tags[tag]}}) if tag in self.tags else said(404)
        if method == "GET" and rest.startswith("/releases/tags/"):
            found = [one for one in self.releases if one["tag_name"] == unquote(rest.rpartition("/")[2])]
            return said(200, found[0]) if found else said(404, {"message": "The target couldn't be found."})
        if method == "GET" and path.startswith("/attachments/"):
            return Reply(200, self.files[path.rpartition("/")[2]])
        if method == "POST" and rest == "/releases":
            told = json.loads(request.body)
            if any(one["tag_name"] == told["tag_name"] for one in self.releases):
                return said(409, {"message": "Release is has no Tag"})
            self.releases.append({**told, "id": next(self.ids), "assets": []})
            return said(201, self.releases[-1])
        if method == "POST" and rest.endswith("/assets"):
            one = next(one for one in self.releases if str(one["id"]) == rest.split("/")[2])
            form: Any = email.message_from_bytes(
                b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + request.body
            )
            (part,) = form.get_payload()
            assert part.get_param("name", header="content-disposition") == "attachment"
            number, content = next(self.ids), part.get_payload(decode=True)
            self.files[str(number)] = content
            url = "http://root-url.example/team/charts/releases/download/"  # by which it is called inside is another
            one["assets"].append(
                {"id": number, "uuid": f"{number}", "name": query["name"], "size": len(content)}
                | {"browser_download_url": f"{url}{one['tag_name']}/{query['name']}"}
            )
            return said(201, one["assets"][-1])
        if method == "PATCH" and rest.startswith("/releases/"):
            one = next(one for one in self.releases if str(one["id"]) == rest.rpartition("/")[2])
            one.update(json.loads(request.body))
            return said(200, one)
        raise AssertionError((method, path))

    def held(self, release: dict[str, Any]) -> dict[str, bytes]:
        return {each["name"]: self.files[str(each["id"])] for each in release["assets"]}


class GitLab(Forge):
    login = "Bearer"
    root = "/api/v4/projects/team%2Fcharts"
    full_name = "path_with_namespace"

    def api(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        method, rest = request.method, path.removeprefix(self.root)
        if method == "GET" and rest.startswith("/repository/tags/"):
            tag = unquote(rest.rpartition("/")[2])
            return said(200, {"name": tag, "commit": {"id": self.tags[tag]}}) if tag in self.tags else said(404)
        if rest.startswith("/packages/generic/"):
            if method == "PUT":
                self.files[rest] = request.body
                return said(201, {"message": "201 Created"})
            return Reply(200, self.files[rest]) if rest in self.files else said(404, {"message": "404 Not found"})
        if method == "POST" and rest == "/releases":
            told = json.loads(request.body)
            if any(one["tag_name"] == told["tag_name"] for one in self.releases):
                return said(409, {"message": "Release already exists"})
            links = [{**link, "id": next(self.ids)} for link in told["assets"]["links"]]
            self.releases.append({**told, "assets": {"links": links}})
            return said(201, self.releases[-1])
        tag = unquote(rest.split("/")[2])
        found = [one for one in self.releases if one["tag_name"] == tag]
        if method == "GET":
            return said(200, found[0]) if found else said(404, {"message": "404 Not Found"})
        if method == "POST" and rest.endswith("/assets/links"):
            link = json.loads(request.body)
            if any(each["name"] == link["name"] for each in found[0]["assets"]["links"]):
                return said(400, {"message": ["Name has already been taken"]})
            found[0]["assets"]["links"].append({**link, "id": next(self.ids)})
            return said(201, link)
        raise AssertionError((method, path))

    def held(self, release: dict[str, Any]) -> dict[str, bytes]:
        links = release["assets"]["links"]
        return {
            each["name"]: self.files[
                each["url"].partition("/charts")[2] or urlsplit(each["url"]).path.removeprefix(self.root)
            ]
            for each in links
        }


FORGES: dict[str, type[Forge]] = {"github": GitHub, "gitlab": GitLab, "gitea": Gitea}


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: sha256(content) for name, content in files.items()}
