"""Plays a night from its beginning to its report."""

import asyncio
import json
import random
import signal
import tempfile
from pathlib import Path

from tools.deploy.runbook import valkey_cli

from . import events
from .control import Control
from .folder import ADDRESS, ANSWERS, OPENING, PROGRAMS, REPORT, SEALED
from .installation import running
from .night import Act, Answers, Seen, play, report
from .opening import opening
from .rehearsal import ACTS


async def night(folder: Path, seed: int, named: list[str], *, rehearsed: bool = False) -> bool:
    """Plays a night in this folder, prints what its operator reads first, and at the end what came of it.

    named: the events instead of those that the seed draws. rehearsed: each event is mended after its alert, without an
    operator. Returns whether each had its alert and was mended.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    kinds = [getattr(events, name) for name in named] or events.drawn(chance)
    (folder / SEALED).write_text(json.dumps({"seed": seed, "events": [each.__name__ for each in kinds]}) + "\n")
    (folder / ANSWERS).touch()
    (folder / PROGRAMS).mkdir()
    valkey_cli.install(folder / PROGRAMS)
    all_seen: list[Seen] = []
    with tempfile.TemporaryDirectory(prefix="game-day-") as theirs:
        async with running(folder, Path(theirs)) as site:
            control = Control(site)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, control.ended.set)
            (folder / ADDRESS).write_text(site.prometheus.address)
            (folder / OPENING).write_text(opening(site, folder) + "\n")
            async with control.listening(folder):
                print((folder / OPENING).read_text(), flush=True)
                answers = Answers(folder / ANSWERS)
                act: Act | None = None
                if rehearsed:
                    act = lambda event: ACTS[type(event)](site, control)  # noqa: E731
                played = asyncio.create_task(play(site, kinds, chance, answers, all_seen.append, act))
                ended = asyncio.create_task(control.ended.wait())
                await asyncio.wait({played, ended}, return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
                if played.done():
                    played.result()
                played.cancel()
                await asyncio.gather(played, ended, return_exceptions=True)
    text = report(all_seen, answers.lines)
    (folder / REPORT).write_text(text)
    print(text)
    return all(seen.alert is not None and seen.mended is not None for seen in all_seen)
