"""What the broker relies on, of the journal on disk and of its fake alike."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.journal.sqlite_journal import SqliteJournal
from domain.errors import AddressInUse, ConfigurationError, JournalFailed
from domain.messages.envelope import Envelope
from domain.messages.imaging import ExplainImage, ImageExplained
from domain.messages.jobs import JobFailed
from domain.ports import Journal
from domain.values import HeatMapGrid, Priority, Region, Scale, ScaleSource, VerdictWord
from tests.builders import a_model, a_request, an_answer, an_item
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.sqlite3"


@pytest.fixture(params=["on disk", "fake"])
def journal(request: pytest.FixtureRequest, path: Path) -> Iterator[Journal]:
    journal: Journal = FakeJournal(FakeClock()) if request.param == "fake" else SqliteJournal(path, FakeClock())
    yield journal
    journal.close()


def everything(journal: Journal, **query: object) -> list[str]:
    found, _ = journal.history(**({"text": "", "word": None, "before": None, "limit": 100} | query))  # type: ignore[arg-type]
    return [entry.result.name for entry, _ in found]


def test_an_accepted_job_is_open_until_it_is_answered(journal: Journal) -> None:
    request = a_request("j", [b"one", b"two"])
    assert journal.accept(request)
    assert [job.request for job in journal.unanswered()] == [request]
    assert [(job.job_id, job.state) for job in journal.open_jobs("s1")] == [("j", "queued")]
    journal.lease("j")
    assert journal.open_jobs("s1")[0].state == "leased"
    assert journal.finish("j", an_answer(request))
    assert journal.unanswered() == []
    assert journal.open_jobs("s1") == ()


def test_the_same_job_id_is_accepted_once(journal: Journal) -> None:
    assert journal.accept(a_request("j"))
    assert not journal.accept(a_request("j", [b"another"]))
    assert journal.unanswered()[0].request.buffers == (b"image",)


def test_each_lease_counts(journal: Journal) -> None:
    journal.accept(a_request("j"))
    assert [journal.lease("j"), journal.lease("j")] == [1, 2]
    assert journal.unanswered()[0].attempt == 2


def test_the_first_answer_wins_and_is_kept_word_for_word(journal: Journal) -> None:
    request = a_request("j")
    journal.accept(request)
    first = an_answer(request, probability=0.9, heat_map=(2, 3))
    assert journal.finish("j", first)
    assert not journal.finish("j", an_answer(request, probability=0.1))
    assert journal.answer_of("j") == first
    assert len(everything(journal)) == 1


def test_an_unknown_job_has_no_answer_and_cannot_be_finished(journal: Journal) -> None:
    assert journal.answer_of("nobody") is None
    assert not journal.finish("nobody", an_answer(a_request("nobody")))


def test_an_explanation_is_kept_with_its_map(journal: Journal) -> None:
    request = Envelope.of(ExplainImage(item=an_item()), source="t", session="s1", buffers=(b"image",), jobid="e")
    journal.accept(request)
    assert journal.open_jobs("s1")[0].item_names
    grid = HeatMapGrid(rows=1, columns=2, x0=0, y0=0, cell_width=1, cell_height=1)
    body = ImageExplained(
        item_id="i", region=Region(x=0, y=0, width=1, height=1), grid=grid, method="Grad-CAM", model="tiny"
    )
    answer = request.answer(body, source="broker", buffers=(b"\x00\xff",))
    journal.finish("e", answer)
    assert journal.answer_of("e") == answer
    assert everything(journal) == []


def test_a_failure_is_an_answer_and_leaves_no_history(journal: Journal) -> None:
    request = a_request("j")
    journal.accept(request)
    failure = request.answer(JobFailed(code="x", message="y", fault="ours"), source="broker")
    assert journal.finish("j", failure)
    assert journal.answer_of("j") == failure
    assert everything(journal) == []


def test_interactive_jobs_come_back_before_bulk_ones(journal: Journal) -> None:
    for job_id, priority in [("b1", Priority.BULK), ("i1", Priority.INTERACTIVE), ("b2", Priority.BULK)]:
        journal.accept(a_request(job_id, priority=priority))
    assert [job.request.header.jobid for job in journal.unanswered()] == ["i1", "b1", "b2"]


def test_a_session_sees_its_own_open_jobs_alone(journal: Journal) -> None:
    journal.accept(a_request("mine", session="s1"))
    journal.accept(a_request("theirs", session="s2"))
    assert [job.job_id for job in journal.open_jobs("s1")] == ["mine"]


def answered(journal: Journal, name: str, *, data: bytes = b"image", probability: float = 0.9, **item: object) -> None:
    request = a_request(None, [data], items=[an_item(data, name=name, path=f"/case/{name}", **item)])
    journal.accept(request)
    journal.finish(str(request.header.jobid), an_answer(request, probability=probability, heat_map=(1, 2)))


def test_an_equal_image_under_an_equal_model_and_scale_is_known(journal: Journal) -> None:
    answered(journal, "a.png")
    item, fingerprint = an_item(), a_model().fingerprint
    known = journal.known_result(item.sha256, fingerprint, None)
    assert known is not None
    assert known[1] == bytes(2)
    assert journal.known_result(item.sha256, "0" * 64, None) is None
    assert journal.known_result(item.sha256, fingerprint, 0.5) is None
    assert journal.known_result("0" * 64, fingerprint, None) is None


def test_a_stated_scale_is_part_of_what_is_known(journal: Journal) -> None:
    answered(journal, "a.png", scale=Scale(um_per_px=0.5, source=ScaleSource.USER))
    assert journal.known_result(an_item().sha256, a_model().fingerprint, 0.5)
    assert journal.known_result(an_item().sha256, a_model().fingerprint, None) is None


def test_history_is_newest_first_and_pages(journal: Journal) -> None:
    for name in ("a.png", "b.png", "c.png"):
        answered(journal, name, data=name.encode())
    found, total = journal.history(text="", word=None, before=None, limit=2)
    assert [entry.result.name for entry, _ in found] == ["c.png", "b.png"]
    assert total == 3
    assert everything(journal, before=found[-1][0].serial) == ["a.png"]


def test_history_is_searched_by_name_path_and_word(journal: Journal) -> None:
    answered(journal, "liver_1.png", data=b"1", probability=0.9)
    answered(journal, "node%2.png", data=b"2", probability=0.1)
    assert everything(journal, text="LIVER") == ["liver_1.png"]
    assert everything(journal, text="/case/node") == ["node%2.png"]
    assert everything(journal, text="%") == ["node%2.png"]
    assert everything(journal, text="_") == ["liver_1.png"]
    assert everything(journal, word=VerdictWord.NO_TUMOUR) == ["node%2.png"]


def test_the_same_file_answered_again_stands_once_in_the_history_as_newest(journal: Journal) -> None:
    answered(journal, "a.png", data=b"1")
    answered(journal, "b.png", data=b"2")
    answered(journal, "a.png", data=b"1")
    assert everything(journal) == ["a.png", "b.png"]


def test_forgetting_an_entry_forgets_its_older_selves_and_the_stored_answers(journal: Journal) -> None:
    answered(journal, "a.png", data=b"1")
    answered(journal, "a.png", data=b"1")
    answered(journal, "b.png", data=b"2")
    found, _ = journal.history(text="a.png", word=None, before=None, limit=9)
    assert journal.forget([found[0][0].serial, 999], everything=False) == 1
    assert everything(journal) == ["b.png"]
    assert journal.known_result(an_item(b"1").sha256, a_model().fingerprint, None) is None


def test_forgetting_everything_spares_open_jobs(journal: Journal) -> None:
    request = a_request("open")
    journal.accept(request)
    answered(journal, "a.png")
    answered(journal, "b.png")
    assert journal.forget([], everything=True) == 2
    assert everything(journal) == []
    assert len(journal.unanswered()) == 1


# --- of the file on disk alone ---------------------------------------------------------------------------------------


@pytest.fixture
def open_journal(path: Path) -> Iterator[Callable[[], SqliteJournal]]:
    opened: list[SqliteJournal] = []

    def opener() -> SqliteJournal:
        opened.append(SqliteJournal(path, FakeClock()))
        return opened[-1]

    yield opener
    for journal in opened:
        journal.close()


def test_an_accepted_job_survives_a_restart(open_journal: Callable[[], SqliteJournal]) -> None:
    request = a_request("j", [b"one", b"two"])
    before = open_journal()
    before.accept(request)
    before.lease("j")
    before.close()
    (job,) = open_journal().unanswered()
    assert job.request == request
    assert job.attempt == 1


def test_the_journal_is_private(open_journal: Callable[[], SqliteJournal], path: Path) -> None:
    open_journal()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_image_bytes_leave_the_journal_when_the_job_is_answered(
    open_journal: Callable[[], SqliteJournal], path: Path
) -> None:
    journal = open_journal()
    request = a_request("j", [b"confidential-pixels"])
    journal.accept(request)
    journal.finish("j", an_answer(request))
    journal.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM buffers").fetchone() == (0,)


def test_forgotten_results_are_overwritten_on_disk(open_journal: Callable[[], SqliteJournal], path: Path) -> None:
    journal = open_journal()
    answered(journal, "Jane-Doe-biopsy.png")
    journal.forget([], everything=True)
    journal.close()
    assert b"Jane-Doe" not in path.read_bytes()


def test_a_second_broker_on_one_journal_is_refused(open_journal: Callable[[], SqliteJournal]) -> None:
    open_journal()
    with pytest.raises(AddressInUse, match="Another broker"):
        open_journal()


@pytest.mark.parametrize("damage", [b"this is not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_journal_is_moved_aside_and_said_so(
    open_journal: Callable[[], SqliteJournal], path: Path, damage: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    journal = open_journal()
    assert journal.notice is not None
    assert "moved to" in journal.notice
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == damage
    assert journal.accept(a_request("j"))


def test_a_journal_damaged_in_the_middle_is_noticed_at_start(
    open_journal: Callable[[], SqliteJournal], path: Path
) -> None:
    journal = open_journal()
    for number in range(50):
        answered(journal, f"{number}.png", data=str(number).encode())
    journal.close()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xa5" * len(content[8192:-4096])
    path.write_bytes(content)
    journal = open_journal()
    assert journal.notice is not None
    assert everything(journal) == []


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(
    open_journal: Callable[[], SqliteJournal], path: Path
) -> None:
    open_journal().close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match="newer Histovox"):
        open_journal()
    assert list(path.parent.glob("*.damaged-*")) == []


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="HISTOVOX_DATA_DIR"):
        SqliteJournal(tmp_path / "file" / "journal.sqlite3", FakeClock())


def test_a_full_disk_is_our_fault_and_leaves_the_journal_usable(open_journal: Callable[[], SqliteJournal]) -> None:
    journal = open_journal()
    database = journal._database
    database.execute("PRAGMA max_page_count = 30")
    with pytest.raises(JournalFailed, match="full"):
        journal.accept(a_request("big", [bytes(500_000)]))
    assert journal.unanswered() == []
    database.execute("PRAGMA max_page_count = 1000000")
    assert journal.accept(a_request("big", [bytes(500_000)]))


def test_answered_images_and_their_names_are_overwritten_on_disk(
    open_journal: Callable[[], SqliteJournal], path: Path
) -> None:
    journal = open_journal()
    request = a_request("j", [b"confidential-pixels" * 2000])
    journal.accept(request)
    journal.finish("j", an_answer(request))
    journal.tidy()
    on_disk = b"".join(part.read_bytes() for part in path.parent.iterdir())
    assert b"confidential-pixels" not in on_disk


def altered(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    database.executescript(statement)
    database.close()


@pytest.mark.parametrize(
    "made_otherwise",
    [
        "CREATE TABLE jobs (id TEXT); PRAGMA user_version = 0",
        "CREATE TABLE jobs (id TEXT); PRAGMA user_version = 1",
        "CREATE TABLE recipes (name TEXT)",
    ],
)
def test_a_journal_with_other_tables_is_moved_aside_and_said_so(
    open_journal: Callable[[], SqliteJournal], path: Path, made_otherwise: str
) -> None:
    path.parent.mkdir()
    altered(path, made_otherwise)
    journal = open_journal()
    assert journal.notice is not None
    assert "moved to" in journal.notice
    assert len(list(path.parent.glob("*.other-*"))) == 1
    assert journal.accept(a_request("j"))


@pytest.mark.parametrize("damage", ["UPDATE jobs SET body = '{}'", "DELETE FROM buffers"])
def test_an_open_job_that_cannot_be_read_any_more_is_answered_with_that(
    open_journal: Callable[[], SqliteJournal], path: Path, damage: str
) -> None:
    journal = open_journal()
    journal.accept(a_request("j", session="s7"))
    journal.close()
    altered(path, damage)
    journal = open_journal()
    assert journal.unanswered() == []
    answer = journal.answer_of("j")
    assert answer is not None
    assert isinstance(answer.body, JobFailed)
    assert (answer.body.code, answer.header.session, answer.header.jobid) == ("journal_failed", "s7", "j")


def test_a_result_that_cannot_be_read_any_more_hides_no_other(
    open_journal: Callable[[], SqliteJournal], path: Path
) -> None:
    journal = open_journal()
    answered(journal, "old.png", data=b"old")
    answered(journal, "new.png", data=b"new")
    fingerprint = a_model().fingerprint
    journal.close()
    altered(path, "UPDATE results SET result = '{}' WHERE name = 'old.png'; UPDATE jobs SET answer_body = '{}'")
    journal = open_journal()
    assert everything(journal) == ["new.png"]
    assert journal.known_result(an_item(b"old").sha256, fingerprint, None) is None
    (job_id,) = journal._database.execute("SELECT id FROM jobs").fetchone()
    with pytest.raises(JournalFailed, match="cannot be read"):
        journal.answer_of(job_id)
