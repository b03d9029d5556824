"""The doctor's questions. Each finds one thing out and says how to mend what is wrong with it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from domain.errors import HistovoxError
from domain.ports import SpeechEngines
from domain.words import current, tr, tr_message, trn
from services.runtime.settings import Settings
from ui.cli import wiring

State = Literal["ok", "warn", "fail"]
GIB = 1024**3
MIB = 1024**2
PROBE_S = 90.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report."""

    name: str
    state: State
    detail: str
    mend: str = ""
    """The command, or the step, that mends it; empty when nothing is wrong."""


@dataclass(frozen=True)
class Probe:
    """What a piece of code said in a process of its own, where it can break without breaking the doctor."""

    facts: dict[str, Any]
    fault: str = ""


RunProbe = Callable[[str], Probe]

TORCH_PROBE = """
import json, torch, torchvision
facts = {"torch": torch.__version__, "torchvision": torchvision.__version__, "threads": torch.get_num_threads()}
facts["cuda_built"] = torch.version.cuda
try:
    torch.zeros(1).cuda()
    facts["cuda"] = torch.cuda.get_device_name(0)
except Exception as error:
    facts["cuda_fault"] = str(error).splitlines()[0]
facts["mps"] = torch.backends.mps.is_available()
print(json.dumps(facts))
"""
TK_PROBE = """
import json, tkinter
root = tkinter.Tk()
root.withdraw()
size = {"w": root.winfo_screenwidth(), "h": root.winfo_screenheight()}
print(json.dumps({"tk": root.tk.call("info", "patchlevel")} | size))
"""
TOOLKIT_PROBE = "import json, customtkinter; print(json.dumps({'version': customtkinter.__version__}))"
SOUND_PROBE = """
import json, sounddevice
found = [d["name"] for d in sounddevice.query_devices() if d["max_output_channels"] > 0]
try:
    default = sounddevice.query_devices(kind="output")["name"]
except Exception:
    default = None
print(json.dumps({"devices": found, "default": default}))
"""


def run_probe(code: str, timeout_s: float = PROBE_S) -> Probe:
    """Run ``code``, whose last line of output is JSON, in a fresh interpreter."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe({}, tr("no answer within {timeout_s:.0f} s", timeout_s=timeout_s))
    try:
        return Probe(json.loads(run.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        words = [line for line in run.stderr.strip().splitlines() if line.strip()]
        return Probe(
            {},
            words[-1] if words else tr("it ended with code {returncode} and without a word", returncode=run.returncode),
        )


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Old enough to know, new enough to run."""
    shown = ".".join(map(str, version))
    if version < (3, 11):
        return Check(
            "Python",
            "fail",
            tr("{shown}; 3.11 or newer is needed", shown=shown),
            "apt-get install python3.11 python3.11-venv",
        )
    return Check("Python", "ok", f"{shown}, {sys.executable}")


def torch(probe: RunProbe, device: str) -> Iterable[Check]:
    """Torch imports, and which device it can use."""
    found = probe(TORCH_PROBE)
    if found.fault:
        mend = "pip install --force-reinstall -c constraints.txt torch torchvision"
        yield Check("Torch", "fail", tr("cannot be imported: {fault}", fault=found.fault), mend)
        return
    facts = found.facts
    yield Check(
        "Torch",
        "ok",
        tr(
            "{torch}, torchvision {torchvision}, {threads} threads",
            torch=facts["torch"],
            torchvision=facts["torchvision"],
            threads=facts["threads"],
        ),
    )
    yield _device(facts, device)


def _device(facts: dict[str, Any], wanted: str) -> Check:
    usable = ["cpu"] + (["cuda"] if "cuda" in facts else []) + (["mps"] if facts.get("mps") else [])
    if wanted not in ("auto", *usable):
        why = facts.get("cuda_fault", tr("it is not there")) if wanted == "cuda" else tr("it is not there")
        return Check(
            tr("Device"),
            "warn",
            tr("{wanted} is asked for, but {why}; the CPU is used", wanted=wanted, why=why),
            "unset HISTOVOX_DEVICE",
        )
    if "cuda" in facts:
        return Check(tr("Device"), "ok", f"cuda, {facts['cuda']}")
    if facts.get("mps"):
        return Check(tr("Device"), "ok", tr("mps, Apple GPU"))
    if shutil.which("nvidia-smi"):
        mend = tr("compare the driver (nvidia-smi) with the CUDA version of Torch, and update the driver")
        return Check(
            tr("Device"),
            "warn",
            tr("an NVIDIA driver is here, but {fault}; using the CPU", fault=facts.get("cuda_fault")),
            mend,
        )
    return Check(tr("Device"), "ok", tr("cpu (no GPU found)"))


