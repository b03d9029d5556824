"""What is said, as a clinician hears it."""

from __future__ import annotations

import inspect
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import errors
from domain.messages.imaging import ItemAnswer
from domain.messages.speech import Language
from domain.tally import Tally
from domain.values import ImageResult, ItemFailure, Note, Verdict, VerdictWord
from domain.words.phrases import (
    SHORT_DISCLAIMER,
    confidence,
    error_words,
    say_answer,
    say_error,
    say_failure,
    say_nothing_to_repeat,
    say_process_dead,
    say_result,
    say_summary,
    say_worker_found,
    say_worker_lost,
    sentences,
    short_disclaimer,
    spoken_name,
)
from domain.words.spoken_errors import SPOKEN_ERRORS
from tests.builders import a_result

LANGUAGES: tuple[Language, ...] = ("en", "zh")
HASH = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567.tif"


def verdict(word: VerdictWord, probability: float | None, *, calibrated: bool = True) -> Verdict:
    return Verdict(word=word, probability=probability, threshold=0.5, band=(0.4, 0.6), calibrated=calibrated)


def result(
    word: VerdictWord = VerdictWord.TUMOUR,
    probability: float | None = 0.94,
    *,
    calibrated: bool = True,
    name: str = HASH,
    patches: int = 1,
    notes: tuple[Note, ...] = (),
) -> ImageResult:
    judged = verdict(word, probability, calibrated=calibrated)
    return a_result().model_copy(update={"verdict": judged, "name": name, "patches": patches, "notes": notes})


def failure(code: str = "not_an_image", name: str = "Notes.docx", fault: str = "caller") -> ItemFailure:
    return ItemFailure.model_validate({"item_id": "i", "name": name, "code": code, "message": "m", "fault": fault})


class TestVerdicts:
    @pytest.mark.parametrize(
        ("word", "probability", "sentence"),
        [
            (
                VerdictWord.TUMOUR,
                0.94,
                "This patch looks suspicious for tumour. High confidence, 94 percent. "
                "Have a pathologist review it first. An aid, not a diagnosis.",
            ),
            (
                VerdictWord.NO_TUMOUR,
                0.03,
                "This patch shows no sign of tumour. Very high confidence, tumour probability 3 percent. "
                "Review it as usual. An aid, not a diagnosis.",
            ),
            (
                VerdictWord.UNCERTAIN,
                0.52,
                "This patch is uncertain. Tumour probability 52 percent. Have it looked at. An aid, not a diagnosis.",
            ),
            (
                VerdictWord.OUT_OF_DOMAIN,
                None,
                "This patch does not look like stained tissue, so it was not judged. "
                "Check that it is the right file. An aid, not a diagnosis.",
            ),
        ],
    )
    def test_the_verdict_comes_first_then_confidence_advice_and_disclaimer(
        self, word: VerdictWord, probability: float | None, sentence: str
    ) -> None:
        assert say_result(result(word, probability), "en") == sentence

    def test_a_verdict_in_chinese(self) -> None:
        assert say_result(result(), "zh") == (
            "这个图块疑似有肿瘤。把握较高，概率百分之94。请病理医生优先复核。仅供辅助，不作诊断。"
        )

    def test_blank_glass_is_said_to_be_glass(self) -> None:
        glass = Note(code="mostly_glass", message="m")
        said = say_result(result(VerdictWord.OUT_OF_DOMAIN, None, notes=(glass,)), "en")
        assert said.startswith("This patch is mostly blank glass, so it was not judged. Choose a region with tissue.")

    def test_an_image_of_many_patches_is_called_an_image(self) -> None:
        assert say_result(result(patches=20), "en").startswith("This image looks suspicious")

    def test_a_name_that_one_can_say_is_said(self) -> None:
        said = say_result(result(name="biopsy_left-breast.tiff"), "en")
        assert said.startswith("Biopsy left breast looks suspicious for tumour.")

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("word", list(VerdictWord))
    @pytest.mark.parametrize("calibrated", [True, False])
    def test_every_verdict_is_short_and_disclaims_once(
        self, language: Language, word: VerdictWord, calibrated: bool
    ) -> None:
        probability = None if word is VerdictWord.OUT_OF_DOMAIN else 0.5
        said = say_result(result(word, probability, calibrated=calibrated), language)
        assert said.count(short_disclaimer(language)) == 1
        assert len(said) < 170
        assert 3 <= len(sentences(said)) <= 4
        assert "{" not in said

    def test_the_short_disclaimer_is_the_one_that_every_face_shows(self) -> None:
        assert short_disclaimer("en") == SHORT_DISCLAIMER == "An aid, not a diagnosis."


