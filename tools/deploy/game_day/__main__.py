"""A night on call, played: python -m tools.deploy.game_day play [--seed N], and the commands of its operator.

It runs two replicas, a shared state behind Sentinel, a vendor, callers, and a Prometheus with the shipped rules, whose
times are shortened. Some things go wrong, in an order that the seed draws. At the end the table says how long each took
from its beginning to its alert, to its right name, and to the right action.
"""

import argparse
import asyncio
import secrets
import shutil
import sys
import time
from pathlib import Path

import aiohttp

from tools.deploy.firing.prometheus import Prometheus

from . import desk
from .control import COMMANDS, LOOKS, ask
from .folder import ADDRESS, ANSWERS, FOLDER, REPORT


async def _look(folder: Path, command: str, words: list[str]) -> str:
    async with aiohttp.ClientSession(trust_env=False) as session:
        prometheus = Prometheus(session, (folder / ADDRESS).read_text())
        if command == "alerts":
            return await desk.alerts(prometheus)
        if command == "dashboards":
            return await desk.boards(prometheus, words[0] if words else "")
        found = await prometheus.query(" ".join(words))
        return "\n".join(f"{value:12.4g}  {labels}" for labels, value in found) or "nothing"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.deploy.game_day", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the night; build/game-day, unless given")
    commands = parser.add_subparsers(dest="command", required=True)
    game = commands.add_parser("play", help="plays a night")
    game.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    game.add_argument("--events", nargs="*", default=[], help="to try the stage: these instead of drawn ones")
    game.add_argument(
        "--rehearse", action="store_true", help="to try the stage: each is mended as soon as its alert fires"
    )
    for name, (words, text) in (LOOKS | COMMANDS).items():
        commands.add_parser(name, help=f"{words}: {text}" if words else text).add_argument(
            "words", nargs=argparse.REMAINDER
        )
    options = parser.parse_args()
    folder, command = options.folder.absolute(), options.command
    if command == "play":
        from .playing import night  # noqa: PLC0415 (its imports take seconds, and the other commands are quick)

        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        is_whole = asyncio.run(night(folder, options.seed, options.events, rehearsed=options.rehearse))
        return 0 if is_whole or not options.rehearse else 1
    words = options.words
    if (folder / REPORT).exists():
        print(f"not done: the night is over; its report is {folder / REPORT}", file=sys.stderr)
        return 1
    try:
        if command == "at":
            return desk.run_at(folder / f"replica-{words[0]}", " ".join(words[1:]))
        if command == "answer":
            with (folder / ANSWERS).open("a") as answers:
                answers.write(f"{time.strftime('%H:%M:%S', time.gmtime())} | {' | '.join(words)}\n")
            print(f"noted: {' | '.join(words)}")
        elif command in COMMANDS:
            print(asyncio.run(ask(folder, [command, *words])))
        else:
            print(asyncio.run(_look(folder, command, words)))
    except (OSError, aiohttp.ClientError, IndexError, ValueError) as error:
        print(f"not done: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
