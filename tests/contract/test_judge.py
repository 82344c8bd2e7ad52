"""The black-box judge over recorded traffic: the same dialect, and across dialects both ways."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.judge, pytest.mark.corpus, pytest.mark.timeout(1800)]

SUITES = ("same_dialect", "cross_answers", "cross_requests")


def test_judge_finds_nothing(tmp_path: Path, corpus: Path, record_property: Any) -> None:
    judge = tmp_path / "judge"
    shutil.copytree(os.environ["TOLLHOUSE_JUDGE"], judge)
    for path in [judge, *judge.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    settings = judge / "conformance.toml"
    text = settings.read_text().replace('corpus = "../corpus"', f"corpus = {json.dumps(str(corpus))}")
    command = json.dumps([sys.executable, "-m", "tollhouse"])
    text = re.sub(r"(\[gateway\.tollhouse\]\ncommand = ).*", lambda match: match[1] + command, text)
    settings.write_text(text)
    out = tmp_path / "out.json"
    arguments = ["--gateway", "tollhouse", "--corpus", "dev", "--suite", ",".join(SUITES), "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments], cwd=judge, capture_output=True, text=True
    )
    assert out.exists(), done.stdout + done.stderr
    sections = json.loads(out.read_text())["sections"]
    for suite in SUITES:
        of_suite = [section for section in sections if section["suite"] == suite]
        counts = [sum(section[name] for section in of_suite) for name in ("passed", "cases")]
        record_property("report", f"judge, {suite}: {counts[0]}/{counts[1]}")
        assert counts[1] > 0
    assert [(s["name"], s["failures"]) for s in sections if s["passed"] != s["cases"]] == []
