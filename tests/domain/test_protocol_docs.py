"""The written protocol says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from adapters.bus import codec
from domain.messages import BODY_TYPES, PROTOCOL_TAG, PROTOCOL_VERSION, Header
from domain.messages.imaging import MAX_ITEM_BYTES, MAX_ITEMS_PER_JOB
from scripts.make_asyncapi import CHANNELS, TARGET, document, field_comments, text

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = (ROOT / "domain/messages/PROTOCOL.md").read_text("utf-8")


@pytest.mark.parametrize("name", BODY_TYPES)
def test_the_protocol_page_explains_every_message(name: str) -> None:
    assert f"`{name}`" in PROTOCOL


def test_the_protocol_page_explains_every_header_field_and_names_no_other() -> None:
    table = PROTOCOL.partition("## Header")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == set(Header.model_fields)


def test_the_protocol_page_names_no_message_that_does_not_exist() -> None:
    spoken = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", PROTOCOL))
    assert spoken <= set(BODY_TYPES)


def test_the_protocol_page_states_the_version_and_the_limits_of_the_code() -> None:
    assert f"`{PROTOCOL_TAG.decode()}`" in PROTOCOL
    assert f"version {PROTOCOL_VERSION}" in PROTOCOL
    mib = 1024 * 1024
    for limit in (
        f"{MAX_ITEMS_PER_JOB} images",
        f"{MAX_ITEM_BYTES // mib} MiB",
        f"{codec.MAX_BODY_BYTES // mib} MiB",
        f"{codec.MAX_HEADER_BYTES // 1024} KiB",
        f"{codec.MAX_FRAMES} frames",
    ):
        assert limit in PROTOCOL


def error_codes() -> set[str]:
    """Every code that the product can answer with: of error classes, and of failures that are made on the spot."""
    found = set()
    for folder in ("domain", "adapters", "services/broker", "services/classifier", "services/speech"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(re.findall(r'^    code(?:: ClassVar\[str\])? = "(\w+)"', path.read_text("utf-8"), re.M))
            found |= set(re.findall(r'(?:Failed|Rejected|Failure)\(\s*code="(\w+)"', path.read_text("utf-8")))
    return found


def test_the_protocol_page_lists_every_error_code() -> None:
    table = PROTOCOL.partition("## Errors")[2].partition("\n## ")[0]
    codes = error_codes()
    assert {"bad_request", "busy"} <= codes
    assert sorted(codes - set(re.findall(r"`(\w+)`", table))) == []


def test_the_asyncapi_document_is_in_step_with_the_code() -> None:
    assert TARGET.read_text("utf-8") == text(), "make generate"


def test_every_message_travels_on_some_channel() -> None:
    travelling = {name for *_, received, sent in CHANNELS for name in received + sent}
    assert travelling == set(BODY_TYPES)


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    described = document()
    found = list(references(described))
    assert len(found) > 100
    for reference in found:
        here: Any = described
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]


def test_the_asyncapi_document_has_what_the_specification_requires() -> None:
    described = document()
    assert described["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(described["info"])
    for operation in described["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
    for channel in described["channels"].values():
        assert set(channel["parameters"]) == set(re.findall(r"{(\w+)}", channel["address"]))


def test_fields_are_described_by_the_line_beneath_them() -> None:
    assert field_comments(Header)["jobid"] == "Chosen by the client; the same id twice is the same job."
    schemas = document()["components"]["schemas"]
    assert schemas["Verdict"]["properties"]["calibrated"]["description"].startswith("False: the probability is a raw")


def references(node: Any) -> Any:
    """Every ``$ref`` below ``node``."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)
