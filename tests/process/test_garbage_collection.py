"""The garbage collector looks seldom, and still collects."""

import subprocess
import sys

_PROGRAM = """
import gc, weakref
from server.process.garbage_collection import NEW_OBJECTS, collect_seldom

class Node:
    def __init__(self):
        self.itself = self

collect_seldom()
looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]) if phase == "start" else None)
kept = [[] for _ in range(NEW_OBJECTS // 2)]
print(len(looks), gc.get_freeze_count() > 1_000)
first = weakref.ref(Node())
for _ in range(2 * NEW_OBJECTS):
    Node()
print(first() is None)
"""


def test_cycles_are_collected_after_as_many_new_objects_as_are_allowed() -> None:
    """Not sooner: what calls in progress use must not be looked at with every few of them. Modules are left out."""
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["0", "True", "True"]
