"""What each role's process does from its start to SIGTERM."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from service.bootstrap import (
    COMMITMENT_BELL,
    DAY_S,
    OUTBOX_BELL,
    PULLS_BELL,
    SPOOL_BELL,
    STUDIES_BELL,
    Gateway,
)
from service.ingest.intake_helper import take_in
from service.runtime.early_imports import import_early
from service.runtime.freed_memory import keep_freed_memory
from service.runtime.process_name import name_process
from service.settings import Settings

HOUSEKEEPING_S = 3600.0
COMMITMENT_DAYS = 90.0  # how long is known what became of storage commitment
LONGEST_END_S = 5.0

log = structlog.get_logger("annogate")


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What a role is started with.

    Parameters
    ----------
    say_ready : called once, when the role listens or works
    listening : the socket that it serves, for node and web
    also : further sockets of the node, whose connections are secured
    """

    settings: Settings
    say_ready: Callable[[], None]
    listening: socket.socket | None = None
    also: tuple[socket.socket, ...] = ()


def run_role(role: str, context: RoleContext) -> None:
    """Run one role until SIGTERM; ``prepare`` has run before.

    Raises
    ------
    GatewayError : it cannot start; says why
    """
    keep_freed_memory()
    ROLES[role](context)


def run_prepare(context: RoleContext) -> None:
    """Make what a first start needs, and end."""
    with Gateway(context.settings) as gateway:
        gateway.prepare()
        gateway.refuse_open_listener()


def run_node(context: RoleContext) -> None:
    """Receive objects into the spool, in this process or in several below it."""
    receivers = context.settings.dicom.receivers
    if receivers > 1 and context.listening is not None:
        _run_receivers(context, (context.listening, *context.also), receivers)
        return
    stop = stop_on_sigterm()
    with Gateway(context.settings) as gateway:
        node = gateway.node()
        node.start(context.listening, *context.also)
        context.say_ready()
        stop.wait()
        node.stop()


def _run_receivers(context: RoleContext, listening: tuple[socket.socket, ...], count: int) -> None:
    from service.runtime.receiver import receive
    from service.runtime.receiver_pool import ReceiverPool

    def run_receiver(channel: socket.socket, say_ready: Callable[[], None]) -> None:
        stop_on_sigterm(lambda: channel.shutdown(socket.SHUT_RD))
        with Gateway(context.settings) as gateway:
            receive(gateway.node(), channel, say_ready)

    import_early()
    maximum = context.settings.dicom.maximum_associations
    ReceiverPool(listening, count, maximum, run_receiver, context.say_ready).run()


def run_ingest(context: RoleContext) -> None:
    """Work the spool off, in this process or in several below it."""
    workers = context.settings.ingest.workers
    if workers == 1:
        _work_spool_off(context, keeps_house=True)
        return
    from service.runtime.worker_processes import run_workers

    def work(number: int, say_ready: Callable[[], None]) -> None:
        _work_spool_off(replace(context, say_ready=say_ready), keeps_house=number == 0)

    import_early()
    run_workers(workers, work, context.say_ready)


def _work_spool_off(context: RoleContext, *, keeps_house: bool) -> None:
    with Gateway(context.settings) as gateway:
        worker = gateway.spool_worker

        def end() -> None:
            worker.stop()
            gateway.bell.ring(SPOOL_BELL)
            gateway.bell.ring(COMMITMENT_BELL)

        stop = stop_on_sigterm(end)
        with gateway.bell.listen(SPOOL_BELL) as wake:
            context.say_ready()
            beside = []
            if keeps_house:
                beside.append(threading.Thread(target=_keep_house, args=(gateway, stop), daemon=True))
                beside.append(threading.Thread(target=_keep_commitments, args=(gateway, stop), daemon=True))
                if any(project.tell_availability_to for project in gateway.settings.projects.values()):
                    beside.append(threading.Thread(target=gateway.notice_rounds.run, args=(stop,), daemon=True))
            if keeps_house and gateway.removes_faces:
                beside.append(threading.Thread(target=gateway.face_rounds.run, args=(stop,), daemon=True))
            for thread in beside:
                thread.start()
            worker.run(wake)
            stop.set()
            for thread in beside:
                thread.join(LONGEST_END_S)  # what is not finished by then is found again after the next start


