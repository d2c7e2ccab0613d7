"""Gives workers the defect of faults.stuck: Python imports this module at its start, from a folder on PYTHONPATH."""

import sys

if "worker" in sys.orig_argv:
    from measure.faults import stuck

    stuck.install()
