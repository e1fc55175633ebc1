"""`holdfast doctor`: the verdict first, an honest exit code, a bug report without secrets (P11)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.simulator import Fault, Match, Simulator, Step

KEY = "sk-ant-a-key-that-nobody-may-see"
COMMAND = [sys.executable, "-m", "holdfast", "doctor"]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


def surroundings(base_url: str) -> dict[str, str]:
    return {**os.environ, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": KEY}


async def doctor(base_url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**surroundings(base_url), **more},
    )


async def on_a_terminal(base_url: str, width: int, more: Mapping[str, str]) -> str:
    """Return all that a terminal of that width is sent."""

    def run() -> bytes:
        mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        environment = {**surroundings(base_url), "TERM": "xterm-256color", **more}
        environment.pop("COLUMNS", None)
        process = subprocess.Popen(
            [*COMMAND, "--free"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        told = b""
        while True:
            try:
                piece = os.read(mine, 65_536)
            except OSError:  # the last who had it open is gone
                break
            told += piece
        process.wait(60)
        os.close(mine)
        return told

    return (await asyncio.to_thread(run)).decode()


async def test_on_a_healthy_path_it_says_so_and_ends_with_0() -> None:
    async with Simulator(api_key=KEY) as api:
        done = await doctor(api.base_url, "--free")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Nothing wrong here")
    assert done.stderr == ""
    assert "\x1b" not in done.stdout, "a pipe gets words only"
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


@pytest.mark.parametrize("width", [80, 120])
async def test_on_a_terminal_lines_fit_and_colour_only_repeats(width: int) -> None:
    async with Simulator(api_key=KEY) as api:
        coloured = await on_a_terminal(api.base_url, width, {})
        plain = await on_a_terminal(api.base_url, width, {"NO_COLOR": "1"})
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert "of " in plain.split("Nothing wrong here")[0], "progress is shown"
    for told in (coloured, plain):
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told).split("Nothing wrong here")[1]
        assert max(map(len, lines.splitlines())) <= width
        assert "✓ Connection" in lines


async def test_a_terminal_without_the_marks_gets_others() -> None:
    done = await doctor("http://127.0.0.1:1", "--free", PYTHONIOENCODING="ascii")
    assert done.returncode == 1, done.stderr
    assert "  x Connection" in done.stdout
    assert done.stdout.isascii()


async def test_a_cloud_says_which_of_its_variables_is_missing() -> None:
    done = await doctor("http://127.0.0.1:1", "--cloud", "bedrock", "--json", AWS_REGION="")
    found = json.loads(done.stdout)
    assert found["verdict"] == "noAddress", found
    assert "AWS_REGION" in found["says"]


async def test_it_can_be_interrupted_without_a_word() -> None:
    silent = Step(
        match=Match(kind="models"), times=None, fault=Fault(name="headers-never", hold_ms=60_000)
    )
    async with Simulator([silent], api_key=KEY) as api:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(api.base_url),
        )
        try:
            await api.wait_until(lambda log: len(log) > 0, 30.0)
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(20):
                told = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    assert process.returncode == 130, told
    assert told == (b"", b"")
