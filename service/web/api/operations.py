"""The operations of the API: one list, from which the routes and the OpenAPI document are made."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from service.web.api import (
    account_shapes,
    audit_shapes,
    deletion_shapes,
    delivery_shapes,
    identity_shapes,
    pixel_shapes,
    problem_shapes,
    pull_shapes,
    quarantine_shapes,
    search_shapes,
    shapes,
    status_shapes,
    study_shapes,
    version_shapes,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address.

    Parameters
    ----------
    name : the endpoint within the blueprint ``api``, and the operation's id
    path : below ``/api/v1``, with Flask's place holders
    query, body : what may stand in the query string and in the request
    answer : what a success holds, or the media type of what is no JSON; ``status`` is its HTTP status
    errors : statuses besides those of every operation (400, 401, 403)
    """

    name: str
    method: str
    path: str
    summary: str
    answer: type[BaseModel] | str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()


OPERATIONS = (
    Operation("status", "GET", "/status", "What happens inside, in counts.", status_shapes.Status),
    Operation(
        "studies", "GET", "/studies", "Studies of a project.", study_shapes.StudyList, query=study_shapes.StudyPage
    ),
    Operation(
        "study",
        "GET",
        "/projects/<project>/studies/<study_uid>",
        "A study with its series, runs and findings.",
        study_shapes.StudyDetail,
        errors=(404,),
    ),
    Operation(
        "annotations",
        "GET",
        "/projects/<project>/studies/<study_uid>/annotations",
        "The versions of what was marked in a study, by whom and after which; DICOMweb shows the newest.",
        version_shapes.VersionList,
        errors=(404,),
    ),
    Operation(
        "annotation",
        "GET",
        "/projects/<project>/annotations/<version_id>",
        "One version.",
        version_shapes.VersionShape,
        errors=(404,),
    ),
    Operation(
        "annotation_file",
        "GET",
        "/projects/<project>/annotations/<version_id>/objects/<sop_instance_uid>",
        "An object of a version, shown by DICOMweb or not, as a DICOM file.",
        "application/dicom",
        errors=(404,),
    ),
    Operation(
        "annotation_comparison",
        "GET",
        "/projects/<project>/annotations/<version_id>/comparison",
        "What a version says otherwise than another: findings accepted, changed, added and removed.",
        version_shapes.ComparisonShape,
        query=version_shapes.ComparisonQuery,
        errors=(404, 409),
    ),
    Operation(
        "annotation_picture",
        "GET",
        "/projects/<project>/annotations/<version_id>/comparison/picture",
        "Both outlines of a finding on a slice: the earlier in orange, the later in blue.",
        "image/png",
        query=version_shapes.PictureQuery,
        errors=(404, 409),
    ),
    Operation(
        "restore_annotation",
        "POST",
        "/projects/<project>/annotations/<version_id>/restore",
        "Add a version that says what an earlier one said.",
        version_shapes.VersionShape,
        body=version_shapes.Restoration,
        status=201,
        errors=(404, 409, 413, 415),
    ),
    Operation(
        "problems",
        "GET",
        "/projects/<project>/studies/<study_uid>/instances/<sop_instance_uid>/problems",
        "Which rules an annotation object breaks, and what to do about each.",
        problem_shapes.ProblemList,
        errors=(404,),
    ),
    Operation(
        "search_attributes",
        "GET",
        "/search-attributes",
        "Attributes that were made searchable by DICOMweb, beyond those that always are.",
        search_shapes.SearchAttributeList,
    ),
    Operation(
        "crosswalk",
        "GET",
        "/projects/<project>/crosswalk",
        "The original identifiers behind those of a project: identity, and a row of the audit trail for each page.",
        identity_shapes.CrosswalkPageShape,
        query=identity_shapes.CrosswalkQuery,
        errors=(404,),
    ),
    Operation(
        "conflicts",
        "GET",
        "/conflicts",
        "Instances that came again under the same UID with other content.",
        quarantine_shapes.ConflictList,
        query=shapes.ProjectPage,
    ),
    Operation(
        "quarantine",
        "GET",
        "/quarantine",
        "What could not be processed, with the reasons.",
        quarantine_shapes.QuarantineList,
        query=quarantine_shapes.QuarantinePage,
    ),
    Operation(
        "quarantine_entry",
        "GET",
        "/quarantine/<quarantine_id>",
        "One object that could not be processed.",
        quarantine_shapes.QuarantineShape,
        errors=(404,),
    ),
    Operation(
        "pixels",
        "GET",
        "/quarantine/<quarantine_id>/pixels",
        "What was found in the pixels of an object that waits for a person: where, never what it read.",
        pixel_shapes.PixelCaseShape,
        errors=(404,),
    ),
    Operation(
        "release_seen",
        "POST",
        "/quarantine/<quarantine_id>/release-seen",
        "Let such an object in, its regions blackened, once a person has seen it.",
        quarantine_shapes.Release,
        body=pixel_shapes.SeenRelease,
        errors=(404, 413, 415),
    ),
    Operation(
        "release",
        "POST",
        "/quarantine/<quarantine_id>/release",
        "Process an object again.",
        quarantine_shapes.Release,
        errors=(404,),
    ),
    Operation(
        "release_cut",
        "POST",
        "/quarantine/<quarantine_id>/release-cut",
        "Process an object without the bytes behind its last frame, which are gone then; its frames stay.",
        quarantine_shapes.Release,
        errors=(404,),
    ),
    Operation(
        "discard",
        "POST",
        "/quarantine/<quarantine_id>/discard",
        "Destroy an object for good; its row stays.",
        quarantine_shapes.QuarantineShape,
        errors=(404,),
    ),
    Operation(
        "results",
        "GET",
        "/results",
        "Versions of results, and what keeps each from leaving.",
        delivery_shapes.ReleaseList,
        query=delivery_shapes.ReleasePage,
    ),
    Operation("result", "GET", "/results/<result_id>", "One of them.", delivery_shapes.ReleaseShape, errors=(404,)),
    Operation(
        "release_result",
        "POST",
        "/results/<result_id>/release",
        "Let a result leave for the peers of its project.",
        delivery_shapes.ReleaseShape,
        errors=(404, 409),
    ),
    Operation(
        "reject_result",
        "POST",
        "/results/<result_id>/reject",
        "Keep a result in the gateway.",
        delivery_shapes.ReleaseShape,
        body=delivery_shapes.Rejection,
        errors=(404, 409, 413, 415),
    ),
    Operation(
        "recall_result",
        "POST",
        "/results/<result_id>/recall",
        "Take a result back, also from the peers that have it, by a rejection note.",
        delivery_shapes.ReleaseShape,
        body=delivery_shapes.Recall,
        errors=(404, 409, 413, 415),
    ),
    Operation(
        "rejections",
        "GET",
        "/projects/<project>/studies/<study_uid>/rejections",
        "What rejection notes of the hospital named of a study.",
        delivery_shapes.RejectionList,
        errors=(404,),
    ),
    Operation(
        "restore_rejected",
        "POST",
        "/projects/<project>/studies/<study_uid>/rejections/<note_uid>/restore",
        "Show again what a note hid, and look at the study anew.",
        delivery_shapes.RejectionList,
        errors=(404,),
    ),
    Operation(
        "lookup",
        "POST",
        "/projects/<project>/lookup",
        "Find studies by original accession number or Patient ID; a row of the audit trail for each question.",
        delivery_shapes.FoundStudies,
        body=delivery_shapes.Lookup,
        errors=(404, 413, 415),
    ),
    Operation(
        "pulls",
        "GET",
        "/pulls",
        "Requests for studies of peers, the newest first.",
        pull_shapes.PullList,
        query=shapes.ProjectPage,
    ),
    Operation(
        "request_pull",
        "POST",
        "/projects/<project>/pulls",
        "Fetch studies from a peer; the same request that is still open stays one.",
        pull_shapes.PullShape,
        body=pull_shapes.PullAsked,
        status=202,
        errors=(404, 413, 415),
    ),
    Operation("pull", "GET", "/pulls/<pull_id>", "One request, study by study.", pull_shapes.PullShape, errors=(404,)),
    Operation(
        "cancel_pull",
        "POST",
        "/pulls/<pull_id>/cancel",
        "End a request; what was fetched stays.",
        pull_shapes.PullShape,
        errors=(404, 409),
    ),
    Operation(
        "deliveries",
        "GET",
        "/deliveries",
        "The outbox: what goes to which peer, and what stands in its way.",
        delivery_shapes.DeliveryList,
        query=delivery_shapes.DeliveryPage,
    ),
    Operation(
        "delivery",
        "GET",
        "/deliveries/<delivery_id>",
        "One delivery, object by object.",
        delivery_shapes.DeliveryShape,
        errors=(404,),
    ),
    Operation(
        "retry_delivery",
        "POST",
        "/deliveries/<delivery_id>/retry",
        "Try a delivery again at once.",
        delivery_shapes.DeliveryShape,
        errors=(404, 409),
    ),
    Operation(
        "accept_delivery",
        "POST",
        "/deliveries/<delivery_id>/accept",
        "Send what is held, under the patient that the peer names now.",
        delivery_shapes.DeliveryShape,
        errors=(404, 409),
    ),
    Operation(
        "discard_delivery",
        "POST",
        "/deliveries/<delivery_id>/discard",
        "Keep here what waits or is held.",
        delivery_shapes.DeliveryShape,
        errors=(404, 409),
    ),
    Operation(
        "deletions",
        "GET",
        "/deletions",
        "What people deleted, and until when it can be restored.",
        deletion_shapes.DeletionList,
        query=deletion_shapes.DeletionPage,
    ),
    Operation(
        "deletion",
        "GET",
        "/projects/<project>/deletions/<deletion_id>",
        "One deletion.",
        deletion_shapes.DeletionShape,
        errors=(404,),
    ),
    Operation(
        "delete",
        "POST",
        "/projects/<project>/deletions",
        "Move a study, a series or an instance into the trash: it is found and retrieved no more. What peers were sent "
        "is not recalled by it.",
        deletion_shapes.DeletionShape,
        body=deletion_shapes.NewDeletion,
        status=201,
        errors=(404, 413, 415),
    ),
    Operation(
        "restore_deletion",
        "POST",
        "/projects/<project>/deletions/<deletion_id>/restore",
        "Take what a deletion hid out of the trash.",
        deletion_shapes.DeletionShape,
        errors=(404, 409),
    ),
    Operation(
        "audit", "GET", "/audit", "Search the audit trail.", audit_shapes.AuditList, query=audit_shapes.AuditSearch
    ),
    Operation(
        "audit_verdict", "GET", "/audit/verdict", "Check the chain of the audit trail.", audit_shapes.AuditVerdictShape
    ),
    Operation("users", "GET", "/users", "All users.", account_shapes.UserList),
    Operation(
        "add_user",
        "POST",
        "/users",
        "Add a user.",
        account_shapes.UserShape,
        body=account_shapes.NewUser,
        status=201,
        errors=(409, 413, 415),
    ),
    Operation(
        "change_user",
        "PATCH",
        "/users/<name>",
        "Change a user's password, role, projects, or lock them out.",
        account_shapes.UserShape,
        body=account_shapes.UserChange,
        errors=(404, 413, 415),
    ),
    Operation("tokens", "GET", "/tokens", "All tokens, without their secrets.", account_shapes.TokenList),
    Operation(
        "add_token",
        "POST",
        "/tokens",
        "Make a token; its secret is in this answer and nowhere else.",
        account_shapes.NewTokenShape,
        body=account_shapes.NewTokenRequest,
        status=201,
        errors=(413, 415),
    ),
    Operation(
        "revoke_token", "DELETE", "/tokens/<token_id>", "End a token at once.", account_shapes.TokenShape, errors=(404,)
    ),
)
