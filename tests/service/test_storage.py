"""Files are whole or not there, and lie below the storage folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.storage import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "files")


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_file_is_visible_once_published(storage: Storage, tmp_path: Path):
    with storage.draft() as draft:
        draft.write_text("whole")
        path = storage.publish(draft, "datasets/one")
    assert path == storage.path("datasets/one")
    assert files(tmp_path / "files") == {"datasets/one": "whole"}


def test_a_folder_is_visible_once_published(storage: Storage, tmp_path: Path):
    with storage.draft() as draft:
        (draft / "inner").mkdir(parents=True)
        (draft / "a").write_text("1")
        (draft / "inner" / "b").write_text("2")
        storage.publish(draft, "models/one")
    assert files(tmp_path / "files") == {"models/one/a": "1", "models/one/inner/b": "2"}


def test_many_may_delete_the_same_folder_at_once(storage: Storage):
    for folder in (storage.path(f"models/{number}") for number in range(5)):
        folder.mkdir(parents=True)
        for number in range(200):
            (folder / str(number)).touch()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: storage.delete(f"models/{n // 4}"), range(20)))
    assert list(storage.path("models").iterdir()) == []


@pytest.mark.parametrize("folder", [True, False])
def test_a_draft_that_is_not_published_is_deleted(storage: Storage, tmp_path: Path, folder: bool):
    def abandon() -> None:
        with storage.draft() as draft:
            if folder:
                draft.mkdir()
                (draft / "a").write_text("half")
            else:
                draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        abandon()
    assert files(tmp_path / "files") == {}


def test_an_empty_draft_leaves_nothing(storage: Storage, tmp_path: Path):
    with storage.draft() as draft:
        assert not draft.exists()
    assert list((tmp_path / "files" / "drafts").iterdir()) == []


def test_drafts_do_not_meet(storage: Storage):
    with storage.draft() as one, storage.draft() as other:
        assert one != other


def test_deleting_takes_files_and_folders_and_what_is_not_there(storage: Storage, tmp_path: Path):
    root = tmp_path / "files"
    (root / "folder").mkdir()
    (root / "folder" / "a").write_text("1")
    (root / "file").write_text("2")
    for key in ("folder", "file", "nothing"):
        storage.delete(key)
    assert files(root) == {}


@pytest.mark.parametrize("key", ["../outside", "datasets/../../outside", "/etc/passwd", "", ".", "datasets/.."])
def test_a_key_never_leaves_the_folder(storage: Storage, key: str):
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.path(key)
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.delete(key)


def test_a_link_never_leads_out_of_the_folder(storage: Storage, tmp_path: Path):
    (tmp_path / "files" / "way").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.path("way/outside")


def test_a_second_storage_on_the_same_folder_sees_the_same(storage: Storage, tmp_path: Path):
    with storage.draft() as draft:
        draft.write_text("whole")
        storage.publish(draft, "datasets/one")
    assert Storage(tmp_path / "files").path("datasets/one").read_text() == "whole"
