import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from chromasonic.tuning.files import replace_folder, sweep_unfinished, write_text, write_whole


def test_text_is_written_as_utf8_and_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "Ré♭\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "Ré♭\n".encode()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "file.txt"
    write_text(file, "old")

    def fail(path):
        path.write_text("half of")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        write_whole(file, fail)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    file = tmp_path / "file.txt"
    write_text(file, "old")
    seen = []

    def write(path):
        path.write_text("new, but")
        seen.append(file.read_text())
        path.write_text("new")

    write_whole(file, write)
    assert seen == ["old"]
    assert file.read_text() == "new"


def test_a_writer_that_looks_at_the_ending_finds_it(tmp_path):
    endings = []

    def write(path):
        endings.append(path.suffix)
        path.touch()

    write_whole(tmp_path / "plot.png", write)
    assert endings == [".png"]


def test_a_folder_is_replaced_whole(tmp_path):
    folder, new = tmp_path / "folder", tmp_path / "new"
    for content in ("old", "newer"):
        new.mkdir()
        (new / content).touch()
        replace_folder(folder, new)
        assert [path.name for path in folder.iterdir()] == [content]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    file = tmp_path / "report.txt"
    texts = [str(number) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as writers:
        for _ in range(20):
            list(writers.map(lambda text: write_text(file, text), texts))
            assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]


def test_what_killed_writers_have_left_is_swept_and_nothing_else(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    kept = {f".unfinished-{os.getpid()}-a-x", ".unfinished-none-x", "outside"}
    for name in {f".unfinished-{ended.pid}-report.txt-x", *kept} - {"outside"}:
        (tmp_path / name).mkdir()
    link = tmp_path / f".unfinished-{ended.pid}-link-x"
    link.symlink_to(tmp_path / "outside")
    sweep_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, link.name}
    assert (tmp_path / "outside" / "file").exists()
