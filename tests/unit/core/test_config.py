"""The configuration comes from pyproject.toml, the environment and flags, and says which of them is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from scripts.core.config import demand_registry, load_config
from scripts.core.errors import ConfigError


def project(folder: Path, table: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(f"[tool.gati]\n{table}")
    return folder


def test_defaults_are_below_the_root(tmp_path: Path) -> None:
    config = load_config(tmp_path, environ={})
    assert config.chart == tmp_path / "helm/gati"
    assert config.changelog == tmp_path / "CHANGELOG.md"
    assert (config.dist, config.embedded_registry) == (tmp_path / "dist", tmp_path / ".registry")
    assert (config.registry, config.plain_http, config.version_files) == ("", False, ())
    assert config.cache_dir.is_absolute()


def test_the_last_of_the_three_wins(tmp_path: Path) -> None:
    root = project(tmp_path, 'registry = "oci://file/x"\nhttp-port = 1\nplain_http = true\n')
    assert load_config(root, environ={}).registry == "oci://file/x"
    environ = {"GATI_REGISTRY": "oci://environment/x", "GATI_HTTP_PORT": "2", "GATI_PLAIN_HTTP": "no"}
    config = load_config(root, environ=environ)
    assert (config.registry, config.http_port, config.plain_http) == ("oci://environment/x", 2, False)
    config = load_config(root, environ=environ, registry="oci://flag/x", plain_http=True, chart=None)
    assert (config.registry, config.plain_http) == ("oci://flag/x", True)


@pytest.mark.parametrize(
    "table", ['cache_dir = "c"\n', 'cache-dir = "c"\n', '[tool.gati.for."helm/*"]\ncache_dir = "c"\n']
)
def test_a_cache_that_is_named_is_the_one_that_is_used(tmp_path: Path, table: str) -> None:
    assert load_config(project(tmp_path, table), environ={}).cache_dir == tmp_path / "c"


def test_paths_start_at_the_root_but_in_flags_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, here = project(tmp_path, 'chart = "a"\n'), tmp_path / "below"
    here.mkdir()
    monkeypatch.chdir(here)
    assert load_config(root, environ={}).chart == root / "a"
    assert load_config(root, environ={"GATI_CHART": "b"}).chart == root / "b"
    assert load_config(root, environ={}, chart="c").chart == here / "c"
    assert load_config(root, environ={"GATI_SIGNING_KEY": "k"}).signing_key == str(root / "k")
    for key, meant in (("k", str(here / "k")), ("env://K", "env://K"), ("", "")):
        assert load_config(root, environ={}, signing_key=key).signing_key == meant
    assert load_config(root, environ={"GATI_DIST": "~/d"}).dist == Path("~/d").expanduser().resolve()


def test_another_chart_has_its_own_changelog_and_names_its_version_nowhere_else(tmp_path: Path) -> None:
    root = project(tmp_path, 'chart = "a"\nchangelog = "docs/CHANGES.md"\nversion_files = ["x"]\n')
    own = load_config(root, environ={}, chart=root / "a")
    assert (own.changelog, own.version_files) == (root / "docs/CHANGES.md", ("x",))
    other = load_config(root, environ={"GATI_CHART": "b"})
    assert (other.changelog, other.version_files) == (root / "b/CHANGELOG.md", ())
    (root / "b").mkdir()
    (root / "b" / "Changelog.md").touch()
    assert load_config(root, environ={"GATI_CHART": "b"}).changelog == root / "b/Changelog.md"
    told = load_config(root, environ={"GATI_CHART": "b", "GATI_CHANGELOG": "B.md", "GATI_VERSION_FILES": "y, z"})
    assert (told.changelog, told.version_files) == (root / "B.md", ("y", "z"))


def test_what_is_said_beside_a_chart_or_for_it_is_true_of_it(tmp_path: Path) -> None:
    root = project(tmp_path, 'chart = "a"\n[tool.gati.for."./b*/"]\nchangelog = "docs/B.md"\nversion_files = ["x"]\n')
    told = load_config(root, environ={"GATI_CHART": "b"})
    assert (told.changelog, told.version_files) == (root / "docs/B.md", ("x",))
    beside = root / "charts" / "c"
    beside.mkdir(parents=True)
    (beside / "gati.toml").write_text('changelog = "../../C.md"\nversion_files = ["README.md"]\n')
    own = load_config(root, environ={}, chart=beside)
    assert (own.changelog, own.version_files) == (root / "C.md", ("README.md",))


def test_a_table_for_no_chart_at_all_is_told(tmp_path: Path) -> None:
    root = project(tmp_path, 'chart = "a"\n[tool.gati.for."charts/b*"]\nlint_errors = ["helm"]\n')
    with pytest.raises(ConfigError, match=r"`for` has a table for 'charts/b\*', which no chart fits"):
        load_config(root, environ={})
    inner = root / "charts" / "b" / "inner"  # a star goes on over a slash
    inner.mkdir(parents=True)
    (inner / "Chart.yaml").touch()
    assert load_config(root, environ={}).lint_errors == ()


@pytest.mark.parametrize(
    ("table", "environ", "flags", "message"),
    [
        ("chrat = 'x'\n", {}, {}, r"\[tool.gati\] has no key 'chrat'"),
        ("chart = 1\n", {}, {}, r"\[tool.gati\] chart has the wrong type"),
        ("chart = ''\n", {}, {}, r"\[tool.gati\] chart has the wrong type"),
        ("version_files = 'x y'\nregistry = 1\n", {}, {}, r"\[tool.gati\] registry has the wrong type"),
        ("version_files = [1]\n", {}, {}, r"\[tool.gati\] version_files has the wrong type"),
        ("lint_errors = ['heml']\n", {}, {}, r"\[tool.gati\] lint_errors has an unknown value"),
        ("[tool.gati.for.'elsewhere']\nchrat = 'x'\n", {}, {}, r"\[tool.gati\] has no key 'chrat'"),
        *(
            (f"api_versions = ['v1', '{name}']\n", {}, {}, r"\[tool.gati\] api_versions cannot be used")
            for name in ("Foo", "foo", "foo/v1/", "foo.example/Box", "v1/pod", "V1")
        ),
        ("", {"GATI_API_VERSIONS": "box.example/v1,Box"}, {}, "^GATI_API_VERSIONS cannot be used"),
        ("skip_kinds = ['v1 Box']\n", {}, {}, r"\[tool.gati\] skip_kinds cannot be used"),
        ("[tool.gati.for.'elsewhere']\nskip_kinds = ['Box: why']\n", {}, {}, "skip_kinds cannot be used"),
        ("crd_modules = ['a.example/b@v1.0.0:crds']\n", {}, {}, r"\[tool.gati\] crd_modules cannot be used"),
        ("images = 'maybe'\n", {}, {}, r"\[tool.gati\] images has an unknown value"),
        ('dist = "a\\u0000"\n', {}, {}, r"\[tool.gati\] dist has the wrong type"),
        ('charts = ["a\\u0000"]\n', {}, {}, r"\[tool.gati\] charts has the wrong type"),
        ('chart = "a\\u0000"\n', {}, {}, r"\[tool.gati\] chart has the wrong type"),
        *((f"http_port = {port}\n", {}, {}, r"http_port is not usable") for port in ("80.5", "inf", "nan", "true")),
        ("", {"GATI_PLAIN_HTTP": "perhaps"}, {}, "GATI_PLAIN_HTTP has the wrong type"),
        ("", {"GATI_HTTP_PORT": "many"}, {}, "GATI_HTTP_PORT is not usable"),
        ("", {}, {"plain_http": "perhaps"}, "--plain-http has the wrong type"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, table: str, environ: dict[str, str], flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(project(tmp_path, table), environ=environ, **flags)
    assert caught.value.expected
    assert "tuple" not in caught.value.expected


def test_a_broken_pyproject_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)pyproject.toml is not valid TOML.*line 2"):
        load_config(project(tmp_path, "chart = \n"), environ={})
    sides = "<<<<<<< HEAD\nchart = 'a'\n=======\nchart = 'b'\n>>>>>>> theirs\n"
    with pytest.raises(ConfigError, match=r"pyproject.toml:\d+: git's conflict markers"):
        load_config(project(tmp_path, sides), environ={})
    for text in ("[tool]\ngati = 1\n", "tool = 3\n", "[[tool]]\n"):
        (tmp_path / "pyproject.toml").write_text(text)
        with pytest.raises(ConfigError, match="must be a table"):
            load_config(tmp_path, environ={})
    for endless in (f"http_port = {'9' * 5000}\n", f"e2e = {'[' * 5000}\n"):
        with pytest.raises(ConfigError, match="is not valid TOML"):
            load_config(project(tmp_path, endless), environ={})


def test_a_file_beside_the_chart_is_read_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    file = folder / "gati.toml"
    file.write_text("http_port = 1\n", encoding="utf-8-sig")
    assert load_config(tmp_path, environ={}, chart=folder).http_port == 1
    for text, told in (("http_port = 'x'\n", "http_port is not usable"), ("http = 1\n", "has no key")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=rf"demo/gati.toml: \[tool.gati\] {told}"):
            load_config(tmp_path, environ={}, chart=folder)
    file.write_text("[tool.gati]\nhttp_port = 1\n")
    with pytest.raises(ConfigError, match="has no key 'tool'") as caught:
        load_config(tmp_path, environ={}, chart=folder)
    assert caught.value.run == "leave out the heading [tool.gati]"
    file.unlink()
    file.symlink_to("nowhere")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(tmp_path, environ={}, chart=folder)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, environ={}, chart=folder)


def test_files_that_are_named_begin_at_the_project_or_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "pyproject.toml").write_text('[tool.gati]\nregistry_ca = "ca/own.pem"\nca_bundle = "~/all.pem"\n')
    config = load_config(tmp_path, environ={"GATI_REGISTRY_CERT": "mine.pem"})
    assert config.registry_ca == str(tmp_path / "ca" / "own.pem")
    assert config.registry_cert == str(tmp_path / "mine.pem")
    assert config.ca_bundle == str(tmp_path / "home" / "all.pem")
    assert config.registry_key == ""
    (tmp_path / "pyproject.toml").write_text('[tool.gati]\nchart = "~/chart"\n')
    assert load_config(tmp_path, environ={}).chart == tmp_path / "home" / "chart"


@pytest.mark.parametrize("name", ["signing_key", "registry_key", "registry_ca"])
def test_a_key_in_the_place_of_its_file_is_refused_and_not_told(name: str, tmp_path: Path) -> None:
    """As one gets it who names the variable that holds the key without the env:// before it."""
    content = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n"
    for given in ({"environ": {f"GATI_{name.upper()}": content}}, {"environ": {}, name: content}):
        with pytest.raises(ConfigError, match="holds a key or a certificate itself") as told:
            load_config(tmp_path, **given)
        assert "c2VjcmV0" not in f"{told.value} {told.value.found} {told.value.run}"
        assert ("env://NAME" in str(told.value.expected)) is (name == "signing_key")


