"""The smaller verbs, the help, and what reaches a person when something is wrong."""

import json
import resource
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from domain.errors import BrokerUnreachable, ConfigurationError
from domain.messages.jobs import HistoryEntry
from domain.ports import BrokerClient
from services.runtime import exit_codes
from tests.builders import a_result
from tests.ui.cli.fake_broker import FakeBroker
from ui.cli import bench, history, run, running_broker, wiring
from ui.cli.__main__ import main
from ui.cli.running_broker import connect_or_start

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    fake = FakeBroker()
    monkeypatch.setattr(wiring, "broker_client", lambda settings, session=None: fake.client)
    monkeypatch.setattr(history, "listens", lambda endpoint: True)
    monkeypatch.setattr(history, "PAGE", 3)
    return fake


def entries(count: int) -> list[HistoryEntry]:
    made = []
    for serial in range(count, 0, -1):
        result = a_result().model_copy(update={"name": f"case-{serial}.png", "path": f"/cases/case-{serial}.png"})
        made.append(HistoryEntry(serial=serial, answered_at="2026-01-01T10:00:00.000+00:00", result=result))
    return made


# --- help ---


def processor_seconds(command: list[str]) -> tuple[float, str]:
    """Time on the processor, which other work on the machine does not lengthen, and stdout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, text


def test_help_answers_at_once_and_names_every_exit_code() -> None:
    runs = [processor_seconds([sys.executable, "-m", "ui.cli", "--help"]) for _ in range(3)]
    for code in ("0", "1", "2", "64", "78", "130"):
        assert f"{code:>5}  " in runs[0][1]
    assert min(seconds for seconds, _ in runs) < 0.3


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom ui.cli.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'pydantic', 'rich', 'zmq', 'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["run", "classify", "speak", "models", "history", "doctor", "bench"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 4


# --- history ---


def test_history_pages_through_the_journal_newest_first(broker: FakeBroker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.entries = entries(8)
    assert main(["history", "--json", "--limit", "7"]) == 0
    serials = [json.loads(line)["serial"] for line in capsys.readouterr().out.splitlines()]
    assert serials == [8, 7, 6, 5, 4, 3, 2]


def test_history_is_a_table_that_says_how_many_there_are(
    broker: FakeBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.entries = entries(5)
    assert main(["history", "--limit", "2"]) == 0
    shown = capsys.readouterr().out
    assert "case-5.png" in shown
    assert "2 of 5 images" in shown


def test_an_empty_history_says_so(broker: FakeBroker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == 0
    assert "Nothing that matches" in capsys.readouterr().err


# --- models ---


def test_no_models_is_said_with_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(tmp_path / "none"))
    assert main(["models", "list"]) == 1
    assert "No models are installed" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_an_unknown_model_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "no-such-model"]) == 1
    assert "No model is called 'no-such-model'" in capsys.readouterr().err


def test_a_damaged_package_is_listed_with_its_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models" / "broken").mkdir(parents=True)
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(tmp_path / "models"))
    assert main(["models", "verify", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["ok"]) == ("broken", False)
    assert "missing" in found["fault"]


# --- speak ---


def test_speech_can_be_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "said.wav"
    code = main(["speak", "This is an aid, not a diagnosis.", "--wav", str(out), "--engine", "pyttsx3"])
    if code:
        pytest.skip(capsys.readouterr().err)
    with wave.open(str(out)) as sound:
        assert sound.getnframes() / sound.getframerate() > 0.5


def test_an_unknown_engine_names_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speak", "hello", "--wav", str(tmp_path / "x.wav"), "--engine", "parrot"]) == 1
    assert "espeak-ng" in capsys.readouterr().err


def test_nothing_to_say_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speak", "  "]) == 1
    assert "nothing to say" in capsys.readouterr().err


# --- bench ---


def test_bench_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "REPOSITORY", tmp_path)
    assert main(["bench"]) == exit_codes.CONFIGURATION
    assert "make bench" in capsys.readouterr().err


# --- run ---


def test_without_a_display_the_terminal_is_the_face() -> None:
    assert run.no_window({}) == "there is no display"


def test_a_display_that_tk_cannot_open_is_told_with_tks_own_words() -> None:
    dies = [sys.executable, "-c", "raise SystemExit('couldn\\'t connect to display \":77\"')"]
    assert run.no_window({"DISPLAY": ":77"}, dies) == 'couldn\'t connect to display ":77"'


def test_a_display_that_works_opens_a_window() -> None:
    assert run.no_window({"DISPLAY": ":0"}, [sys.executable, "-c", "pass"]) is None


# --- finding a broker ---


class FakeServices:
    log_path = Path("services.log")

    def __init__(self, broker: FakeBroker, *, code: int | None = None) -> None:
        self.code = code
        self.stopped = False
        broker.silent = code is not None

    def ended(self) -> int | None:
        return self.code

    def last_words(self) -> str:
        return "No model is installed."

    def stop(self) -> None:
        self.stopped = True


def client_of(fake: FakeBroker) -> BrokerClient:
    return fake.client


def test_a_running_broker_is_used_and_left_running() -> None:
    fake = FakeBroker()
    with connect_or_start(lambda: client_of(fake), lambda: pytest.fail("a second broker was started")) as found:
        assert not found.ours
        assert found.status.workers
    assert fake.client.closed


def test_without_a_broker_one_is_started_and_stopped_again() -> None:
    fake = FakeBroker()
    fake.silent = True
    started: list[FakeServices] = []

    def spawn() -> FakeServices:
        started.append(FakeServices(fake))
        return started[-1]

    with connect_or_start(lambda: client_of(fake), spawn, probe_s=0.01) as found:  # type: ignore[arg-type]
        assert found.ours
    assert started[0].stopped


def test_a_start_that_fails_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_broker, "OTHERS_S", 0.01)
    fake = FakeBroker()
    fake.silent = True
    services = FakeServices(fake, code=exit_codes.CONFIGURATION)
    with (
        pytest.raises(ConfigurationError, match="No model is installed"),
        connect_or_start(lambda: client_of(fake), lambda: services, probe_s=0.01),  # type: ignore[arg-type, return-value]
    ):
        pass
    assert services.stopped


def test_a_verb_that_may_not_start_anything_says_how_to() -> None:
    fake = FakeBroker()
    fake.silent = True
    with (
        pytest.raises(BrokerUnreachable, match="histovox run"),
        connect_or_start(lambda: client_of(fake), None, probe_s=0.01),
    ):
        pass
