"""What is built and shipped: sdist, wheel, manual page, and the list of licences."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.clitools import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("these tests are of a checkout", allow_module_level=True)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_DEVELOPERS = {"docs", "train", "eval", "mos", "test", "test-more", "dev"}
PAGE = ROOT / "man" / "streamdenoise.1"


# Licences ---------------------------------------------------------------------------


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def third_parties() -> dict[str, str]:
    """Packages of the tables in THIRD_PARTY.md, with their licences."""
    text = (ROOT / "THIRD_PARTY.md").read_text("utf-8")
    _, pulled, extras = re.split(r"^## (?:Pulled in by|Programs)", text, flags=re.M)[:3]
    rows = [re.split(r"\s*\|\s*", x)[1:-1] for x in pulled.split("\n") if x[:1] == "|"]
    found = {canonical(row[0]): row[1] for row in rows[2:]}
    rows = [re.split(r"\s*\|\s*", x)[1:-1] for x in extras.split("\n") if x[:1] == "|"]
    return {**found, **{canonical(row[1]): row[2] for row in rows[2:]}}


def closure(requirements: list[str]) -> set[str]:
    """All that is needed here, by name; what is not installed is not looked into."""
    requirement = pytest.importorskip("packaging.requirements").Requirement
    found: set[str] = set()
    todo = [requirement(text) for text in requirements]
    while todo:
        item = todo.pop()
        name = canonical(item.name)
        if name in found or (item.marker and not item.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in needs:
            need = requirement(text)
            wanted = (item.extras or {""}) if need.marker else {""}
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in wanted
            ):
                need.marker = None
                todo.append(need)
    return found


def families(text: str) -> set[str]:
    """Licences that a text speaks of, roughly: enough to see a change of licence."""
    known = {
        "Apache": r"apache",
        "MIT": r"\bMIT\b",
        "BSD": r"\bBSD\b",
        "PSF": r"\bPSF\b|Python Software Foundation",
        "MPL": r"\bMPL|Mozilla",
        "GPL": r"\b[AL]?GPL|General Public",
        "other": r"proprietary|commercial",
    }
    return {name for name, form in known.items() if re.search(form, text, re.I)}


def own_word(name: str) -> str:
    """What an installed package calls its licence."""
    data = metadata.metadata(name)
    # Of a package that replaces the reader of these (importlib_metadata), an entry
    # that is not there is an error.
    if data.get("License-Expression"):
        return str(data["License-Expression"])
    classifiers = [x for x in data.get_all("Classifier", []) if x.startswith("License")]
    return " ".join([(data.get("License") or "")[:80], *classifiers])


@pytest.mark.parametrize("extra", ["", *sorted(set(EXTRAS) - FOR_DEVELOPERS)])
def test_every_package_is_listed_with_its_licence(extra: str) -> None:
    """Nothing comes with an installation that THIRD_PARTY.md does not name."""
    listed = third_parties()
    needed = closure(EXTRAS[extra] if extra else PROJECT["dependencies"])
    assert needed <= set(listed), "add to THIRD_PARTY.md"
    for name in needed:
        try:
            word = families(own_word(name))
        except metadata.PackageNotFoundError:
            continue
        assert word <= families(listed[name]) or not word, name
        assert families(listed[name]), f"{name} has no licence in THIRD_PARTY.md"


def test_a_closure_follows_needs_and_markers() -> None:
    """The walk sees what a need needs, and leaves out what another system needs."""
    found = closure(["soundfile", "nothing-like-this; python_version < '3'"])
    assert {"soundfile", "cffi", "pycparser"} <= found
    assert "nothing-like-this" not in found


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_extra_is_on_the_page(extra: str) -> None:
    """docs/install.md says what each extra is for."""
    assert f"`{extra}`" in (ROOT / "docs" / "install.md").read_text("utf-8")


# Manual page ------------------------------------------------------------------------


def test_manual_page_says_what_the_commands_say() -> None:
    """The page is what scripts/make-man makes of the commands as they are now."""
    program = [sys.executable, ROOT / "scripts" / "make-man", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_manual_page_has_every_command_and_flag() -> None:
    """Every command has its part, with each of its long flags as it is typed."""
    import click

    from streamdenoise.cli import cli

    def parts(group: click.Group, ctx: click.Context, path: str = "") -> None:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            if command.hidden:
                continue
            words = f"{path} {name}".strip()
            _, found, part = plain.partition(f'\n.SS "{words}"\n')
            assert found, words
            part = part.split("\n.S")[0]
            for param in command.params:
                if isinstance(param, click.Option) and not param.hidden:
                    assert all(flag in part for flag in param.opts), (words, param.opts)
            if isinstance(command, click.Group):
                parts(command, click.Context(command, parent=ctx), words)

    plain = re.sub(r"\\f[BIR]", "", PAGE.read_text("utf-8")).replace("\\-", "-")
    parts(cli, click.Context(cli))


@pytest.mark.parametrize(
    "command",
    [["mandoc", "-T", "lint", "-W", "all"], ["man", "--warnings", "-E", "UTF-8", "-l"]],
    ids=lambda command: command[0],
)
def test_manual_page_is_clean(command: list[str]) -> None:
    """The formatters have nothing to say about the page."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*command, PAGE], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr if command[0] == "mandoc" else done.stderr
    assert said == "" and done.returncode == 0