@pytest.mark.parametrize(
    "address",
    [
        "oci://me:hunter2@host/charts",
        "oci://hunter2@host",
        "https://a:hunter2@host",
        "oci://a:hun/hunter2@host/x",
        "a:hunter2@host/x",
        "oci://a:hunter2%40host/x",
        "oci://host/x?token=hunter2",
        "oci://host/x#hunter2",
    ],
)
def test_a_login_in_the_registrys_address_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="holds a login") as caught:
        load_config(tmp_path, environ={"GATI_REGISTRY": address})
    assert "hunter2" not in str(caught.value)


def test_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(ConfigError, match="set GATI_CACHE_DIR"):
        load_config(tmp_path, environ={})
    assert load_config(tmp_path, environ={"GATI_CACHE_DIR": "cache"}).cache_dir == tmp_path / "cache"


def test_a_project_elsewhere_has_its_changelog_beside_its_own_file(tmp_path: Path) -> None:
    elsewhere = project(tmp_path / "elsewhere", 'chart = "c"\n')
    (elsewhere / "c").mkdir()
    config = load_config(project(tmp_path / "toolkit", ""), environ={}, chart=elsewhere / "c")
    assert (config.project, config.changelog) == (elsewhere, elsewhere / "CHANGELOG.md")


@pytest.mark.parametrize(
    ("name", "expected"), [("GATI_REGISTRI", "GATI_REGISTRY"), ("GATI_", "GATI_"), ("GATI_NOPE", "GATI_CHART")]
)
def test_a_variable_that_means_nothing_is_refused(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=f"the environment sets {name}, which means nothing") as told:
        load_config(project(tmp_path, ""), environ={name: "x", "GATI_REGISTRY_PASSWORD": "x", "GATI_BIND": "x"})
    assert told.value.expected is not None
    assert expected in told.value.expected
    assert told.value.run == f"unset {name}"


@pytest.mark.parametrize(
    ("ci", "registry", "refused"),
    [
        ("true", "", True),
        ("1", "", True),
        ("woodpecker", "", True),
        ("false", "", False),
        ("No", "", False),
        ("", "", False),
        ("true", "embedded", False),
        ("true", "oci://x/y", False),
    ],
)
def test_a_ci_job_publishes_to_nowhere_only_on_purpose(tmp_path: Path, ci: str, registry: str, refused: bool) -> None:
    config = load_config(project(tmp_path, ""), environ={"GATI_REGISTRY": registry})
    assert config.registry == registry.removeprefix("embedded")
    with pytest.raises(ConfigError, match="no registry is configured") if refused else contextlib.nullcontext():
        demand_registry(config, {"CI": ci})
