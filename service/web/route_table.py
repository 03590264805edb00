"""Who may call what: one row for each endpoint and method, and nothing for anybody where there is none.

The guard asks this table before any view runs, and a test walks the application's routes: one that is not here fails
it. ``action`` is the word under which the audit trail lists the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from service.core.access import Role

_A, _L, _R, _I, _U = Role.ADMIN, Role.LEAD, Role.READER, Role.INTEGRATOR, Role.AUDITOR
EVERYBODY_KNOWN = frozenset(Role)
NOBODY: frozenset[Role] = frozenset()
IMAGES = frozenset({_A, _L, _R, _I})
VIEWERS = frozenset({_A, _L, _R})
DECIDERS = frozenset({_A, _L})
OPERATORS = frozenset({_A, _L, _I, _U})
PULLERS = frozenset({_A, _L, _I})
AUDITORS = frozenset({_A, _U})
ADMINISTRATORS = frozenset({_A})


class Record(Enum):
    """How a call that was let through is written to the audit trail."""

    ACCESS = "access"
    """Queued and written in batches."""
    DECISION = "decision"
    """On disk before it is answered."""
    ELSEWHERE = "elsewhere"
    """By the use case itself, since other edges call it too."""
    NONE = "none"
    """Not at all: it shows nothing of anybody (health, counts, assets). Refused calls are recorded even so."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is granted for one method of one endpoint.

    Parameters
    ----------
    public : needs no login; only what shows nothing of the data
    every_project : only for a grant that is not limited to single projects
    proves_uids : whether an answer without an error shows that every UID in the address is held here
    """

    roles: frozenset[Role]
    action: str
    record: Record = Record.ACCESS
    public: bool = False
    every_project: bool = False
    proves_uids: bool = True


def _public(action: str) -> Row:
    return Row(NOBODY, action, Record.NONE, public=True)


def _decision(roles: frozenset[Role], action: str, *, every_project: bool = False) -> Row:
    return Row(roles, action, Record.DECISION, every_project=every_project)


_PAGES: dict[tuple[str, str], Row] = {
    ("static", "GET"): _public("static"),
    ("health.live", "GET"): _public("health"),
    ("health.ready", "GET"): _public("health"),
    ("metrics.metrics", "GET"): Row(OPERATORS, "metrics.read", Record.NONE),
    ("dashboard.studies", "GET"): Row(EVERYBODY_KNOWN, "study.list"),
    ("dashboard.study", "GET"): Row(EVERYBODY_KNOWN, "study.show"),
    ("dashboard.versions", "GET"): Row(VIEWERS, "annotation.list"),
    ("dashboard.comparison", "GET"): Row(VIEWERS, "annotation.compare"),
    ("dashboard.restore_version", "POST"): Row(VIEWERS, "annotation.restore", Record.ELSEWHERE),
    ("dashboard.quarantine", "GET"): Row(OPERATORS, "quarantine.list"),
    # The picture is what the person with the right decides on: it may show who the patient is.
    ("dashboard.pixels", "GET"): Row(DECIDERS, "quarantine.show"),
    ("dashboard.picture", "GET"): _decision(DECIDERS, "quarantine.look"),
    ("dashboard.release_seen", "POST"): Row(DECIDERS, "quarantine.release", Record.ELSEWHERE),
    ("dashboard.release_cut", "POST"): Row(DECIDERS, "quarantine.release", Record.ELSEWHERE),
    ("dashboard.release", "POST"): Row(DECIDERS, "quarantine.release", Record.ELSEWHERE),
    ("dashboard.discard", "POST"): Row(DECIDERS, "quarantine.discard", Record.ELSEWHERE),
    ("dashboard.results", "GET"): Row(EVERYBODY_KNOWN, "result.list"),
    ("dashboard.release_result", "POST"): Row(DECIDERS, "result.release", Record.ELSEWHERE),
    ("dashboard.reject_result", "POST"): Row(DECIDERS, "result.reject", Record.ELSEWHERE),
    ("dashboard.recall_result", "POST"): Row(DECIDERS, "result.recall", Record.ELSEWHERE),
    ("dashboard.rejections", "GET"): Row(EVERYBODY_KNOWN, "rejection.list"),
    ("dashboard.restore_rejected", "POST"): Row(DECIDERS, "rejection.restore", Record.ELSEWHERE),
    ("dashboard.trash", "GET"): Row(OPERATORS, "deletion.list"),
    ("dashboard.delete", "POST"): Row(DECIDERS, "deletion.delete", Record.ELSEWHERE),
    ("dashboard.restore", "POST"): Row(DECIDERS, "deletion.restore", Record.ELSEWHERE),
    ("dashboard.deliveries", "GET"): Row(OPERATORS, "delivery.list"),
    ("dashboard.decide_delivery", "POST"): Row(DECIDERS, "delivery.decide", Record.ELSEWHERE),
    # The empty form shows nothing of anybody; what is asked with it is written down by the use case.
    ("dashboard.lookup", "GET"): Row(DECIDERS, "study.lookup", Record.NONE),
    ("dashboard.lookup", "POST"): Row(DECIDERS, "study.lookup", Record.ELSEWHERE),
    ("dashboard.status", "GET"): Row(EVERYBODY_KNOWN, "status.read"),
    # The viewer's files are those of the npm package; its configuration names the projects of whoever asks.
    ("viewer.asset", "GET"): _public("viewer.asset"),
    ("viewer.page", "GET"): Row(VIEWERS, "viewer.open"),
    ("viewer.configuration", "GET"): Row(VIEWERS, "viewer.configure"),
}

_API: dict[tuple[str, str], Row] = {
    ("api.openapi", "GET"): Row(EVERYBODY_KNOWN, "api.describe", Record.NONE),
    ("api.docs", "GET"): Row(EVERYBODY_KNOWN, "api.describe", Record.NONE),
    ("api.status", "GET"): Row(EVERYBODY_KNOWN, "status.read"),
    ("api.studies", "GET"): Row(EVERYBODY_KNOWN, "study.list"),
    ("api.study", "GET"): Row(EVERYBODY_KNOWN, "study.show"),
    ("api.annotations", "GET"): Row(IMAGES, "annotation.list"),
    ("api.annotation", "GET"): Row(IMAGES, "annotation.show"),
    ("api.annotation_file", "GET"): Row(IMAGES, "annotation.read"),
    ("api.annotation_comparison", "GET"): Row(IMAGES, "annotation.compare"),
    ("api.annotation_picture", "GET"): Row(IMAGES, "annotation.compare"),
    ("api.restore_annotation", "POST"): Row(VIEWERS, "annotation.restore", Record.ELSEWHERE),
    ("api.problems", "GET"): Row(EVERYBODY_KNOWN, "study.show"),
    ("api.search_attributes", "GET"): Row(EVERYBODY_KNOWN, "index.list", Record.NONE),
    ("api.conflicts", "GET"): Row(OPERATORS, "conflict.list"),
    ("api.quarantine", "GET"): Row(OPERATORS, "quarantine.list"),
    ("api.quarantine_entry", "GET"): Row(OPERATORS, "quarantine.show"),
    ("api.pixels", "GET"): Row(OPERATORS, "quarantine.show"),
    ("api.release_seen", "POST"): Row(DECIDERS, "quarantine.release", Record.ELSEWHERE),
    ("api.release_cut", "POST"): Row(DECIDERS, "quarantine.release", Record.ELSEWHERE),
    ("api.release", "POST"): Row(DECIDERS, "quarantine.release", Record.ELSEWHERE),
    ("api.discard", "POST"): Row(DECIDERS, "quarantine.discard", Record.ELSEWHERE),
    ("api.results", "GET"): Row(EVERYBODY_KNOWN, "result.list"),
    ("api.result", "GET"): Row(EVERYBODY_KNOWN, "result.show"),
    ("api.release_result", "POST"): Row(DECIDERS, "result.release", Record.ELSEWHERE),
    ("api.reject_result", "POST"): Row(DECIDERS, "result.reject", Record.ELSEWHERE),
    ("api.recall_result", "POST"): Row(DECIDERS, "result.recall", Record.ELSEWHERE),
    ("api.rejections", "GET"): Row(EVERYBODY_KNOWN, "rejection.list", proves_uids=False),
    ("api.restore_rejected", "POST"): Row(DECIDERS, "rejection.restore", Record.ELSEWHERE),
    ("api.lookup", "POST"): Row(DECIDERS, "study.lookup", Record.ELSEWHERE),
    ("api.pulls", "GET"): Row(OPERATORS, "pull.list"),
    ("api.pull", "GET"): Row(OPERATORS, "pull.show"),
    ("api.request_pull", "POST"): Row(PULLERS, "pull.request", Record.DECISION),
    ("api.cancel_pull", "POST"): Row(PULLERS, "pull.cancel", Record.DECISION),
    ("api.deliveries", "GET"): Row(OPERATORS, "delivery.list"),
    ("api.delivery", "GET"): Row(OPERATORS, "delivery.show"),
    ("api.retry_delivery", "POST"): Row(DECIDERS, "delivery.retry", Record.ELSEWHERE),
    ("api.accept_delivery", "POST"): Row(DECIDERS, "delivery.accept", Record.ELSEWHERE),
    ("api.discard_delivery", "POST"): Row(DECIDERS, "delivery.discard", Record.ELSEWHERE),
    ("api.deletions", "GET"): Row(OPERATORS, "deletion.list"),
    ("api.deletion", "GET"): Row(OPERATORS, "deletion.show"),
    ("api.delete", "POST"): Row(DECIDERS, "deletion.delete", Record.ELSEWHERE),
    ("api.restore_deletion", "POST"): Row(DECIDERS, "deletion.restore", Record.ELSEWHERE),
    # Identity: on disk before it is answered.
    ("api.crosswalk", "GET"): _decision(DECIDERS, "crosswalk.export"),
    ("api.audit", "GET"): _decision(AUDITORS, "audit.search"),
    ("api.audit_verdict", "GET"): _decision(AUDITORS, "audit.verify", every_project=True),
    ("api.users", "GET"): _decision(ADMINISTRATORS, "user.list", every_project=True),
    ("api.add_user", "POST"): _decision(ADMINISTRATORS, "user.add", every_project=True),
    ("api.change_user", "PATCH"): _decision(ADMINISTRATORS, "user.change", every_project=True),
    ("api.tokens", "GET"): _decision(ADMINISTRATORS, "token.list", every_project=True),
    ("api.add_token", "POST"): _decision(ADMINISTRATORS, "token.add", every_project=True),
    ("api.revoke_token", "DELETE"): _decision(ADMINISTRATORS, "token.revoke", every_project=True),
}


# DICOMweb stands twice: for the default project and for each by its name.
DICOMWEB_BLUEPRINTS = ("dicomweb", "project_dicomweb")

# And so does the worklist.
WORKLIST_BLUEPRINTS = ("worklist", "project_worklist")

# WADO-URI likewise.
WADO_URI_BLUEPRINTS = ("wado_uri", "project_wado_uri")

_LEVELS = ("study", "series", "instance")

_DICOMWEB: dict[tuple[str, str], Row] = {
    **{
        (f"search_{name}", "GET"): Row(IMAGES, "dicomweb.search", proves_uids=False)
        for name in (
            *("studies", "series", "instances"),
            *("series_of_study", "instances_of_study", "instances_of_series"),
        )
    },
    **{(f"retrieve_{level}", "GET"): Row(IMAGES, f"{level}.read") for level in _LEVELS},
    **{(f"retrieve_{level}_metadata", "GET"): Row(IMAGES, f"{level}.read-metadata") for level in _LEVELS},
    **{(f"render_{level}", "GET"): Row(IMAGES, f"{level}.render") for level in _LEVELS},
    **{(f"render_{level}_thumbnail", "GET"): Row(IMAGES, f"{level}.render") for level in _LEVELS},
    ("retrieve_frames", "GET"): Row(IMAGES, "instance.read-frames"),
    **{(f"retrieve_{level}_bulk_data", "GET"): Row(IMAGES, f"{level}.read-bulk-data") for level in _LEVELS},
    **{(f"retrieve_{level}_pixel_data", "GET"): Row(IMAGES, f"{level}.read-pixel-data") for level in _LEVELS},
    ("retrieve_bulk_data", "GET"): Row(IMAGES, "instance.read-bulk-data"),
    ("render_frames", "GET"): Row(IMAGES, "instance.render"),
    ("render_frames_thumbnail", "GET"): Row(IMAGES, "instance.render"),
    # What was stored is noted by the view; the study in the address may be one that the sender alone knows.
    ("store", "POST"): Row(IMAGES, "dicomweb.store", Record.DECISION, proves_uids=False),
    ("store_in_study", "POST"): Row(IMAGES, "dicomweb.store", Record.DECISION, proves_uids=False),
}

_WADO_URI: dict[tuple[str, str], Row] = {
    # Its UIDs are parameters: the view says which they are once they are known to be held here.
    (f"{blueprint}.retrieve", "GET"): Row(IMAGES, "instance.read", proves_uids=False)
    for blueprint in WADO_URI_BLUEPRINTS
}

_WORKLIST: dict[tuple[str, str], Row] = {
    ("search_workitems", "GET"): Row(IMAGES, "workitem.search"),
    ("retrieve_workitem", "GET"): Row(IMAGES, "workitem.read"),
    ("create_workitem", "POST"): _decision(PULLERS, "workitem.create"),
    ("update_workitem", "POST"): _decision(IMAGES, "workitem.update"),
    ("change_workitem_state", "PUT"): _decision(IMAGES, "workitem.change-state"),
    ("request_cancellation", "POST"): _decision(IMAGES, "workitem.request-cancellation"),
    ("subscribe", "POST"): Row(IMAGES, "workitem.subscribe"),
    ("unsubscribe", "DELETE"): Row(IMAGES, "workitem.unsubscribe"),
    ("suspend_subscription", "POST"): Row(IMAGES, "workitem.suspend"),
    ("open_event_channel", "GET"): Row(IMAGES, "workitem.listen"),
}

# And so does what tells of both: which resources there are and what they take, nothing of what is in them.
CAPABILITIES_BLUEPRINTS = ("capabilities", "project_capabilities")

ROUTES: Mapping[tuple[str, str], Row] = {
    **{
        (f"{blueprint}.{name}", method): row
        for blueprint in WORKLIST_BLUEPRINTS
        for (name, method), row in _WORKLIST.items()
    },
    **_WADO_URI,
    **{
        (f"{blueprint}.describe", "OPTIONS"): Row(IMAGES, "dicomweb.describe", Record.NONE)
        for blueprint in CAPABILITIES_BLUEPRINTS
    },
    **_PAGES,
    **_API,
    **{
        (f"{blueprint}.{name}", method): row
        for blueprint in DICOMWEB_BLUEPRINTS
        for (name, method), row in _DICOMWEB.items()
    },
}


_OF_DICOMWEB = frozenset({*DICOMWEB_BLUEPRINTS, *WORKLIST_BLUEPRINTS, *WADO_URI_BLUEPRINTS, *CAPABILITIES_BLUEPRINTS})


def is_open_to_viewers(endpoint: str, method: str) -> bool:
    """Whether a viewer calls it, so that pages of other origins may where some are configured.

    All of DICOMweb and WADO-URI, and of the interface what every role may read: no decision, no account, no audit
    trail and nothing that tells who a patient is.
    """
    blueprint = endpoint.rpartition(".")[0]
    if blueprint in _OF_DICOMWEB:
        return True
    row = row_of(endpoint, method) if blueprint == "api" and method in ("GET", "HEAD") else None
    return row is not None and row.roles == EVERYBODY_KNOWN


def row_of(endpoint: str, method: str) -> Row | None:
    """The row that decides on a call, or none: then nobody may make it.

    HEAD is what GET is.
    """
    return ROUTES.get((endpoint, "GET" if method == "HEAD" else method))
