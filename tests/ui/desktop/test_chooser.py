"""The desktop's own file dialog: a portal on a session bus of the test's own, and programs that stand in for others."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jeepney import DBusAddress, MessageType, message_bus, new_error, new_method_return, new_signal
from jeepney.io.blocking import open_dbus_connection

from tests.waiting import wait_until
from ui.desktop.chooser import PORTAL, PORTAL_PATH, DialogRequest, NativeChooser, NoNativeDialog

FILES = DialogRequest("files", "Open images", "/slides", ("*.png", "*.tif"), 0x1A)
FOLDER = DialogRequest("folder", "Open a folder", "", (), 0x1A)


@pytest.fixture
def bus(needs_program: Callable[..., None]) -> Iterator[str]:
    """The address of a session bus."""
    needs_program("dbus-daemon")
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1"], stdout=subprocess.PIPE, text=True
    )
    assert daemon.stdout is not None
    yield daemon.stdout.readline().strip()
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


class Portal:
    """Answers one OpenFile, as a person would: with these URIs, a cancel, or not at all."""

    def __init__(self, address: str, *, code: int = 0, uris: list[str] | None = None, knows: bool = True) -> None:
        self._bus = open_dbus_connection(address)
        self._bus.send_and_get_reply(message_bus.RequestName(PORTAL))
        self._code, self._uris, self._knows = code, uris or [], knows
        self.asked: Any = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        call = self._bus.receive()
        while call.header.message_type is not MessageType.method_call:
            call = self._bus.receive()
        if not self._knows:
            self._bus.send(new_error(call, "org.freedesktop.DBus.Error.UnknownMethod"))
            return
        self.asked = call.body
        fields = {field.name: value for field, value in call.header.fields.items()}
        handle = f"{PORTAL_PATH}/request/{fields['sender'][1:].replace('.', '_')}/{self.asked[2]['handle_token'][1]}"
        self._bus.send(new_method_return(call, "o", (handle,)))
        request = DBusAddress(handle, interface="org.freedesktop.portal.Request")
        self._bus.send(new_signal(request, "Response", "ua{sv}", (self._code, {"uris": ("as", self._uris)})))

    def close(self) -> None:
        self._thread.join(30)
        self._bus.close()


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def on_desktop(folder: Path, desktop: str = "") -> NativeChooser:
    return NativeChooser({"PATH": f"{folder}:/usr/bin:/bin", "XDG_CURRENT_DESKTOP": desktop})


def test_the_portal_is_asked_first_and_gives_paths_with_spaces_and_accents(bus: str, tmp_path: Path) -> None:
    portal = Portal(bus, uris=[Path("/slides/Prélèvement n° 4.png").as_uri(), "smb://elsewhere/b.png"])
    chooser = NativeChooser({"DBUS_SESSION_BUS_ADDRESS": bus, "PATH": str(tmp_path)})
    assert chooser.ask(FILES) == [Path("/slides/Prélèvement n° 4.png")]
    parent, title, options = portal.asked
    assert (parent, title, options["multiple"]) == ("x11:1a", "Open images", ("b", True))
    assert options["current_folder"][1] == b"/slides\0"
    portal.close()


def test_a_folder_is_asked_for_as_a_folder(bus: str, tmp_path: Path) -> None:
    portal = Portal(bus, uris=[Path("/slides").as_uri()])
    assert NativeChooser({"DBUS_SESSION_BUS_ADDRESS": bus, "PATH": str(tmp_path)}).ask(FOLDER) == [Path("/slides")]
    assert portal.asked[2]["directory"] == ("b", True)
    portal.close()


def test_a_cancelled_portal_dialog_asks_nobody_else(bus: str, tmp_path: Path) -> None:
    portal = Portal(bus, code=1)
    program(tmp_path, "zenity", "echo /slides/a.png")
    chooser = NativeChooser({"DBUS_SESSION_BUS_ADDRESS": bus, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert chooser.ask(FILES) == []
    portal.close()


def test_a_portal_that_chooses_no_files_is_passed_over(bus: str, tmp_path: Path) -> None:
    portal = Portal(bus, knows=False)
    program(tmp_path, "zenity", "echo /slides/a.png")
    chooser = NativeChooser({"DBUS_SESSION_BUS_ADDRESS": bus, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert chooser.ask(FILES) == [Path("/slides/a.png")]
    portal.close()


def test_without_a_session_bus_zenity_is_asked(tmp_path: Path) -> None:
    program(tmp_path, "zenity", 'printf "%s\\n" "$@" > "$0.asked"; printf "/slides/a b.png\\n/slides/c.png\\n"')
    assert on_desktop(tmp_path).ask(FILES) == [Path("/slides/a b.png"), Path("/slides/c.png")]
    asked = (tmp_path / "zenity.asked").read_text()
    assert "--multiple" in asked and "--filename=/slides/" in asked and "*.png *.tif" in asked


def test_on_kde_kdialog_goes_before_zenity(tmp_path: Path) -> None:
    program(tmp_path, "zenity", "echo /by/zenity.png")
    program(tmp_path, "kdialog", "echo /by/kdialog.png")
    assert on_desktop(tmp_path, "KDE").ask(FILES) == [Path("/by/kdialog.png")]
    assert on_desktop(tmp_path, "GNOME").ask(FILES) == [Path("/by/zenity.png")]


def test_a_cancelled_program_is_a_choice_of_nothing(tmp_path: Path) -> None:
    program(tmp_path, "zenity", "exit 1")
    program(tmp_path, "kdialog", "echo /by/kdialog.png")
    assert on_desktop(tmp_path).ask(FOLDER) == []


def test_a_program_that_fails_is_passed_over_and_none_is_told(tmp_path: Path) -> None:
    program(tmp_path, "zenity", "exit 255")
    with pytest.raises(NoNativeDialog):
        on_desktop(tmp_path).ask(FILES)


def test_an_open_dialog_goes_with_the_window(tmp_path: Path) -> None:
    program(tmp_path, "zenity", 'echo there > "$0.there"; exec tail -f /dev/null')
    chooser = on_desktop(tmp_path)
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            chooser.ask(FILES)
        except NoNativeDialog as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until((tmp_path / "zenity.there").exists)
    chooser.close()
    thread.join(30)
    assert ended and not thread.is_alive()
