"""The window: lays the panels out, forwards what a person does to the presenter, and shows its output."""

from __future__ import annotations

import contextlib
import logging
import threading
import tkinter
from collections.abc import Callable, Sequence
from pathlib import Path
from tkinter import filedialog
from typing import Any, Literal

import customtkinter as ctk
from customtkinter.windows.widgets.appearance_mode import AppearanceModeTracker
from customtkinter.windows.widgets.scaling import ScalingTracker
from tkinterdnd2 import DND_FILES, TkinterDnD

from domain.image_formats import IMAGE_PATTERNS
from domain.values import Region
from domain.words import Language, current, tr, use
from ui.desktop.chooser import DialogRequest, NativeChooser, NoNativeDialog
from ui.presenters.background import BackgroundTasks
from ui.presenters.entries import Row
from ui.presenters.image_presenter import MarkedRegion, Overlay, OverlayControls, Picture
from ui.presenters.main_presenter import MainPresenter
from ui.presenters.preferences import DEFAULT_GEOMETRY, Preferences
from ui.presenters.speech_presenter import Caption, SpeechDisplay
from ui.presenters.verdict_card import CardDisplay
from ui.presenters.workers_presenter import Chip
from ui.presenters.worklist_presenter import ProgressDisplay
from ui.theme import SCALINGS, Ink, Size, ThemeName
from ui.widgets.details import Details
from ui.widgets.fonts import prepare_fonts
from ui.widgets.icons import icon
from ui.widgets.native import style_file_dialog, suggested_scaling
from ui.widgets.paint import photo
from ui.widgets.picture import PyramidPicture
from ui.widgets.rule import Rule
from ui.widgets.sidebar import Sidebar
from ui.widgets.status_bar import StatusBar
from ui.widgets.toast import Toasts
from ui.widgets.top_bar import TopBar
from ui.widgets.viewer import Viewer

log = logging.getLogger(__name__)

SMALLEST = (960, 600)
SYSTEM_THEME_EVERY_MS = 5000


