"""Which files of the unpacked viewer are served, and what its configuration says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.errors import SettingsInvalid
from service.web.viewer.configuration import ViewerSettings, app_config, dicomweb_path, study_path
from service.web.viewer.distribution import ViewerDistribution

CONFIG = Path(__file__).resolve().parents[2] / "config" / "viewer"


def configuration(projects: list[str], settings: ViewerSettings | None = None) -> dict:
    """The object that the generated script assigns."""
    script = app_config(settings or ViewerSettings.load(CONFIG), projects, "default")
    text = script.split("window.config = ", 1)[1].split(";\nfor (const source", 1)[0]
    return dict(json.loads(text))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A viewer in small."""
    names = ["app.bundle.0123456789abcdef.js", "app.bundle.0123456789abcdef.js.gz", "app.bundle.css", "sw.js"]
    names += ["assets/favicon.ico", "0123456789abcdef.wasm", "x.js.map", "_headers", ".hidden/y.js", "app-config.js"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "index.html").write_text('<script src="/a.js"></script><script>window.PUBLIC_URL="/"</script>')
    return tmp_path


def test_directory_without_pages_is_no_viewer(tmp_path: Path) -> None:
    assert ViewerDistribution.find(tmp_path) is None


def test_assets_are_served_and_deployment_files_are_not(directory: Path) -> None:
    assert ViewerDistribution(directory).names == {
        "app.bundle.0123456789abcdef.js",
        "app.bundle.css",
        "assets/favicon.ico",
        "0123456789abcdef.wasm",
    }


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("app.bundle.0123456789abcdef.js", "text/javascript; charset=utf-8"),
        ("0123456789abcdef.wasm", "application/wasm"),
        ("app.bundle.css", "text/css; charset=utf-8"),
    ],
)
def test_asset_has_the_media_type_that_browsers_ask_for(directory: Path, name: str, media_type: str) -> None:
    assert ViewerDistribution(directory).asset(name).media_type == media_type


@pytest.mark.parametrize(("name", "immutable"), [("0123456789abcdef.wasm", True), ("app.bundle.css", False)])
def test_only_hashed_names_are_immutable(directory: Path, name: str, immutable: bool) -> None:
    assert ViewerDistribution(directory).asset(name).immutable is immutable


def test_compressed_copy_is_found(directory: Path) -> None:
    asset = ViewerDistribution(directory).asset("app.bundle.0123456789abcdef.js")
    assert asset.compressed == directory / "app.bundle.0123456789abcdef.js.gz"


def test_inline_script_is_named_by_its_hash(directory: Path) -> None:
    # printf 'window.PUBLIC_URL="/"' | openssl dgst -sha256 -binary | base64
    assert ViewerDistribution(directory).inline_script_hashes() == [
        "'sha256-iDPt/Ua3DNNwIdzDqulCGYDYPv58ixnA75eez8NxOJg='"
    ]


def test_each_project_is_a_data_source() -> None:
    sources = configuration(["research", "default"])["dataSources"]
    assert [source["sourceName"] for source in sources] == ["default", "research"]


def test_data_source_lies_at_this_origin() -> None:
    (source,) = configuration(["research"])["dataSources"]
    roots = {source["configuration"][root] for root in ("qidoRoot", "wadoRoot", "wadoUriRoot")}
    assert roots == {"/projects/research/dicom-web"}


def test_default_project_comes_first_where_it_may_be_seen() -> None:
    assert configuration(["a", "default"])["defaultDataSourceName"] == "default"


def test_another_project_comes_first_where_the_default_is_not_granted() -> None:
    assert configuration(["b", "a"])["defaultDataSourceName"] == "a"


def test_no_project_gives_no_data_source() -> None:
    assert configuration([])["dataSources"] == []


def test_pages_lie_below_viewer() -> None:
    assert configuration(["default"])["routerBasename"] == "/viewer"


@pytest.mark.parametrize("key", ["dangerouslyUseDynamicConfig"])
def test_configuration_from_the_query_string_is_off(key: str) -> None:
    assert configuration(["default"])[key] == {"enabled": False}


def test_no_address_of_another_host_is_configured() -> None:
    assert "://" not in json.dumps(configuration(["default"]))


def test_configuration_cannot_end_the_script() -> None:
    settings = ViewerSettings({"title": "</script><script>"}, {})
    assert "</script>" not in app_config(settings, ["default"], "default")


def test_unknown_section_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ohif.toml").write_text("[data_sources]\n")
    with pytest.raises(SettingsInvalid, match=r"\[data_sources\]"):
        ViewerSettings.load(tmp_path)


def test_absent_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"ohif\.toml"):
        ViewerSettings.load(tmp_path)


@pytest.mark.parametrize(("project", "path"), [("default", "/dicom-web"), ("research", "/projects/research/dicom-web")])
def test_dicomweb_lies_where_the_contract_says(project: str, path: str) -> None:
    assert dicomweb_path(project, "default") == path


def test_study_opens_in_the_viewer_of_its_project() -> None:
    assert study_path("research", "1.2.3") == "/viewer/viewer/research?StudyInstanceUIDs=1.2.3"
