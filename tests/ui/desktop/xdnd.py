"""Drops files on a window as a file manager does (XDND 5), so that the real receiving code runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from Xlib import X, Xatom, display
from Xlib.protocol import event

from tests.waiting import wait_until


class DropSource:
    """A file manager in a few lines. It needs a thread of its own: the receiver waits for its data in mid-drop."""

    def __init__(self) -> None:
        self.display = display.Display()
        self._root = self.display.screen().root
        self._window = self._root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        self._uris = b""

    def drop(self, target_id: int, x_root: int, y_root: int, files: Sequence[Path]) -> None:
        """Drop ``files`` at a point of the screen on the window with this id."""
        self._uris = "".join(f"file://{quote(str(file))}\r\n" for file in files).encode()
        target = self._aware(target_id)
        self._window.set_selection_owner(self._atom("XdndSelection"), X.CurrentTime)
        self._send(target, "XdndEnter", [self._window.id, 5 << 24, self._atom("text/uri-list"), 0, 0])
        at = (x_root << 16) | y_root
        self._send(target, "XdndPosition", [self._window.id, 0, at, X.CurrentTime, self._atom("XdndActionCopy")])
        status = self._wait_for("XdndStatus")
        assert status.data[1][1] & 1, "the window does not take the drop"
        self._send(target, "XdndDrop", [self._window.id, 0, X.CurrentTime, 0, 0])
        self._wait_for("XdndFinished")

    def close(self) -> None:
        """Close the connection."""
        self.display.close()

    def _atom(self, name: str) -> int:
        return int(self.display.intern_atom(name))

    def _aware(self, window_id: int) -> Any:
        window = self.display.create_resource_object("window", window_id)
        while window.get_full_property(self._atom("XdndAware"), X.AnyPropertyType) is None:
            window = window.query_tree().parent
            assert window and window.id != self._root.id, "the window takes no drops"
        return window

    def _send(self, target: Any, name: str, data: list[int]) -> None:
        message = event.ClientMessage(window=target, client_type=self._atom(name), data=(32, data))
        target.send_event(message)
        self.display.flush()

    def _wait_for(self, name: str) -> Any:
        found: list[Any] = []

        def look() -> bool:
            while self.display.pending_events():
                received = self.display.next_event()
                if received.type == X.SelectionRequest:
                    self._give(received)
                elif received.type == X.ClientMessage and received.client_type == self._atom(name):
                    found.append(received)
            return bool(found)

        wait_until(look, what=name)
        return found[0]

    def _give(self, request: Any) -> None:
        property_ = request.property or request.target
        if request.target == self._atom("TARGETS"):
            request.requestor.change_property(property_, Xatom.ATOM, 32, [self._atom("text/uri-list")])
        else:
            request.requestor.change_property(property_, request.target, 8, self._uris)
        request.requestor.send_event(
            event.SelectionNotify(
                time=request.time,
                requestor=request.requestor,
                selection=request.selection,
                target=request.target,
                property=property_,
            )
        )
        self.display.flush()
