"""Search for studies, series and instances (QIDO-RS, PS3.18 10.6)."""

from __future__ import annotations

from flask import Response, request

from service.core.search import Level, SearchPage, SearchQuery
from service.web.dicomweb.answers import answer_empty, answer_json, answer_multipart, finish
from service.web.dicomweb.metadata_forms import DICOM_XML, choose_metadata_form, xml_part
from service.web.dicomweb.qido_fields import ResultFields
from service.web.dicomweb.qido_parameters import parse_search
from service.web.dicomweb.resources import Resources, check_uids
from service.web.dicomweb.services import DicomWebServices


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
        form = choose_metadata_form(request)  # refused before anything is looked up
        self._resources.check_project(resource.project)
        check_uids(resource.study_uid, resource.series_uid)
        search = self._services.search
        parameters = request.args.items(multi=True)
        asked = parse_search(resource, parameters, self._services.page_limit, search.added_keys)
        fields = ResultFields(asked, levels)
        page = search.search(fields.query)
        warnings = [*asked.warnings, *_rest(page)]
        if not page.found:
            return answer_empty(warnings=warnings)
        root = self._services.links.service_root(request, resource.project)
        if form.is_xml:
            parts = [xml_part(fields.result(found, root), fields.address(found, root)) for found in page.found]
            return finish(answer_multipart(parts, DICOM_XML, self._services.boundary()), warnings)
        return answer_json(request, [fields.result(found, root) for found in page.found], warnings=warnings)


def _rest(page: SearchPage) -> list[str]:
    """What is said of the results behind this page, in the standard's words (PS3.18 8.3.4.4)."""
    if not page.remaining:
        return []
    count = f"more than {page.remaining}" if page.and_more else str(page.remaining)
    return [f"There are {count} additional results that can be requested"]
