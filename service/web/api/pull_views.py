"""The API's views of studies that are fetched from peers."""

from __future__ import annotations

from service.errors import DecisionRefused, InstanceNotFound
from service.fetching.desk import Priors, PullDesk, PullReport
from service.fetching.request import PullRequest
from service.web.api import pull_shapes, shapes
from service.web.guard import audit_target, present_caller
from service.web.scope import chosen_project
from service.web.services import WebServices


class PullViews:
    """One method for each operation, by its name."""

    _services: WebServices

    @property
    def _pulls(self) -> PullDesk:
        return self._services.pulls

    def pulls(self, query: shapes.ProjectPage) -> pull_shapes.PullList:
        """Requests of a project."""
        project = chosen_project(self._services, present_caller(), query.project)
        rows = self._pulls.newest([project], query.limit + query.offset)[query.offset :]
        return pull_shapes.PullList(pulls=[pull_shapes.PullShape.of(row) for row in rows])

    def pull(self, pull_id: str) -> pull_shapes.PullShape:
        """One of these with its studies."""
        report = self._reachable(pull_id)
        return pull_shapes.PullShape.of(report.pull, report)

    def request_pull(self, project: str, body: pull_shapes.PullAsked) -> pull_shapes.PullShape:
        """Ask for studies."""
        by = present_caller().name
        if body.priors_of is not None:
            asked = self._pulls.request_priors(project, body.priors_of, Priors(body.peer, body.count), by)
        else:
            asked = self._pulls.request(project, body.peer, PullRequest(body.criteria()), by)
        audit_target(asked.origin_study_uid, project=project, pull=asked.id)
        return pull_shapes.PullShape.of(asked, self._pulls.report(asked.id))

    def cancel_pull(self, pull_id: str) -> pull_shapes.PullShape:
        """End one that is not over."""
        report = self._reachable(pull_id)
        if not self._pulls.cancel(report.pull.project, report.pull.id):
            raise DecisionRefused(f"the pull is over: {report.pull.state}")
        return self.pull(pull_id)

    def _reachable(self, pull_id: str) -> PullReport:
        report = self._pulls.report(shapes.row_number(pull_id))
        if not present_caller().may_reach(report.pull.project):
            raise InstanceNotFound("there is no pull of this number")
        audit_target(report.pull.origin_study_uid, project=report.pull.project, pull=report.pull.id)
        return report
