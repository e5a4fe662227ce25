import os
import shutil
import zipfile
from pathlib import Path

import pytest

from visir.errors import CaptureError, MissingToolError
from visir.vira.corpora import Corpora


@pytest.mark.slow
def test_sources_are_fetched_once_into_a_folder_named_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    corpora = Corpora(Path("cache"), said.append)
    wheel = corpora.pypi("iniconfig==2.3.1")
    assert (wheel / "iniconfig" / "__init__.py").is_file()
    font = corpora.debian("fonts-go")
    assert list(font.rglob("*.ttf"))
    assert len(said) == 2
    assert corpora.pypi("iniconfig==2.3.1") == wheel
    assert corpora.debian("fonts-go") == font
    assert len(said) == 2
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["pypi", "root"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_an_npm_package_is_unpacked(tmp_path):
    assert "function" in (Corpora(tmp_path).npm("is-number@7.0.0") / "index.js").read_text()


def test_without_npm_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install npm"):
        Corpora(tmp_path).npm("is-number@7.0.0")


@pytest.mark.slow
def test_what_cannot_be_fetched_is_one_line_and_leaves_nothing(tmp_path):
    corpora = Corpora(tmp_path)
    with pytest.raises(CaptureError, match="no-such-package-of-debian") as failed:
        corpora.debian("no-such-package-of-debian")
    assert "\n" not in str(failed.value)
    assert not any(path.name.startswith(".fetching") for path in tmp_path.iterdir())


def test_merged_packages_lie_in_one_folder(tmp_path):
    for name, file in (("pages", "usr/share/help/en/page.html"), ("common", "usr/share/help/media/icon.svg")):
        path = tmp_path / "root" / name / file
        path.parent.mkdir(parents=True)
        path.write_text(name)
    merged = Corpora(tmp_path).merged("pages", "common")
    assert (merged / "usr/share/help/en/page.html").read_text() == "pages"
    assert (merged / "usr/share/help/media/icon.svg").read_text() == "common"
    assert os.path.exists(Corpora(tmp_path).merged("pages", "common"))


def test_another_process_that_was_first_is_no_failure(tmp_path, monkeypatch):
    corpora = Corpora(tmp_path)

    def fetch(command, folder, *_):
        # Both fetch the same; the other one is done first.
        (tmp_path / "pypi" / "one==2.0" / "one").mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "one.whl", "w") as wheel:
            wheel.writestr("one/__init__.py", "")

    monkeypatch.setattr("visir.vira.corpora._run", fetch)
    assert (corpora.pypi("one==2.0") / "one").is_dir()
    assert not any(path.name.startswith(".fetching") for path in tmp_path.iterdir())


def test_another_version_is_fetched_anew(tmp_path, monkeypatch):
    asked = []

    def fetch(command, folder, *_):
        asked.append(command[-1])
        with zipfile.ZipFile(folder / "one.whl", "w") as wheel:
            wheel.writestr(f"{command[-1]}.txt", "")

    monkeypatch.setattr("visir.vira.corpora._run", fetch)
    for wanted in ("one==2.0", "one==2.1", "one==2.0"):
        assert (Corpora(tmp_path).pypi(wanted) / f"{wanted}.txt").is_file()
    assert asked == ["one==2.0", "one==2.1"]
