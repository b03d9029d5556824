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


class SpeakerFixture:
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
def speech() -> SpeakerFixture:
    return SpeakerFixture()


class TestSpeaking:
    def test_a_sentence_is_captioned_played_and_finished(self, speech: SpeakerFixture) -> None:
        speech.say("Ready.", request="r1")
        assert speech.told.all == [(speech.told.of(UtteranceStarted)[0], "r1")]
        assert speech.told.of(UtteranceStarted)[0].audible
        speech.player.finish()
        assert speech.told.all[-1] == (
            UtteranceFinished(utterance_id=speech.told.of(UtteranceStarted)[0].utterance_id, outcome="spoken"),
            "r1",
        )

    def test_the_caption_does_not_wait_for_the_sound(self, speech: SpeakerFixture) -> None:
        speech.executor.held = True
        speech.say("Ready.")
        assert speech.told.started == ["Ready."]
        assert not speech.player.playing
        speech.executor.do_all()
        assert speech.player.playing

    def test_the_next_sentence_is_rendered_while_the_first_plays(self, speech: SpeakerFixture) -> None:
        speech.say("One. Two. Three.")
        assert speech.first.rendered == ["One.", "Two."]
        speech.player.finish()
        assert speech.first.rendered == ["One.", "Two.", "Three."]
        speech.hear_all()
        assert speech.told.outcomes == ["spoken"]
        assert len(speech.player.sounds) == 3

    def test_the_next_utterance_is_rendered_while_the_last_sentence_plays(self, speech: SpeakerFixture) -> None:
        speech.say("One.")
        speech.say("Two.")
        speech.player.finish()
        assert speech.first.rendered == ["One.", "Two."]
        assert speech.told.started == ["One.", "Two."]

    def test_utterances_follow_in_order(self, speech: SpeakerFixture) -> None:
        for text in ("One.", "Two.", "Three."):
            speech.say(text)
        speech.hear_all()
        assert speech.told.started == ["One.", "Two.", "Three."]
        assert speech.told.outcomes == ["spoken"] * 3
        assert exactly_once(speech.events)

    def test_too_much_to_say_is_refused_with_a_reason(self, speech: SpeakerFixture) -> None:
        for number in range(LONGEST_QUEUE + 1):
            speech.say(f"Number {number}.")
        speech.say("One too many.", request="r9")
        assert speech.told.all[-1][1] == "r9"
        assert speech.failures[0].code == "speech_queue_full"


class TestOvertaking:
    def test_an_urgent_message_stops_what_is_said_and_goes_first(self, speech: SpeakerFixture) -> None:
        speech.say("A long story.")
        speech.say("Another.")
        speech.say("Fire!", urgent=True)
        assert speech.told.started == ["A long story.", "Fire!"]
        assert speech.told.outcomes == ["stopped"]
        speech.hear_all()
        assert speech.told.started == ["A long story.", "Fire!", "Another."]
        assert exactly_once(speech.events)

    def test_a_newer_verdict_ends_an_older_announcement(self, speech: SpeakerFixture) -> None:
        speech.say("Old verdict.", kind=UtteranceKind.RESULT)
        speech.say("Newer verdict.", kind=UtteranceKind.RESULT)
        assert speech.told.started == ["Old verdict.", "Newer verdict."]
        assert speech.told.outcomes == ["stopped"]

    def test_verdicts_that_wait_are_replaced_by_the_newest(self, speech: SpeakerFixture) -> None:
        speech.say("What was asked for.")
        for verdict in ("First.", "Second.", "Third."):
            speech.say(verdict, kind=UtteranceKind.RESULT)
        speech.hear_all()
        assert speech.told.started == ["What was asked for.", "Third."]
        assert exactly_once(speech.events)

    def test_a_verdict_does_not_cut_off_words_that_were_asked_for(self, speech: SpeakerFixture) -> None:
        speech.say("What was asked for.")
        speech.say("Verdict.", kind=UtteranceKind.RESULT)
        assert speech.told.outcomes == []

    def test_a_verdict_goes_before_summaries_and_status(self, speech: SpeakerFixture) -> None:
        speech.say("Asked for.")
        speech.say("Summary.", kind=UtteranceKind.SUMMARY)
        speech.say("Verdict.", kind=UtteranceKind.RESULT)
        speech.hear_all()
        assert speech.told.started == ["Asked for.", "Verdict.", "Summary."]


