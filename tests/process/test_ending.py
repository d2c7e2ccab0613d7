"""The end of a process whose work is done."""

import subprocess
import sys
import time

import pytest

from testkit.server_process import ROOT

HANGING = """
import asyncio, time
import uvloop
from server.process.ending import exit_after

async def work():
    asyncio.get_running_loop().run_in_executor(None, time.sleep, {seconds})
    await asyncio.sleep(0.1)
    return 3

raise SystemExit(uvloop.run(exit_after(work(), lambda: print("last", flush=True))))
"""


@pytest.mark.parametrize(("seconds", "said"), [pytest.param(60, "last\n", id="hangs"), pytest.param(0, "", id="none")])
def test_no_thread_holds_up_the_end(seconds: float, said: str) -> None:
    """One may resolve a name for as long as no name server answers. The exit code is that of the work either way."""
    began = time.monotonic()
    command = [sys.executable, "-c", HANGING.format(seconds=seconds)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, said, "")
    assert time.monotonic() - began < 30
