"""Settings: one TOML file and the environment, read once into frozen models.

``ANNOGATE__SECTION__KEY`` in the environment wins over the file. Unknown keys and bad values are refused, each named
in words with the line of thought ("dicom.port: 70000 is not a TCP port (1–65535)"). Each part of the gateway is
handed its own section by ``service.bootstrap``, never the whole.
"""

from service.settings.dicom import CallerSettings, DicomSettings, PeerSettings
from service.settings.http import HttpSettings
from service.settings.ingest import IngestSettings
from service.settings.loading import ENVIRONMENT_PREFIX, config_directory, load_settings
from service.settings.processing import JobSettings, LogSettings, PixelSettings, StorageSettings, TextSettings
from service.settings.projects import ProjectSettings
from service.settings.tls import PeerTlsSettings, TlsSettings
from service.settings.values import AeTitle, Name, Network, Port, Section, Uid
from service.settings.whole import Settings

__all__ = [
    "ENVIRONMENT_PREFIX",
    "AeTitle",
    "CallerSettings",
    "DicomSettings",
    "HttpSettings",
    "IngestSettings",
    "JobSettings",
    "LogSettings",
    "Name",
    "Network",
    "PeerSettings",
    "PeerTlsSettings",
    "PixelSettings",
    "Port",
    "ProjectSettings",
    "Section",
    "Settings",
    "StorageSettings",
    "TextSettings",
    "TlsSettings",
    "Uid",
    "config_directory",
    "load_settings",
]
