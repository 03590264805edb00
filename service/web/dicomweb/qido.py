"""Search for studies, series and instances (QIDO-RS, PS3.18 10.6)."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from service.core.search import Attributes, Found, Level, SearchQuery
from service.web.dicomweb.answers import answer_empty, answer_json, json_media_type
from service.web.dicomweb.qido_parameters import SearchRequest, parse_search
from service.web.dicomweb.resources import Resources, check_uids
from service.web.dicomweb.services import DicomWebServices

# Attributes that every result of a level has, empty where nothing is known (PS3.18 Tables 10.6.3-3 to -5).
_REQUIRED: Final = {
    Level.STUDY: {
        "00080020": "DA",
        "00080030": "TM",
        "00080050": "SH",
        "00080061": "CS",
        "00080090": "PN",
        "00100010": "PN",
        "00100020": "LO",
        "00100030": "DA",
        "00100040": "CS",
        "0020000D": "UI",
        "00200010": "SH",
        "00201206": "IS",
        "00201208": "IS",
    },
    Level.SERIES: {"00080060": "CS", "0020000E": "UI", "00200011": "IS", "00201209": "IS"},
    Level.INSTANCE: {"00080016": "UI", "00080018": "UI", "00200013": "IS"},
}
# Attributes that come along when they are known; the descriptions are what every list shows.
_WHEN_KNOWN: Final = {
    Level.STUDY: ("00080201", "00081030"),
    Level.SERIES: ("00080201", "0008103E", "00400244", "00400245", "00400275"),
    Level.INSTANCE: ("00080201", "00083002", "00280008", "00280010", "00280011", "00280100"),
}
_STUDY_COUNTS: Final = frozenset({"00080061", "00201206", "00201208"})
_SERIES_COUNTS: Final = frozenset({"00201209"})
# What a result knows without reading the metadata of its instance.
_INDEXED: Final = frozenset(
    {tag for level in _REQUIRED.values() for tag in level} | {tag for tags in _WHEN_KNOWN.values() for tag in tags}
)
_RETRIEVE_URL: Final = "00081190"


class SearchViews:
    """The search resources."""

    def __init__(self, services: DicomWebServices, resources: Resources) -> None:
        self._services = services
        self._resources = resources

    def studies(self, project: str) -> Response:
        """``GET /studies``."""
        return self._search(SearchQuery(project, Level.STUDY), (Level.STUDY,))

    def series(self, project: str, study_uid: str = "") -> Response:
        """``GET /series`` and ``GET /studies/{study}/series``."""
        levels = (Level.SERIES,) if study_uid else (Level.STUDY, Level.SERIES)
        return self._search(SearchQuery(project, Level.SERIES, study_uid), levels)

    def instances(self, project: str, study_uid: str = "", series_uid: str = "") -> Response:
        """``GET /instances`` and below a study or a series."""
        levels: tuple[Level, ...] = (Level.INSTANCE,)
        if not series_uid:
            levels = (Level.SERIES, *levels)
        if not study_uid:
            levels = (Level.STUDY, *levels)
        return self._search(SearchQuery(project, Level.INSTANCE, study_uid, series_uid), levels)

    def _search(self, resource: SearchQuery, levels: tuple[Level, ...]) -> Response:
        json_media_type(request)  # refused before anything is looked up
        self._resources.check_project(resource.project)
        check_uids(resource.study_uid, resource.series_uid)
        search = parse_search(resource, request.args.items(multi=True), self._services.page_limit)
        wanted = _Wanted(search, levels)
        page = self._services.search.search(wanted.query)
        warnings = list(search.warnings)
        if page.remaining > 0:
            warnings.append(f"There are {page.remaining} additional results that can be requested")
        if not page.found:
            return answer_empty(warnings=warnings)
        root = self._services.links.service_root(request, resource.project)
        return answer_json(request, [wanted.result(found, root) for found in page.found], warnings=warnings)


class _Wanted:
    """Which attributes a search returns."""

    def __init__(self, search: SearchRequest, levels: tuple[Level, ...]) -> None:
        self._search = search
        self._level = search.query.level
        self._required: dict[str, str] = {}
        self._tags = set(search.included)
        for level in levels:
            self._required |= _REQUIRED[level]
            self._tags |= {*_REQUIRED[level], *_WHEN_KNOWN[level]}
        if self._level >= Level.SERIES:
            self._required["0020000D"] = "UI"
        if self._level is Level.INSTANCE:
            self._required["0020000E"] = "UI"

    @property
    def query(self) -> SearchQuery:
        """The search, with what has to be read for these attributes."""
        everything = self._search.include_all
        query = self._search.query
        return SearchQuery(
            project=query.project,
            level=query.level,
            study_uid=query.study_uid,
            series_uid=query.series_uid,
            matches=query.matches,
            limit=query.limit,
            offset=query.offset,
            with_study_counts=everything or bool(self._tags & _STUDY_COUNTS),
            with_series_counts=everything or bool(self._tags & _SERIES_COUNTS),
            with_metadata=everything or bool(self._tags - _INDEXED),
        )

    def result(self, found: Found, root: str) -> Attributes:
        """One result as DICOM JSON, by ascending tag."""
        known = found.attributes
        attributes: dict[str, Any] = {tag: {"vr": vr} for tag, vr in self._required.items()}
        attributes |= {tag: known[tag] for tag in (known if self._search.include_all else self._tags & known.keys())}
        attributes["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
        attributes["0020000D"] = {"vr": "UI", "Value": [found.study_uid]}
        url = f"{root}/studies/{found.study_uid}"
        if self._level >= Level.SERIES:
            attributes["0020000E"] = {"vr": "UI", "Value": [found.series_uid]}
            url += f"/series/{found.series_uid}"
        if self._level is Level.INSTANCE:
            url += f"/instances/{found.sop_instance_uid}"
        if self._level in (Level.STUDY, Level.INSTANCE):
            attributes["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
        attributes[_RETRIEVE_URL] = {"vr": "UR", "Value": [url]}
        return dict(sorted(attributes.items()))
