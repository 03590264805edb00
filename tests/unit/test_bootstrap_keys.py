"""A key file that is lost is noticed before it hurts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dicom_nodes.object_sink import ObjectHeader
from service.bootstrap import Gateway
from service.errors import KeysMissing
from service.settings import load_settings
from tests.ct_series import ct_template


def gateway(tmp_path: Path) -> Gateway:
    overrides = {"storage": {"data_dir": str(tmp_path / "data"), "disk_reserve_gib": 0}}
    return Gateway(load_settings(environ={}, overrides=overrides))


def test_first_start_makes_a_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    with gateway(tmp_path) as first:
        first.prepare()
        assert first.directory.keys.stat().st_mode & 0o777 == 0o600


def test_lost_key_file_is_refused_while_the_spool_holds_an_object(tmp_path: Path) -> None:
    image = ct_template(16, 16)
    with gateway(tmp_path) as first:
        first.prepare()
        header = ObjectHeader(
            "SCANNER", "ANNOGATE", "127.0.0.1", image.SOPClassUID, "1.2.3.4", "1.2.840.10008.1.2", time.time()
        )
        writer = first.spool.begin(header)
        writer.write(b"acknowledged")
        writer.commit()
        first.directory.keys.unlink()
    with gateway(tmp_path) as second, pytest.raises(KeysMissing, match="the spool holds data"):
        second.prepare()
    assert not second.directory.keys.exists()


def test_lost_key_file_of_an_empty_gateway_is_made_anew(tmp_path: Path) -> None:
    with gateway(tmp_path) as first:
        first.prepare()
        first.directory.keys.unlink()
    with gateway(tmp_path) as second:
        second.prepare()
        assert second.directory.keys.exists()
