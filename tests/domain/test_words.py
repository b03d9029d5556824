"""The catalogue holds every word that is shown, in each language, and finished messages find their translation."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from domain import words
from domain.errors import UnknownModel
from domain.words import LANGUAGES, MESSAGE, preferred, tr, tr_message, trn
from scripts import words as catalogues

OTHERS = LANGUAGES[1:]


@pytest.fixture(scope="module")
def keys() -> set[catalogues.Key]:
    return catalogues.source_texts()


class TestCatalogue:
    @pytest.mark.parametrize("language", OTHERS)
    def test_nothing_is_missing_unused_fuzzy_or_left_uncompiled(self, language: str, keys: set[catalogues.Key]) -> None:
        assert catalogues.faults(language, keys) == []

    def test_a_missing_an_unused_and_a_fuzzy_entry_are_found(self, keys: set[catalogues.Key]) -> None:
        unused = next(key for key in keys if key[0] is None and isinstance(key[1], str))
        found = catalogues.faults("zh", (keys - {unused}) | {(None, "A text that nobody has translated")})
        assert f"in the catalogue, but used nowhere: {unused[1]!r}" in found
        assert "not in the catalogue: 'A text that nobody has translated'" in found

    def test_a_translation_that_is_fuzzy_empty_or_has_other_places_is_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        texts: set[catalogues.Key] = {(None, "{a} of {b}"), (None, "empty"), (None, "doubtful")}
        catalogue = catalogues.merged(catalogues.load("zh"), texts)
        catalogue.get("{a} of {b}").string = "{a}"  # type: ignore[union-attr]
        catalogue.get("doubtful").string = "可疑"  # type: ignore[union-attr]
        catalogue.get("doubtful").flags.add("fuzzy")  # type: ignore[union-attr]
        monkeypatch.setattr(catalogues, "po_path", lambda language: tmp_path / "histovox.po")
        (tmp_path / "histovox.po").write_bytes(catalogues.po_bytes(catalogue))
        assert sorted(catalogues.faults("zh", texts)) == [
            "fuzzy: 'doubtful'",
            "histovox.mo is not what histovox.po compiles to",
            "not translated: 'empty'",
            "other places for values than in English: '{a} of {b}'",
        ]

    def test_chinese_is_chinese(self) -> None:
        plain = set()
        for message in catalogues.load("zh"):
            words_alone = re.sub(r"{[^}]*}", "", str(message.id))
            letters = sum(letter in string.ascii_letters for letter in words_alone)
            if letters > 20 and not any("\u4e00" <= sign <= "\u9fff" for sign in str(message.string)):
                plain.add(message.id)
        assert plain == set()


class TestLanguage:
    @pytest.mark.parametrize(
        ("environment", "language"),
        [
            ({"HISTOVOX_LANGUAGE": "zh", "LANG": "en_GB.UTF-8"}, "zh"),
            ({"LANG": "zh_CN.UTF-8"}, "zh"),
            ({"LC_ALL": "en_GB.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
            ({"LANGUAGE": "zh_CN:en", "LANG": "en_GB.UTF-8"}, "zh"),
            ({"LANG": "de_DE.UTF-8"}, "en"),
            ({"LANG": "C.UTF-8"}, "en"),
        ],
    )
    def test_the_setting_decides_and_else_the_locale(self, environment: dict[str, str], language: str) -> None:
        assert preferred(environment) == language

    def test_the_process_language_is_that_of_texts_unless_another_is_named(self) -> None:
        assert tr("Uncertain") == "Uncertain"
        words.use("zh")
        assert tr("Uncertain") == "无法确定"
        assert tr("Uncertain", into="en") == "Uncertain"

    def test_numbers_choose_the_form(self) -> None:
        assert trn("{count} image", "{count} images", 1) == "1 image"
        assert trn("{count} image", "{count} images", 2) == "2 images"
        assert trn("{count} image", "{count} images", 2, into="zh") == "2张图像"


class TestMessages:
    def test_a_finished_message_is_translated_with_its_values(self) -> None:
        message = UnknownModel("gigantic", ["lite0", "resnet101"]).message
        assert tr_message(message) == message
        assert tr_message(message, into="zh") == "没有名为 'gigantic' 的模型。可用的有：lite0, resnet101。"

    def test_a_message_that_nobody_knows_is_shown_as_it_is(self) -> None:
        assert tr_message("Something from another version.", into="zh") == "Something from another version."

    def test_every_template_is_found_again_when_values_are_filled_in(self, keys: set[catalogues.Key]) -> None:
        for _, template in (key for key in keys if key[0] == MESSAGE):
            assert isinstance(template, str)
            values = {name: f"<{index}>" for index, name in enumerate(sorted(catalogues.places(template)))}
            said = template.format(**values)
            translated = tr_message(said, into="zh")
            assert translated != said, template
            assert all(value in translated for value in values.values()), template


@pytest.mark.parametrize("name", ["Case 12. Smith.tif", "Foo bar. Baz qux."])
def test_a_files_name_that_looks_like_two_sentences_is_left_as_it_is(name: str) -> None:
    assert tr_message(name, into="zh") == name
    assert name in tr_message(f"{name} is no longer there; it may have been moved.", into="zh")
