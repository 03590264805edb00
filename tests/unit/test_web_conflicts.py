"""What the API tells of instances that came again with other content."""

from __future__ import annotations

from pathlib import Path

from tests.web_gateway import WebGateway


def test_conflict_says_how_many_times_it_came(tmp_path: Path) -> None:
    gateway = WebGateway(tmp_path)
    for _ in range(3):
        gateway.conflicts.add("default", "2.25.17", "kept-first", "CT1")
    (listed,) = gateway.client().get("/api/v1/conflicts?project=default").get_json()["conflicts"]
    gateway.close()
    assert (listed["sop_instance_uid"], listed["times_seen"]) == ("2.25.17", 3)
