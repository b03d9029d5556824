"""Rules that hold for the whole checkout: what may not be written, what may import what, what has to be pinned."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adapters.models.package import list_packages
from domain.words import phrases

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("domain", "adapters", "services", "ui")
PRODUCT = (*PACKAGES, "benchmarks", "scripts")
LARGEST_FILE = 50 * 1024 * 1024


@cache
def tracked() -> tuple[Path, ...]:
    """All files of the checkout; of a copy without git, all that are not in a hidden or generated folder."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode == 0 and run.stdout:
        return tuple(path for name in run.stdout.split("\0") if name and (path := ROOT / name).is_file())
    skipped = re.compile(r"(^|/)(\.venv|\.cache|\.[a-z]+_cache|__pycache__|runs|[^/]*\.egg-info)/")
    return tuple(p for p in ROOT.rglob("*") if p.is_file() and not skipped.search(p.relative_to(ROOT).as_posix()))


def source(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call with its dotted name as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- bans ----------------------------------------------------------------------------------------------------------


def test_nothing_unpickles() -> None:
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
    found = [
        f"{path}: {name}"
        for path, tree in source(*PRODUCT, "tests")
        for name in imported(tree)
        if name.partition(".")[0] in banned
    ]
    assert not found


def test_no_socket_sends_or_receives_python_objects() -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in source(*PRODUCT, "tests")
        for name, call in calls(tree)
        if name.rpartition(".")[2] in {"recv_pyobj", "send_pyobj"}
    ]
    assert not found


def test_weights_are_loaded_as_weights_only() -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in source(*PRODUCT, "tests")
        for name, call in calls(tree)
        if name == "torch.load"
        and not any(k.arg == "weights_only" and getattr(k.value, "value", None) is True for k in call.keywords)
    ]
    assert not found


def test_numpy_files_are_never_loaded_with_objects_in_them() -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in source(*PRODUCT, "tests")
        for _, call in calls(tree)
        if any(k.arg == "allow_pickle" and getattr(k.value, "value", None) is not False for k in call.keywords)
    ]
    assert not found


def test_nothing_waits_for_a_fixed_time() -> None:
    found = [
        f"{path}:{call.lineno}"
        for path, tree in source(*PRODUCT, "tests")
        for name, call in calls(tree)
        if name in {"time.sleep", "sleep", "asyncio.sleep"}
    ]
    # In text too: tests write little programs for the processes that they start.
    files = [path for path in tracked() if path.suffix == ".py" and path != Path(__file__)]
    found += [str(path.relative_to(ROOT)) for path in files if "Event().wait(" in path.read_text("utf-8")]
    assert not found


def test_every_test_asserts_something() -> None:
    """With ``assert``, with ``pytest.raises``, or by a call such as ``assert_close`` or ``assert_called_once``."""

    def asserts(node: ast.AST) -> bool:
        name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        return isinstance(node, ast.Assert) or name == "raises" or name.startswith("assert_")

    found = [
        f"{path}:{test.lineno}: {test.name}"
        for path, tree in source("tests")
        for test in ast.walk(tree)
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_") and not any(map(asserts, ast.walk(test)))
    ]
    assert not found


def test_wiring_constructs_and_decides_nothing_that_a_loop_or_an_error_could() -> None:
    work = (ast.For, ast.While, ast.Try, ast.Raise)
    found = [
        f"{path}:{node.lineno}"
        for path, tree in source("services", "ui")
        if path.stem == "wiring"
        for node in ast.walk(tree)
        if isinstance(node, work)
    ]
    assert not found


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path, tree in source(*PACKAGES, "benchmarks"):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path))
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def test_nothing_runs_text_as_code_or_a_shell() -> None:
    found = [
        f"{path}:{call.lineno}: {name}"
        for path, tree in source(*PRODUCT)
        for name, call in calls(tree)
        if name in {"eval", "exec", "os.system"}
        or any(k.arg == "shell" and getattr(k.value, "value", None) is True for k in call.keywords)
    ]
    assert not found


def test_nothing_is_left_for_later() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError|@pytest\.mark\.xfail")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in {".py", ".sh"} and path != Path(__file__) and unfinished.search(path.read_text("utf-8"))
    ]
    assert not found


# --- files ---------------------------------------------------------------------------------------------------------


def test_no_file_is_too_large_for_the_repository() -> None:
    assert not [path for path in tracked() if path.stat().st_size > LARGEST_FILE]


def test_no_file_names_the_machine_it_was_made_on() -> None:
    machine = re.compile(
        rf"{re.escape(str(ROOT))}\b|(?<![\w.$}}>])/(root|Users/\w+|home/(?!user\b|you\b)\w+)/|"
        r"index-url\s*=?\s*\S*://|find-links|file:///[a-z]"
    )
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path in tracked()
        if path.suffix in {".py", ".sh", ".md", ".toml", ".txt", ".json", ".yaml", ".yml", ""}
        and path != Path(__file__)
        and path.stat().st_size < 1_000_000
        and (hit := machine.search(path.read_text("utf-8", errors="replace")))
    ]
    assert not found


