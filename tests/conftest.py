"""What all tests share: folders of their own, a headless display, and reasons to skip."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain import words

#: Which Debian package brings a program that some tests use.
DEBIAN_PACKAGES = {
    "Xvfb": "xvfb",
    "aplay": "alsa-utils",
    "espeak-ng": "espeak-ng",
    "paplay": "pulseaudio-utils",
    "parec": "pulseaudio-utils",
    "pdftoppm": "poppler-utils",
    "pulseaudio": "pulseaudio",
    "sox": "sox",
    "xdotool": "xdotool",
}


@dataclass(frozen=True)
class Folders:
    """The folders of one test, which no other test and no installed Histovox shares."""

    runtime: Path
    """Short enough for ipc:// paths, 0700."""
    data: Path
    config: Path
    cache: Path


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folders]:
    """Point every setting at folders of this test, so that nothing meets a running Histovox or another test."""
    for name in [name for name in os.environ if name.startswith("HISTOVOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANGUAGE", "en")
    words.use("en")
    # Not tmp_path: an ipc path holds at most 107 characters, and pytest's folders are long.
    runtime = Path(tempfile.mkdtemp(prefix="hv-"))
    own = Folders(runtime, tmp_path / "histovox-data", tmp_path / "histovox-config", tmp_path / "histovox-cache")
    for kind in ("runtime", "data", "config", "cache"):
        folder: Path = getattr(own, kind)
        folder.mkdir(mode=0o700, exist_ok=True)
        monkeypatch.setenv(f"HISTOVOX_{kind.upper()}_DIR", str(folder))
    yield own
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def runtime_dir(folders: Folders) -> Path:
    """A 0700 folder whose path is short enough for ipc:// endpoints."""
    return folders.runtime


@pytest.fixture
def ipc(runtime_dir: Path) -> Callable[[str], str]:
    """``ipc("jobs")``: an endpoint that only this test uses."""
    return lambda name: f"ipc://{runtime_dir}/{name}.sock"


@pytest.fixture(scope="session")
def needs_program() -> Callable[..., None]:
    """``needs_program("xdotool", "sox")`` skips the test, naming the Debian packages that would let it run."""

    def check(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            packages = sorted({DEBIAN_PACKAGES.get(program, program) for program in missing})
            pytest.skip(f"needs {', '.join(missing)}: apt-get install {' '.join(packages)}")

    return check


@pytest.fixture(scope="session")
def needs_display() -> None:
    """Skip where there is neither a display nor Xvfb to make one (pytest-xvfb starts it)."""
    if not os.environ.get("DISPLAY"):
        pytest.skip("needs a display: apt-get install xvfb")
