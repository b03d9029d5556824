"""Every text that a face shows is marked for the catalogue, or excused here by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.words import CARRIERS, error_classes, template_of

ROOT = Path(__file__).resolve().parents[2]
#: Two words with a space between them: a sentence, or a part of one.
WORDED = re.compile(r"[A-Za-z]{2,}\W* +\W*[A-Za-z]{2,}")
#: Arguments that are shown to a person: here a single word is enough.
SHOWN = frozenset({"text", "title", "message", "tooltip", "placeholder_text", "verb", "help", "description", "epilog"})
MARKS = frozenset({"tr", "trn", "mark", "mark_message"})
#: What looks like a text and is none: names, commands, programs, options of Tk and rich.
EXCUSED = re.compile(
    r"^(Histovox.*|Segoe UI|Helvetica Neue|DejaVu Sans|--.*|0\.1\.0 .*|bold .*|italic dim|apt-get .*|pip install .*|"
    r"mkdir -p .*|unset .*|python -m .*|namespace eval .*|HISTOVOX_\w+=.*|\s*import .*|\w+: |\{.*\}|histovox \{.*)$",
    re.DOTALL,
)
#: Words for logs, or for whoever reads the source.
UNSEEN = frozenset({"debug", "info", "warning", "error", "exception", "NoNativeDialog"})


def unmarked(tree: ast.Module, errors: set[str]) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is shown and not marked."""
    excused = {part for node in ast.walk(tree) for given in _excused(node, errors) for part in ast.walk(given)}
    shown = {
        id(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in SHOWN
    }
    for node in ast.walk(tree):
        if node in excused:
            continue
        if isinstance(node, ast.JoinedStr):
            text = re.sub(r"{\w+}", "0", template_of(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        worded = WORDED.search(text) or (id(node) in shown and re.search("[A-Za-z]{2}", text))
        if worded and not EXCUSED.match(text):
            yield node.lineno, text


def _excused(node: ast.AST, errors: set[str]) -> Iterator[ast.AST]:
    """Parts of a node whose strings need no mark, or have one."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from (part for part in node.values if isinstance(part, ast.Constant))
        yield from (
            part.format_spec for part in node.values if isinstance(part, ast.FormattedValue) and part.format_spec
        )
    elif isinstance(node, ast.Assert) and node.msg:
        yield node.msg
    elif isinstance(node, ast.Subscript):
        yield node.slice
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in MARKS | UNSEEN | errors:
            yield from node.args
        yield from (keyword.value for keyword in node.keywords if name in CARRIERS and keyword.arg == "message")


@pytest.fixture(scope="module")
def errors() -> set[str]:
    folders = ("domain", "adapters", "services", "ui")
    return error_classes(
        ast.parse(path.read_text("utf-8")) for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


@pytest.mark.parametrize("path", sorted((ROOT / "ui").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_of_a_face_is_left_out_of_the_catalogue(path: Path, errors: set[str]) -> None:
    assert list(unmarked(ast.parse(path.read_text("utf-8")), errors)) == []


@pytest.mark.parametrize(
    "source",
    ['button(text="Open")', 'say("There is no image.")', 'say(f"There are {n} images.")', 'x = "Open images"'],
)
def test_an_unmarked_text_is_found(source: str) -> None:
    assert len(list(unmarked(ast.parse(source), set()))) == 1


@pytest.mark.parametrize(
    "source",
    [
        'tr("Open images")',
        'raise Broken("There is no image.")',
        'log.info("There is no image.")',
        '"""There is none."""',
    ],
)
def test_a_marked_text_a_log_line_and_a_docstring_are_not_complained_of(source: str) -> None:
    assert list(unmarked(ast.parse(source), {"Broken"})) == []