class TestStopping:
    def test_stop_is_silence_and_forgets_what_waits(self, speech: SpeakerFixture) -> None:
        speech.say("One.", request="r1")
        speech.say("Two.", request="r2")
        speech.speaker.stop()
        assert not speech.player.playing
        assert speech.told.outcomes == ["stopped", "stopped"]
        assert [request for body, request in speech.told.all if isinstance(body, UtteranceFinished)] == ["r1", "r2"]
        assert speech.told.started == ["One."]
        assert exactly_once(speech.events)

    def test_stop_while_a_sentence_is_rendered_lets_nothing_be_heard_later(self, speech: SpeakerFixture) -> None:
        speech.executor.held = True
        speech.say("One.")
        speech.speaker.stop()
        speech.executor.do_all()
        assert not speech.player.sounds
        assert speech.told.outcomes == ["stopped"]

    def test_stop_when_nothing_is_said_is_harmless(self, speech: SpeakerFixture) -> None:
        speech.speaker.stop()
        speech.say("One.")
        speech.hear_all()
        assert speech.told.outcomes == ["spoken"]

    def test_repeat_says_the_last_utterance_again_from_its_beginning(self, speech: SpeakerFixture) -> None:
        speech.say("One. Two.")
        speech.player.finish()
        speech.speaker.repeat(Utterance("Nothing yet.", "en", correlation_id="r2"))
        assert speech.told.started == ["One. Two.", "One. Two."]
        assert speech.told.outcomes == ["stopped"]
        speech.hear_all()
        assert exactly_once(speech.events)

    def test_repeat_with_nothing_to_repeat_says_so(self, speech: SpeakerFixture) -> None:
        speech.speaker.repeat(Utterance("Nothing yet.", "en"))
        assert speech.told.started == ["Nothing yet."]


class TestWithoutSound:
    def test_muted_the_captions_go_on_one_after_the_other(self) -> None:
        speech = SpeakerFixture(muted=True)
        speech.say("One.")
        speech.say("Two.")
        assert [body.audible for body in speech.told.of(UtteranceStarted)] == [False]
        speech.hear_all()
        assert speech.told.started == ["One.", "Two."]
        assert speech.told.outcomes == ["silent", "silent"]
        assert not speech.player.sounds
        assert not speech.first.rendered

    def test_mute_is_silence_at_once_while_the_caption_stays(self, speech: SpeakerFixture) -> None:
        speech.say("One. Two.")
        speech.configure(muted=True)
        assert not speech.player.playing
        assert speech.told.outcomes == []
        speech.hear_all()
        assert speech.told.outcomes == ["silent"]
        assert not speech.failures

    def test_unmuted_the_next_sentence_is_heard(self) -> None:
        speech = SpeakerFixture(muted=True)
        speech.say("One.")
        speech.configure(muted=False)
        speech.hear_all()
        speech.say("Two.")
        assert speech.player.playing

    def test_the_engine_none_shows_captions_alone(self) -> None:
        speech = SpeakerFixture(engine="none")
        speech.say("One.")
        speech.hear_all()
        assert speech.told.outcomes == ["silent"]
        assert not speech.failures

    def test_no_sound_device_is_told_once_and_captions_go_on(self) -> None:
        speech = SpeakerFixture(device=False)
        for text in ("One.", "Two.", "Three."):
            speech.say(text)
        speech.hear_all()
        assert [failure.code for failure in speech.failures] == ["no_sound_device"]
        assert speech.told.started == ["One.", "Two.", "Three."]
        assert not speech.told.of(UtteranceStarted)[-1].audible

    def test_a_device_that_comes_later_is_used(self) -> None:
        speech = SpeakerFixture(device=False)
        speech.say("One.")
        speech.hear_all()
        speech.player.device = True
        speech.say("Two.")
        assert speech.player.playing
        speech.hear_all()
        assert speech.told.outcomes[-1] == "spoken"

    def test_a_device_that_vanishes_ends_the_utterance_as_failed_and_the_next_is_a_caption(
        self, speech: SpeakerFixture
    ) -> None:
        speech.say("One. Two.")
        speech.say("Next.")
        speech.player.lose_device()
        assert speech.told.outcomes == ["failed"]
        assert [failure.code for failure in speech.failures] == ["no_sound_device"]
        speech.hear_all()
        assert speech.told.outcomes == ["failed", "silent"]
        assert len(speech.failures) == 1

    def test_a_device_lost_twice_is_told_twice(self, speech: SpeakerFixture) -> None:
        for _ in range(2):
            speech.player.device = True
            speech.say("One.")
            speech.player.lose_device()
            speech.hear_all()
        assert len(speech.failures) == 2


