"""Log lines for the operator: to standard error, as text or JSON, without identity."""

from __future__ import annotations

import logging
import sys
import warnings

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# These libraries write values of data sets, or each request, into their own log lines and warnings.
SILENCED = ("pydicom", "pynetdicom", "highdicom", "PIL", "gunicorn.access", "alembic")


def configure_logging(level: str, form: str, role: str) -> None:
    """Set up structlog for one process; ``role`` stands in each line."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    for name in SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # A warning may quote the value that it is about.
    warnings.simplefilter("ignore")
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors += [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(role=role)
