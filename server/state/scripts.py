"""The Lua scripts of the shared state. Each works on the keys of one call request, or of one event: one slot."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script of that name; sha: its name in the engine's cache of scripts. keys: how many keys it takes."""

    name: str
    text: str
    sha: str
    keys: int


def _script(name: str, keys: int) -> Script:
    text = _text("read") + _text(name)
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), keys)


def _text(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


TAKE = _script("take", keys=3)
RENEW = _script("renew", keys=1)
RELEASE = _script("release", keys=1)
STORE = _script("store", keys=3)
CHANGED = _script("changed", keys=3)
PUSH = _script("push", keys=3)
EVENT = _script("event", keys=1)
NOW = _script("now", keys=1)
DOCTOR = _script("doctor", keys=1)
