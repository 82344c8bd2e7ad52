"""`make conformance`: the black-box judge over recorded provider traffic, then our own cases for what it leaves out.

The judge and the recordings lie outside the project. The judge is run from a copy, because it writes beside itself; its
environment is kept in `.venvs/judge`. What it prints is passed on unchanged. Its `sdk_suite` needs a git copy of an
SDK, which is not there, and is left out.

Exit status: 0 all of our own cases passed and the judge ran, 1 something failed, 2 the judge or the recordings are
missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
VENVS: Final = ROOT / ".venvs"
SUITES: Final = "same_dialect,cross_answers,cross_requests"
JUDGE_LIMIT_S: Final = 3600
OWN_LIMIT_S: Final = 2400


def main() -> int:
    options = argparse.ArgumentParser(prog="make conformance", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--judge", type=Path, required=True, help="the judge's folder")
    options.add_argument("--corpus", type=Path, required=True, help="the folder with dev/*.jsonl.gz")
    options.add_argument("--only", choices=["judge", "own"], help="one half alone")
    options.add_argument("--suite", default=SUITES, help="the judge's suites")
    options.add_argument("--limit", type=int, help="at most so many cases per dialect or pair")
    options.add_argument("--pair", help="only pairs whose name has this text")
    options.add_argument("--out", type=Path, help="a folder for judge.json and own.json")
    asked = options.parse_args()
    for name, folder, part in (("JUDGE", asked.judge, "conformance"), ("CORPUS", asked.corpus, "dev")):
        if not (folder / part).is_dir():
            print(
                f"make conformance needs {name}: there is no {folder / part}. "
                f"Say where it is: make conformance {name}=FOLDER"
            )
            return 2
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
    statuses = []
    if asked.only != "own":
        statuses.append(run_judge(asked))
    if asked.only != "judge":
        statuses.append(run_own(asked))
    return 1 if any(statuses) else 0


def run_judge(asked: argparse.Namespace) -> int:
    """The judge's own output, unchanged. Its status."""
    with tempfile.TemporaryDirectory(prefix="judge-") as folder:
        copy = Path(folder) / "judge"
        shutil.copytree(asked.judge, copy, ignore=shutil.ignore_patterns(".venv", ".work", "__pycache__"))
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)  # the original may be read-only
        settings = copy / "tollhouse.toml"
        settings.write_text(
            judge_settings(tomllib.loads((copy / "conformance.toml").read_text()), asked.corpus)
        )
        forget_old_environment(copy / "requirements.txt")
        command = [sys.executable, "-m", "conformance", "--config", str(settings), "--gateway", "tollhouse"]
        command += ["--corpus", "dev", "--suite", asked.suite]
        command += ["--limit", str(asked.limit)] if asked.limit else []
        command += ["--pair", asked.pair] if asked.pair else []
        command += ["--json", str(asked.out.resolve() / "judge.json")] if asked.out else []
        print(f"judge: {asked.suite}; sdk_suite is left out, it needs a git copy of an SDK", flush=True)
        status = subprocess.run(command, cwd=copy, timeout=JUDGE_LIMIT_S, check=False).returncode
    log = VENVS / "judge-work" / "tollhouse" / "tollhouse.log"
    if status and log.exists():
        print(f"the judge ended with status {status}; the last the house said:\n{log.read_text()[-3000:]}")
    return status


def judge_settings(original: dict[str, Any], corpus: Path) -> str:
    """The judge's settings with our paths and our command."""
    paths = {
        "corpus": str(corpus.resolve()),
        "venv": str(VENVS / "judge"),
        "work": str(VENVS / "judge-work"),
        "openai_git": "",
        "steady": "",
    }
    command = {"command": [str(ROOT / ".venv" / "bin" / "tollhouse")]}
    sections = {
        "paths": paths,
        "limits": original["limits"],
        "models": original["models"],
        "gateway.tollhouse": command,
    }
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
        for name, section in sections.items()
    )


def forget_old_environment(requirements: Path) -> None:
    """The judge installs once; when what it asks for has changed, it has to install again."""
    ready, seen = VENVS / "judge" / ".ready", VENVS / "judge" / ".requirements"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if seen.exists() and seen.read_text() != wanted:
        ready.unlink(missing_ok=True)
    seen.parent.mkdir(parents=True, exist_ok=True)
    seen.write_text(wanted)


def run_own(asked: argparse.Namespace) -> int:
    """Our own cases, in the environment of the newest SDKs. Their status."""
    command = [
        str(VENVS / "clients-newest" / "bin" / "python"),
        "-W",
        "ignore",
        str(Path(__file__).with_name("own_cases.py")),
    ]
    command += [
        "--corpus",
        str(asked.corpus / "dev"),
        "--house-python",
        str(ROOT / ".venv" / "bin" / "python"),
    ]
    command += ["--limit", str(asked.limit)] if asked.limit else []
    command += ["--pair", asked.pair] if asked.pair else []
    command += ["--json", str(asked.out.resolve() / "own.json")] if asked.out else []
    print(
        "\nown cases: recorded answers of other APIs and providers, read by every client dialect's SDK",
        flush=True,
    )
    return subprocess.run(command, timeout=OWN_LIMIT_S, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
