"""The image panel: which picture, which overlays, which region."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from uuid import uuid4

from domain.errors import HistovoxError
from domain.messages.envelope import Envelope
from domain.messages.imaging import ExplainImage, ImageExplained, ImageItem
from domain.messages.jobs import JobCancelled, JobFailed, RequestRejected
from domain.ports import BrokerClient
from domain.values import HeatMapGrid, Region, Scale, ScaleSource, VerdictWord
from domain.verdict import read_score
from domain.words import tr, tr_message
from ui.client.intake import read_image_bytes
from ui.presenters.background import BackgroundTasks
from ui.presenters.entries import WorklistEntry
from ui.presenters.preferences import Preferences

#: Pictures kept for stepping to and fro, and their pixels altogether (four bytes each with the halvings).
KEPT = 6
KEPT_PIXELS = 24_000_000


class Picture(Protocol):
    """A decoded image, ready to be drawn at any zoom; what else it holds is the panel's business."""

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    @property
    def scale(self) -> Scale | None:
        """If the file states one."""
        ...


@dataclass(frozen=True)
class LoadedPicture:
    """A picture and the SHA-256 of the bytes that it was decoded from."""

    picture: Picture
    sha256: str


@dataclass(frozen=True)
class Overlay:
    """Cells over the image: rows·columns uint8; ``kind`` says how they are read."""

    kind: Literal["probability", "attention"]
    grid: HeatMapGrid
    cells: bytes


@dataclass(frozen=True)
class OverlayControls:
    """The state of the overlay switches."""

    heat_map_there: bool
    heat_map_on: bool
    attention_there: bool
    """Whether it can be asked for."""
    attention_on: bool
    attention_pending: bool
    regions_there: bool
    regions_on: bool
    opacity: float


@dataclass(frozen=True)
class MarkedRegion:
    """An outlined region."""

    rank: int
    region: Region
    word: VerdictWord
    selected: bool


class ImageView(Protocol):
    """The panel."""

    def show_empty(self) -> None:
        """No image is open: tell a newcomer what to do."""
        ...

    def show_loading(self, name: str) -> None:
        """An image is being decoded."""
        ...

    def show_picture(self, picture: Picture, name: str) -> None:
        """Show it, fitted."""
        ...

    def show_problem(self, title: str, message: str) -> None:
        """There is nothing to show, and why."""
        ...

    def show_overlays(self, overlays: tuple[Overlay, ...], controls: OverlayControls) -> None:
        """Draw these over the picture, and set the switches."""
        ...

    def show_regions(self, regions: tuple[MarkedRegion, ...]) -> None:
        """Outline these."""
        ...

    def show_scale(self, um_per_px: float | None) -> None:
        """Draw a scale bar; None: the scale is unknown."""
        ...

    def zoom_to(self, region: Region) -> None:
        """Bring a region into view."""
        ...

    def notify(self, kind: Literal["info", "warning", "failure"], text: str) -> None:
        """A short message to the person."""
        ...