class Window(ctk.CTk, TkinterDnD.DnDWrapper):
    """Passive: implements ``MainView``. ``attach`` sets its presenter before anything is shown."""

    def __init__(
        self,
        preferences: Preferences,
        *,
        sample: Callable[[], Sequence[Path]] | None,
        disclaimer: str,
        chooser: NativeChooser | None = None,
    ) -> None:
        """``chooser`` None: Tk's own file dialog."""
        prepare_fonts()
        # CustomTkinter asks the desktop for its theme 33 times a second in "system" mode; see _follow_system.
        AppearanceModeTracker.appearance_mode_set_by = "user"
        AppearanceModeTracker.update_loop_interval = 1000
        ScalingTracker.update_loop_interval = 1000
        self._preferences = preferences
        remembered = preferences.remembered
        if remembered.theme != "system":
            ctk.set_appearance_mode(remembered.theme)
        super().__init__(fg_color=Ink.WINDOW)
        self._suggested_scaling = suggested_scaling(self, SMALLEST)
        ScalingTracker.widget_scaling = self.scaling
        self.title("Histovox")
        self._sample = sample
        self._chooser = chooser
        self._asking = False
        self._disclaimer = disclaimer
        self._presenter: MainPresenter | None = None
        self._background: BackgroundTasks | None = None
        self._voice_sheet: Any = None
        self._system_theme: str | None = None
        self._closed: Callable[[], None] = lambda: None
        self._watched: list[int] = []
        self.sheet: Any = None
        self._set_geometry(remembered.geometry)
        self._side_widths = (Size.SIDEBAR, Size.DETAILS)
        self._build()
        self._accept_drops()
        self.protocol("WM_DELETE_WINDOW", self.close)

    # --- construction -----------------------------------------------------------------------------------------------

    def attach(self, presenter: MainPresenter, *, background: BackgroundTasks, on_close: Callable[[], None]) -> None:
        """Whom to tell what a person does."""
        self._presenter = presenter
        self._background = background
        self._closed = on_close
        self.set_theme(self._preferences.remembered.theme)
        self.top.show_scaling(self.scaling)

    @property
    def watch(self) -> Callable[[int, Callable[[], None]], None] | None:
        """Calls back whenever a descriptor is readable; None where Tk cannot watch one (Windows)."""
        return self._watch_descriptor if hasattr(self.tk, "createfilehandler") else None

    def _watch_descriptor(self, descriptor: int, call: Callable[[], None]) -> None:
        self.tk.createfilehandler(descriptor, tkinter.READABLE, lambda *_: call())
        self._watched.append(descriptor)

    @property
    def presenter(self) -> MainPresenter:
        """The presenter."""
        assert self._presenter is not None, "attach() comes first"
        return self._presenter

    def _build(self) -> None:
        self.grid_columnconfigure(1, weight=1)
        self.grid_rowconfigure(1, weight=1)
        self.top = TopBar(
            self,
            on_files=self.ask_files,
            on_folder=self.ask_folder,
            on_recent=lambda path: self.presenter.open([path]),
            on_theme=self.set_theme,
            on_scaling=self.set_scaling,
            on_language=self.set_language,
            on_help=self.show_help,
        )
        self.top.grid(row=0, column=0, columnspan=3, sticky="ew")
        self.top.bind("<Configure>", lambda _: self._share_width(), add="+")
        self.sidebar = Sidebar(
            self,
            on_tab=lambda tab: self.presenter.switch_tab(tab),
            on_select=lambda key: self.presenter.select(key),
            on_forget=self.ask_forget,
            on_clear=self.ask_clear,
            on_search=lambda text, word: self.presenter.filter(text, word),
            on_more=lambda: self.presenter.history.more(),
            on_pointer=lambda inside: self.presenter.worklist.hold_order(inside),
        )
        self.sidebar.grid(row=1, column=0, sticky="ns")
        self.viewer = Viewer(
            self,
            on_files=self.ask_files,
            on_folder=self.ask_folder,
            on_sample=self._open_sample if self._sample else None,
            on_region=self.focus_region,
            on_regions=lambda: self.presenter.image.toggle_regions(),
            on_heat_map=lambda: self.presenter.image.toggle_heat_map(),
            on_attention=lambda: self.presenter.image.toggle_attention(),
            on_opacity=lambda value: self.presenter.image.set_opacity(value),
            on_cancel=lambda: self.presenter.cancel(),
            on_resume=lambda: self.presenter.resume(),
        )
        self.viewer.grid(row=1, column=1, sticky="nsew")
        self._build_right()
        self.status = StatusBar(
            self,
            on_mute=lambda: self.presenter.speech.toggle_mute(),
            on_stop=lambda: self.presenter.speech.stop(),
            on_repeat=lambda: self.presenter.repeat(),
            on_voice=self.show_voice,
        )
        self.status.grid(row=2, column=0, columnspan=3, sticky="ew")
        self.toasts = Toasts(self.viewer)
        self._icon = photo(icon("mark", 64, Ink.ACCENT_FILL[0]), self)
        self.iconphoto(True, self._icon)

    def _build_right(self) -> None:
        from ui.widgets.disclaimer import Disclaimer

        right = self._right = ctk.CTkFrame(self, width=Size.DETAILS, corner_radius=0, fg_color=Ink.PANEL)
        right.grid(row=1, column=2, sticky="ns")
        right.grid_propagate(False)
        right.grid_columnconfigure(0, weight=1)
        right.grid_rowconfigure(0, weight=1)
        self.details = Details(
            right,
            on_region=self.focus_region,
            on_set_scale=self.ask_scale,
            on_retry=lambda: self.presenter.retry(),
        )
        self.details.grid(row=0, column=0, sticky="nsew", padx=(1, 0))
        Disclaimer(right, tr(self._disclaimer)).grid(row=1, column=0, sticky="ew", padx=(1, 0))
        Rule(right).place(relx=0, rely=0, relheight=1.0)

    def _accept_drops(self) -> None:
        try:
            TkinterDnD._require(self)
        except (RuntimeError, tkinter.TclError) as error:
            log.warning("files cannot be dropped here: %s", error)
            return
        self.drop_target_register(DND_FILES)
        self.dnd_bind("<<DropEnter>>", lambda event: self._hovering(event, True))
        self.dnd_bind("<<DropLeave>>", lambda event: self._hovering(event, False))
        self.dnd_bind("<<Drop>>", self._dropped)

    def _hovering(self, event: Any, inside: bool) -> str:
        self.viewer.empty.highlight(inside)
        return str(event.action)

    def _dropped(self, event: Any) -> str:
        self.viewer.empty.highlight(False)
        paths = [Path(name) for name in self.tk.splitlist(event.data)]
        # The source waits for our answer: open when it has it.
        self.after_idle(lambda: self.presenter.open(paths))
        return str(event.action)

    # --- DeskView: lists --------------------------------------------------------------------------------------------

    def show_open(self, rows: Sequence[Row], selected: str | None) -> None:
        """See ``WorklistView``."""
        self.sidebar.show_open(rows, selected)

    def show_progress(self, progress: ProgressDisplay | None) -> None:
        """See ``WorklistView``."""
        self.viewer.show_progress(progress)

    def show_history(self, rows: Sequence[Row], selected: str | None, total: int) -> None:
        """See ``HistoryView``."""
        self.sidebar.show_history(rows, selected, total)

    def show_tab(self, tab: Literal["open", "history"]) -> None:
        """See ``MainView``."""
        self.sidebar.show_tab(tab)

    def show_recent(self, paths: Sequence[str]) -> None:
        """See ``MainView``."""
        self.top.show_recent(paths)

    # --- DeskView: image and verdict --------------------------------------------------------------------------------

    def show_empty(self) -> None:
        """See ``ImageCanvas``."""
        self.viewer.show_empty(True)
        self._set_title(None)

    def show_loading(self, name: str) -> None:
        """See ``ImageCanvas``."""
        self.viewer.show_empty(False)
        self.viewer.image.show_loading(name)
        self.viewer.tools.show_zoom(None)
        self._set_title(name)

    def show_picture(self, picture: Picture, name: str) -> None:
        """See ``ImageCanvas``."""
        assert isinstance(picture, PyramidPicture)
        self.viewer.show_empty(False)
        self.viewer.image.show_picture(picture)
        self._set_title(name)

    def show_problem(self, title: str, message: str) -> None:
        """See ``ImageCanvas``."""
        self.viewer.show_empty(False)
        self.viewer.image.show_problem(title, message)
        self.viewer.tools.show_zoom(None)

    def show_overlays(self, overlays: tuple[Overlay, ...], controls: OverlayControls) -> None:
        """See ``ImageCanvas``."""
        self.viewer.image.show_overlays(overlays, controls.opacity)
        self.viewer.tools.show_overlays(controls)

    def show_regions(self, regions: tuple[MarkedRegion, ...]) -> None:
        """See ``ImageCanvas``."""
        self.viewer.image.show_regions(regions)
        self.details.mark_region(next((marked.rank for marked in regions if marked.selected), None))

    def show_scale(self, um_per_px: float | None) -> None:
        """See ``ImageCanvas``."""
        self.viewer.image.show_scale(um_per_px)

    def zoom_to(self, region: Region) -> None:
        """See ``ImageCanvas``."""
        self.viewer.image.zoom_to(region)

    def show_card(self, card: CardDisplay) -> None:
        """See ``MainView``."""
        self.details.show(card)

    def _set_title(self, name: str | None) -> None:
        self.title(f"{name} – Histovox" if name else "Histovox")

    # --- DeskView: processes and voice ------------------------------------------------------------------------------

    def show_chips(self, chips: tuple[Chip, ...]) -> None:
        """See ``WorkersView``."""
        self.status.chips.show(chips)

    def show_broker(self, reachable: bool) -> None:
        """See ``WorkersView``."""
        words = tr("The message broker does not answer. What is open is kept and sent again when it is back.")
        self.viewer.show_banner(None if reachable else words)

    def show_speech(self, display: SpeechDisplay) -> None:
        """See ``SpeechView``."""
        self.status.show_speech(display)
        if self._voice_sheet is not None:
            self._voice_sheet.show(display)

    def show_caption(self, caption: Caption) -> None:
        """See ``SpeechView``."""
        self.status.captions.show(caption)

    def notify(self, kind: Literal["info", "warning", "failure"], text: str) -> None:
        """See ``MainView``."""
        self.toasts.show(kind, text)

    # --- what a person does -----------------------------------------------------------------------------------------

    def ask_files(self) -> None:
        """The desktop's dialog for files."""
        self._ask("files", tr("Open images"))

    def ask_folder(self) -> None:
        """The desktop's dialog for a folder."""
        self._ask("folder", tr("Open a folder of images"))

    def _ask(self, kind: Literal["files", "folder"], title: str) -> None:
        if self._asking:
            return
        self._asking = True
        request = DialogRequest(
            kind=kind,
            title=title,
            folder=self._preferences.remembered.last_folder,
            patterns=IMAGE_PATTERNS,
            window_id=int(self.wm_frame(), 16),
        )
        if self._chooser is None or self._background is None:
            self._ask_tk(request)
            return
        chooser = self._chooser
        self._background.run(
            "dialog", lambda: chooser.ask(request), self._chosen, lambda error: self._not_native(request, error)
        )

    def _not_native(self, request: DialogRequest, error: Exception) -> None:
        if not isinstance(error, NoNativeDialog):
            log.error("the desktop's file dialog failed", exc_info=error)
        self._chooser = None
        # Not in this turn of the pump: Tk's dialog returns only when it is closed.
        self.after_idle(self._ask_tk, request)

    def _ask_tk(self, request: DialogRequest) -> None:
        """Tk's own dialog; the window goes on living meanwhile."""
        style_file_dialog(self, self.scaling)
        folder = request.folder or None
        chosen: Sequence[str]
        if request.kind == "files":
            types = [(tr("Images"), " ".join(request.patterns)), (tr("All files"), "*")]
            chosen = (
                filedialog.askopenfilenames(parent=self, title=request.title, initialdir=folder, filetypes=types) or ()
            )
        else:
            answer = filedialog.askdirectory(parent=self, title=request.title, initialdir=folder, mustexist=True)
            chosen = [answer] if answer else []
        self._chosen([Path(name) for name in chosen])

    def _chosen(self, paths: Sequence[Path]) -> None:
        self._asking = False
        if paths:
            self.presenter.open(paths)

    def _open_sample(self) -> None:
        assert self._sample is not None and self._background is not None
        self._background.run("sample", self._sample, self.presenter.open, self._sample_failed)

    def _sample_failed(self, error: Exception) -> None:
        self.notify("failure", tr("The sample could not be opened ({error}).", error=error))

    def focus_region(self, rank: int) -> None:
        """Zoom to one of the top regions."""
        self.presenter.image.focus_region(rank)

    def ask_scale(self) -> None:
        """The card in which the scale is stated."""
        from ui.widgets.scale_sheet import ScaleSheet

        choice = self.presenter.scale_choice()
        if choice is None:
            self.notify(
                "warning", tr("Where this image lies is not known, so no scale can be remembered for its folder.")
            )
        else:
            self.sheet = ScaleSheet(self, choice, self.presenter.set_scale)

    def ask_forget(self, key: str) -> None:
        """Remove one entry; from the history only after a question."""
        if self.presenter.tab == "open":
            self.presenter.forget(key)
            return
        from ui.widgets.sheet import confirm

        entry = self.presenter.history.find(key)
        self.sheet = confirm(
            self,
            title=tr("Remove from the history?"),
            message=tr(
                "The result of {name} is removed from this computer. The image file itself is not touched.",
                name=entry.name if entry else tr("this image"),
            ),
            verb=tr("Remove"),
            on_yes=lambda: self.presenter.forget(key),
        )

    def ask_clear(self) -> None:
        """Clear the list in front; the history only after a question."""
        if self.presenter.tab == "open":
            self.presenter.forget_all()
            return
        from ui.widgets.sheet import confirm

        self.sheet = confirm(
            self,
            title=tr("Clear the whole history?"),
            message=tr(
                "All {total:,} results are removed from this computer, and cannot be brought back. The "
                "image files themselves are not touched.",
                total=self.presenter.history.total,
            ),
            verb=tr("Clear all"),
            on_yes=lambda: self.presenter.forget_all(),
        )

    def show_help(self) -> None:
        """All keys."""
        from ui.widgets.help_sheet import show_help

        self.sheet = show_help(self, tr(self._disclaimer))

    def show_voice(self) -> None:
        """The voice's settings."""
        from ui.widgets.voice_sheet import VoiceSheet

        self.presenter.speech.ask()
        self._voice_sheet = self.sheet = VoiceSheet(self, self.presenter.speech, self._voice_closed)

    def _voice_closed(self) -> None:
        self._voice_sheet = None

    @property
    def sheet_open(self) -> bool:
        """Whether a card lies in front of the window."""
        return self.sheet is not None and bool(self.sheet.winfo_exists())

    # --- looks ------------------------------------------------------------------------------------------------------

    def set_theme(self, theme: ThemeName) -> None:
        """Light, dark, or whatever the system has."""
        self._preferences.change(theme=theme)
        self.top.show_theme(theme)
        if theme == "system":
            self._follow_system()
        else:
            ctk.set_appearance_mode(theme)

    def next_theme(self) -> None:
        """Light, dark, system, round again."""
        order: tuple[ThemeName, ...] = ("light", "dark", "system")
        self.set_theme(order[(order.index(self._preferences.remembered.theme) + 1) % 3])

    def set_scaling(self, scaling: float) -> None:
        """Everything larger or smaller."""
        self._preferences.change(scaling=scaling)
        self.top.show_scaling(scaling)
        ctk.set_widget_scaling(scaling)
        self._share_width()

    @property
    def scaling(self) -> float:
        """The person's, else what the screen suggests."""
        return self._preferences.remembered.scaling or self._suggested_scaling

    def _share_width(self) -> None:
        """Panels become narrower where the image would have too little room between them."""
        room = self.winfo_width() / self.scaling
        self.top.fit_into(room)
        lacking = Size.SIDEBAR + Size.IMAGE + Size.DETAILS - room
        can_give = Size.SIDEBAR - Size.NARROW_SIDEBAR + Size.DETAILS - Size.NARROW_DETAILS
        share = min(max(lacking / can_give, 0.0), 1.0)
        widths = (
            round(Size.SIDEBAR - share * (Size.SIDEBAR - Size.NARROW_SIDEBAR)),
            round(Size.DETAILS - share * (Size.DETAILS - Size.NARROW_DETAILS)),
        )
        if widths != self._side_widths:
            self._side_widths = widths
            self.sidebar.configure(width=widths[0])
            self._right.configure(width=widths[1])

    def set_language(self, language: Language) -> None:
        """Another language for the whole window, at once: its panels are made anew with the other words."""
        if language == current():
            return
        self._preferences.change(language=language)
        use(language)
        for panel in (self.top, self.sidebar, self.viewer, self._right, self.status):
            panel.destroy()
        self._side_widths = (Size.SIDEBAR, Size.DETAILS)
        self._build()
        self._share_width()
        self.top.show_theme(self._preferences.remembered.theme)
        self.top.show_scaling(self.scaling)
        self.presenter.filter("", None)  # the search field is a new one, and empty
        self.presenter.show_all()

    def step_scaling(self, by: int) -> None:
        """The next larger or smaller step."""
        nearest = min(range(len(SCALINGS)), key=lambda index: abs(SCALINGS[index] - self.scaling))
        self.set_scaling(SCALINGS[min(max(nearest + by, 0), len(SCALINGS) - 1)])

    def _set_scaling(self, new_widget_scaling: float, new_window_scaling: float) -> None:
        # CTk would force the window back to its first size here; the size is the person's business.
        pass

    def _follow_system(self) -> None:
        """Ask the desktop for its theme in a thread: it may start a program to find out."""
        if self._preferences.remembered.theme != "system":
            return

        def ask() -> None:
            import darkdetect  # type: ignore[import-untyped]

            with contextlib.suppress(Exception):
                self._system_theme = darkdetect.theme()

        if self._system_theme is not None:
            ctk.set_appearance_mode(self._system_theme)
        threading.Thread(target=ask, name="system-theme", daemon=True).start()
        self.after(300 if self._system_theme is None else SYSTEM_THEME_EVERY_MS, self._follow_system_again)

    def _follow_system_again(self) -> None:
        if self._system_theme is None:
            self._system_theme = "Light"
        self._follow_system()

    def _set_geometry(self, geometry: str) -> None:
        wide, high = self.winfo_screenwidth(), self.winfo_screenheight()
        size, _, place = geometry.partition("+")
        width, height = (int(part) for part in size.split("x")[:2])
        if geometry == DEFAULT_GEOMETRY:
            width, height = round(width * self.scaling), round(height * self.scaling)
        width, height = min(max(width, SMALLEST[0]), wide), min(max(height, SMALLEST[1]), high)
        tkinter.Tk.minsize(self, min(SMALLEST[0], wide), min(SMALLEST[1], high))
        if place:
            x, y = (int(part) for part in place.split("+")[:2])
            if 0 <= x <= wide - 200 and 0 <= y <= high - 200:
                tkinter.Tk.geometry(self, f"{width}x{height}+{x}+{y}")
                return
        tkinter.Tk.geometry(self, f"{width}x{height}+{(wide - width) // 2}+{(high - height) // 2}")

    def close(self) -> None:
        """Remember the window's place, and end."""
        with contextlib.suppress(tkinter.TclError):
            self._preferences.change(geometry=tkinter.Tk.geometry(self))
        if self._chooser is not None:
            self._chooser.close()
        # Tk keeps a handler beyond the window, and would call it for ever once its descriptor is another file's.
        while self._watched:
            self.tk.deletefilehandler(self._watched.pop())
        self._closed()
        self.quit()
