"""The tables of the index, a module for each room that they belong to.

Nothing here holds a patient's identity outside the sealed column of ``vault``: in a de-identifying project the
attributes are those that are served. Times are seconds since the epoch, UTC. A column ``project`` stands first in
each key, since no query ever crosses projects.
"""

from service.archive.schema.access import audit, tokens, users
from service.archive.schema.annotation import annotation_marks, annotation_objects, annotation_versions
from service.archive.schema.archive import instances, senders, sent_instances, series, studies
from service.archive.schema.base import metadata
from service.archive.schema.deletion import deletions, trash
from service.archive.schema.delivery import (
    availability_notices,
    commitments,
    deliveries,
    delivery_items,
    delivery_peers,
    rejections,
    releases,
)
from service.archive.schema.fetching import pull_studies, pulls
from service.archive.schema.identity import key_backups, projects, retired_vault_keys, vault
from service.archive.schema.jobs import cleaning_reports, runs, study_counters, study_routes, study_signs
from service.archive.schema.reception import conflicts, counters, intake, quarantine
from service.archive.schema.search import instance_values, search_attributes, series_values, study_values
from service.archive.schema.worklist import (
    workitem_events,
    workitem_references,
    workitem_subscribers,
    workitem_subscriptions,
    workitems,
)

__all__ = [
    "annotation_marks",
    "annotation_objects",
    "annotation_versions",
    "audit",
    "availability_notices",
    "cleaning_reports",
    "commitments",
    "conflicts",
    "counters",
    "deletions",
    "deliveries",
    "delivery_items",
    "delivery_peers",
    "instance_values",
    "instances",
    "intake",
    "key_backups",
    "metadata",
    "projects",
    "pull_studies",
    "pulls",
    "quarantine",
    "rejections",
    "releases",
    "retired_vault_keys",
    "runs",
    "search_attributes",
    "senders",
    "sent_instances",
    "series",
    "series_values",
    "studies",
    "study_counters",
    "study_routes",
    "study_signs",
    "study_values",
    "tokens",
    "trash",
    "users",
    "vault",
    "workitem_events",
    "workitem_references",
    "workitem_subscribers",
    "workitem_subscriptions",
    "workitems",
]