class TestFailingEngines:
    def test_another_engine_helps_out_and_it_is_said_so(self, speech: SpeakerFixture) -> None:
        speech.first.faults.append(EngineUnavailable("first is hoarse."))
        speech.say("One.")
        assert speech.second.rendered == ["One."]
        assert [failure.message for failure in speech.failures] == ["first is hoarse. second speaks instead."]
        speech.hear_all()
        assert speech.told.outcomes == ["spoken"]

    def test_the_next_utterance_is_tried_with_the_chosen_engine_again(self, speech: SpeakerFixture) -> None:
        speech.first.faults.append(EngineUnavailable("first is hoarse."))
        speech.say("One.")
        speech.hear_all()
        speech.say("Two.")
        assert speech.first.rendered == ["Two."]

    def test_the_rest_of_an_utterance_does_not_wait_for_a_hung_engine_again(self, speech: SpeakerFixture) -> None:
        speech.first.faults.append(EngineUnavailable("first hung."))
        speech.say("One. Two. Three.")
        speech.hear_all()
        assert speech.second.rendered == ["One.", "Two.", "Three."]
        assert len(speech.failures) == 1

    def test_an_engine_that_stays_broken_is_not_complained_of_each_time(self, speech: SpeakerFixture) -> None:
        speech.first.always_fails = True
        for _ in range(3):
            speech.say("One.")
            speech.hear_all()
        assert len(speech.failures) == 1
        speech.first.always_fails = False
        speech.say("Two.")
        speech.hear_all()
        speech.first.always_fails = True
        speech.say("Three.")
        speech.hear_all()
        assert len(speech.failures) == 2

    def test_if_no_engine_can_the_sentence_fails_and_the_next_is_tried(self, speech: SpeakerFixture) -> None:
        speech.first.faults.append(EngineUnavailable("first is hoarse."))
        speech.second.always_fails = True
        speech.say("One.")
        assert speech.told.outcomes == ["failed"]
        assert speech.failures[0].message == "first is hoarse."
        speech.say("Two.")
        speech.hear_all()
        assert speech.told.outcomes == ["failed", "spoken"]

    def test_whatever_a_library_throws_costs_no_more_than_that(self, speech: SpeakerFixture) -> None:
        speech.first.faults.append(ZeroDivisionError("in a library"))
        speech.say("One.")
        speech.hear_all()
        assert speech.told.outcomes == ["spoken"]
        assert speech.failures[0].code == "engine_unavailable"


class TestChangingSettings:
    @pytest.mark.parametrize("change", [{"rate_wpm": 90}, {"engine": "second"}, {"voice": "en"}])
    def test_a_change_takes_effect_with_the_next_sentence(
        self, speech: SpeakerFixture, change: dict[str, object]
    ) -> None:
        speech.say("One. Two.")
        assert speech.first.rendered == ["One.", "Two."]
        speech.configure(**change)
        speech.player.finish()
        rendered = speech.second.rendered if "engine" in change else speech.first.rendered[2:]
        assert rendered == ["Two."]
        speech.hear_all()
        assert speech.told.outcomes == ["spoken"]

    def test_a_change_while_a_sentence_is_rendered_loses_nothing(self, speech: SpeakerFixture) -> None:
        speech.executor.held = True
        speech.say("One.")
        speech.configure(rate_wpm=100)
        speech.executor.held = False
        speech.executor.do_all()
        assert speech.player.playing
        speech.hear_all()
        assert len(speech.player.sounds) == 1
        assert speech.told.outcomes == ["spoken"]

    def test_the_volume_is_the_player_s(self, speech: SpeakerFixture) -> None:
        speech.configure(volume=0.25)
        speech.say("One.")
        assert speech.player.sounds[0][1] == 0.25


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_each_utterance_begins_and_ends_once(seed: int) -> None:
    import random

    dice, speech = random.Random(seed), SpeakerFixture()
    actions: list[Callable[[], None]] = [
        lambda: speech.say("One. Two."),
        lambda: speech.say("Now!", urgent=True),
        lambda: speech.say("Verdict. Advice.", kind=UtteranceKind.RESULT),
        lambda: speech.say("Summary.", kind=UtteranceKind.SUMMARY),
        speech.speaker.stop,
        lambda: speech.speaker.repeat(Utterance("Nothing yet.", "en")),
        lambda: speech.configure(muted=dice.random() < 0.3),
        lambda: speech.configure(engine=dice.choice(["first", "second", "none"])),
        lambda: setattr(speech.player, "device", dice.random() < 0.7),
        lambda: speech.player.finish() if speech.player.playing else None,
        lambda: speech.player.lose_device() if speech.player.playing else None,
        lambda: speech.first.faults.append(EngineUnavailable("hoarse")),
        lambda: setattr(speech.executor, "held", dice.random() < 0.3),
        speech.executor.do_all,
        lambda: speech.clock.advance(dice.random() * 3),
        speech.speaker.tick,
    ]
    for _ in range(300):
        dice.choice(actions)()
    speech.executor.held = False
    speech.executor.do_all()
    speech.hear_all()
    assert exactly_once(speech.events)
    assert speech.told.started
