"""`holdfast doctor`: the verdict first, an honest exit code, a bug report without secrets (P11)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from holdfast.simulator import Simulator

KEY = "sk-ant-a-key-that-nobody-may-see"


async def doctor(base_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast", "doctor", *arguments]
    environment = {**os.environ, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": KEY}
    return await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
    )


async def test_on_a_healthy_path_it_says_so_and_ends_with_0() -> None:
    async with Simulator(api_key=KEY) as api:
        done = await doctor(api.base_url, "--free")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Nothing wrong here")
    assert KEY not in done.stdout + done.stderr


async def test_what_is_wrong_stands_first_and_the_bug_report_holds_no_secret(
    tmp_path: Path,
) -> None:
    file = tmp_path / "report.md"
    async with Simulator(api_key="another") as api:
        done = await doctor(api.base_url, "--bundle", str(file), "--compare", api.base_url)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "key" in done.stdout.splitlines()[0]
    report = file.read_text("utf-8")
    assert report.startswith("# What is wrong")
    assert "keyRefused" in report
    for secret in (KEY, str(Path.home())):
        assert secret not in report + done.stdout + done.stderr


async def test_json_is_the_report_of_the_command() -> None:
    done = await doctor("http://127.0.0.1:1", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (1, "refused")
    assert {"says", "advice", "checks", "versions", "endpoint"} <= set(found)