# Wheel and sdist --------------------------------------------------------------------


def build(source: Path, into: Path, kind: str) -> Path:
    """Build a wheel or an sdist with the backend itself, in a process of its own."""
    pytest.importorskip("hatchling", reason="hatchling builds the packages")
    code = (
        "import sys; from hatchling import build as b;"
        "print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"
    )
    into.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        [sys.executable, "-c", code, kind, str(into)],
        cwd=source,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return into / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout without what nobody would ship."""
    target = tmp_path_factory.mktemp("source") / "streamdenoise"
    away = shutil.ignore_patterns(".*_cache", ".git", ".venv*", "__pycache__", "runs")
    shutil.copytree(ROOT, target, ignore=away)
    return target


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of the checkout."""
    return build(source, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist of the checkout."""
    return build(source, tmp_path_factory.mktemp("sdist"), "sdist")


def test_wheel_holds_models_cards_and_page(wheel: Path) -> None:
    """What the manifest names is there as it names it, and the rest that belongs."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("streamdenoise/models/manifest.json"))
        for entry in manifest["models"].values():
            content = archive.read(f"streamdenoise/models/{entry['file']}")
            assert hashlib.sha256(content).hexdigest() == entry["sha256"]
            assert f"streamdenoise/models/{entry['card']}" in names
    cards = {f"streamdenoise/models/{x.name}" for x in (ROOT / "models").glob("*.md")}
    assert cards <= names
    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {"streamdenoise"}
    ends = {
        "/man/man1/streamdenoise.1",
        "/licenses/LICENSE",
        "/licenses/THIRD_PARTY.md",
    }
    assert all(any(name.endswith(end) for name in names) for end in ends)
    assert not [n for n in names if "checkpoint" in n or n.endswith((".npz", ".pyc"))]


def test_wheel_takes_no_model_that_is_in_no_manifest(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    """Files that lie about in models/ and __pycache__ change nothing."""
    stray = source / "models" / "stray.tflite"
    cache = source / "streamdenoise" / "__pycache__"
    try:
        stray.write_bytes(b"no model")
        cache.mkdir(exist_ok=True)
        (cache / "stray.cpython-311.pyc").write_bytes(b"")
        assert build(source, tmp_path, "wheel").read_bytes() == wheel.read_bytes()
    finally:
        stray.unlink()
        shutil.rmtree(cache)


def test_builds_depend_on_the_source_alone(
    source: Path, wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    """Folder, file times and permissions leave no trace, nor does the way by sdist."""
    other = tmp_path / "another folder"
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            member.mode = 0o700 if member.isdir() or member.mode & 0o100 else 0o600
            member.mtime = 2_000_000_000
            archive.extract(member, other)
    (unpacked,) = other.iterdir()
    assert build(unpacked, tmp_path, "sdist").read_bytes() == sdist.read_bytes()
    assert build(unpacked, tmp_path, "wheel").read_bytes() == wheel.read_bytes()


def test_sdist_holds_all_that_belongs_to_the_project(sdist: Path) -> None:
    """Every file of the checkout is in it, but for checkpoints and .ci."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("what belongs to the project is asked of git")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    known = {
        name for name in done.stdout.split("\0") if name and (ROOT / name).exists()
    }
    known = {x for x in known if not x.startswith((".ci/", "models/checkpoints/"))}
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert known - held == set()
