"""The web edge as one application: what is handed in goes to the parts, and one guard stands before all of them."""

from __future__ import annotations

import re
from dataclasses import replace

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from dicom_nodes.errors import GatewayError
from service.errors import BadRequest
from service.web.api.views import api_blueprint
from service.web.auth import Authenticator
from service.web.caller_view import seen_by_callers
from service.web.cors import CrossOrigin
from service.web.dashboard.views import dashboard_blueprint, error_page
from service.web.dicomweb.blueprint import dicomweb_blueprint
from service.web.dicomweb.capabilities import capabilities_blueprint
from service.web.dicomweb.ups_blueprint import ups_blueprint
from service.web.dicomweb.wado_uri import wado_uri_blueprint
from service.web.forms import FormSigns
from service.web.guard import Guard, audit_target, present_caller
from service.web.headers import register_headers
from service.web.health import health_blueprint
from service.web.metrics import GatewayCollector, metrics_blueprint
from service.web.problems import answer_gateway_error, answer_http_exception, answer_unexpected
from service.web.route_table import (
    CAPABILITIES_BLUEPRINTS,
    DICOMWEB_BLUEPRINTS,
    WADO_URI_BLUEPRINTS,
    WORKLIST_BLUEPRINTS,
    is_open_to_viewers,
)
from service.web.scope import visible_projects
from service.web.services import WebServices
from service.web.throttle import LoginThrottle
from service.web.viewer.distribution import ViewerDistribution
from service.web.viewer.views import Viewer, register_viewer

_PAGES = {"dashboard", "viewer"}
_FORM_LIMIT_BYTES = 1 << 20
# Below these addresses programs call: what is not there is told to them in their own form, even to one in a browser.
_OF_PROGRAMS = re.compile(r"(/projects/[^/]*)?/(dicom-web|wado)(/|$)|/(api|health|metrics)(/|$)")
_DEFAULT_DICOMWEB, _PROJECT_DICOMWEB = DICOMWEB_BLUEPRINTS
_DEFAULT_CAPABILITIES, _PROJECT_CAPABILITIES = CAPABILITIES_BLUEPRINTS
_DEFAULT_WORKLIST, _PROJECT_WORKLIST = WORKLIST_BLUEPRINTS
_DEFAULT_WADO_URI, _PROJECT_WADO_URI = WADO_URI_BLUEPRINTS


def create_app(services: WebServices) -> Flask:
    """Build the application; it opens and starts nothing."""
    services = seen_by_callers(services)
    app = Flask("service.web", static_folder=None, template_folder="templates")
    # Only routes that the table names exist; Flask would answer OPTIONS everywhere by itself, hence static comes after.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.static_folder = "static"
    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=app.send_static_file)
    app.config["MAX_FORM_MEMORY_SIZE"] = _FORM_LIMIT_BYTES
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    of_dicomweb = frozenset((*DICOMWEB_BLUEPRINTS, *WORKLIST_BLUEPRINTS, *CAPABILITIES_BLUEPRINTS))
    CrossOrigin(services.cors_origins, is_open_to_viewers).register(app)
    distribution = ViewerDistribution.find(services.viewer_directory)
    register_headers(
        app,
        viewer_inline_scripts=distribution.inline_script_hashes() if distribution else [],
        data_blueprints=of_dicomweb | {*WADO_URI_BLUEPRINTS},
    )
    _guard(services).register(app)
    app.before_request(_refuse_nul)
    _register_errors(app)
    _register_parts(app, services, viewer_installed=distribution is not None)
    viewer = Viewer(
        distribution,
        services.viewer_settings,
        services.default_project,
        lambda: visible_projects(services, present_caller()),
    )
    register_viewer(app, viewer)
    if services.trusted_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    return app


def _refuse_nul() -> None:
    """Refuse an address with a NUL character in it (RFC 3986 7.3); the index in PostgreSQL could not look for it.

    Raises
    ------
    BadRequest : there is one
    """
    texts = (request.path, *(text for pair in request.args.items(multi=True) for text in pair))
    if any("\0" in text for text in texts):
        raise BadRequest("an address holds no NUL character")


