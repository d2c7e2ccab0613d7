"""The gateway: gRPC in, the vendor's REST API out. `app.py` wires it; imports point from there to `errors.py`."""

import sys
from pathlib import Path

__version__ = "0.1.0"

_GENERATED = Path(__file__).parents[1] / "generated"
if _GENERATED.is_dir():
    # In the wheel the contract's stubs stand there, not at the top of site-packages: those of the package
    # callrequest-stubs, of whatever version, can be installed and removed beside it.
    sys.path.insert(0, str(_GENERATED))