def display(probe: RunProbe, environment: dict[str, str]) -> Iterable[Check]:
    """Whether a window can open."""
    if importlib.util.find_spec("_tkinter") is None:
        mend = tr("apt-get install python3-tk   (or a Python that has tkinter)")
        yield Check(tr("Window"), "fail", tr("this Python has no tkinter; only the command line works"), mend)
        return
    toolkit = probe(TOOLKIT_PROBE)
    if toolkit.fault:
        yield Check(
            tr("Window"), "fail", f"customtkinter: {toolkit.fault}", "pip install -c constraints.txt customtkinter"
        )
        return
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") or sys.platform in ("win32", "darwin")):
        mend = tr("log in to a desktop, use ssh -X, or try: apt-get install xvfb && xvfb-run histovox run")
        yield Check(tr("Window"), "warn", tr("no display (DISPLAY is not set); only the command line works"), mend)
        return
    found = probe(TK_PROBE)
    if found.fault:
        yield Check(
            tr("Window"),
            "warn",
            tr("a window cannot be opened: {fault}", fault=found.fault),
            tr("check DISPLAY and xauth"),
        )
        return
    facts = found.facts
    yield Check(
        tr("Window"),
        "ok",
        tr(
            "Tk {tk}, {width} × {height}, customtkinter {customtkinter}",
            tk=facts["tk"],
            width=facts["w"],
            height=facts["h"],
            customtkinter=toolkit.facts["version"],
        ),
    )


def fonts(find: Callable[[str], str | None] = shutil.which) -> Iterable[Check]:
    """The face's own typeface, which others can stand in for, and one for Chinese, which none can."""
    program = find("fc-list")
    if program is None:
        fault = tr("fontconfig is not here, so fonts are unknown")
        yield Check(tr("Fonts"), "warn", fault, "apt-get install fontconfig fonts-inter")
        return
    inter, chinese = (
        subprocess.run([program, pattern, "family"], capture_output=True, text=True, check=False).stdout.strip()
        for pattern in (":family=Inter", ":lang=zh-cn")
    )
    missing = tr("Inter is not installed; another font is used")
    yield (
        Check(tr("Fonts"), "ok", "Inter")
        if inter
        else Check(tr("Fonts"), "warn", missing, "apt-get install fonts-inter")
    )
    if current() == "zh" and not chinese:
        fault = tr("no font with Chinese signs is installed")
        yield Check(tr("Fonts"), "fail", fault, "apt-get install fonts-wqy-microhei")


def sound(probe: RunProbe) -> Check:
    """Something to play on."""
    found = probe(SOUND_PROBE)
    if "PortAudio" in found.fault:
        return Check(
            tr("Sound"),
            "warn",
            tr("PortAudio is missing; results are shown, not heard"),
            "apt-get install libportaudio2",
        )
    if found.fault:
        return Check(tr("Sound"), "warn", found.fault, "pip install -c constraints.txt sounddevice")
    if found.facts["default"] is None:
        mend = tr("connect one, or start a sound server: apt-get install pulseaudio && pulseaudio --start")
        return Check(tr("Sound"), "warn", tr("there is no sound device; captions show what is said"), mend)
    return Check(tr("Sound"), "ok", str(found.facts["default"]))


def voices(settings: Settings) -> Iterable[Check]:
    """Each engine. Only the chosen one has to work."""
    for name, fault, count in _engine_faults(wiring.speech_engines(settings)):
        if name == "none":
            continue
        chosen = name == settings.speech_engine
        title = tr("Voice {name}", name=name)
        if fault is None:
            voices = trn("{count} voice", "{count} voices", count)
            yield Check(title, "ok", f"{voices}{tr(', the default') if chosen else ''}")
        else:
            mend = _mend_in(fault) or tr("HISTOVOX_SPEECH_ENGINE=none, or mend: {fault}", fault=fault)
            yield Check(
                title, "fail" if chosen else "warn", fault if chosen else tr("optional: {fault}", fault=fault), mend
            )


def _mend_in(fault: str) -> str:
    """Adapters say the command in brackets."""
    return fault[fault.rindex("(") + 1 : fault.rindex(")")] if "(" in fault and ")" in fault else ""


def models(settings: Settings) -> Iterable[Check]:
    """Every package's checksum, and that there is a default."""
    packages = wiring.model_catalogue(settings).all()
    if not packages:
        mend = tr("set HISTOVOX_MODELS_DIR to a folder of model packages, or train one: make train DATA=folder")
        yield Check(tr("Model"), "fail", tr("none in {models_dir}", models_dir=settings.models_dir), mend)
    for package in packages:
        if package.ok and package.card:
            yield Check(
                tr("Model"),
                "ok",
                tr("{name}, intact; {validation}", name=package.name, validation=package.card.validation),
            )
        else:
            mend = tr("fetch it again: git checkout -- models/{name}", name=package.name)
            yield Check(
                tr("Model"), "fail", f"{package.name}: {tr_message(package.fault or '') or tr('it has no card')}", mend
            )
    names = {package.name for package in packages if package.ok}
    wanted = settings.model or _default_file(settings)
    if packages and wanted and wanted not in names:
        mend = tr("set HISTOVOX_MODEL to one of: {names}", names=", ".join(sorted(names)) or tr("none is intact"))
        yield Check(tr("Default model"), "fail", tr("{wanted} is not installed, or damaged", wanted=wanted), mend)


