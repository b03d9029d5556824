"""A file or folder is replaced whole: a failure in between leaves what was there and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.files import replacing, replacing_folder, write_atomically


class Interrupted(Exception):
    pass


def test_a_file_is_written_with_its_folder_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.json"
    write_atomically(path, "grün")
    write_atomically(path, b"blue")
    assert path.read_bytes() == b"blue"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("shared", [False, True])
def test_a_failure_while_a_file_is_written_leaves_the_old_one_alone(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "new" / "settings.json"
    write_atomically(path, "old")
    with pytest.raises(Interrupted), replacing(path, shared=shared) as partial:
        partial.write_text("half")
        raise Interrupted
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_a_failure_while_a_folder_is_filled_leaves_the_old_one_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "package"
    with replacing_folder(folder) as partial:
        (partial / "card").write_text("old")
    with pytest.raises(Interrupted), replacing_folder(folder) as partial:
        (partial / "card").write_text("half")
        raise Interrupted
    assert (folder / "card").read_text() == "old" and list(folder.parent.iterdir()) == [folder]


def test_a_folder_takes_the_place_of_the_older_one_with_nothing_of_it_left(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "package"
    for name in ("first", "second"):
        with replacing_folder(folder) as partial:
            (partial / name).write_text(name)
    assert [path.name for path in folder.iterdir()] == ["second"] and list(folder.parent.iterdir()) == [folder]
