"""Real processes for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.runtime.settings import Settings
from tests.conftest import Folders
from tests.processes.machinery import Asker, Processes


@pytest.fixture
def settings(folders: Folders) -> Settings:
    return Settings(session="s1")


@pytest.fixture
def processes(settings: Settings) -> Iterator[Processes]:
    started = Processes(settings)
    yield started
    started.end_all()


@pytest.fixture
def new_asker(settings: Settings) -> Iterator[Callable[..., Asker]]:
    askers: list[Asker] = []

    def make(session: str = "s1") -> Asker:
        askers.append(Asker(settings, session))
        return askers[-1]

    yield make
    for one in askers:
        one.client.close()


@pytest.fixture
def asker(new_asker: Callable[..., Asker]) -> Asker:
    return new_asker()
