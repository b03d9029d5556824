"""Keep the catalogues of ``domain/words`` in step with the source: ``python scripts/words.py [--check]``.

Collects every text marked by ``tr``, ``trn`` or ``mark`` in the source and the report's template, and the messages of
errors and notes; merges them into each ``.po`` (a new text waits there with an empty translation) and compiles the
``.mo``. ``--check`` changes nothing: it names what is missing, unused, fuzzy or not compiled, and exits with 1.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from domain.words import LANGUAGES, LOCALE, MESSAGE

FOLDERS = ("domain", "adapters", "services", "ui")
#: Where a message for a person is written: as the first argument of an error, or as ``message=`` of these.
CARRIERS = frozenset({"Note", "ItemFailure", "JobFailed", "RequestRejected", "WorkerLost"})
_TEMPLATE_CALL = re.compile(r"""\b(?:tr|mark)\(\s*(?P<quote>["'])(?P<text>.*?)(?P=quote)""", re.DOTALL)

Key = tuple[str | None, str | tuple[str, str]]
"""Context, and the text or its two forms."""


def source_texts(root: Path = ROOT) -> set[Key]:
    """All texts that the source marks."""
    trees = {path: ast.parse(path.read_text("utf-8")) for name in FOLDERS for path in (root / name).rglob("*.py")}
    errors = error_classes(trees.values())
    found = {key for tree in trees.values() for key in _Module(tree, errors).texts()}
    for path in (root / "adapters").rglob("*.j2"):
        found |= {(None, match["text"]) for match in _TEMPLATE_CALL.finditer(path.read_text("utf-8"))}
    return found


def error_classes(trees: Iterable[ast.Module]) -> set[str]:
    """Names of the classes that descend from HistovoxError."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"HistovoxError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


class _Module:
    """The texts of one module. A variable or a function of it stands for what is assigned to it or returned by it."""

    def __init__(self, tree: ast.Module, errors: set[str]) -> None:
        self._tree = tree
        self._errors = errors
        self._values: dict[str, list[ast.expr]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._values.setdefault(target.id, []).append(node.value)
            elif isinstance(node, ast.FunctionDef):
                returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                self._values.setdefault(node.name, []).extend(returned)

    def texts(self) -> Iterator[Key]:
        """Each marked text."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ClassDef) and node.name in self._errors:
                for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
                    if ast.unparse(call.func) == "super().__init__" and call.args:
                        yield from self._messages(call.args[0])
            elif isinstance(node, ast.Call):
                yield from self._of_call(node)

    def _of_call(self, call: ast.Call) -> Iterator[Key]:
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if name in ("tr", "mark") and call.args:
            for text in _constants(call.args[0]):
                yield None, text
        elif name == "trn":
            one, other = (text for each in call.args[:2] for text in _constants(each))
            yield None, (one, other)
        elif name == "mark_message":
            yield from ((MESSAGE, _numbered(text)) for text in self._templates(call.args[0], 0))
        elif name in self._errors and call.args:
            yield from self._messages(call.args[0])
        elif name in CARRIERS:
            for keyword in call.keywords:
                if keyword.arg == "message":
                    yield from self._messages(keyword.value)

    def _messages(self, node: ast.expr) -> Iterator[Key]:
        for text in self._templates(node, 0):
            if _is_worded(text):
                yield MESSAGE, _numbered(text)
        # A value written into a message may be a part of a sentence, kept in a variable.
        inner = [each.value for each in ast.walk(node) if isinstance(each, ast.FormattedValue)]
        inner += [argument for each in ast.walk(node) if isinstance(each, ast.Call) for argument in each.args]
        for value in inner:
            yield from ((MESSAGE, _numbered(text)) for text in self._templates(value, 1) if _is_worded(text))

    def _templates(self, node: ast.expr, depth: int) -> list[str]:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [node.value]
        if isinstance(node, ast.JoinedStr):
            return [template_of(node)]
        if isinstance(node, ast.IfExp | ast.BoolOp):
            either = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
            return [text for each in either for text in self._templates(each, depth)]
        if isinstance(node, ast.GeneratorExp):
            return self._templates(node.elt, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = self._templates(node.left, depth) or ["{more}"], self._templates(node.right, depth) or ["{more}"]
            return [left + right for left in sides[0] for right in sides[1]]
        name = ""
        if isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name == "next":
                return [text for each in node.args for text in self._templates(each, depth)]
        if depth > 2 or not name:
            return []
        return [text for value in self._values.get(name, []) for text in self._templates(value, depth + 1)]


def _is_worded(text: str) -> bool:
    """Whether a message has words of its own besides its values; one without would fit every other message too."""
    fixed = re.sub(r"{\w+}", "", text)
    return " " in fixed.strip() and len(re.findall("[A-Za-z]", fixed)) >= 6


def _constants(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return [*_constants(node.body), *_constants(node.orelse)] if isinstance(node, ast.IfExp) else []


def template_of(joined: ast.JoinedStr) -> str:
    """An f-string with names for its values, as gettext's catalogue holds it."""
    return "".join(
        str(part.value).replace("{", "{{").replace("}", "}}")
        if isinstance(part, ast.Constant)
        else f"{{{_name(part.value) if isinstance(part, ast.FormattedValue) else 'value'}}}"
        for part in joined.values
    )


def _name(value: ast.expr) -> str:
    """What a translator sees in place of a value: the name that the expression is about."""
    if isinstance(value, ast.Name):
        return value.id.strip("_").lower()
    if isinstance(value, ast.Attribute):
        return value.attr.strip("_").lower()
    inner: list[ast.expr] = []
    if isinstance(value, ast.Call):
        inner = value.args[:1]
    elif isinstance(value, ast.BinOp):
        inner = [value.left]
    elif isinstance(value, ast.BoolOp):
        inner = value.values[:1]
    return _name(inner[0]) if inner else "value"


def _numbered(text: str) -> str:
    """``text`` with each name for a value used once."""
    seen: list[str] = []

    def number(match: re.Match[str]) -> str:
        seen.append(match[1])
        times = seen.count(match[1])
        return f"{{{match[1]}{times if times > 1 else ''}}}"

    return re.sub(r"(?<!{){(\w+)}", number, text)


# --- catalogues ----------------------------------------------------------------------------------------------------


def po_path(language: str) -> Path:
    """The catalogue that people write."""
    return LOCALE / language / "LC_MESSAGES" / "histovox.po"


def load(language: str) -> Catalog:
    """A language's catalogue; empty where there is none yet."""
    path = po_path(language)
    if not path.exists():
        return Catalog(language, project="Histovox", version="1")
    with path.open("rb") as file:
        return read_po(file, language)


def merged(catalogue: Catalog, keys: set[Key]) -> Catalog:
    """The catalogue with exactly these texts: translations that fit are kept, the others are gone."""
    # A fixed date: the file changes when its words do.
    day = datetime(2026, 1, 1, tzinfo=UTC)
    fresh = Catalog(
        catalogue.locale, project="Histovox", version="1", creation_date=day, revision_date=day, fuzzy=False,
        copyright_holder="the Histovox authors", last_translator="Histovox", language_team="Histovox",
    )  # fmt: skip
    for context, text in sorted(keys, key=str):
        single = text if isinstance(text, str) else text[0]
        known = catalogue.get(single, context)
        kept = (
            known.string if known is not None and isinstance(known.string, tuple) == isinstance(text, tuple) else None
        )
        flags = {flag for flag in (known.flags if known else ()) if flag == "fuzzy"}
        fresh.add(text, kept, context=context, flags=flags)
    return fresh


def po_bytes(catalogue: Catalog) -> bytes:
    """As written to the ``.po``."""
    file = io.BytesIO()
    write_po(file, catalogue, width=120, sort_output=True)
    return file.getvalue()


def mo_bytes(catalogue: Catalog) -> bytes:
    """As written to the ``.mo``."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def faults(language: str, keys: set[Key]) -> list[str]:
    """What is wrong with a language's catalogue, a line each; empty when it is in step with ``keys``."""
    catalogue = load(language)
    there = {(message.context, _id(message)): message for message in catalogue if message.id}
    found = [f"not in the catalogue: {key[1]!r}" for key in keys - there.keys()]
    found += [f"in the catalogue, but used nowhere: {key[1]!r}" for key in there.keys() - keys]
    for key, message in there.items():
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        if not all(forms):
            found.append(f"not translated: {key[1]!r}")
        elif message.fuzzy:
            found.append(f"fuzzy: {key[1]!r}")
        elif any(
            places(form) != places(message.id if isinstance(message.id, str) else message.id[1]) for form in forms
        ):
            found.append(f"other places for values than in English: {key[1]!r}")
    compiled = po_path(language).with_suffix(".mo")
    if not compiled.exists() or compiled.read_bytes() != mo_bytes(catalogue):
        found.append(f"{compiled.name} is not what {po_path(language).name} compiles to")
    return found


def _id(message: Message) -> str | tuple[str, str]:
    return message.id if isinstance(message.id, str) else (message.id[0], message.id[1])


def places(text: str) -> set[str]:
    """The names of the values that are written into a text."""
    return set(re.findall(r"(?<!{){(\w+)", text))


def main() -> int:
    """Update, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if something is to be done")
    only_check = parser.parse_args().check
    keys = source_texts()
    wrong = False
    for language in LANGUAGES[1:]:
        if not only_check:
            catalogue = merged(load(language), keys)
            po_path(language).write_bytes(po_bytes(catalogue))
            po_path(language).with_suffix(".mo").write_bytes(mo_bytes(catalogue))
        for fault in (found := faults(language, keys)):
            print(f"{language}: {fault}")
        wrong |= bool(found)
    return 1 if wrong and only_check else 0


if __name__ == "__main__":
    raise SystemExit(main())
