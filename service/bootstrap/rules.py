"""Routing rules of the settings as ingest goes by them."""

from __future__ import annotations

from dicom_nodes.command_set import HIGH_PRIORITY, LOW_PRIORITY, MEDIUM_PRIORITY
from service.ingest.routing_rules import HIGH, ROUTINE, STAT, RoutingRules, Rule, Span, Wanted, rule_tags
from service.settings import Settings
from service.settings.rules import RangeSettings, RuleSettings

_SENT = {"high": HIGH_PRIORITY, "medium": MEDIUM_PRIORITY, "low": LOW_PRIORITY}
_PRIORITIES = {"stat": STAT, "high": HIGH, "routine": ROUTINE}


def routing_rules(settings: Settings) -> RoutingRules:
    """The rules of every project."""
    return RoutingRules({name: [_rule(rule) for rule in project.rules] for name, project in settings.projects.items()})


def _rule(rule: RuleSettings) -> Rule:
    return Rule(
        name=rule.name,
        called=rule.called,
        calling=rule.calling,
        sent_priorities=tuple(_SENT[priority] for priority in rule.sent_priority),
        sop_classes=rule.sop_class,
        tags=rule_tags(
            modality=rule.modality,
            image_type=rule.image_type,
            body_part=rule.body_part,
            keywords={keyword: _wanted(wanted) for keyword, wanted in rule.tags.items()},
        ),
        description=rule.description,
        project=rule.project,
        annotators=rule.annotators,
        priority=None if rule.priority is None else _PRIORITIES[rule.priority],
        discard=rule.discard,
    )


def _wanted(wanted: tuple[str, ...] | RangeSettings) -> Wanted:
    if not isinstance(wanted, RangeSettings):
        return wanted
    return Span(float("-inf") if wanted.min is None else wanted.min, float("inf") if wanted.max is None else wanted.max)
