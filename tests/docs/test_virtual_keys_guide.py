"""The guide to virtual keys shows what the house takes."""

from __future__ import annotations

import shlex

import msgspec
import pytest

from docs.guide_files import files_of
from docs.test_reference import ROOT, blocks
from tollhouse.bootstrap.key_book import ImportedKey
from tollhouse.cli.key_options import KeyOptions
from tollhouse.cli.main import build
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.keys import Key
from tollhouse.config.load import load
from tollhouse.plugins import load_plugins

GUIDE = ROOT / "docs" / "guides" / "virtual-keys.md"
COMMANDS = [
    line
    for block in GUIDE.read_text().split("```sh\n")[1:]
    for line in block.split("```")[0].splitlines()
    if line
]


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_one(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == "tollhouse"
    command, bound, _ = build().parse_args(arguments, exit_on_error=False, print_error=True)
    assert command.__name__.endswith(("_key", "_keys"))
    options = bound.arguments.get("options")
    if isinstance(options, KeyOptions):
        options.changes(0.0)


def test_declared_key_is_one_with_every_field_there_is() -> None:
    (text,) = [text for name, text in files_of("virtual-keys.md").items() if name == "tollhouse.yaml"]
    snapshot = compile_config(load(text), load_plugins([]).providers)
    (key,) = snapshot.declared_keys
    assert (key.id, key.networks, key.max_output_tokens) == ("cfg-ci", ("10.0.0.0/8",), 2000)
    for field in Key.__struct_fields__:
        assert f"{field}:" in text


def test_imported_line_is_one() -> None:
    (line,) = blocks(GUIDE, "json")
    assert msgspec.json.decode(line, type=ImportedKey).name == "alice's notebook"


def test_every_option_is_explained() -> None:
    text = GUIDE.read_text()
    for field in KeyOptions.__dataclass_fields__:
        option = f"--{field.replace('_', '-')}"
        assert option in text or option in ("--input-tokens-per-minute", "--output-tokens-per-minute")
