"""The folder of a night, and the files in it that are not an operator's tools."""

from tools.contract import ROOT

FOLDER = ROOT / "build" / "game-day"
OPENING, ANSWERS, REPORT = "opening.txt", "answers", "report.txt"
ADDRESS = "prometheus"
"""Holds the address of Prometheus."""
PROGRAMS = "bin"
"""Has what a machine beside a replica has, and this one perhaps not."""
SEALED = "sealed.json"
"""Holds the seed and the events, for afterwards."""
