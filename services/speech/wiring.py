"""Puts the speech worker together from adapters."""

from __future__ import annotations

import contextlib
import logging
from uuid import uuid4

from adapters.bus.event_bus import ZmqEventBus
from adapters.file_lock import FileLock
from adapters.speech.engines import EngineRegistry
from adapters.speech.player import SoundDevicePlayer
from adapters.system_clock import SystemClock
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings
from services.speech.announcer import Announcer
from services.speech.background_executor import BackgroundThread
from services.speech.configuration import Configurator, CurrentSettings, SettingsFile, starting_settings
from services.speech.engine_pool import EnginePool
from services.speech.handlers import SpeechHandlers
from services.speech.loop import Inbox, run
from services.speech.speaker import Speaker

log = logging.getLogger(__name__)

_SECOND = "Another speech worker speaks for this session already, and two would talk at once; stop it first."


def serve(settings: Settings, engine: str | None = None) -> None:
    """Speak until told to stop. Raises UnknownEngine and other ConfigurationErrors before anything is started."""
    registry = EngineRegistry(voice_folders=(settings.data_dir / "voices",))
    file = SettingsFile(settings.config_dir / "speech.json")
    current = CurrentSettings(starting_settings(settings, file, registry.names, engine))
    lock = FileLock(settings.make_runtime_dir() / f"speech-{settings.session}.lock", _SECOND)
    life = Lifecycle.from_environment("speech")
    line = ZmqEventBus(
        settings.publish_endpoint,
        settings.events_endpoint,
        session=settings.session,
        source=f"speech/{uuid4().hex[:8]}",
        speech=True,
    )
    with contextlib.ExitStack() as held:
        held.callback(lock.release)
        held.callback(line.close)
        pool = held.enter_context(contextlib.closing(EnginePool(registry)))
        inbox, clock, player = Inbox(), SystemClock(), SoundDevicePlayer()
        executor = held.enter_context(contextlib.closing(BackgroundThread(inbox.post)))
        speaker = Speaker(current, pool, player, executor, line.publish, clock, inbox.post)
        announcer = Announcer(current, speaker.say, clock)
        configurator = Configurator(
            current, pool, player, executor, line.publish, save=file.save, changed=speaker.settings_changed
        )
        configurator.warm_up()
        life.ready(f"engine {current.settings.engine}")
        handlers = SpeechHandlers(current, speaker, announcer, configurator)
        run(inbox, line, handlers, speaker, announcer, clock, life.stop)
