"""Viewport, settings, words: the parts that need no broker."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.jobs import HistoryForgotten
from domain.values import Region
from domain.words.verdicts import percent
from tests.fakes.background import FakeBackground
from tests.fakes.bus import FakeBrokerClient
from tests.waiting import wait_until
from ui.desktop.pump import MESSAGES_A_TURN, Pump
from ui.presenters.background import BackgroundThreads
from ui.presenters.entries import when
from ui.presenters.preferences import FILE_NAME, Preferences
from ui.presenters.viewport import Viewport, scale_bar
from ui.presenters.worklist_presenter import remaining_text
from ui.widgets.scale_sheet import parse_um

PANEL = (800.0, 600.0)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@given(x=st.floats(100, 700), y=st.floats(100, 500), factor=st.floats(1.1, 4), first=st.floats(2, 6))
def test_zooming_in_keeps_the_tissue_beneath_the_pointer_in_place(
    x: float, y: float, factor: float, first: float
) -> None:
    view = Viewport.fitted((4000, 3000), PANEL).zoomed(first)
    before = view.to_image(x, y)
    after = view.zoomed(factor, (x, y)).to_image(x, y)
    assert after == pytest.approx(before, abs=1e-6)


@given(dx=st.floats(-1e5, 1e5), dy=st.floats(-1e5, 1e5), zoom=st.floats(0.2, 16))
def test_an_image_can_never_be_lost_from_sight(dx: float, dy: float, zoom: float) -> None:
    view = Viewport.fitted((2000, 1500), PANEL).zoomed(zoom).panned(dx, dy)
    left, top = view.to_screen(0, 0)
    right, bottom = view.to_screen(2000, 1500)
    assert left < PANEL[0] and top < PANEL[1] and right > 0 and bottom > 0


def test_a_fitted_image_stays_fitted_when_the_window_grows() -> None:
    assert Viewport.fitted((400, 400), PANEL).resized((1600, 1200)).is_fitted


def test_a_region_is_shown_in_the_middle() -> None:
    view = Viewport.fitted((4000, 3000), PANEL).showing(Region(x=1000, y=1000, width=100, height=100))
    assert view.to_screen(1050, 1050) == pytest.approx((400, 300))


@given(um=st.floats(0.001, 1000), longest=st.floats(60, 300))
def test_a_scale_bar_is_round_and_fits(um: float, longest: float) -> None:
    length, label = scale_bar(um, longest)
    assert longest / 2.6 <= length <= longest * 1.000001
    assert label.split()[0].strip("0.")[:1] in ("1", "2", "5")


@pytest.mark.parametrize(
    ("probability", "text"), [(0.0, "< 1 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.974, "97 %"), (0.9999, "> 99 %")]
)
def test_a_probability_is_never_shown_as_certain(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-11-24T09:05:00+00:00", "09:05"),
        ("2026-11-23T09:05:00+00:00", "Yesterday 09:05"),
        ("2026-03-02T09:05:00+00:00", "2 Mar"),
        ("2025-03-02T09:05:00+00:00", "2 Mar 2025"),
        ("nonsense", ""),
    ],
)
def test_times_are_told_as_people_tell_them(at: str, text: str) -> None:
    assert when(at, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "almost done"), (45, "about 45 s left"), (200, "about 3 min left"), (7200, "about 2.0 h left")],
)
def test_remaining_time_is_rounded_honestly(seconds: float, text: str) -> None:
    assert remaining_text(seconds) == text


@pytest.mark.parametrize(
    ("typed", "value"), [("0.5", 0.5), ("0,25 µm", 0.25), ("0.5 um/px", 0.5), ("", None), ("0", None), ("ten", None)]
)
def test_a_scale_is_understood_as_people_type_it(typed: str, value: float | None) -> None:
    assert parse_um(typed) == value


def test_settings_survive_a_restart(tmp_path: Path) -> None:
    Preferences(tmp_path).change(theme="dark", scaling=1.5)
    again = Preferences(tmp_path).remembered
    assert (again.theme, again.scaling) == ("dark", 1.5)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"scaling": 99}', b"\xff\xfe"])
def test_a_damaged_settings_file_is_no_reason_not_to_start(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    assert Preferences(tmp_path).remembered.scaling is None


def test_a_folders_scale_holds_for_the_folders_below_it_and_can_be_taken_back(tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "config")
    preferences.remember_scale(tmp_path / "case", 0.25)
    scale = preferences.scale_for(tmp_path / "case" / "slide 1" / "a.png")
    assert scale is not None and scale.um_per_px == 0.25
    preferences.remember_scale(tmp_path / "case", None)
    assert preferences.scale_for(tmp_path / "case" / "a.png") is None


def test_of_many_waiting_loads_only_the_newest_is_begun() -> None:
    import threading

    threads, begun, go = BackgroundThreads(), [], threading.Event()

    def work(name: str) -> str:
        begun.append(name)
        go.wait(20)
        return name

    ended: list[str] = []
    for name in ("first", "second", "third"):
        threads.run("picture", lambda name=name: work(name), ended.append, lambda error: None)  # type: ignore[misc]
        wait_until(lambda: begun)
    go.set()
    wait_until(lambda: threads.deliver() + len(ended) >= 2)
    assert (begun, ended) == (["first", "third"], ["first", "third"])


def test_a_flood_of_messages_is_shown_in_small_turns() -> None:
    client, seen = FakeBrokerClient(), []
    for _ in range(25):
        client.event(HistoryForgotten(removed=0))
    pump = Pump(
        after=lambda ms, step: None,
        client=client,
        background=FakeBackground(),
        handle=seen.append,
        tick=lambda: None,
    )
    pump.turn()
    assert len(seen) == MESSAGES_A_TURN


def test_a_message_that_cannot_be_shown_does_not_cost_the_next_one() -> None:
    client, seen = FakeBrokerClient(), []
    first = client.event(HistoryForgotten(removed=1))
    client.event(HistoryForgotten(removed=2))

    def handle(envelope: object) -> None:
        if envelope is first:
            raise ValueError("a fault of ours")
        seen.append(envelope)

    Pump(
        after=lambda ms, step: None, client=client, background=FakeBackground(), handle=handle, tick=lambda: None
    ).turn()
    assert len(seen) == 1