def test_every_package_has_an_init() -> None:
    folders = {path.parent for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py")}
    assert not [folder.relative_to(ROOT) for folder in folders if not (folder / "__init__.py").is_file()]


def test_scripts_that_are_run_can_be_run() -> None:
    for name in ("scripts/setup.sh", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, name
        assert subprocess.run(["bash", "-n", str(ROOT / name)], check=False).returncode == 0


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert project()["license"] == "Apache-2.0"


def test_links_between_pages_lead_somewhere() -> None:
    dead = []
    for page in tracked():
        if page.suffix == ".md":
            for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
                if "://" not in target and not (page.parent / target).exists():
                    dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert not dead


# --- dependencies --------------------------------------------------------------------------------------------------


def project() -> dict[str, object]:
    parsed: dict[str, dict[str, object]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return parsed["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").split()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][\w.-]*==[0-9][\w.!+]*", line)]
    assert len(pins()) == len(lines), "a name stands there twice"
    assert lines == sorted(lines, key=str.lower) or lines == sorted(lines, key=lambda line: line.split("==")[0].lower())


def needed() -> tuple[set[str], set[str]]:
    """Names of all that the project and its extras pull in here, and those among them that are not installed."""
    mine = project()
    extras: dict[str, list[str]] = mine["optional-dependencies"]  # type: ignore[assignment]
    wanted: list[str] = [*mine["dependencies"], *(name for names in extras.values() for name in names)]  # type: ignore[misc]
    todo = [Requirement(line) for line in wanted if not line.startswith("histovox")]
    seen: set[tuple[str, frozenset[str]]] = set()
    absent = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            further = [Requirement(line) for line in distribution(name).requires or []]
        except PackageNotFoundError:
            absent.add(name)
            continue
        environments = [{"extra": extra} for extra in (*requirement.extras, "")]
        todo += [r for r in further if r.marker is None or any(r.marker.evaluate(env) for env in environments)]
    return {name for name, _ in seen}, absent


def test_everything_that_is_needed_is_pinned() -> None:
    names, _ = needed()
    assert not names - set(pins())


def test_nothing_is_pinned_that_nobody_needs() -> None:
    names, absent = needed()
    if absent:
        pytest.skip(f"what {', '.join(sorted(absent))} would need is not known here")
    assert not set(pins()) - names - {"setuptools"}


def test_the_tests_run_with_the_pinned_versions() -> None:
    other = []
    for name in needed()[0] - needed()[1]:
        installed = distribution(name).version
        if name in pins() and installed != pins()[name]:
            other.append(f"{name} {installed}, pinned {pins()[name]}")
    assert not other


# --- imports -------------------------------------------------------------------------------------------------------

#: One import that breaks each contract: where it is planted, and what it imports.
VIOLATIONS = {
    "user interface and services stand on adapters": ("adapters/planted.py", "import services.runtime"),
    "processes know no other process": ("services/broker/planted.py", "import services.speech"),
    "only a process's entry and its wiring know adapters": ("services/speech/planted.py", "import adapters.journal"),
    "desktop and command line stand on widgets": ("ui/presenters/planted.py", "import ui.widgets"),
    "no modules or packages import one another": ("domain/planted_a.py", "import domain.planted_b"),
    "the domain, handlers, use cases, presenters and the client": ("domain/planted.py", "import PIL"),
    "ZeroMQ stays in the bus adapters": ("services/supervisor/planted.py", "import zmq"),
    "Torch stays in the model adapters": ("ui/cli/planted.py", "import torch"),
    "formats of models and libraries of networks": ("services/training/planted.py", "import timm"),
    "the window's toolkit stays in widgets": ("adapters/models/planted.py", "import tkinter"),
    "sound and speech libraries stay": ("services/runtime/planted.py", "import sounddevice"),
    "what reads image files and data sets": ("adapters/journal/planted.py", "import h5py"),
    "what writes reports stays": ("services/models/planted.py", "import jinja2"),
}
#: The other half of the circle.
ACCOMPLICE = ("domain/planted_b.py", "import domain.planted_a")


def contracts(folder: Path) -> str:
    """What lint-imports says about ``folder``, with its line breaks taken out."""
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([tool, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return " ".join((run.stdout + run.stderr).split())


def test_each_import_contract_breaks_when_it_is_broken(tmp_path: Path) -> None:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    written = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    for path, line in (*VIOLATIONS.values(), ACCOMPLICE):
        (tmp_path / path).write_text(f"{line}\n")
    said = contracts(tmp_path)
    for contract in written:
        assert any(contract["name"].startswith(key) for key in VIOLATIONS), f"no violation for: {contract['name']}"
        assert f"{contract['name']} BROKEN" in said
    assert f"0 kept, {len(written)} broken" in said


# --- what a person is told -----------------------------------------------------------------------------------------


def test_the_disclaimer_is_written_once_and_says_what_it_must() -> None:
    assert phrases.SHORT_DISCLAIMER == "An aid, not a diagnosis."


@pytest.mark.parametrize("folder", sorted(p for p in (ROOT / "models").glob("*") if p.is_dir()), ids=lambda p: p.name)
def test_a_shipped_model_has_a_card_and_undamaged_weights(folder: Path) -> None:
    summary = next(each for each in list_packages(ROOT / "models") if each.name == folder.name)
    assert summary.ok, summary
