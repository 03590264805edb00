"""Counts by state for Prometheus; no identity, no UID, no name of a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.archive.audit import AuditTrail
from service.archive.overview import Overview, Tally
from service.delivery.outbox_desk import OutboxDesk

_GAUGES = {
    "studies": "Studies by state",
    "instances": "Instances that are stored",
    "intake": "Objects by how far they came",
    "quarantine": "Objects that could not be processed, by what was decided",
    "runs": "Annotator runs by state",
    "trash": "Instances in the trash by the state of their deletion",
    "workitems": "Work items that are not ended by state",
    "conflicts": "Instances that came again with other content, by what was done",
}


@dataclass(frozen=True)
class GatewayCollector(Collector):
    """Reads the index at each scrape; several processes tell the same, since it is the index that counts."""

    version: str
    overview: Overview
    audit: AuditTrail
    outbox: OutboxDesk
    clock: Callable[[], float]

    def collect(self) -> Iterator[Metric]:
        """All metrics of a scrape."""
        counts = self.overview.counts()
        yield InfoMetricFamily("annogate_build", "The program", value={"version": self.version})
        for name, words in _GAUGES.items():
            yield _gauge(f"annogate_{name}", words, getattr(counts, name))
        family = CounterMetricFamily("annogate_events", "What was counted, by name", labels=["project", "name"])
        for tally in counts.counters:
            family.add_metric([tally.project, tally.state], tally.count)
        yield family
        yield from self._deliveries()
        yield CounterMetricFamily(
            "annogate_audit_rows", "Rows of the audit trail; it never falls", value=self.audit.count()
        )

    def _deliveries(self) -> Iterator[Metric]:
        """What is on its way out, by the peer's name in the settings."""
        states = GaugeMetricFamily("annogate_deliveries", "Deliveries that are not done", labels=["peer", "state"])
        oldest = GaugeMetricFamily(
            "annogate_outbox_oldest_waiting_seconds", "How long the oldest delivery waits for a peer", labels=["peer"]
        )
        sent = CounterMetricFamily("annogate_deliveries_sent", "Deliveries that a peer took", labels=["peer"])
        for backlog in self.outbox.backlogs():
            for state in ("waiting", "held", "failed"):
                states.add_metric([backlog.peer, state], getattr(backlog, state))
            waits_s = 0.0 if backlog.oldest_at is None else max(0.0, self.clock() - backlog.oldest_at)
            oldest.add_metric([backlog.peer], waits_s)
            sent.add_metric([backlog.peer], backlog.sent)
        yield from (states, oldest, sent)


def _gauge(name: str, words: str, tallies: Iterable[Tally]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=["project", "state"])
    for tally in tallies:
        family.add_metric([tally.project, tally.state], tally.count)
    return family


def metrics_blueprint(collector: Collector) -> Blueprint:
    """The route ``/metrics``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return blueprint
