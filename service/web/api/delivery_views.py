"""The API's views of results that may leave and of the outbox."""

from __future__ import annotations

from collections.abc import Callable

from service.core.archived import InstanceRow
from service.core.deliveries import DeliveryState, ReleaseRow, ReleaseState
from service.core.view import EVERYTHING
from service.custody.study_lookup import LookupQuestion
from service.delivery.release_desk import ReleaseDesk
from service.errors import InstanceNotFound
from service.web.api import delivery_shapes
from service.web.api.shapes import row_number
from service.web.guard import audit_target, present_caller
from service.web.scope import chosen_project
from service.web.services import WebServices
from service.web.viewer.configuration import study_path


def held_words(desk: ReleaseDesk, row: ReleaseRow) -> str:
    """What keeps a result while nobody decides; nothing once somebody did."""
    return "" if row.state is not ReleaseState.WAITING else str(desk.why_held(row) or "")


def standing_of(services: WebServices, project: str, study_uid: str) -> Callable[[InstanceRow], str]:
    """What tells of each result of a study how far it came on its way out, or what keeps it."""
    told = services.standing(project, study_uid)
    return lambda made: told.get(made.sop_instance_uid) or services.why_held(project, made.annotator)


def reachable_release(services: WebServices, number: str) -> int:
    """The number of a result in a project that the present caller may reach.

    Raises
    ------
    InstanceNotFound : there is none for them
    """
    row = services.releases.show(row_number(number))
    _refuse_elsewhere(row.project, "there is no result of this number")
    if not services.view(row.project).results:
        raise InstanceNotFound("there is no result of this number")
    audit_target(row.study_uid, project=row.project, result=row.id)
    return row.id


def reachable_delivery(services: WebServices, number: str) -> int:
    """The number of a delivery of a project that the present caller may reach.

    Raises
    ------
    InstanceNotFound : there is none for them
    """
    row = services.outbox.show(row_number(number)).delivery
    _refuse_elsewhere(row.project, "there is no delivery of this number")
    audit_target(row.study_uid, project=row.project, delivery=row.id)
    return row.id


def _refuse_elsewhere(project: str, words: str) -> None:
    if not present_caller().may_reach(project):
        raise InstanceNotFound(words)


class DeliveryViews:
    """One method for each operation, by its name."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    def results(self, query: delivery_shapes.ReleasePage) -> delivery_shapes.ReleaseList:
        """Versions of results."""
        project = chosen_project(self._services, present_caller(), query.project)
        state = None if query.state is None else ReleaseState(query.state)
        found = (
            self._services.releases.page(project, state=state, limit=query.limit, offset=query.offset)
            if self._services.view(project).results
            else []
        )
        return delivery_shapes.ReleaseList(results=[self._shape(row) for row in found])

    def result(self, result_id: str) -> delivery_shapes.ReleaseShape:
        """One of these."""
        return self._shape(self._services.releases.show(reachable_release(self._services, result_id)))

    def release_result(self, result_id: str) -> delivery_shapes.ReleaseShape:
        """Let one leave."""
        number = reachable_release(self._services, result_id)
        return self._shape(self._services.releases.release(number, present_caller().name))

    def reject_result(self, result_id: str, body: delivery_shapes.Rejection) -> delivery_shapes.ReleaseShape:
        """Keep one here."""
        number = reachable_release(self._services, result_id)
        return self._shape(self._services.releases.reject(number, present_caller().name, body.reason))

    def recall_result(self, result_id: str, body: delivery_shapes.Recall) -> delivery_shapes.ReleaseShape:
        """Take one back."""
        number = reachable_release(self._services, result_id)
        return self._shape(self._services.recall.recall(number, present_caller().name, body.code, body.reason))

    def rejections(self, project: str, study_uid: str) -> delivery_shapes.RejectionList:
        """What notes hid of a study."""
        found = self._services.rejections.of_study(project, study_uid)
        if self._services.view(project) != EVERYTHING:
            seen = self._services.instances
            found = [row for row in found if seen.find(project, row.sop_instance_uid) is not None]
        return delivery_shapes.RejectionList(instances=[delivery_shapes.RejectedInstance.of(row) for row in found])

    def restore_rejected(self, project: str, study_uid: str, note_uid: str) -> delivery_shapes.RejectionList:
        """Show it again."""
        self._services.rejections.restore(project, study_uid, note_uid, present_caller().name)
        return self.rejections(project, study_uid)

    def lookup(self, project: str, body: delivery_shapes.Lookup) -> delivery_shapes.FoundStudies:
        """The studies that the hospital calls so."""
        question = LookupQuestion(body.accession, body.patient_id, body.issuer)
        found = self._services.lookup(project, question, present_caller().name)
        return delivery_shapes.FoundStudies(
            studies=[
                delivery_shapes.FoundStudy(
                    study_uid=row.study_uid,
                    patient_id=row.patient_id,
                    state=row.state,
                    viewer=study_path(project, row.study_uid),
                )
                for row in found
            ]
        )

    def deliveries(self, query: delivery_shapes.DeliveryPage) -> delivery_shapes.DeliveryList:
        """What is on its way."""
        project = chosen_project(self._services, present_caller(), query.project)
        state = None if query.state is None else DeliveryState(query.state)
        found = self._services.outbox.page(
            project, state=state, peer=query.peer, limit=query.limit, offset=query.offset
        )
        return delivery_shapes.DeliveryList(deliveries=[delivery_shapes.DeliveryShape.of(one) for one in found])

    def delivery(self, delivery_id: str) -> delivery_shapes.DeliveryShape:
        """One of these, object by object."""
        number = reachable_delivery(self._services, delivery_id)
        return delivery_shapes.DeliveryShape.of(self._services.outbox.show(number))

    def retry_delivery(self, delivery_id: str) -> delivery_shapes.DeliveryShape:
        """Try one again."""
        number = reachable_delivery(self._services, delivery_id)
        return delivery_shapes.DeliveryShape.of(self._services.outbox.retry(number, present_caller().name))

    def accept_delivery(self, delivery_id: str) -> delivery_shapes.DeliveryShape:
        """Send one that is held."""
        number = reachable_delivery(self._services, delivery_id)
        return delivery_shapes.DeliveryShape.of(self._services.outbox.accept(number, present_caller().name))

    def discard_delivery(self, delivery_id: str) -> delivery_shapes.DeliveryShape:
        """Keep one here."""
        number = reachable_delivery(self._services, delivery_id)
        return delivery_shapes.DeliveryShape.of(self._services.outbox.discard(number, present_caller().name))

    def _shape(self, row: ReleaseRow) -> delivery_shapes.ReleaseShape:
        return delivery_shapes.ReleaseShape.of(row, held_words(self._services.releases, row))
