from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.kernels import compiling


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DELTABAR_CACHE_DIR", str(tmp_path))
    compiling._folder.cache_clear()
    yield tmp_path
    compiling._folder.cache_clear()


def test_modules_are_kept_in_the_folder_that_the_variable_names(folder: Path):
    text = "answer = 42  # a text that no kernel has\n"
    assert compiling.module_of(text).answer == 42
    [kept] = (folder / "kernels").glob("*.py")
    assert kept.read_text(encoding="utf-8") == text


def test_where_that_folder_cannot_be_written_to_one_is_made_for_this_process(folder: Path):
    (folder / "kernels").write_text("a file")
    text = "answer = 43  # nor this one\n"
    module = compiling.module_of(text)
    assert module.answer == 43
    assert module.__file__ is not None
    assert folder not in Path(module.__file__).parents


def test_what_modules_import_is_told_apart_by_their_names():
    folder = Path(compiling.__file__).parent
    made = [(folder / f"{name}.py").read_text(encoding="utf-8") for name in ("called", "epochs", "loops")]
    imported = {
        name for text in made for name in re.findall(r"^from core\.kernels\.(\w+) import .*$", text, re.MULTILINE)
    }
    # The first and the last import each other's names in their own code, which is no text of a module that is made.
    assert imported - {"loops", "translation"} <= set(compiling.IMPORTED)
