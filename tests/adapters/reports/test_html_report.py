"""The report asks for nothing from outside, lets nothing from the data into its markup, and shows what it says."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch import Tensor

from adapters.reports import svg_figures
from adapters.reports.html_report import html_report
from domain import words
from domain.evaluation_report import EvaluationReport, ShiftedFigures
from domain.verdict import OperatingPoint
from domain.words.phrases import SHORT_DISCLAIMER
from services.models.metrics import ScoredPatches
from services.training.calibration import calibration_ids_digest, in_calibration_half
from services.training.evaluation import EvaluatedModel, evaluate
from services.training.report_content import evaluation_curves, report_content
from services.training.robustness import SHIFTS
from tests.services.training.scored import FewPatches, margins_and_labels, noise

POINT = OperatingPoint(temperature=3.0, calibrated=True, threshold=0.3, band=(0.2, 0.6))
HOSTILE = '"><script>alert(1)</script>'


def _evaluated(
    count: int = 120, ids: tuple[str, ...] | None = None, groups: tuple[str, ...] | None = None, **subject: object
) -> tuple[EvaluationReport, Tensor, FewPatches]:
    margins, labels = margins_and_labels(count)
    patches = FewPatches(noise(count, 40), labels.tolist(), ids=ids, groups=groups)
    digest = calibration_ids_digest(patches.ids)
    about = EvaluatedModel(**subject)  # type: ignore[arg-type]
    return evaluate(margins, labels, patches.ids, groups, POINT, digest, evaluated=about, draws=20), margins, patches


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "line", "path", "rect", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def _parsed(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    return tags


def test_nothing_is_fetched_from_outside() -> None:
    html = html_report(report_content(*_evaluated(), title="Tiny"))
    for tag, attributes in _parsed(html).tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "xlink:href", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:"), attributes
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html


def test_ids_slides_titles_and_notes_are_shown_as_text_and_never_as_markup() -> None:
    ids = tuple(f"{HOSTILE}{index}" for index in range(120))
    groups = tuple(f"<img src=x onerror=alert({index % 9})>" for index in range(120))
    evaluated = _evaluated(
        ids=ids, groups=groups, model=HOSTILE, source=HOSTILE, data={HOSTILE: [HOSTILE], "nested": {"x": HOSTILE}}
    )
    html = html_report(report_content(*evaluated, title=HOSTILE, notes=(HOSTILE,)))
    tags = _parsed(html).tags
    assert not [tag for tag, attributes in tags if tag == "script" or "onerror" in attributes]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html


def test_the_worst_errors_are_the_most_confident_of_the_reported_half() -> None:
    report, margins, patches = _evaluated(400)
    html = html_report(report_content(report, margins, patches, title="Tiny"))
    shown = re.findall(r'alt="Patch (patch-\d+)"', html)
    probabilities = torch.sigmoid(margins / POINT.temperature)
    rows = list(zip(patches.ids, patches.labels.tolist(), probabilities.tolist(), strict=True))
    kept = [row for row in rows if not in_calibration_half(row[0])]
    missed = sorted((p, name) for name, label, p in kept if label == 1 and p < POINT.threshold)[:12]
    alarms = sorted(((-p, name) for name, label, p in kept if label == 0 and p >= POINT.threshold))[:12]
    assert shown == [name for _, name in missed + alarms]
    assert len(alarms) == 12
    assert html.count('src="data:image/png;base64,') == len(shown)


def test_figures_intervals_protocol_sample_size_and_disclaimer_are_on_the_page() -> None:
    report, margins, patches = _evaluated(source="Synthetic patches")
    html = html_report(report_content(report, margins, patches, title="Tiny"))
    assert report.auc is not None
    low, high = report.intervals["auc"]
    assert f"{report.auc:.3f}" in html and f"{low:.3f}–{high:.3f}" in html
    assert f"n = {report.n}" in html
    assert "Synthetic patches: reported on" in html
    assert SHORT_DISCLAIMER in html and "Not a medical device" in html
    assert html.count("<svg") == 4


def test_robustness_is_shown_where_it_is_given() -> None:
    report, margins, patches = _evaluated()
    rows = [
        ShiftedFigures(name=name, n=50, auc=auc, accuracy=0.8, sensitivity=0.9, specificity=None)
        for name, auc in (("as they are", 0.95), ("out of focus", 0.9), ("darker", None))
    ]
    html = html_report(report_content(report, margins, patches, title="Tiny", robustness=rows))
    assert "out of focus" in html and "−0.050" in html
    assert "Under another scanner" not in html_report(report_content(report, margins, patches, title="Tiny"))
    _parsed(html)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_a_report_without_curves_and_says_why(label: int) -> None:
    patches = FewPatches(noise(3), [label] * 3)
    margins = torch.tensor([-3.0, 0.2, 3.0])
    report = evaluate(margins, patches.labels, patches.ids, None, POINT, None, draws=10)
    html = html_report(report_content(report, margins, patches, title="Tiny"))
    assert "patches too are left out" in html
    assert "ROC." not in html and ">nan<" not in html
    _parsed(html)


def test_nothing_left_to_report_on_is_said_and_not_drawn() -> None:
    ids = tuple(name for name in (f"patch-{index}" for index in range(12)) if in_calibration_half(name))
    margins, labels = margins_and_labels(len(ids))
    patches = FewPatches(noise(len(ids)), labels.tolist(), ids=ids)
    report = evaluate(margins, labels, ids, None, POINT, calibration_ids_digest(ids), draws=10)
    html = html_report(report_content(report, margins, patches, title="Tiny"))
    assert "There is nothing to report on." in html
    assert "<svg" not in html


def test_the_summary_counts_in_hundreds() -> None:
    report = _evaluated()[0].model_copy(
        update={"sensitivity": 0.951, "specificity": 0.7345, "uncertain_share": 0.287, "accuracy_when_certain": 0.956}
    )
    assert report.summary() == (
        "At its threshold it finds 95 of 100 tumour patches and calls 27 of 100 normal patches suspicious. "
        "It is uncertain of 29 of 100; of the others it gets 96 of 100 right."
    )


def test_the_summary_claims_all_or_none_only_where_it_is_so() -> None:
    report = _evaluated()[0].model_copy(update={"sensitivity": 0.998, "specificity": 0.998, "uncertain_share": 0.0})
    assert "finds more than 99 of 100 tumour patches and calls fewer than 1 of 100 normal" in report.summary()
    assert "finds 100 of 100" in report.model_copy(update={"sensitivity": 1.0}).summary()


def test_curves_begin_and_end_where_they_must_and_stay_small_for_many_patches() -> None:
    margins, labels = margins_and_labels(20_000)
    report = evaluate(margins, labels, [f"p{index}" for index in range(20_000)], None, POINT, None, draws=1)
    figures = svg_figures.draw(report, evaluation_curves(ScoredPatches(margins, labels, POINT)))
    drawn = figures["roc"]
    path = re.search(r'class="curve" d="M([\d. L]+)"', drawn)
    assert path is not None
    points = np.array([[float(part) for part in point.split()] for point in path[1].split("L")])
    assert tuple(points[0]) == (50.0, 352.0) and tuple(points[-1]) == (426.0, 14.0)
    assert len(points) <= 300
    assert figures.keys() == {"roc", "precision_recall", "reliability", "spread"}
    for drawing in figures.values():
        assert len(drawing) < 20_000
        assert "nan" not in drawing


def test_in_chinese_no_english_is_left_but_names() -> None:
    words.use("zh")
    report, margins, patches = _evaluated(source="PCam")
    rows = [
        ShiftedFigures(name=name, n=50, auc=0.9, accuracy=0.8, sensitivity=0.9, specificity=None) for name in SHIFTS
    ]
    html = html_report(report_content(report, margins, patches, title="Lite0", robustness=rows))
    assert '<html lang="zh">' in html
    shown = re.sub(r"<style>.*?</style>|<span class=\"id\">.*?</span>|<[^>]*>|&\w+;", "\n", html, flags=re.DOTALL)
    left = set(re.findall(r"[A-Za-z][A-Za-z-]+", shown))
    names = {"Histovox", "PCam", "Lite", "AUC", "ROC", "SHA-", "PatchCamelyon", "Brier", "nat", "JPEG"}
    assert left <= names, left - names
