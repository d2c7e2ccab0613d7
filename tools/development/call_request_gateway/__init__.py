"""The package of the wheel, here in the checkout: server and sandbox below one name, so that its command works, too."""

from pathlib import Path

__path__ = [str(Path(__file__).parents[3])]
