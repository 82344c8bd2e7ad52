"""The black-box judge over recorded traffic, for the wire APIs this version speaks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.judge, pytest.mark.corpus, pytest.mark.timeout(900)]

DRIVER = '''
"""Tollhouse with the providers of its first version."""
import hashlib, json
from .base import Route
from .tollhouse import KEYS, Gateway as Whole


class Gateway(Whole):
    name = "tollhouse_openai"

    def start(self, up):
        openai = {"kind": "openai", "base_url": up.openai + self.openai_root, "credential": "env:CONF_OPENAI"}
        config = {
            "version": 1,
            "server": {"listen": f"127.0.0.1:{self.port}"},
            "providers": {"openai": openai},
            "routes": {"openai/*": {"deployments": [{"provider": "openai", "model": "*"}],
                                    "retry": {"max_attempts": 1}}},
            "keys": [{"name": f"key-{i}", "sha256": hashlib.sha256(k.encode()).hexdigest(), "routes": ["*"]}
                     for i, k in enumerate(KEYS)],
        }
        path = self.work / "tollhouse.yaml"
        path.write_text(json.dumps(config))
        self.spawn([*self.settings["command"], "serve", "--config", str(path)], {"CONF_OPENAI": "sk-test-0000"})
        self.wait_ready("/readyz")
'''
SPOKEN = ("chat", "embeddings")


def test_judge_finds_nothing_in_the_apis_that_are_spoken(
    tmp_path: Path, corpus: Path, record_property: Any
) -> None:
    judge = tmp_path / "judge"
    shutil.copytree(os.environ["TOLLHOUSE_JUDGE"], judge)
    for path in [judge, *judge.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    (judge / "conformance" / "drivers" / "tollhouse_openai.py").write_text(DRIVER)
    command = json.dumps([sys.executable, "-m", "tollhouse"])
    settings = judge / "conformance.toml"
    text = settings.read_text().replace('corpus = "../corpus"', f"corpus = {json.dumps(str(corpus))}")
    settings.write_text(text + f"\n[gateway.tollhouse_openai]\ncommand = {command}\n")
    out = tmp_path / "out.json"
    arguments = [
        "--gateway",
        "tollhouse_openai",
        "--corpus",
        "dev",
        "--suite",
        "same_dialect",
        "--json",
        str(out),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments], cwd=judge, capture_output=True, text=True
    )
    assert out.exists(), done.stdout + done.stderr
    sections = [section for section in json.loads(out.read_text())["sections"] if section["name"] in SPOKEN]
    counts = {f"{s['name']} {s['check']}": f"{s['passed']}/{s['cases']}" for s in sections}
    record_property("report", f"judge, same dialect: {counts}")
    assert {section["name"] for section in sections} == set(SPOKEN)
    assert [section["failures"] for section in sections if section["passed"] != section["cases"]] == []
