"""How often Python's garbage collector looks for cycles: less often than by default.

Its default, a look after 700 new objects, is one after every few calls, whose objects are then still in use and count
as old. A change that goes to 10 000 watchers caused looks at everything that the process has. Few objects of a call are
part of a cycle, and none of those holds its request or its reply. What it saves: docs/performance.md, Why.
"""

import gc

NEW_OBJECTS = 10_000
"""New objects that cause a look at the new ones."""


def collect_seldom() -> None:
    """Collects once, and leaves out what is there now, modules above all, from then on. It takes 30 ms."""
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    gc.collect()
    gc.freeze()