class ImagePresenter:
    """Loads pictures in the background and keeps the overlays in step with the entry."""

    def __init__(
        self,
        client: BrokerClient,
        background: BackgroundTasks,
        view: ImageView,
        preferences: Preferences,
        *,
        decode: Callable[[bytes], Picture],
    ) -> None:
        self._client = client
        self._background = background
        self._view = view
        self._preferences = preferences
        self._decode = decode
        self._cache: OrderedDict[str, LoadedPicture] = OrderedDict()
        self._explanations: dict[tuple[str, str], Overlay] = {}
        self._asked: dict[str, tuple[str, str]] = {}
        self._entry: WorklistEntry | None = None
        self._loaded: LoadedPicture | None = None
        self._changed_on_disk = False
        self._region: int | None = None
        self.attention_on = False

    # --- showing ----------------------------------------------------------------------------------------------------

    def show(self, entry: WorklistEntry | None) -> None:
        """Show an entry; the same entry with its answer keeps the picture and the zoom."""
        same_picture = (
            entry is not None
            and self._entry is not None
            and entry.path == self._entry.path
            and self._loaded is not None
        )
        same_picture = same_picture and entry is not None and entry.path is not None
        if entry is None or self._entry is None or entry.key != self._entry.key:
            self._region = None
        self._entry = entry
        if entry is None:
            self._loaded = None
            self._view.show_empty()
            self._refresh()
            return
        if same_picture:
            self._check_same_bytes()
            self._refresh_and_explain()
            return
        self._load(entry)

    def _load(self, entry: WorklistEntry) -> None:
        self._loaded = None
        path = entry.path
        if path is None:
            self._view.show_problem(entry.name, tr("Where this image lies is not known to this window."))
            self._refresh()
            return
        kept = self._cache.get(path)
        if kept is not None:
            self._cache.move_to_end(path)
            self._picture_ready(path, kept)
            return
        self._view.show_loading(entry.name)

        def work() -> LoadedPicture:
            data = read_image_bytes(Path(path))
            return LoadedPicture(self._decode(data), hashlib.sha256(data).hexdigest())

        self._background.run(
            "picture",
            work,
            lambda loaded: self._picture_ready(path, loaded),
            lambda error: self._no_picture(path, error),
        )

    def show_again(self) -> None:
        """Show the same in a panel that was made anew."""
        if self._entry is None:
            self._view.show_empty()
        elif self._loaded is not None:
            self._view.show_picture(self._loaded.picture, self._entry.name)
        else:
            self._load(self._entry)
            return
        self._refresh()

    def reload(self) -> None:
        """The file may have changed: read it again."""
        if self._entry is not None and self._entry.path is not None:
            self._cache.pop(self._entry.path, None)
            self._load(self._entry)

    def _picture_ready(self, path: str, loaded: LoadedPicture) -> None:
        if _pixels(loaded.picture) <= KEPT_PIXELS:
            self._cache[path] = loaded
            while len(self._cache) > KEPT or sum(_pixels(kept.picture) for kept in self._cache.values()) > KEPT_PIXELS:
                self._cache.popitem(last=False)
        if self._entry is None or self._entry.path != path:
            return
        self._loaded = loaded
        self._check_same_bytes()
        self._view.show_picture(loaded.picture, self._entry.name)
        self._refresh_and_explain()

    def _no_picture(self, path: str, error: Exception) -> None:
        if self._entry is None or self._entry.path != path:
            return
        message = (
            tr_message(error.message)
            if isinstance(error, HistovoxError)
            else tr("It could not be decoded ({error}).", error=error)
        )
        if self._entry.failure is not None:
            message = tr("The card on the right says why.")
        self._view.show_problem(tr("No picture to show"), message)
        self._refresh()

    def _check_same_bytes(self) -> None:
        result = self._entry.result if self._entry else None
        before, self._changed_on_disk = self._changed_on_disk, False
        if result is not None and self._loaded is not None and result.sha256 != self._loaded.sha256:
            self._changed_on_disk = True
            if not before:
                self._view.notify(
                    "warning",
                    tr("The file has changed since it was classified; its overlays are not shown. Open it again."),
                )

    # --- overlays ---------------------------------------------------------------------------------------------------

    def toggle_heat_map(self) -> None:
        """The heat map on or off."""
        self._preferences.change(heat_map=not self._preferences.remembered.heat_map)
        self._refresh()

    def toggle_regions(self) -> None:
        """The outlines on or off."""
        self._preferences.change(regions=not self._preferences.remembered.regions)
        self._refresh()

    def toggle_attention(self) -> None:
        """Grad-CAM on or off; asked of the classifier when it is not known yet."""
        self.attention_on = not self.attention_on
        self._refresh_and_explain()

    def set_opacity(self, opacity: float) -> None:
        """Of all overlays, 0 … 1."""
        self._preferences.change(opacity=min(max(opacity, 0.0), 1.0))
        self._refresh()

    def focus_region(self, rank: int | None) -> None:
        """Zoom to one of the top regions (from 1), and explain that one if Grad-CAM is on."""
        self._region = rank
        regions = self._entry.result.regions if self._entry and self._entry.result else ()
        if rank is None or not 1 <= rank <= len(regions):
            self._region = None
        else:
            self._view.zoom_to(regions[rank - 1].region)
        self._refresh_and_explain()

    # --- explanations -----------------------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> bool:
        """Take an answer to a request for an explanation; False when it is none."""
        body, header = envelope.body, envelope.header
        asked = self._asked.get(header.jobid or "")
        if asked is None:
            return False
        if isinstance(body, ImageExplained):
            cells = bytes(envelope.buffers[0]) if envelope.buffers else b""
            self._explanations[asked] = Overlay("attention", body.grid, cells)
        elif isinstance(body, JobFailed | RequestRejected):
            self.attention_on = False
            self._view.notify("failure" if body.fault == "ours" else "warning", tr_message(body.message))
        elif not isinstance(body, JobCancelled):
            return True
        self._asked.pop(header.jobid or "", None)
        self._refresh()
        return True

    def _ask_attention(self) -> None:
        entry = self._entry
        if not self._can_explain() or entry is None or entry.path is None:
            return
        wanted = self._explanation_key(entry)
        if wanted in self._explanations or wanted in self._asked.values():
            return
        job_id = uuid4().hex
        self._asked[job_id] = wanted
        path, region = Path(entry.path), self._wanted_region(entry)
        self._refresh()
        self._background.run(
            f"explain-{job_id}",
            lambda: read_image_bytes(path),
            lambda data: self._send_explain(entry, job_id, data, region),
            lambda error: self._explain_unread(job_id, error),
        )

    def _send_explain(self, entry: WorklistEntry, job_id: str, data: bytes, region: Region | None) -> None:
        result = entry.result
        assert result is not None
        item = ImageItem(
            item_id=uuid4().hex,
            name=entry.name[-512:],
            path=entry.path,
            nbytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            scale=result.scale if result.scale.source is ScaleSource.USER else None,
        )
        request = ExplainImage(item=item, model=result.model.name, region=region)
        self._client.send(request, (data,), job_id=job_id)

    def _explain_unread(self, job_id: str, error: Exception) -> None:
        self._asked.pop(job_id, None)
        self.attention_on = False
        self._view.notify("warning", tr_message(error.message) if isinstance(error, HistovoxError) else str(error))
        self._refresh()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _wanted_region(self, entry: WorklistEntry) -> Region | None:
        regions = entry.result.regions if entry.result else ()
        return regions[self._region - 1].region if self._region is not None and self._region <= len(regions) else None

    def _explanation_key(self, entry: WorklistEntry) -> tuple[str, str]:
        result, region = entry.result, self._wanted_region(entry)
        assert result is not None
        return f"{result.sha256}:{result.model.fingerprint}:{result.scale.um_per_px}", str(region)

    def _can_explain(self) -> bool:
        entry = self._entry
        usable = entry is not None and entry.result is not None and self._loaded is not None
        return (
            usable and not self._changed_on_disk and entry is not None and entry.word is not VerdictWord.OUT_OF_DOMAIN
        )

    def _refresh_and_explain(self) -> None:
        """Grad-CAM stays on from image to image, so every image that is shown is asked about while it is."""
        self._refresh()
        if self.attention_on:
            self._ask_attention()

    def _refresh(self) -> None:
        entry, remembered = self._entry, self._preferences.remembered
        result = entry.result if entry and self._loaded and not self._changed_on_disk else None
        overlays: list[Overlay] = []
        there = bool(entry and result and result.heat_map and entry.heat_map)
        there = there and entry is not None and entry.word is not VerdictWord.OUT_OF_DOMAIN
        if there and remembered.heat_map and entry and result and result.heat_map and entry.heat_map:
            overlays.append(Overlay("probability", result.heat_map, entry.heat_map))
        pending = False
        if self.attention_on and entry and self._can_explain():
            key = self._explanation_key(entry)
            known = self._explanations.get(key)
            pending = known is None and key in self._asked.values()
            overlays += [known] if known else []
        regions = self._marked()
        self._view.show_overlays(
            tuple(overlays),
            OverlayControls(
                heat_map_there=there,
                heat_map_on=there and remembered.heat_map,
                attention_there=self._can_explain(),
                attention_on=self.attention_on and self._can_explain(),
                attention_pending=pending,
                regions_there=bool(regions),
                regions_on=remembered.regions,
                opacity=remembered.opacity,
            ),
        )
        self._view.show_regions(regions if remembered.regions else ())
        self._view.show_scale(self._um_per_px())

    def _marked(self) -> tuple[MarkedRegion, ...]:
        result = self._entry.result if self._entry else None
        if result is None or self._loaded is None or self._changed_on_disk or result.patches < 2:
            return ()
        if result.verdict.word is VerdictWord.OUT_OF_DOMAIN:
            return ()
        read = [
            MarkedRegion(rank, score.region, read_score(score.probability, result.verdict), rank == self._region)
            for rank, score in enumerate(result.regions, 1)
        ]
        return tuple(marked for marked in read if marked.selected or marked.word is not VerdictWord.NO_TUMOUR)

    def _um_per_px(self) -> float | None:
        if self._entry is None or self._loaded is None:
            return None
        scale = self._entry.result.scale if self._entry.result else None
        if scale is None and self._entry.path:
            scale = self._preferences.scale_for(Path(self._entry.path)) or self._loaded.picture.scale
        return None if scale is None or scale.source is ScaleSource.ASSUMED else scale.um_per_px


def _pixels(picture: Picture) -> int:
    return picture.width * picture.height
