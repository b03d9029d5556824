"""The desktop's own file dialog: by xdg-desktop-portal, or as zenity or kdialog. It blocks its caller, a thread."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from domain.words import tr

log = logging.getLogger(__name__)

PORTAL = "org.freedesktop.portal.Desktop"
PORTAL_PATH = "/org/freedesktop/portal/desktop"
#: A portal that has not acknowledged the request by then is taken for absent.
PORTAL_S = 5.0
#: Exit codes of zenity and kdialog.
CHOSEN, CANCELLED = 0, 1


class NoNativeDialog(Exception):
    """This desktop has none that works."""


@dataclass(frozen=True)
class DialogRequest:
    """What is to be chosen."""

    kind: Literal["files", "folder"]
    title: str
    folder: str
    """Where to begin; empty: wherever the desktop begins."""
    patterns: tuple[str, ...]
    """Of files, as "*.png"."""
    window_id: int
    """The X window that the dialog belongs to."""


class NativeChooser:
    """Asks with the first dialog that works here. One request at a time."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def ask(self, request: DialogRequest) -> list[Path]:
        """What the person chose; empty when the dialog was cancelled. Raises NoNativeDialog."""
        if sys.platform in ("win32", "darwin"):
            raise NoNativeDialog("Tk shows the system's dialog there")
        try:
            return _ask_portal(request, self._environment)
        except NoNativeDialog as error:
            log.info("no dialog by the desktop portal: %s", error)
        return self._ask_program(request)

    def close(self) -> None:
        """Take an open zenity or kdialog away."""
        self._closed = True
        if self._process is not None:
            self._process.terminate()

    def _ask_program(self, request: DialogRequest) -> list[Path]:
        on_kde = "KDE" in self._environment.get("XDG_CURRENT_DESKTOP", "")
        programs = (("kdialog", _kdialog), ("zenity", _zenity))
        for name, arguments in programs if on_kde else reversed(programs):
            program = shutil.which(name, path=self._environment.get("PATH"))
            if program is None:
                continue
            command = [program, *arguments(request)]
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(self._environment)
            )
            if self._closed:
                # The window was closed while the program was started.
                self._process.terminate()
            output, _ = self._process.communicate()
            if self._process.returncode in (CHOSEN, CANCELLED):
                return [Path(line) for line in output.splitlines() if line]
            log.info("%s ended with %d", name, self._process.returncode)
        raise NoNativeDialog("neither a portal nor zenity nor kdialog works here")


def _zenity(request: DialogRequest) -> list[str]:
    arguments = ["--file-selection", f"--title={request.title}", "--modal"]
    if request.folder:
        arguments.append(f"--filename={request.folder}/")
    if request.kind == "folder":
        return [*arguments, "--directory"]
    filters = [f"--file-filter={tr('Images')} | {' '.join(request.patterns)}", f"--file-filter={tr('All files')} | *"]
    return [*arguments, "--multiple", "--separator=\n", *filters]


def _kdialog(request: DialogRequest) -> list[str]:
    arguments = ["--title", request.title, "--attach", str(request.window_id)]
    folder = request.folder or str(Path.home())
    if request.kind == "folder":
        return [*arguments, "--getexistingdirectory", folder]
    filters = tr("Images ({patterns});;All files (*)", patterns=" ".join(request.patterns))
    return [*arguments, "--multiple", "--separate-output", "--getopenfilename", folder, filters]


def _ask_portal(request: DialogRequest, environment: Mapping[str, str]) -> list[Path]:
    """Raises NoNativeDialog where there is no session bus, no portal, or none that chooses files."""
    from jeepney import DBusErrorResponse
    from jeepney.io.blocking import open_dbus_connection

    address = environment.get("DBUS_SESSION_BUS_ADDRESS")
    if not address:
        raise NoNativeDialog("there is no session bus")
    try:
        with open_dbus_connection(address) as bus:
            return _chosen(bus, request)
    except (OSError, TimeoutError, ValueError, DBusErrorResponse) as error:
        raise NoNativeDialog(str(error)) from error


def _chosen(bus: Any, request: DialogRequest) -> list[Path]:
    from jeepney import DBusAddress, MatchRule, message_bus, new_method_call
    from jeepney.wrappers import unwrap_msg

    token = f"histovox_{uuid4().hex}"
    # The answer is a signal of an object whose path is known beforehand, so it cannot come before we listen.
    sender = bus.unique_name.lstrip(":").replace(".", "_")
    rule = MatchRule(
        type="signal",
        interface="org.freedesktop.portal.Request",
        member="Response",
        path=f"{PORTAL_PATH}/request/{sender}/{token}",
    )
    portal = DBusAddress(PORTAL_PATH, bus_name=PORTAL, interface="org.freedesktop.portal.FileChooser")
    call = new_method_call(
        portal, "OpenFile", "ssa{sv}", (f"x11:{request.window_id:x}", request.title, _portal_options(request, token))
    )
    with bus.filter(rule) as answers:
        unwrap_msg(bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=PORTAL_S))
        unwrap_msg(bus.send_and_get_reply(call, timeout=PORTAL_S))
        code, results = bus.recv_until_filtered(answers).body
    uris = results["uris"][1] if code == 0 and "uris" in results else []
    return [Path(unquote(urlsplit(uri).path)) for uri in uris if urlsplit(uri).scheme == "file"]


def _portal_options(request: DialogRequest, token: str) -> dict[str, tuple[str, Any]]:
    options: dict[str, tuple[str, Any]] = {"handle_token": ("s", token), "modal": ("b", True)}
    if request.folder:
        options["current_folder"] = ("ay", os.fsencode(request.folder) + b"\0")
    if request.kind == "folder":
        return options | {"directory": ("b", True)}
    images = (tr("Images"), [(0, pattern) for pattern in request.patterns])
    return options | {"multiple": ("b", True), "filters": ("a(sa(us))", [images, (tr("All files"), [(0, "*")])])}
