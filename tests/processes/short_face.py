"""A face that a person closes at once: it says READY and ends with code 0 when its broker answers."""

from __future__ import annotations

from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import load_settings
from tests.processes.machinery import Asker

if __name__ == "__main__":
    life = Lifecycle.from_environment("face")
    life.ready()
    asker = Asker(load_settings())
    asker.status()
    asker.client.close()
