"""The real supervisor over a small plan: the broker, a stand-in classifier, and whatever script the test names.

``python -m tests.processes.supervised SECONDS_A_JOB [name=module …]``; ``face=module`` ends all when it ends well.
"""

from __future__ import annotations

import sys

from services.runtime import logs
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import load_settings
from services.supervisor import __main__ as entry
from services.supervisor.plan import build_plan
from services.supervisor.spec import ProcessSpec

if __name__ == "__main__":
    logs.configure("supervisor")
    settings = load_settings()
    environment = settings.environment()
    seconds, *others = sys.argv[1:]

    def plan(*arguments: object, **options: object) -> list[ProcessSpec]:
        (broker,) = build_plan(settings, speech=False, classifiers=[settings.classifier_endpoint])
        worker = (sys.executable, "-m", "tests.processes.standin_worker", settings.classifier_endpoint, seconds)
        named = [other.partition("=")[::2] for other in others]
        return [
            broker,
            ProcessSpec("classifier", worker, environment),
            *(
                ProcessSpec(name, (sys.executable, "-m", module), environment, ends_all=name == "face")
                for name, module in named
            ),
        ]

    entry.build_plan = plan  # type: ignore[assignment]
    options = entry.parser().parse_args([])
    sys.exit(entry.run(settings, options, Lifecycle.from_environment("supervisor", grace_s=entry.GRACE_S)))
