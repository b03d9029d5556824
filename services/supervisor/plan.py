"""Which processes make a Histovox."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from services.runtime.settings import Settings
from services.supervisor.spec import ProcessSpec

Face = Literal["desktop", "none"]

#: The window is drawn before the classifier's and the speech engine's libraries load and take all cores.
WINDOW_FIRST_S = 1.5


def build_plan(
    settings: Settings,
    *,
    face: Face = "none",
    files: Sequence[Path] = (),
    classifiers: Sequence[str] = (),
    speech: bool = True,
    classifier: bool = True,
) -> list[ProcessSpec]:
    """The processes in the order of their start.

    ``classifiers`` are endpoints of workers elsewhere; with none (here or in the settings) one is started on this
    machine, unless ``classifier`` is False (to read the history, to speak). ``files`` are opened by the desktop.
    """
    remote = tuple(classifiers) or settings.classifiers
    chosen = settings.model_copy(update={"classifiers": remote})
    environment = chosen.environment()

    def process(name: str, module: str, *arguments: str, **options: object) -> ProcessSpec:
        argv = (sys.executable, "-m", module, *arguments)
        return ProcessSpec(name, argv, environment, **options)  # type: ignore[arg-type]

    later = {"after": ("desktop",), "after_s": WINDOW_FIRST_S} if face == "desktop" else {}
    plan = [process("broker", "services.broker", essential=face == "none", stop_last=True)]
    if face == "desktop":
        paths = [str(path.absolute()) for path in files]
        plan.append(process("desktop", "ui.desktop", *paths, ends_all=True))
    if classifier and not remote:
        plan.append(process("classifier", "services.classifier", **later))
    if speech:
        plan.append(process("speech", "services.speech", **later))
    return plan
