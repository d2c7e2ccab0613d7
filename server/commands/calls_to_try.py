"""The calls that `make run` prints, to try the gateway with."""

import shlex
import shutil
import sys
from pathlib import Path

from ..settings import Address, Settings

CALLS_TO_TRY = """
Calls to try, from this folder in another terminal:

  A result, its outcome typed:
    {call} GetCallRequestResult 77b2c4d5e6f7g890{options}

  Cancel a call request; the second time it is ALREADY_CANCELLED:
    {call} CancelCallRequest 66a1b2c3d4e5f678{options}

  An error with its details:
    {call} GetCallRequestResult ../etc/passwd{options}

More ids, one for each status, refusal and fault: {command} sandbox --help
The same on a page, with a clock to advance and faults to plan: {sandbox}/sandbox/
"""


def calls_to_try(settings: Settings, address: Address, sandbox_url: str) -> str:
    """Commands that work when they are pasted, whatever was set, and however this one was started."""
    program, options = Path(sys.argv[0]), ""
    if program.name == "__main__.py":
        python = Path(sys.executable)
        here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
        command = f"{shlex.quote(str(here))} -m {__name__.rpartition('.commands')[0]}"
    else:
        command = program.name if shutil.which(program.name) else shlex.quote(str(program))
    if str(address) != "127.0.0.1:50051":
        options += f" --address {address}"
    if settings.tls_certificate is not None:
        from ..call import name_of_certificate

        options += f" --cacert {shlex.quote(str(settings.tls_certificate))}"
        name = name_of_certificate(settings.tls_certificate)
        options += f" --name {name}" if name else ""
        options = f" \\\n     {options}"
    return CALLS_TO_TRY.format(call=f"{command} call", options=options, command=command, sandbox=sandbox_url)
