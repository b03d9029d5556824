"""What a person points at becomes jobs, or says why not."""

import hashlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from domain.errors import FileUnreadable
from domain.values import ItemFailure, Priority, Scale, ScaleSource
from ui.client import intake
from ui.client.intake import PreparedJob, gather, prepare


def no_scale(_: Path) -> None:
    return None


def write(path: Path, data: bytes = b"image bytes") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def prepared(*files: Path, priority: Priority = Priority.BULK, **more: object) -> list[PreparedJob | ItemFailure]:
    return list(prepare(files, scale_for=no_scale, priority=priority, **more))  # type: ignore[arg-type]


def only_failure(file: Path, **more: object) -> ItemFailure:
    (failure,) = prepared(file, **more)
    assert isinstance(failure, ItemFailure)
    return failure


def test_a_folder_is_searched_recursively_for_images_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.TIF", "deeper/c.jpeg", "labels.csv", ".hidden.png", ".cache/d.png"):
        write(tmp_path / name)
    assert [str(file.relative_to(tmp_path)) for file in gather([tmp_path]).files] == ["a.TIF", "b.png", "deeper/c.jpeg"]


def test_a_file_named_explicitly_is_tried_whatever_its_name(tmp_path: Path) -> None:
    odd = write(tmp_path / "slide without suffix")
    assert gather([odd]).files == (odd,)


def test_a_path_given_twice_is_tried_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.png")
    assert gather([file, tmp_path, file]).total == 1


def test_a_missing_path_is_a_failure_and_the_others_are_kept(tmp_path: Path) -> None:
    good = write(tmp_path / "a.png")
    gathered = gather([tmp_path / "gone.png", good])
    assert gathered.files == (good,)
    (failure,) = gathered.failures
    assert (failure.code, failure.fault, failure.name) == ("file_unreadable", "caller", "gone.png")
    assert "gone.png" in failure.message


def test_a_folder_without_images_is_a_failure_and_not_an_empty_result(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt")
    (failure,) = gather([tmp_path]).failures
    assert failure.code == "no_images_found"


def test_an_item_carries_name_absolute_path_size_and_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "é tissue.png", b"abc")
    monkeypatch.chdir(tmp_path)
    (job,) = prepared(Path("é tissue.png"))
    assert isinstance(job, PreparedJob)
    (item,) = job.body.items
    assert (item.name, item.path) == ("é tissue.png", str(tmp_path / "é tissue.png"))
    assert (item.nbytes, item.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
    assert job.buffers == (b"abc",)


def test_the_persons_word_on_the_scale_and_the_model_travel_with_the_job(tmp_path: Path) -> None:
    file = write(tmp_path / "a.png")
    scale = Scale(um_per_px=0.5, source=ScaleSource.USER)
    (job,) = prepare([file], scale_for=lambda _: scale, priority=Priority.INTERACTIVE, model="m", fresh=True)
    assert isinstance(job, PreparedJob)
    assert (job.body.items[0].scale, job.body.model, job.body.fresh) == (scale, "m", True)


def test_small_files_of_bulk_work_travel_together_and_large_ones_alone(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n:02}.png") for n in range(40)]
    large = write(tmp_path / "large.png", b"x" * (intake.SMALL_FILE_BYTES + 1))
    jobs = prepared(*files, large)
    assert sorted(len(job.files) for job in jobs if isinstance(job, PreparedJob)) == [1, 8, 32]


def test_interactive_images_go_alone_so_that_each_answers_at_once(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.png") for n in range(3)]
    assert len(prepared(*files, priority=Priority.INTERACTIVE)) == 3


def test_files_are_read_only_as_they_are_asked_for(tmp_path: Path) -> None:
    good = write(tmp_path / "a.png")

    def endless() -> Iterator[Path]:
        while True:
            yield good

    jobs = islice(prepare(endless(), scale_for=no_scale, priority=Priority.BULK), 2)
    assert all(isinstance(job, PreparedJob) for job in jobs)


def test_a_path_that_vanishes_after_gathering_is_a_failure(tmp_path: Path) -> None:
    file = write(tmp_path / "a.png")
    files = gather([file]).files
    file.unlink()
    failure = only_failure(*files)
    assert failure.code == "file_unreadable"
    assert "no longer there" in failure.message


def test_a_folder_where_one_image_is_meant_is_a_failure(tmp_path: Path) -> None:
    failure = only_failure(tmp_path)
    assert failure.code == "file_unreadable"
    assert "is a folder" in failure.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_a_failure(tmp_path: Path) -> None:
    file = write(tmp_path / "a.png")
    file.chmod(0)
    failure = only_failure(file)
    assert failure.code == "file_unreadable"
    assert "not allowed" in failure.message


def test_a_refused_read_is_told_as_missing_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = write(tmp_path / "a.png")
    monkeypatch.setattr(Path, "open", refuse)
    assert "not allowed" in only_failure(file).message


def test_a_failing_disk_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    file = write(tmp_path / "a.png")
    monkeypatch.setattr(Path, "open", fail)
    assert "Input/output error" in only_failure(file).message


def test_an_empty_file_is_a_failure(tmp_path: Path) -> None:
    assert only_failure(write(tmp_path / "a.png", b"")).code == "empty_file"


def test_a_file_above_the_byte_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.png", b"x" * 11)
    failure = only_failure(file, max_item_bytes=10)
    assert failure.code == "image_too_large"
    assert isinstance(prepared(write(tmp_path / "b.png", b"x" * 10), max_item_bytes=10)[0], PreparedJob)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "a.png"
    os.mkfifo(pipe)
    assert only_failure(pipe).code == "file_unreadable"


@pytest.mark.skipif(os.name != "posix", reason="names of bytes are a POSIX matter")
def test_a_name_that_is_not_utf8_can_still_be_classified_and_shown(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/t\xe9te.png"))
    file.write_bytes(b"x")
    (job,) = prepared(*gather([tmp_path]).files)
    assert isinstance(job, PreparedJob)
    assert job.body.items[0].name == "t\ufffdte.png"
    assert job.body.model_dump_json()
    assert job.files == (file,)


def test_one_unreadable_file_does_not_end_the_run(tmp_path: Path) -> None:
    good = [write(tmp_path / f"{n}.png") for n in range(2)]
    jobs = prepared(good[0], tmp_path / "gone.png", good[1])
    assert [type(job) for job in jobs] == [ItemFailure, PreparedJob]
    assert len(next(job for job in jobs if isinstance(job, PreparedJob)).files) == 2


def test_reading_for_one_image_raises_what_a_person_can_understand(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="is a folder"):
        intake.read_image_bytes(tmp_path)
