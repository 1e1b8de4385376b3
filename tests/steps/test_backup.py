"""A backup holds a workspace byte for byte, copies nothing twice, survives a kill, and comes back whole or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from curate import backup, check, create_workspace, ingest, open_workspace, restore_backup
from curate.errors import InputError, SettingError, WorkError
from curate.safekeeping.objects import MANIFEST, ObjectFolder


def photo(path: Path, seed: int) -> None:
    out = io.BytesIO()
    Image.effect_noise((20, 20), 10 + seed).save(out, "PNG")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(out.getvalue())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    create_workspace(tmp_path / "ws")
    for n in range(5):
        photo(tmp_path / "photos" / f"{n}.png", n)
    with open_workspace(tmp_path / "ws") as workspace:
        ingest(workspace, [tmp_path / "photos"], dataset="photos")
    return tmp_path


def back_up(place: Path, **options: bool):
    with open_workspace(place / "ws", read_only=True) as workspace, open_workspace(place / "ws", read_only=True):
        return backup(workspace, place / "copy", **options)


def files(root: Path) -> dict[str, bytes]:
    kept = (p for p in root.rglob("*") if p.is_file() and "indexes" not in p.parts)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in kept}


def test_it_comes_back_byte_for_byte_and_sound(place):
    before = files(place / "ws")
    assert back_up(place).copied == len(before)
    (place / "again").mkdir()
    report = restore_backup(place / "copy", place / "again")
    assert (report.files, report.real, report.synthetic) == (len(before), 5, 0)
    after = files(place / "again")
    assert {n: b for n, b in after.items() if not n.startswith("catalog")} == {
        n: b for n, b in before.items() if not n.startswith("catalog")
    }
    with open_workspace(place / "again") as workspace:
        assert check(workspace).findings == ()


def test_what_lies_there_is_verified_and_not_copied_again(place):
    back_up(place)
    assert back_up(place).copied == 0
    photo(place / "photos" / "new.png", 99)
    with open_workspace(place / "ws") as workspace:
        ingest(workspace, [place / "photos"], dataset="photos")
    report = back_up(place, fast=True)
    assert report.copied == 2 and report.forgotten == 1  # the blob and the catalog, whose older bytes go
    store = ObjectFolder(place / "copy")
    entry = next(e for e in store.read_manifest() or () if e.path.startswith("blobs/"))
    store.path(entry.sha256).write_bytes(b"x" * entry.size_bytes)
    assert back_up(place, fast=True).copied == 0 and back_up(place).copied == 1


def test_a_damaged_blob_is_told_and_its_earlier_copy_is_kept(place):
    back_up(place)
    blob = next(p for p in (place / "ws" / "blobs").rglob("*.png"))
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-9])
    assert back_up(place).damaged == (blob.relative_to(place / "ws").as_posix(),)
    restore_backup(place / "copy", place / "again")
    assert (place / "again" / blob.relative_to(place / "ws")).read_bytes() == whole


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_backup_leaves_nothing_behind(place, damage):
    back_up(place)
    store = ObjectFolder(place / "copy")
    entry = (store.read_manifest() or ())[-1]
    path = store.path(entry.sha256)
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WorkError, match=entry.path):
        restore_backup(place / "copy", place / "again")
    assert not (place / "again").exists() and not list(place.glob(".again*"))


def test_a_killed_backup_leaves_the_one_before(place, monkeypatch):
    back_up(place)
    before = (place / "copy" / MANIFEST).read_bytes()
    photo(place / "photos" / "new.png", 99)
    with open_workspace(place / "ws") as workspace:
        ingest(workspace, [place / "photos"], dataset="photos")
    with monkeypatch.context() as patched:
        patched.setattr(ObjectFolder, "write_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            back_up(place)
    assert (place / "copy" / MANIFEST).read_bytes() == before
    assert restore_backup(place / "copy", place / "again").real == 5
    assert back_up(place).copied == 0


def test_folders_that_are_no_backup_are_refused(place):
    (place / "other").mkdir()
    (place / "other" / "thesis.txt").write_text("x")
    with open_workspace(place / "ws", read_only=True) as workspace:
        with pytest.raises(InputError, match=r"thesis\.txt"):
            backup(workspace, place / "other")
        for inside in (place / "ws" / "copy", place):
            with pytest.raises(SettingError):
                backup(workspace, inside)
    with pytest.raises(InputError, match="no backup"):
        restore_backup(place / "other", place / "again")
    back_up(place)
    with pytest.raises(InputError, match="not an empty folder"):
        restore_backup(place / "copy", place / "other")
    manifest = place / "copy" / MANIFEST
    text = manifest.read_text()
    manifest.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(InputError, match="damaged"):
        restore_backup(place / "copy", place / "again")
    manifest.write_text(json.dumps({}))
    with pytest.raises(InputError, match="damaged"):
        back_up(place)
