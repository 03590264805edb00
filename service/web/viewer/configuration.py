"""OHIF's configuration: what ``config/viewer/ohif.toml`` says, with one data source for each project in sight."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from service.errors import SettingsInvalid

_DATA_SOURCE = "@ohif/extension-default.dataSourcesModule.dicomweb"
_ROOTS = ("qidoRoot", "wadoRoot", "wadoUriRoot")

# The addresses are made absolute in the browser: OHIF compares them with those of bulk data, and the gateway need not
# know under which name it is reached.
_SCRIPT = """// Written by the gateway for whoever asked; see config/viewer/ohif.toml.
window.config = {config};
for (const source of window.config.dataSources) {{
  for (const root of {roots}) {{
    source.configuration[root] = new URL(source.configuration[root], window.location.origin).href;
  }}
}}
// OHIF calls it without asking whether it is there.
window.config.httpErrorHandler = error => console.warn("request failed", error.status);
"""


@dataclass(frozen=True, slots=True)
class ViewerSettings:
    """What every viewer and every data source is told.

    Parameters
    ----------
    app : OHIF's own keys
    data_source : the configuration that each project's data source begins with
    """

    app: Mapping[str, Any]
    data_source: Mapping[str, Any]

    @classmethod
    def load(cls, directory: Path) -> ViewerSettings:
        """Read ``ohif.toml`` of ``config/viewer/``.

        Raises
        ------
        SettingsInvalid : it is absent, is no TOML, or holds another section than these two
        """
        file = directory / "ohif.toml"
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsInvalid(f"{file}: {error}") from error
        if unknown := sorted(set(tree) - {"app", "data_source"}):
            raise SettingsInvalid(f"{file}: there is no section [{unknown[0]}]; there are [app] and [data_source]")
        return cls(tree.get("app", {}), tree.get("data_source", {}))


def dicomweb_path(project: str, default_project: str) -> str:
    """Where a project's DICOMweb service lies."""
    return "/dicom-web" if project == default_project else f"/projects/{quote(project)}/dicom-web"


def study_path(project: str, study_uid: str) -> str:
    """The address that opens a study of a project in the viewer."""
    return f"/viewer/viewer/{quote(project)}?{urlencode({'StudyInstanceUIDs': study_uid})}"


def study_list_path(project: str) -> str:
    """The address of the viewer's own list of a project's studies."""
    return f"/viewer/?{urlencode({'datasources': project})}"


def app_config(settings: ViewerSettings, projects: Sequence[str], default_project: str) -> str:
    """The script that OHIF loads as ``/app-config.js``.

    ``projects`` are those that the user may see; the default project is shown first where it is among them.
    """
    ordered = sorted(projects, key=lambda name: (name != default_project, name))
    config = {
        **settings.app,
        "name": "annogate",
        "routerBasename": "/viewer",
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "defaultDataSourceName": ordered[0] if ordered else "",
        "dataSources": [_data_source(settings, name, default_project) for name in ordered],
    }
    # As JSON within a script: nothing that ends the script element or a JavaScript line.
    text = (
        json.dumps(config, indent=2).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
    return _SCRIPT.format(config=text, roots=json.dumps(list(_ROOTS)))


def _data_source(settings: ViewerSettings, project: str, default_project: str) -> dict[str, Any]:
    root = dicomweb_path(project, default_project)
    return {
        "namespace": _DATA_SOURCE,
        "sourceName": project,
        "configuration": {
            "friendlyName": f"Annogate, project {project}",
            "name": project,
            **settings.data_source,
            **dict.fromkeys(_ROOTS, root),
        },
    }
