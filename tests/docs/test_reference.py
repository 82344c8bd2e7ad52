"""What the documents say is what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tollhouse.cli.main import run
from tollhouse.core.errors import ErrorKind

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.mark.parametrize("name", sorted(GENERATOR.PAGES))
def test_generated_page_is_fresh(name: str) -> None:
    assert (REFERENCE / name).read_text() == GENERATOR.PAGES[name](), "run `make docs`"


def test_every_error_code_is_documented() -> None:
    text = (REFERENCE / "errors.md").read_text()
    assert [kind for kind in ErrorKind if f"## {kind.value}\n" not in text] == []


def test_every_runtime_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in project["dependencies"]}
    of_extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    optional = {re.split(r"[<>=\[ ]", line)[0] for line in of_extras} - {"tollhouse"}
    documented = set(
        re.findall(r"^\| ([a-z0-9-]+) \|", (REFERENCE / "dependencies.md").read_text(), re.M)
    ) - {"package"}
    assert documented == names | optional
    assert len(names) < 20


def test_every_pinned_requirement_has_a_hash() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        entries = re.split(r"\n(?=\S)", path.read_text())
        pins = [entry for entry in entries if "==" in entry.splitlines()[0]]
        assert pins
        assert all("--hash=sha256:" in entry for entry in pins)


def links() -> list[tuple[Path, str]]:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")]
    found = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    ]
    assert found
    return found


def test_every_link_between_documents_leads_somewhere() -> None:
    assert [
        (str(page.relative_to(ROOT)), target)
        for page, target in links()
        if not (page.parent / target).exists()
    ] == []


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.S)


def test_configurations_in_the_documents_are_fine(tmp_path: Path) -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = [text for page in pages for text in blocks(page, "yaml") if text.startswith("version:")]
    assert texts
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert run(["check", str(file)]) == 0, text


def test_commands_in_the_documents_exist() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").rglob("*.md"))]
    lines = [line for page in pages for text in blocks(page, "sh") for line in text.splitlines()]
    ours = [
        shlex.split(line.split("  #")[0].split("|")[0])
        for line in lines
        if re.match(r"(\.venv/bin/)?tollhouse ", line)
    ]
    assert ours
    text = (REFERENCE / "commands.md").read_text()
    for words in ours:
        verb = words[2] if words[1] == "keys" else words[1]
        assert re.search(rf"tollhouse (keys )?{verb}\b", text), words
        for flag in [word for word in words if word.startswith("--")]:
            assert flag in text, words


def test_json_blocks_are_json() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    documents = [json.loads(text) for page in pages for text in blocks(page, "json")]
    assert documents
