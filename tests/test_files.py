"""Files are whole or absent."""

import errno
import hashlib
from pathlib import Path

import pytest

from modescope.errors import UserError
from modescope.files import atomic_path, read_json, root, sha256, trouble, write_json, writing


def test_a_failure_leaves_the_old_file_and_no_scraps(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "x"),
        OSError(errno.EFBIG, "x"),
        RuntimeError("basic_ios::clear: iostream error"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_what_a_disk_refuses_names_the_file(error, tmp_path):
    for writer in (atomic_path, writing):
        with pytest.raises(OSError) as raised, writer(tmp_path / "value"):
            raise error
        assert raised.value.filename == str(tmp_path / "value") and trouble(raised.value) == raised.value.errno
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [ValueError("x"), UserError("No space left on device"), OSError(errno.EIO, "x", "in")]
)
def test_other_trouble_than_the_files_own_is_left_as_it_is(error, tmp_path):
    with pytest.raises(type(error)) as raised, atomic_path(tmp_path / "value"):
        raise error
    assert raised.value is error


def test_a_folder_takes_the_old_ones_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "out"
    folder.mkdir(parents=True)
    (folder / "old").touch()
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]


@pytest.mark.parametrize("place", [".", "precious", "data", "..", "models/../precious", "link"])
def test_a_folder_of_somebody_elses_is_never_replaced(place, tmp_path, monkeypatch):
    home = tmp_path / "home"
    for name in ("precious/thesis.tex", "data/rgb/train.safetensors", "models/x"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("mine", encoding="utf-8")
    (home / "link").symlink_to("precious")
    monkeypatch.chdir(home)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="did not make, it would be deleted"), atomic_path(Path(place)) as temporary:
        temporary.mkdir()
    assert sorted(tmp_path.rglob("*")) == before


def test_links_to_files_and_a_linked_data_folder_are_no_folders_of_somebody_elses(tmp_path, monkeypatch):
    home, disk = tmp_path / "home", tmp_path / "disk"
    (disk / "rgb").mkdir(parents=True)
    home.mkdir()
    (home / "data").symlink_to(disk)
    (disk / "rgb" / "old").touch()
    (home / "value.json").symlink_to(disk / "rgb" / "old")
    monkeypatch.chdir(home)
    write_json(Path("value.json"), {"a": 1})
    with atomic_path(Path("data/rgb")) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert read_json(Path("value.json")) == {"a": 1}
    assert [path.name for path in (disk / "rgb").iterdir()] == ["new"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "new").mkdir()
    with atomic_path(tmp_path / "new") as temporary:
        temporary.mkdir()
        (temporary / "a").touch()
    assert (tmp_path / "new" / "a").exists()


def test_nan_never_reaches_a_file(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"fid": float("nan")})
    assert not any(tmp_path.iterdir())


def test_unreadable_json_is_one_line(tmp_path):
    with pytest.raises(UserError, match="is missing: run `dvc repro`"):
        read_json(tmp_path / "none.json")
    with pytest.raises(UserError, match="is missing: run `dvc repro`"):
        read_json(tmp_path)
    for content in (
        b"{",
        b"",
        b"\xff\xfe",
        b"[" * 5000,
        b"1" * 5000,
        b'{"fid": NaN}',
        b"-Infinity",
        "\u00e4".encode("latin1"),
    ):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(UserError, match="is not valid JSON .*: delete it and run `dvc repro`") as error:
            read_json(tmp_path / "bad.json")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[], 3, None, "model"])
def test_json_that_is_no_object_is_one_line(content, tmp_path):
    write_json(tmp_path / "run.json", content)
    with pytest.raises(UserError, match="run.json is not what the pipeline wrote .TypeError: it is a .*: delete it"):
        read_json(tmp_path / "run.json")


@pytest.mark.parametrize("content", [{}, {"model": None}, {"model": ["gan"]}])
def test_json_without_what_is_wanted_is_one_line(content, tmp_path):
    write_json(tmp_path / "run.json", content)
    assert read_json(tmp_path / "run.json") == content
    with pytest.raises(
        UserError, match=r"run.json is not what the pipeline wrote \(TypeError: it has no `model` of type str\)"
    ):
        read_json(tmp_path / "run.json", model=str)


def test_sha256_and_root(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert root() == tmp_path.resolve()


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1b[31mb", "a\u202eb", "a\udcffb"])
def test_a_repository_whose_path_cannot_be_printed_is_refused(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(UserError, match="cannot be printed: rename the folder") as error:
        root()
    assert str(error.value).isprintable()