class TestConfidence:
    def test_an_uncalibrated_score_is_never_given_as_a_percentage_or_as_confidence(self) -> None:
        for word in (VerdictWord.TUMOUR, VerdictWord.NO_TUMOUR, VerdictWord.UNCERTAIN):
            for probability in (0.0, 0.3, 0.5, 0.99):
                said = confidence(verdict(word, probability, calibrated=False), "en")
                assert "uncalibrated" in said
                assert "percent" not in said
                assert "onfidence" not in said
                assert not any(letter.isdigit() for letter in said)

    @pytest.mark.parametrize(("probability", "words"), [(0.999, "over 99 percent"), (1.0, "over 99 percent")])
    def test_certainty_is_never_claimed(self, probability: float, words: str) -> None:
        assert words in confidence(verdict(VerdictWord.TUMOUR, probability), "en")
        assert "under 1 percent" in confidence(verdict(VerdictWord.NO_TUMOUR, 1 - probability), "en")

    @pytest.mark.parametrize(("probability", "level"), [(0.97, "Very high"), (0.85, "High"), (0.7, "Moderate")])
    def test_confidence_has_three_levels_on_either_side(self, probability: float, level: str) -> None:
        assert confidence(verdict(VerdictWord.TUMOUR, probability), "en").startswith(level)
        assert confidence(verdict(VerdictWord.NO_TUMOUR, 1 - probability), "en").startswith(level)

    def test_out_of_domain_has_none(self) -> None:
        assert confidence(verdict(VerdictWord.OUT_OF_DOMAIN, None), "en") == ""


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            HASH,
            "f38a6374c348f90b587e046aac6079959adf3835.tif",
            "9369c7278ec8bcc6c880d99194de09fc2bd4efbe",
            "550e8400-e29b-41d4-a716-446655440000.png",
            "000123.jpg",
            "2024-01-31 12.13.14.png",
            "aGk3d9Xz01LpQ8rT5vWm.png",
            "...",
            "",
        ],
    )
    def test_hashes_and_numbers_are_not_read_out(self, name: str) -> None:
        assert spoken_name(name) is None

    @pytest.mark.parametrize(
        ("name", "spoken"),
        [
            ("slide_12.svs", "slide 12"),
            ("Müller, Anna – lymph node.tif", "Müller Anna lymph node"),
            ("IMG_20240131_121314.jpg", "IMG ending in 3 1 4"),
            ("CMU-1-Small-Region.svs", "CMU 1 Small Region"),
            ("C:\\cases\\left breast.png", "left breast"),
            ("a very long name of a file that nobody wants to hear.png", "a very long name of a file"),
            ("deadbeef-facade.png", "deadbeef facade"),
        ],
    )
    def test_other_names_are_said_as_one_would_say_them(self, name: str, spoken: str) -> None:
        assert spoken_name(name) == spoken

    @given(st.text(max_size=80))
    def test_no_name_is_long_or_holds_a_long_number(self, name: str) -> None:
        spoken = spoken_name(name)
        if spoken is not None:
            assert spoken.strip()
            assert len(spoken) <= 50
            assert not any(word.isdigit() and len(word) > 4 for word in spoken.split())


class TestErrors:
    def test_a_failure_says_which_file_and_what_to_do(self) -> None:
        assert say_failure(failure(), "en") == "Notes: this is not an image that can be read. Choose another file."

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_every_error_of_the_domain_has_words(self, language: Language) -> None:
        codes = {
            error.code
            for _, error in inspect.getmembers(errors, inspect.isclass)
            if issubclass(error, errors.HistovoxError)
        }
        assert codes <= SPOKEN_ERRORS.keys()
        unforeseen = error_words("from_the_future", "ours", language)
        assert all(error_words(code, "ours", language) != unforeseen for code in codes)

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_an_error_that_nobody_foresaw_still_says_whose_fault_it_was(self, language: Language) -> None:
        ours, theirs = (say_failure(failure("from_the_future", fault=f), language) for f in ("ours", "caller"))
        assert ours != theirs
        assert say_error("from_the_future", "ours", language) in ours

    def test_a_failed_answer_is_not_a_verdict(self) -> None:
        said = say_answer(ItemAnswer(failure=failure("truncated_image", HASH)), "en")
        assert said == "This image: the image is cut off. Copy the file again."


