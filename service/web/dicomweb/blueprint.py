"""The addresses of DICOMweb; registered once at ``/dicom-web`` and once below each project."""

from __future__ import annotations

from flask import Blueprint

from service.web.dicomweb.bulk_views import BulkViews
from service.web.dicomweb.frame_reader import FrameLayouts
from service.web.dicomweb.metadata_views import MetadataViews
from service.web.dicomweb.pixel_views import PixelViews
from service.web.dicomweb.qido import SearchViews
from service.web.dicomweb.real_dates import keep_real_dates
from service.web.dicomweb.rendered_views import RenderedViews
from service.web.dicomweb.resources import Resources
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.stow import StoreViews
from service.web.dicomweb.wado import RetrieveViews
from service.web.dicomweb.whole_object import ObjectFiles
from service.web.problems import register_problem_handlers

_STUDY = "/studies/<study_uid>"
_SERIES = f"{_STUDY}/series/<series_uid>"
_INSTANCE = f"{_SERIES}/instances/<sop_instance_uid>"
_FRAMES = f"{_INSTANCE}/frames/<frames>"


def dicomweb_blueprint(services: DicomWebServices) -> Blueprint:
    """Build the blueprint; each view takes ``project``, from the address or from ``url_defaults``."""
    blueprint = Blueprint("dicomweb", __name__)
    resources = Resources(services.index, services.projects, services.trash)
    layouts = FrameLayouts()
    register_problem_handlers(blueprint)
    keep_real_dates(blueprint, services.deidentified)
    _add_search(blueprint, SearchViews(services, resources))
    _add_retrieve(
        blueprint,
        RetrieveViews(services, resources, ObjectFiles(services.blobs, layouts)),
        MetadataViews(services, resources),
    )
    _add_pixels(blueprint, PixelViews(services, resources, layouts))
    _add_bulk(blueprint, BulkViews(services, resources, layouts))
    _add_rendered(blueprint, RenderedViews(services, resources, layouts))
    store = StoreViews(services, resources)
    blueprint.add_url_rule("/studies", "store", store.store, methods=["POST"])
    blueprint.add_url_rule(_STUDY, "store_in_study", store.store, methods=["POST"])
    return blueprint


def _add_search(blueprint: Blueprint, views: SearchViews) -> None:
    blueprint.add_url_rule("/studies", "search_studies", views.studies)
    blueprint.add_url_rule("/series", "search_series", views.series)
    blueprint.add_url_rule(f"{_STUDY}/series", "search_series_of_study", views.series)
    blueprint.add_url_rule("/instances", "search_instances", views.instances)
    blueprint.add_url_rule(f"{_STUDY}/instances", "search_instances_of_study", views.instances)
    blueprint.add_url_rule(f"{_SERIES}/instances", "search_instances_of_series", views.instances)


def _add_retrieve(blueprint: Blueprint, views: RetrieveViews, metadata: MetadataViews) -> None:
    for name, address in (("study", _STUDY), ("series", _SERIES), ("instance", _INSTANCE)):
        blueprint.add_url_rule(address, f"retrieve_{name}", views.instances)
        blueprint.add_url_rule(f"{address}/metadata", f"retrieve_{name}_metadata", metadata.metadata)


def _add_pixels(blueprint: Blueprint, views: PixelViews) -> None:
    blueprint.add_url_rule(_FRAMES, "retrieve_frames", views.frames)


def _add_bulk(blueprint: Blueprint, views: BulkViews) -> None:
    blueprint.add_url_rule(f"{_INSTANCE}/bulkdata/<path:path>", "retrieve_bulk_data", views.value)
    for name, address in (("study", _STUDY), ("series", _SERIES), ("instance", _INSTANCE)):
        blueprint.add_url_rule(f"{address}/bulkdata", f"retrieve_{name}_bulk_data", views.bulk_data)
        blueprint.add_url_rule(f"{address}/pixeldata", f"retrieve_{name}_pixel_data", views.pixel_data)


def _add_rendered(blueprint: Blueprint, views: RenderedViews) -> None:
    for name, address in (("study", _STUDY), ("series", _SERIES), ("instance", _INSTANCE)):
        blueprint.add_url_rule(f"{address}/rendered", f"render_{name}", views.instances)
        blueprint.add_url_rule(f"{address}/thumbnail", f"render_{name}_thumbnail", views.thumbnail)
    blueprint.add_url_rule(f"{_FRAMES}/rendered", "render_frames", views.frames)
    blueprint.add_url_rule(f"{_FRAMES}/thumbnail", "render_frames_thumbnail", views.frames_thumbnail)
