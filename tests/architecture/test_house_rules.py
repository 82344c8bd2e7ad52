"""The rules of the house that a machine can check on its text."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tollhouse"
FILES = sorted(SOURCE.rglob("*.py"))
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
CHANGES = {"append", "add", "update", "pop", "clear", "setdefault", "extend", "remove", "insert"}
NOT_OURS = {
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "processor",
    "base",
    "common",
    "misc",
    "data",
    "info",
}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def _module_level(tree: ast.Module) -> Iterator[tuple[ast.stmt, list[ast.expr], ast.expr, bool]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield node, node.targets, node.value, False
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield node, [node.target], node.value, "Final" in ast.unparse(node.annotation)


def mutable_module_state(tree: ast.Module) -> list[str]:
    """Names at module level that hold what can change and are not Final (`__all__` is for tools)."""
    return [
        ast.unparse(targets[0])
        for _, targets, value, is_final in _module_level(tree)
        if isinstance(value, MUTABLE) and not is_final and ast.unparse(targets[0]) != "__all__"
    ]


def changes_of_module_state(tree: ast.Module) -> list[str]:
    """Functions that change a container declared at module level, Final or not."""
    names = {ast.unparse(t[0]) for _, t, value, _ in _module_level(tree) if isinstance(value, MUTABLE)}
    changed = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            target: ast.expr | None = None
            if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
                targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
                target = next((t.value for t in targets if isinstance(t, ast.Subscript)), None)
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CHANGES
            ):
                target = node.func.value
            if isinstance(target, ast.Name) and target.id in names:
                changed.append(f"{function.name}: {target.id}")
    return changed


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_source_file_keeps_the_rules_of_the_house(path: Path) -> None:
    text = path.read_text()
    tree = _tree(path)
    assert len(text.splitlines()) <= 600, "a file this long hides more than one thing"
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    assert mutable_module_state(tree) == []
    assert changes_of_module_state(tree) == []
    assert ast.get_docstring(tree) or not tree.body, "every file says what it is for"
    assert path.stem not in NOT_OURS
    assert not re.search(r"\b(eval|exec)\(|\bimport pickle\b|\bsubprocess\.(run|Popen)\b.*shell", text)


def test_the_rules_see_what_breaks_them() -> None:
    assert mutable_module_state(ast.parse("cache = {}")) == ["cache"]
    assert changes_of_module_state(ast.parse("X: Final = {}\ndef f():\n    X['a'] = 1")) == ["f: X"]
    assert changes_of_module_state(ast.parse("X = []\ndef f():\n    X.append(1)")) == ["f: X"]


def test_long_functions_say_why() -> None:
    """The few functions over 80 lines carry their reason in their docstring; today there is none."""
    long = [
        f"{path.relative_to(SOURCE)}:{node.name}"
        for path in FILES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= 80
    ]
    assert long == []


def test_serving_worker_loads_nothing_it_does_not_need() -> None:
    """Start time and memory: the database, the tables of the terminal and YAML stay with the keeper."""
    code = (
        "import sys, asyncio\n"
        "import tollhouse.bootstrap, tollhouse.runtime.worker, tollhouse.adapters.http1, tollhouse.adapters.journal\n"
        "import tollhouse.adapters.prometheus, tollhouse.adapters.log, tollhouse.surface.http.server\n"
        "from tollhouse.plugins import load_plugins; load_plugins()\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert loaded & {"alembic", "sqlalchemy", "rich", "cyclopts", "yaml", "jinja2", "aiohttp"} == set()
    assert loaded & {"joserfc", "cryptography"} == set(), (
        "only where somebody's tokens or certificates are taken"
    )
    assert "httptools" in loaded


def test_no_file_of_the_project_names_an_address_to_download_from() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    hosts = re.compile(
        "|".join(a + r"\." + b for a, b in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "(org|com)")))
    )
    named = [
        f
        for f in files
        if (ROOT / f).suffix in (".txt", ".toml", ".md", ".py", ".sh", ".yaml", ".json")
        and (ROOT / f).is_file()
        and hosts.search((ROOT / f).read_text())
    ]
    assert named == []
    assert files
