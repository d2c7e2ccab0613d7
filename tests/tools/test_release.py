"""What a release is made of: archives by contents alone, a bill of what is there, one version."""

import json
import os
import tarfile
from collections.abc import Mapping
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from tools.contract import ROOT
from tools.release import verify
from tools.release.archive import write_tar
from tools.release.sbom import bill_of_materials, read_layers
from tools.release.source import NotReleasableError, Source, changes_of
from tools.release.version import problems, set_version, versions_of

SOURCE = Source("0.1.0", "f" * 40, 1_700_000_000, tagged=False, changes="")
MANIFEST = "ab" * 32
STATUS = """Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
PYTHON_PACKAGE = "Metadata-Version: 2.4\nName: Some_Package\nVersion: 1.2\nLicense-Expression: MIT\n\nText\n"


def _layer(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    path = folder / name
    with tarfile.open(path, "w") as archive:
        for each, text in files.items():
            entry = tarfile.TarInfo(each)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))
    return path


def _layout(folder: Path, files: Mapping[str, str]) -> Path:
    """An image with one layer of these files."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    _layer(blobs, "layer", files)
    (blobs / "config").write_text(json.dumps({"config": {"Env": ["PYTHON_VERSION=3.13.1"]}}))
    manifest = {"layers": [{"digest": "sha256:layer"}], "config": {"digest": "sha256:config"}}
    (blobs / MANIFEST).write_text(json.dumps(manifest))
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": f"sha256:{MANIFEST}"}]}))
    return folder


def test_an_archive_follows_from_its_contents(tmp_path: Path) -> None:
    """Neither times, nor the umask, nor the order in which the files were made are seen in it."""
    archives = []
    for number, (names, mode) in enumerate(((("a", "b/c"), 0o644), (("b/c", "a"), 0o600))):
        folder = tmp_path / str(number)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (number, number))
        archives.append(tmp_path / f"{number}.tgz")
        write_tar(folder, SOURCE.epoch, archives[-1])
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_the_bill_lists_what_is_installed(tmp_path: Path) -> None:
    """Python, its packages and Debian's, each with its package URL; what dpkg only remembers is not there."""
    files = {
        "usr/lib/os-release": 'VERSION_ID="12"\n',
        "var/lib/dpkg/status": STATUS,
        "venv/lib/python3.13/site-packages/some_package-1.2.dist-info/METADATA": PYTHON_PACKAGE,
    }
    bill = bill_of_materials(_layout(tmp_path, files), SOURCE)
    assert [each["purl"] for each in json.loads(bill)["components"]] == [
        "pkg:generic/python@3.13.1",
        "pkg:pypi/some-package@1.2",
        "pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12",
    ]
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 (a second, for every process that collects this module)
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        pytest.param({"v/a.dist-info/METADATA": "newer"}, {"v/a.dist-info/METADATA": "newer"}, id="replaced"),
        pytest.param({"v/.wh.a.dist-info": ""}, {}, id="its-folder-removed"),
        pytest.param({"v/a.dist-info/.wh.METADATA": ""}, {}, id="removed"),
        pytest.param({"v/.wh..wh..opq": ""}, {}, id="all-beside-it-removed"),
        pytest.param({"v/.wh.a": ""}, {"v/a.dist-info/METADATA": "old"}, id="another-removed"),
    ],
)
def test_what_an_upper_layer_removes_is_not_in_the_image(
    tmp_path: Path, upper: Mapping[str, str], left: Mapping[str, str]
) -> None:
    """The base's pip is uninstalled: its files are in a layer, and not in the image."""
    layers = [_layer(tmp_path, "1", {"v/a.dist-info/METADATA": "old"}), _layer(tmp_path, "2", upper)]
    assert read_layers(layers) == left


def test_what_a_release_lacks_is_named(tmp_path: Path) -> None:
    """What must be there and is not is named, each; an empty folder, or none, is not verified."""
    missing = [f"{name}: missing" for name in verify.ABOUT]
    assert verify.problems(tmp_path / "none", tmp_path / "cosign.pub") == missing
    (tmp_path / "CHANGES.md").touch()
    (tmp_path / verify.SUMS).write_text(verify.written(verify.sums_of(tmp_path)))
    assert verify.problems(tmp_path, tmp_path / "cosign.pub") == missing[1:]


def test_a_sum_is_of_a_file_of_the_folder(tmp_path: Path) -> None:
    """A link has none: what it leads to is elsewhere, and may change."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").symlink_to(tmp_path)
    assert list(verify.sums_of(tmp_path)) == ["file"]


def test_the_changes_are_the_versions_section() -> None:
    """Before its release a version's changes are those that are unreleased."""
    changelog = "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.1.0 – 2026-01-01\n\n- old\n- older\n"
    assert changes_of("0.1.0", changelog) == "- old\n- older\n"
    assert changes_of("0.2.0", changelog) == "- new\n"
    with pytest.raises(NotReleasableError):
        changes_of("0.2.0", "# Changelog\n\n## 0.1.0\n\n- old\n")


def _tree(folder: Path, changelog: str) -> Path:
    (folder / "server").mkdir()
    (folder / "server/__init__.py").write_text('"""It."""\n\n__version__ = "0.1.0"\n')
    (folder / "deploy/chart").mkdir(parents=True)
    (folder / "deploy/chart/Chart.yaml").write_text('apiVersion: v2\nversion: 0.1.0\nappVersion: "0.1.0"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    return folder


def test_a_version_is_set_everywhere(tmp_path: Path) -> None:
    """The module, the chart and the changelog have it, with the date; what comes next has a place again."""
    root = _tree(tmp_path, "# Changelog\n\n## Unreleased\n\n- new\n")
    set_version("0.2.0", date(2026, 12, 1), root)
    assert set(versions_of(root).values()) == {"0.2.0"}
    assert len(versions_of(root)) == 4
    assert "## Unreleased\n\n## 0.2.0 – 2026-12-01\n\n- new\n" in (root / "CHANGELOG.md").read_text()
    assert (root / "deploy/chart/Chart.yaml").read_text().startswith("apiVersion: v2\n")


@pytest.mark.parametrize(
    ("number", "changelog"),
    [
        pytest.param("0.2", "## Unreleased\n\n- new\n", id="no-version"),
        pytest.param("0.2.0", "## Unreleased\n\n## 0.1.0\n\n- old\n", id="nothing-new"),
    ],
)
def test_a_release_without_a_version_or_changes_is_refused(tmp_path: Path, number: str, changelog: str) -> None:
    """Nothing is written then."""
    root = _tree(tmp_path, changelog)
    with pytest.raises(ValueError, match=r"version|unreleased"):
        set_version(number, date(2026, 12, 1), root)
    assert versions_of(root)["server/__init__.py, __version__"] == "0.1.0"


def test_a_place_with_another_version_is_named(tmp_path: Path) -> None:
    """`make check` and `make release` refuse it."""
    root = _tree(tmp_path, "## Unreleased\n\n## 0.3.0 – 2026-01-01\n")
    assert problems(root) == ["CHANGELOG.md: 0.3.0, and server/__init__.py has 0.1.0"]
    assert problems(ROOT) == []