class TestSummaries:
    @pytest.mark.parametrize(
        ("tally", "said"),
        [
            (
                Tally(tumour=5, uncertain=2, no_tumour=24, failed=1),
                "32 images: 5 suspicious, 2 uncertain, 24 with no tumour seen, 1 could not be read.",
            ),
            (Tally(tumour=1), "1 image: 1 suspicious."),
            (Tally(no_tumour=8), "8 images: 8 with no tumour seen."),
            (Tally(uncertain=1, out_of_domain=2), "3 images: none suspicious, 1 uncertain, 2 not tissue."),
            (Tally(no_tumour=1, cancelled=2), "3 images: 1 with no tumour seen, 2 cancelled."),
            (
                Tally(no_tumour=1, out_of_domain=1, failed=1),
                "3 images: 1 with no tumour seen, 1 not tissue, 1 could not be read.",
            ),
            (
                Tally(tumour=1, no_tumour=2, jobs_failed=1),
                "3 images: 1 suspicious, 2 with no tumour seen, 1 batch failed.",
            ),
        ],
    )
    def test_a_folder_is_counted(self, tally: Tally, said: str) -> None:
        assert say_summary(tally, "en") == f"{said} An aid, not a diagnosis."

    def test_nothing_but_failed_batches_claims_no_image_and_no_verdict(self) -> None:
        assert say_summary(Tally(jobs_failed=2), "en") == "2 batches failed."

    def test_if_nothing_could_be_read_it_does_not_say_that_none_is_suspicious(self) -> None:
        assert say_summary(Tally(failed=2), "en").startswith("2 images: 2 could not be read.")
        assert say_summary(Tally(out_of_domain=1), "en").startswith("1 image: 1 not tissue.")

    def test_a_folder_in_chinese(self) -> None:
        assert say_summary(Tally(tumour=5, uncertain=2, no_tumour=24, failed=1), "zh") == (
            "32张图像：5张可疑，2张无法确定，24张未见肿瘤，1张无法读取。仅供辅助，不作诊断。"
        )

    def test_answers_are_counted_by_their_word(self) -> None:
        words = [VerdictWord.TUMOUR, VerdictWord.NO_TUMOUR, VerdictWord.UNCERTAIN, VerdictWord.OUT_OF_DOMAIN]
        answers = [ItemAnswer(result=result(w, None if w is VerdictWord.OUT_OF_DOMAIN else 0.5)) for w in words]
        tally = (
            Tally()
            .plus(answer.outcome for answer in answers)
            .plus(failure(code) for code in ("empty_file", "cancelled"))
        )
        assert tally == Tally(tumour=1, uncertain=1, no_tumour=1, out_of_domain=1, failed=1, cancelled=1)
        assert (tally.images, tally.answered) == (6, 5)
        assert tally.needs_attention
        assert not Tally(no_tumour=7, out_of_domain=2).needs_attention


@pytest.mark.parametrize("language", LANGUAGES)
def test_status_is_said_briefly(language: Language) -> None:
    said = [say_worker_lost(language), say_worker_found(language)]
    said += [say_process_dead(process, language) for process in ("classifier", "speech", "something new")]
    assert all(0 < len(text) < 100 and "{" not in text for text in said)


def test_no_advice_is_a_diagnosis() -> None:
    for word, probability in ((w, None if w is VerdictWord.OUT_OF_DOMAIN else 0.9) for w in VerdictWord):
        said = say_result(result(word, probability), "en").lower()
        assert not any(claim in said for claim in ("cancer", "malignant", "benign", "healthy"))


def spoken_in_chinese() -> list[str]:
    """Every kind of sentence that is said aloud."""
    said = [
        say_result(
            result(word, None if word is VerdictWord.OUT_OF_DOMAIN else probability, calibrated=calibrated), "zh"
        )
        for word in VerdictWord
        for probability in (0.001, 0.1, 0.5, 0.7, 0.9, 0.97, 0.999)
        for calibrated in (True, False)
    ]
    said += [say_error(code, "ours", "zh") for code in (*SPOKEN_ERRORS, "from_the_future")]
    said += [
        say_failure(failure("from_the_future", HASH), "zh"),
        say_summary(Tally(**dict.fromkeys(Tally.model_fields, 2)), "zh"),
    ]
    said += [
        say_summary(Tally(uncertain=3), "zh"),
        say_summary(Tally(jobs_failed=1), "zh"),
        say_nothing_to_repeat("zh"),
    ]
    said += [say_worker_lost("zh"), say_worker_found("zh")]
    return said + [say_process_dead(process, "zh") for process in ("broker", "classifier", "speech", "ui")]


def test_no_english_is_left_in_chinese_and_it_is_punctuated_as_chinese() -> None:
    for said in spoken_in_chinese():
        assert not any(letter in string.ascii_letters + ",:;.?!" for letter in said), said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ("One.", "Two!", "Three?")),
        ("疑似有肿瘤。请复核。", ("疑似有肿瘤。", "请复核。")),
        ("0.94 of 1.0 is much.", ("0.94 of 1.0 is much.",)),
        ("   ", ()),
    ],
)
def test_a_text_is_cut_where_a_speaker_breathes(text: str, parts: tuple[str, ...]) -> None:
    assert sentences(text) == parts
