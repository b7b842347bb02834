"""The bundle: the same bytes for the same files, nothing from outside the folder, nothing that is not needed."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from framelend.bundling import gather, pack
from framelend.problems import LocalProblem


def a_scene(folder: Path, **files: str) -> Path:
    """A folder with a .blend, textures and what Blender and systems leave behind."""
    for name, text in {
        "scene.blend": "BLENDER",
        "textures/wood.png": "png",
        "textures/deep/stone.exr": "exr",
        "scene.blend1": "backup",
        ".git/config": "secret",
        "__pycache__/x.pyc": "junk",
        **files,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_a_folder_becomes_the_same_bytes_whenever_and_wherever_it_is_packed(tmp_path: Path) -> None:
    one, other = a_scene(tmp_path / "one"), a_scene(tmp_path / "elsewhere" / "other")
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    first, second = pack(gather(one), tmp_path / "1.zip"), pack(gather(other), tmp_path / "2.zip")
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "1.zip").read_bytes()).hexdigest()
    assert names(tmp_path / "1.zip") == ["scene.blend", "textures/deep/stone.exr", "textures/wood.png"]
    changed = pack(gather(a_scene(tmp_path / "three", **{"textures/wood.png": "other"})), tmp_path / "3.zip")
    assert changed.sha256 != first.sha256


def test_a_single_blend_is_a_bundle_of_one_file(tmp_path: Path) -> None:
    folder = a_scene(tmp_path)
    contents = gather(folder / "scene.blend")
    assert (contents.blend, [name for name, _ in contents.files]) == ("scene.blend", ["scene.blend"])


def test_assets_beside_the_blend_keep_the_paths_blender_knows(tmp_path: Path) -> None:
    a_scene(tmp_path / "shots" / "one")
    a_scene(tmp_path / "library")
    contents = gather(tmp_path / "shots" / "one" / "scene.blend", [tmp_path / "library" / "textures"])
    assert contents.blend == "shots/one/scene.blend"
    assert [name for name, _ in contents.files] == [
        "library/textures/deep/stone.exr",
        "library/textures/wood.png",
        "shots/one/scene.blend",
    ]


def test_links_inside_the_folder_travel_as_what_they_point_to(tmp_path: Path) -> None:
    folder = a_scene(tmp_path / "scene")
    (folder / "alias").symlink_to(folder / "textures")
    (folder / "textures" / "circle").symlink_to(folder)
    (folder / "wood2.png").symlink_to("textures/wood.png")
    pack(gather(folder), tmp_path / "b.zip")
    found = names(tmp_path / "b.zip")
    assert {"alias/wood.png", "textures/wood.png", "wood2.png"} <= set(found)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.read("wood2.png") == b"png"
        assert all((info.external_attr >> 16) & 0o170000 == 0o100000 for info in archive.infolist()), "no links inside"


@pytest.mark.parametrize("target", ["../secret.txt", "/etc", "nowhere"])
def test_a_link_that_leaves_the_folder_or_leads_nowhere_is_refused(tmp_path: Path, target: str) -> None:
    folder = a_scene(tmp_path / "scene")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link").symlink_to(target)
    with pytest.raises(LocalProblem, match="link"):
        gather(folder)


def test_what_cannot_be_sent_says_why(tmp_path: Path) -> None:
    folder = a_scene(tmp_path / "scene", **{"other.blend": "BLENDER"})
    with pytest.raises(LocalProblem, match="several"):
        gather(folder)
    assert gather(folder, blend="other.blend").blend == "other.blend"
    with pytest.raises(LocalProblem, match=r"no \.blend"):
        gather(folder / "textures")
    with pytest.raises(LocalProblem, match="does not exist"):
        gather(folder / "nothing.blend")
    with pytest.raises(LocalProblem, match="neither"):
        gather(folder / "textures" / "wood.png")
    with pytest.raises(LocalProblem, match="Assets not found"):
        gather(folder / "scene.blend", [folder / "nothing"])


def test_dense_files_are_stored_and_others_are_packed(tmp_path: Path) -> None:
    folder = a_scene(tmp_path / "scene", **{"scene.blend": "BLENDER" * 1000})
    (folder / "packed.blend1x").write_bytes(b"\x28\xb5\x2f\xfd" + b"0" * 100)
    pack(gather(folder), tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        kinds = {info.filename: info.compress_type for info in archive.infolist()}
    assert kinds["scene.blend"] == zipfile.ZIP_DEFLATED
    assert kinds["textures/wood.png"] == kinds["packed.blend1x"] == zipfile.ZIP_STORED


def test_a_full_disk_is_not_told_as_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    contents = gather(a_scene(tmp_path / "scene", **{"scene.blend": "BLENDER" * 1000}))
    with pytest.raises(LocalProblem, match=r"cannot be written in /dev: No space left on device.*TMPDIR"):
        pack(contents, Path("/dev/full"))


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    folder = a_scene(tmp_path / "scene")
    contents = gather(folder)
    (folder / "textures" / "wood.png").unlink()
    with pytest.raises(LocalProblem, match=r"wood\.png cannot be read: No such file"):
        pack(contents, tmp_path / "b.zip")


def test_a_name_that_is_no_text_is_refused_with_words(tmp_path: Path) -> None:
    folder = a_scene(tmp_path / "scene")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(b"png")
    with pytest.raises(LocalProblem, match="not UTF-8"):
        gather(folder)
