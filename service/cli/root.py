"""The group that holds every command; a command's module is imported when it is called or listed."""

from __future__ import annotations

import importlib

import click

from service import __version__

# Command, and where it stands: module and attribute.
COMMANDS = {
    "serve": "service.cli.serve:serve",
    "demo": "service.cli.demo:demo",
    "check": "service.cli.check:check",
    "deid": "service.cli.deid:deid",
    "validate": "service.cli.validate:validate",
    "status": "service.cli.state:status",
    "study": "service.cli.state:study",
    "annotations": "service.cli.annotations:annotations_group",
    "quarantine": "service.cli.quarantine:quarantine",
    "outbox": "service.cli.outbox:outbox",
    "index": "service.cli.index:index",
    "pull": "service.cli.pull:pull",
    "user": "service.cli.accounts:user",
    "token": "service.cli.accounts:token",
    "audit": "service.cli.audit:audit",
    "vault": "service.cli.vault:vault",
    "import": "service.cli.exchange:import_group",
    "export": "service.cli.exchange:export_group",
}


class LateGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.command(cls=LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="annogate")
def annogate() -> None:
    """Annogate: an annotation gateway between a PACS and its readers and models."""