def _guard(services: WebServices) -> Guard:
    throttle = LoginThrottle(services.monotonic)
    return Guard(
        authenticator=Authenticator(
            services.accounts,
            services.passwords,
            throttle,
            services.audit.record,
            services.listens_on_loopback,
        ),
        projects=frozenset(services.projects),
        default_project=services.default_project,
        project_blueprints=frozenset({_DEFAULT_DICOMWEB, _DEFAULT_WORKLIST, _DEFAULT_WADO_URI, _DEFAULT_CAPABILITIES}),
        record_access=services.accesses.record,
        record_decision=services.audit.record,
        holds=lambda project, study_uid: services.instances.study(project, study_uid) is not None,
    )


def _register_parts(app: Flask, services: WebServices, *, viewer_installed: bool) -> None:
    dicomweb = dicomweb_blueprint(replace(services.dicomweb, note=audit_target))
    app.register_blueprint(
        dicomweb,
        name=_DEFAULT_DICOMWEB,
        url_prefix="/dicom-web",
        url_defaults={"project": services.default_project},
    )
    app.register_blueprint(dicomweb, name=_PROJECT_DICOMWEB, url_prefix="/projects/<project>/dicom-web")
    worklist = ups_blueprint(replace(services.dicomweb, note=audit_target), services.worklist)
    app.register_blueprint(
        worklist, name=_DEFAULT_WORKLIST, url_prefix="/dicom-web", url_defaults={"project": services.default_project}
    )
    app.register_blueprint(worklist, name=_PROJECT_WORKLIST, url_prefix="/projects/<project>/dicom-web")
    capabilities = capabilities_blueprint(services.dicomweb)  # behind what it tells of
    app.register_blueprint(capabilities, name=_DEFAULT_CAPABILITIES, url_prefix="/dicom-web")
    app.register_blueprint(capabilities, name=_PROJECT_CAPABILITIES, url_prefix="/projects/<project>/dicom-web")
    wado_uri = wado_uri_blueprint(replace(services.dicomweb, note=audit_target))
    app.register_blueprint(
        wado_uri, name=_DEFAULT_WADO_URI, url_prefix="/wado", url_defaults={"project": services.default_project}
    )
    app.register_blueprint(wado_uri, name=_PROJECT_WADO_URI, url_prefix="/projects/<project>/wado")
    app.register_blueprint(health_blueprint(services.pings))
    collector = GatewayCollector(services.version, services.overview, services.audit, services.outbox, services.clock)
    app.register_blueprint(metrics_blueprint(collector))
    app.register_blueprint(api_blueprint(services))
    signs = FormSigns(services.form_key, services.clock)
    app.register_blueprint(dashboard_blueprint(services, signs, viewer_installed=viewer_installed))


def _wants_page() -> bool:
    """Whether a person reads the answer: on our pages, or at no address that there is, with a browser."""
    if request.blueprint is not None:
        return request.blueprint in _PAGES
    if _OF_PROGRAMS.match(request.path):
        return False
    return request.accept_mimetypes.best_match(["application/problem+json", "text/html"]) == "text/html"


def _register_errors(app: Flask) -> None:
    @app.errorhandler(GatewayError)
    def gateway_error(error: GatewayError) -> Response:
        answer = answer_gateway_error(error)
        return _as_page(answer, str(error)) if _wants_page() else answer

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        answer = answer_http_exception(error)
        if isinstance(answer, HTTPException) or not _wants_page():
            return answer
        return _as_page(answer, _WORDS.get(error.code or 500, error.name))

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        answer = answer_unexpected(error)
        words = "Something went wrong here. The log of the gateway says where."
        return _as_page(answer, words) if _wants_page() else answer


_WORDS = {404: "There is nothing at this address", 405: "This address does not take that"}


def _as_page(answer: Response, words: str) -> Response:
    """The same answer for a person: its status and headers, the words on a page."""
    page = error_page(answer.status_code, words)
    for name, value in answer.headers.items():
        if name not in ("Content-Type", "Content-Length", "Cache-Control"):
            page.headers[name] = value
    return page
