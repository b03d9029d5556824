"""The speaking queue: what is heard, in which order, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain.errors import EngineUnavailable
from domain.messages.base import Message
from domain.messages.speech import SpeechFailed, UtteranceFinished, UtteranceStarted
from services.speech.configuration import CurrentSettings, SpeechSettings
from services.speech.engine_pool import EnginePool
from services.speech.speaker import LONGEST_QUEUE, Speaker, Utterance, UtteranceKind
from tests.fakes.clock import FakeClock
from tests.fakes.speech import FakeBackgroundExecutor, FakeEngine, FakeEngines, FakePlayer, RecordedEvents, exactly_once


class Desk:
    """A speaker among fakes. ``post`` calls at once, as the loop would a moment later."""

    def __init__(self, *, device: bool = True, **settings: object) -> None:
        self.first, self.second = FakeEngine("first"), FakeEngine("second")
        self.player, self.executor, self.clock, self.told = (
            FakePlayer(device=device),
            FakeBackgroundExecutor(),
            FakeClock(),
            RecordedEvents(),
        )
        self.current = CurrentSettings(SpeechSettings.model_validate({"engine": "first"} | settings))
        self.pool = EnginePool(FakeEngines(self.first, self.second))
        self.speaker = Speaker(
            self.current, self.pool, self.player, self.executor, self.told, self.clock, lambda call: call()
        )

    def say(
        self,
        text: str,
        *,
        urgent: bool = False,
        kind: UtteranceKind = UtteranceKind.COMMAND,
        request: str | None = None,
    ) -> None:
        self.speaker.say(Utterance(text, "en", kind, request), urgent=urgent)

    def hear_all(self) -> None:
        """Let everything be played or shown to its end."""
        while self.player.playing or self.speaker.due is not None:
            if self.player.playing:
                self.player.finish()
            else:
                self.clock.advance(5)
                self.speaker.tick()

    def configure(self, **changes: object) -> None:
        self.current.settings = self.current.settings.model_copy(update=changes)
        self.speaker.settings_changed()

    @property
    def failures(self) -> list[SpeechFailed]:
        return self.told.of(SpeechFailed)

    @property
    def events(self) -> list[Message]:
        return [body for body, _ in self.told.all]


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestSpeaking:
    def test_a_sentence_is_captioned_played_and_finished(self, desk: Desk) -> None:
        desk.say("Ready.", request="r1")
        assert desk.told.all == [(desk.told.of(UtteranceStarted)[0], "r1")]
        assert desk.told.of(UtteranceStarted)[0].audible
        desk.player.finish()
        assert desk.told.all[-1] == (
            UtteranceFinished(utterance_id=desk.told.of(UtteranceStarted)[0].utterance_id, outcome="spoken"),
            "r1",
        )

    def test_the_caption_does_not_wait_for_the_sound(self, desk: Desk) -> None:
        desk.executor.held = True
        desk.say("Ready.")
        assert desk.told.started == ["Ready."]
        assert not desk.player.playing
        desk.executor.do_all()
        assert desk.player.playing

    def test_the_next_sentence_is_rendered_while_the_first_plays(self, desk: Desk) -> None:
        desk.say("One. Two. Three.")
        assert desk.first.rendered == ["One.", "Two."]
        desk.player.finish()
        assert desk.first.rendered == ["One.", "Two.", "Three."]
        desk.hear_all()
        assert desk.told.outcomes == ["spoken"]
        assert len(desk.player.sounds) == 3

    def test_the_next_utterance_is_rendered_while_the_last_sentence_plays(self, desk: Desk) -> None:
        desk.say("One.")
        desk.say("Two.")
        desk.player.finish()
        assert desk.first.rendered == ["One.", "Two."]
        assert desk.told.started == ["One.", "Two."]

    def test_utterances_follow_in_order(self, desk: Desk) -> None:
        for text in ("One.", "Two.", "Three."):
            desk.say(text)
        desk.hear_all()
        assert desk.told.started == ["One.", "Two.", "Three."]
        assert desk.told.outcomes == ["spoken"] * 3
        assert exactly_once(desk.events)

    def test_too_much_to_say_is_refused_with_a_reason(self, desk: Desk) -> None:
        for number in range(LONGEST_QUEUE + 1):
            desk.say(f"Number {number}.")
        desk.say("One too many.", request="r9")
        assert desk.told.all[-1][1] == "r9"
        assert desk.failures[0].code == "speech_queue_full"


class TestOvertaking:
    def test_an_urgent_message_stops_what_is_said_and_goes_first(self, desk: Desk) -> None:
        desk.say("A long story.")
        desk.say("Another.")
        desk.say("Fire!", urgent=True)
        assert desk.told.started == ["A long story.", "Fire!"]
        assert desk.told.outcomes == ["stopped"]
        desk.hear_all()
        assert desk.told.started == ["A long story.", "Fire!", "Another."]
        assert exactly_once(desk.events)

    def test_a_newer_verdict_ends_an_older_announcement(self, desk: Desk) -> None:
        desk.say("Old verdict.", kind=UtteranceKind.RESULT)
        desk.say("Newer verdict.", kind=UtteranceKind.RESULT)
        assert desk.told.started == ["Old verdict.", "Newer verdict."]
        assert desk.told.outcomes == ["stopped"]

    def test_verdicts_that_wait_are_replaced_by_the_newest(self, desk: Desk) -> None:
        desk.say("What was asked for.")
        for verdict in ("First.", "Second.", "Third."):
            desk.say(verdict, kind=UtteranceKind.RESULT)
        desk.hear_all()
        assert desk.told.started == ["What was asked for.", "Third."]
        assert exactly_once(desk.events)

    def test_a_verdict_does_not_cut_off_words_that_were_asked_for(self, desk: Desk) -> None:
        desk.say("What was asked for.")
        desk.say("Verdict.", kind=UtteranceKind.RESULT)
        assert desk.told.outcomes == []

    def test_a_verdict_goes_before_summaries_and_status(self, desk: Desk) -> None:
        desk.say("Asked for.")
        desk.say("Summary.", kind=UtteranceKind.SUMMARY)
        desk.say("Verdict.", kind=UtteranceKind.RESULT)
        desk.hear_all()
        assert desk.told.started == ["Asked for.", "Verdict.", "Summary."]


class TestStopping:
    def test_stop_is_silence_and_forgets_what_waits(self, desk: Desk) -> None:
        desk.say("One.", request="r1")
        desk.say("Two.", request="r2")
        desk.speaker.stop()
        assert not desk.player.playing
        assert desk.told.outcomes == ["stopped", "stopped"]
        assert [request for body, request in desk.told.all if isinstance(body, UtteranceFinished)] == ["r1", "r2"]
        assert desk.told.started == ["One."]
        assert exactly_once(desk.events)

    def test_stop_while_a_sentence_is_rendered_lets_nothing_be_heard_later(self, desk: Desk) -> None:
        desk.executor.held = True
        desk.say("One.")
        desk.speaker.stop()
        desk.executor.do_all()
        assert not desk.player.sounds
        assert desk.told.outcomes == ["stopped"]

    def test_stop_when_nothing_is_said_is_harmless(self, desk: Desk) -> None:
        desk.speaker.stop()
        desk.say("One.")
        desk.hear_all()
        assert desk.told.outcomes == ["spoken"]

    def test_repeat_says_the_last_utterance_again_from_its_beginning(self, desk: Desk) -> None:
        desk.say("One. Two.")
        desk.player.finish()
        desk.speaker.repeat(Utterance("Nothing yet.", "en", correlation_id="r2"))
        assert desk.told.started == ["One. Two.", "One. Two."]
        assert desk.told.outcomes == ["stopped"]
        desk.hear_all()
        assert exactly_once(desk.events)

    def test_repeat_with_nothing_to_repeat_says_so(self, desk: Desk) -> None:
        desk.speaker.repeat(Utterance("Nothing yet.", "en"))
        assert desk.told.started == ["Nothing yet."]


class TestWithoutSound:
    def test_muted_the_captions_go_on_one_after_the_other(self) -> None:
        desk = Desk(muted=True)
        desk.say("One.")
        desk.say("Two.")
        assert [body.audible for body in desk.told.of(UtteranceStarted)] == [False]
        desk.hear_all()
        assert desk.told.started == ["One.", "Two."]
        assert desk.told.outcomes == ["silent", "silent"]
        assert not desk.player.sounds
        assert not desk.first.rendered

    def test_mute_is_silence_at_once_while_the_caption_stays(self, desk: Desk) -> None:
        desk.say("One. Two.")
        desk.configure(muted=True)
        assert not desk.player.playing
        assert desk.told.outcomes == []
        desk.hear_all()
        assert desk.told.outcomes == ["silent"]
        assert not desk.failures

    def test_unmuted_the_next_sentence_is_heard(self) -> None:
        desk = Desk(muted=True)
        desk.say("One.")
        desk.configure(muted=False)
        desk.hear_all()
        desk.say("Two.")
        assert desk.player.playing

    def test_the_engine_none_shows_captions_alone(self) -> None:
        desk = Desk(engine="none")
        desk.say("One.")
        desk.hear_all()
        assert desk.told.outcomes == ["silent"]
        assert not desk.failures

    def test_no_sound_device_is_told_once_and_captions_go_on(self) -> None:
        desk = Desk(device=False)
        for text in ("One.", "Two.", "Three."):
            desk.say(text)
        desk.hear_all()
        assert [failure.code for failure in desk.failures] == ["no_sound_device"]
        assert desk.told.started == ["One.", "Two.", "Three."]
        assert not desk.told.of(UtteranceStarted)[-1].audible

    def test_a_device_that_comes_later_is_used(self) -> None:
        desk = Desk(device=False)
        desk.say("One.")
        desk.hear_all()
        desk.player.device = True
        desk.say("Two.")
        assert desk.player.playing
        desk.hear_all()
        assert desk.told.outcomes[-1] == "spoken"

    def test_a_device_that_vanishes_ends_the_utterance_as_failed_and_the_next_is_a_caption(self, desk: Desk) -> None:
        desk.say("One. Two.")
        desk.say("Next.")
        desk.player.lose_device()
        assert desk.told.outcomes == ["failed"]
        assert [failure.code for failure in desk.failures] == ["no_sound_device"]
        desk.hear_all()
        assert desk.told.outcomes == ["failed", "silent"]
        assert len(desk.failures) == 1

    def test_a_device_lost_twice_is_told_twice(self, desk: Desk) -> None:
        for _ in range(2):
            desk.player.device = True
            desk.say("One.")
            desk.player.lose_device()
            desk.hear_all()
        assert len(desk.failures) == 2


class TestFailingEngines:
    def test_another_engine_helps_out_and_it_is_said_so(self, desk: Desk) -> None:
        desk.first.faults.append(EngineUnavailable("first is hoarse."))
        desk.say("One.")
        assert desk.second.rendered == ["One."]
        assert [failure.message for failure in desk.failures] == ["first is hoarse. second speaks instead."]
        desk.hear_all()
        assert desk.told.outcomes == ["spoken"]

    def test_the_next_utterance_is_tried_with_the_chosen_engine_again(self, desk: Desk) -> None:
        desk.first.faults.append(EngineUnavailable("first is hoarse."))
        desk.say("One.")
        desk.hear_all()
        desk.say("Two.")
        assert desk.first.rendered == ["Two."]

    def test_the_rest_of_an_utterance_does_not_wait_for_a_hung_engine_again(self, desk: Desk) -> None:
        desk.first.faults.append(EngineUnavailable("first hung."))
        desk.say("One. Two. Three.")
        desk.hear_all()
        assert desk.second.rendered == ["One.", "Two.", "Three."]
        assert len(desk.failures) == 1

    def test_an_engine_that_stays_broken_is_not_complained_of_each_time(self, desk: Desk) -> None:
        desk.first.always_fails = True
        for _ in range(3):
            desk.say("One.")
            desk.hear_all()
        assert len(desk.failures) == 1
        desk.first.always_fails = False
        desk.say("Two.")
        desk.hear_all()
        desk.first.always_fails = True
        desk.say("Three.")
        desk.hear_all()
        assert len(desk.failures) == 2

    def test_if_no_engine_can_the_sentence_fails_and_the_next_is_tried(self, desk: Desk) -> None:
        desk.first.faults.append(EngineUnavailable("first is hoarse."))
        desk.second.always_fails = True
        desk.say("One.")
        assert desk.told.outcomes == ["failed"]
        assert desk.failures[0].message == "first is hoarse."
        desk.say("Two.")
        desk.hear_all()
        assert desk.told.outcomes == ["failed", "spoken"]

    def test_whatever_a_library_throws_costs_no_more_than_that(self, desk: Desk) -> None:
        desk.first.faults.append(ZeroDivisionError("in a library"))
        desk.say("One.")
        desk.hear_all()
        assert desk.told.outcomes == ["spoken"]
        assert desk.failures[0].code == "engine_unavailable"


class TestChangingSettings:
    @pytest.mark.parametrize("change", [{"rate_wpm": 90}, {"engine": "second"}, {"voice": "en"}])
    def test_a_change_takes_effect_with_the_next_sentence(self, desk: Desk, change: dict[str, object]) -> None:
        desk.say("One. Two.")
        assert desk.first.rendered == ["One.", "Two."]
        desk.configure(**change)
        desk.player.finish()
        rendered = desk.second.rendered if "engine" in change else desk.first.rendered[2:]
        assert rendered == ["Two."]
        desk.hear_all()
        assert desk.told.outcomes == ["spoken"]

    def test_a_change_while_a_sentence_is_rendered_loses_nothing(self, desk: Desk) -> None:
        desk.executor.held = True
        desk.say("One.")
        desk.configure(rate_wpm=100)
        desk.executor.held = False
        desk.executor.do_all()
        assert desk.player.playing
        desk.hear_all()
        assert len(desk.player.sounds) == 1
        assert desk.told.outcomes == ["spoken"]

    def test_the_volume_is_the_player_s(self, desk: Desk) -> None:
        desk.configure(volume=0.25)
        desk.say("One.")
        assert desk.player.sounds[0][1] == 0.25


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_each_utterance_begins_and_ends_once(seed: int) -> None:
    import random

    dice, desk = random.Random(seed), Desk()
    actions: list[Callable[[], None]] = [
        lambda: desk.say("One. Two."),
        lambda: desk.say("Now!", urgent=True),
        lambda: desk.say("Verdict. Advice.", kind=UtteranceKind.RESULT),
        lambda: desk.say("Summary.", kind=UtteranceKind.SUMMARY),
        desk.speaker.stop,
        lambda: desk.speaker.repeat(Utterance("Nothing yet.", "en")),
        lambda: desk.configure(muted=dice.random() < 0.3),
        lambda: desk.configure(engine=dice.choice(["first", "second", "none"])),
        lambda: setattr(desk.player, "device", dice.random() < 0.7),
        lambda: desk.player.finish() if desk.player.playing else None,
        lambda: desk.player.lose_device() if desk.player.playing else None,
        lambda: desk.first.faults.append(EngineUnavailable("hoarse")),
        lambda: setattr(desk.executor, "held", dice.random() < 0.3),
        desk.executor.do_all,
        lambda: desk.clock.advance(dice.random() * 3),
        desk.speaker.tick,
    ]
    for _ in range(300):
        dice.choice(actions)()
    desk.executor.held = False
    desk.executor.do_all()
    desk.hear_all()
    assert exactly_once(desk.events)
    assert desk.told.started
