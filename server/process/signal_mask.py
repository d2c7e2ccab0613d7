"""Which signals the process handles, and their mask. It imports little: it runs before everything else.

A blocked signal waits until a thread takes it by `sigwait` (`signals.py`); threads and child processes inherit the
mask. So no signal is lost or ends the process while the modules load, not even as a container's first process, whose
signals the kernel drops while nothing blocks or handles them.
"""

import signal

DRAIN = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""They drain the gateway; SIGINT without the delay."""
RELOAD = signal.SIGHUP
"""It has the files read again."""
STACKS = signal.SIGUSR1
"""It has every thread's stack logged."""

_LOGGED = ("SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGPOLL", "SIGPWR", "SIGSTKFLT", "SIGXCPU")
_REAL_TIME = range(getattr(signal, "SIGRTMIN", 0), getattr(signal, "SIGRTMAX", -1) + 1)

LOGGED = frozenset({getattr(signal, name) for name in _LOGGED if hasattr(signal, name)} | set(_REAL_TIME))
"""By default they end a process. Here each leaves a line in the log and nothing else."""

HANDLED = DRAIN | LOGGED | {RELOAD, STACKS}


def block_signals() -> None:
    """Blocks them in this thread and in those that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock_signals() -> None:
    """Undoes it, for commands that any signal may end."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
