"""``python -m services.broker``: the journal, the queue and the event bus of this workstation."""

from __future__ import annotations

import contextlib
import logging
import sys

from adapters.bus.broker_sockets import BrokerSockets
from adapters.file_lock import FileLock
from adapters.journal.sqlite_journal import SqliteJournal
from adapters.system_clock import SystemClock
from domain.errors import ConfigurationError
from domain.messages.workers import ProcessState, ProcessStateChanged
from domain.words import mark_message
from services.broker.loop import serve
from services.broker.message_sender import SOURCE
from services.broker.request_handler import Limits, RequestHandler
from services.runtime import exit_codes, logs
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings, load_settings

log = logging.getLogger("broker")


def main() -> int:
    """Run until told to stop; see services/runtime/exit_codes.py."""
    logs.configure("broker")
    life = Lifecycle.from_environment("broker")
    try:
        run(load_settings(), life)
    except ConfigurationError as error:
        log.error(error.message)
        return exit_codes.CONFIGURATION
    return exit_codes.OK


def run(settings: Settings, life: Lifecycle) -> None:
    """Wire the broker and serve. Raises ConfigurationError (AddressInUse among them)."""
    folder = settings.make_runtime_dir()
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        lock = FileLock(
            folder / "broker.lock", mark_message(f"Another broker already works in {folder}; stop it, or use that one.")
        )
        stack.callback(lock.release)
        journal = SqliteJournal(settings.journal_path, clock)
        stack.callback(journal.close)
        transport = BrokerSockets(
            settings.jobs_endpoint,
            settings.publish_endpoint,
            settings.events_endpoint,
            settings.classifier_endpoints,
            max_message_bytes=settings.max_message_bytes,
            source=SOURCE,
        )
        stack.callback(transport.close)
        limits = Limits(settings.max_item_bytes, settings.max_open_jobs, settings.max_open_bytes)
        handler = RequestHandler(journal, clock, transport, settings.classifier_endpoints, limits)
        if journal.notice:
            handler.record_process_state(
                ProcessStateChanged(process="broker", state=ProcessState.READY, reason=journal.notice)
            )
        log.info("%d unanswered jobs taken up", handler.open())
        life.ready(settings.jobs_endpoint)
        serve(handler, transport, life.stop)


if __name__ == "__main__":
    sys.exit(main())