def run_jobs(context: RoleContext) -> None:
    """Find complete studies, run annotators on them, deliver what is released, and fetch what was asked for."""
    with Gateway(context.settings) as gateway:
        pool = gateway.worker_pool()
        runner, pulls = gateway.outbox_runner(), gateway.pull_runner()
        attributes = gateway.attribute_rounds()

        def end() -> None:
            attributes.stop()
            pulls.stop()
            gateway.bell.ring(PULLS_BELL)
            pool.stop()
            gateway.bell.ring(STUDIES_BELL)
            runner.stop()
            gateway.bell.ring(OUTBOX_BELL)

        stop_on_sigterm(end)
        listen = gateway.bell.listen
        with listen(STUDIES_BELL) as wake, listen(OUTBOX_BELL) as outbox_wake, listen(PULLS_BELL) as pulls_wake:
            context.say_ready()
            beside = [
                threading.Thread(target=runner.run, args=(outbox_wake,), daemon=True),
                threading.Thread(target=pulls.run, args=(pulls_wake,), daemon=True),
                threading.Thread(target=attributes.run, daemon=True),
            ]
            for thread in beside:
                thread.start()
            pool.run(wake)
            for thread in beside:
                thread.join(LONGEST_END_S)  # what is on its way by then is looked at again after the next start


def run_web(context: RoleContext) -> None:
    """Serve HTTP."""
    from service.runtime.helper_keeper import HelperKeeper
    from service.runtime.web_server import WebServer

    assert context.listening is not None  # noqa: S101 (the supervisor and `--only web` bind it)
    http, listening = context.settings.http, context.listening

    def help_store(channel: socket.socket) -> None:
        name_process("annogate-store")
        with Gateway(context.settings) as gateway:
            take_in(channel, gateway.pipeline.begin_batch)

    import_early()
    keeper = HelperKeeper(help_store, listening.close)
    # Each gunicorn worker makes its own gateway after the fork: connections and threads do not cross one.
    WebServer(
        context.settings,
        listening,
        context.say_ready,
        workers=http.workers,
        threads=http.threads,
        new_helper=keeper.new_helper,
    ).run()
    keeper.close()


def stop_on_sigterm(also: Callable[[], None] = lambda: None) -> threading.Event:
    """An event that SIGTERM sets; ``also`` runs in the handler."""
    stop = threading.Event()

    def handle(*_: object) -> None:
        stop.set()
        also()

    signal.signal(signal.SIGTERM, handle)
    return stop


def _keep_commitments(gateway: Gateway, stop: threading.Event) -> None:
    """Answer and ask for storage commitment on associations of ours."""
    with gateway.bell.listen(COMMITMENT_BELL) as wake:
        gateway.commitment_rounds.run(wake, stop)


def _keep_house(gateway: Gateway, stop: threading.Event) -> None:
    """Now and then: expire quarantine, remove what kills left behind."""
    while True:
        try:
            before = gateway.clock() - gateway.settings.storage.quarantine_days * DAY_S
            gateway.quarantine_desk.expire(before)
            gateway.damaged_segments.expire(before)
            gateway.quarantine.tidy()
            gateway.commitments.forget(gateway.clock() - COMMITMENT_DAYS * DAY_S)
            gateway.tidy_worklist()
            gateway.blob_sweep.run(stop.is_set)
        except Exception as error:  # noqa: BLE001 (housekeeping must not end ingest; the next hour tries again)
            log.warning("housekeeping.trouble", reason=type(error).__name__)
        if stop.wait(HOUSEKEEPING_S):
            return


ROLES: dict[str, Callable[[RoleContext], None]] = {
    "prepare": run_prepare,
    "node": run_node,
    "ingest": run_ingest,
    "web": run_web,
    "jobs": run_jobs,
}
