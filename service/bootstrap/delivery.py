"""What the settings say of delivery, which is not part of this version, and what keeps results here."""

from __future__ import annotations

from service.bootstrap.ground import Ground
from service.bootstrap.jobs import Jobs
from service.core.release import why_held
from service.settings import ProjectSettings

RESULTS_STAY = "results stay in the gateway: this version delivers nothing to peers"
_OF_DELIVERY = ("deliver_to", "approve", "allow_demonstrator")


class Delivery:
    """What is told of results that stay."""

    def __init__(self, ground: Ground, jobs: Jobs) -> None:
        self._ground = ground
        self._jobs = jobs

    def settings_without_effect(self) -> dict[str, tuple[str, ...]]:
        """By project, what its settings say of delivery, which is not part of this version."""
        defaults = ProjectSettings()
        return {
            name: tuple(key for key in _OF_DELIVERY if getattr(project, key) != getattr(defaults, key))
            for name, project in self._ground.settings.projects.items()
        }

    def why_held(self, project: str, annotator: str) -> str:
        """What keeps an annotator's results from leaving for the PACS, in words."""
        rules, known = self._ground.settings.projects[project], self._jobs.annotators.get(annotator)
        return why_held(
            # What is not configured any more was, for all that is known, a demonstrator.
            demonstrator=known is None or known.algorithm.demonstrator,
            allow_demonstrator=rules.allow_demonstrator,
            approve=rules.approve,
            has_target=bool(rules.deliver_to),
        )