def _default_file(settings: Settings) -> str | None:
    try:
        return (settings.models_dir / "default").read_text("utf-8").strip() or None
    except OSError:
        return None


def settings_in_effect(environment: dict[str, str]) -> Check:
    """What a person has set."""
    found = sorted(f"{name}={value}" for name, value in environment.items() if name.startswith("HISTOVOX_"))
    return Check(
        tr("Settings"), "ok", "\n".join(found) or tr("all as delivered (HISTOVOX_… variables would change them)")
    )


def folders(settings: Settings) -> Iterable[Check]:
    """Folders that must be writable, and ours alone."""
    try:
        settings.make_runtime_dir()
        yield Check(tr("Runtime folder"), "ok", str(settings.runtime_dir))
    except HistovoxError as error:
        yield Check(tr("Runtime folder"), "fail", tr_message(error.message), "HISTOVOX_RUNTIME_DIR=/tmp/histovox-$USER")
    for name, folder, variable in (
        (tr("Data folder"), settings.data_dir, "HISTOVOX_DATA_DIR"),
        (tr("Settings folder"), settings.config_dir, "HISTOVOX_CONFIG_DIR"),
        (tr("Cache folder"), settings.cache_dir, "HISTOVOX_CACHE_DIR"),
    ):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if there.is_dir() and os.access(there, os.W_OK):
            yield Check(name, "ok", str(folder))
        else:
            yield Check(
                name,
                "fail",
                tr("{folder} cannot be written", folder=folder),
                tr("mkdir -p {folder}, or set {variable}", folder=folder, variable=variable),
            )


def disk(settings: Settings, usage: Callable[[Path], Any] = shutil.disk_usage) -> Check:
    """Room for the journal and for files in passing."""
    places = {tr("data"): settings.data_dir, tr("temporary files"): Path(tempfile.gettempdir())}
    free = {}
    for name, folder in places.items():
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free[name] = usage(there).free
    name, least = min(free.items(), key=lambda item: item[1])
    detail = ", ".join(tr("{size:.1f} GiB free for {what}", size=size / GIB, what=what) for what, size in free.items())
    if least < 100 * MIB:
        return Check(
            tr("Disk"),
            "fail",
            tr("only {least:.0f} MiB free for {name}", least=least / MIB, name=name),
            tr("free some space (df -h)"),
        )
    if least < GIB:
        return Check(tr("Disk"), "warn", detail, tr("free some space (df -h)"))
    return Check(tr("Disk"), "ok", detail)


def processors(found: wiring.Processors | None = None) -> Check:
    """What this process may use, which a container makes less than what the machine has."""
    cpus = found or wiring.processors()
    detail = tr("{usable:g} usable", usable=cpus.usable)
    if cpus.usable < cpus.present:
        detail += tr(" of {present} ({reason})", present=cpus.present, reason=cpus.reason)
    if cpus.usable < 1:
        return Check(
            tr("Processors"), "warn", detail, tr("give the container at least one processor (docker run --cpus=2)")
        )
    return Check(tr("Processors"), "ok", detail)


def memory(found: wiring.Memory | None = None) -> Check:
    """Free memory, within the container's limit."""
    room = found or wiring.memory()
    detail = tr(
        "{free:.1f} GiB free of {total:.1f} GiB",
        free=room.free / GIB,
        total=room.total / GIB,
    )
    if room.limited:
        detail += tr(" (container limit)")
    if room.free < 1.5 * GIB:
        return Check(
            tr("Memory"), "warn", detail, tr("close other programs, or give the container more (about 2 GiB are used)")
        )
    return Check(tr("Memory"), "ok", detail)


def workers(settings: Settings, reachable: Callable[[str], bool]) -> Iterable[Check]:
    """Remote classifiers that are set up."""
    for endpoint in settings.classifiers:
        if reachable(endpoint):
            yield Check(tr("Worker"), "ok", tr("{endpoint} accepts connections", endpoint=endpoint))
        else:
            mend = tr("start it there (make classifier BIND=…), and check address and firewall")
            yield Check(tr("Worker"), "fail", tr("nobody listens at {endpoint}", endpoint=endpoint), mend)


def broker(settings: Settings, reachable: Callable[[str], bool]) -> Check:
    """Whether Histovox runs here now; a socket that nobody holds is no obstacle."""
    if reachable(settings.jobs_endpoint):
        return Check(tr("Running now"), "ok", tr("yes, at {jobs_endpoint}", jobs_endpoint=settings.jobs_endpoint))
    return Check(tr("Running now"), "ok", tr("no; {jobs_endpoint} is free", jobs_endpoint=settings.jobs_endpoint))


def _engine_faults(engines: SpeechEngines) -> Iterator[tuple[str, str | None, int]]:
    """Each engine's name, why it does not work here (None: it does), and how many voices it has."""
    for name in engines.names:
        fault, voices = engines.unavailable_because(name), 0
        if fault is None:
            try:
                with contextlib.closing(engines.build(name)) as engine:
                    voices = len(engine.voices())
            except HistovoxError as error:
                fault = error.message
        yield name, fault, voices
