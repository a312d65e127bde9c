"""What a child does before it becomes the program: arrange its death, and drop root for PostgreSQL.

Run as a plain file by a fresh interpreter (`launch.py PARENT SIGNAL IDENTITY PROGRAM WORDS...`) instead of
Python's `preexec_fn`, which may deadlock in a process with threads. IDENTITY is `same`, `namespace` (root
becomes an ordinary user inside a user namespace; files stay root's) or a number (become that user for good).
It must import the standard library only.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main(parent: int, death_signal: int, identity: str, program: list[str]) -> None:
    """Become `program`; the kernel sends it `death_signal` when the process `parent` ends (Linux)."""
    if identity == "namespace":
        os.unshare(os.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text("1000 0 1\n")
        Path("/proc/self/gid_map").write_text("1000 0 1\n")
    elif identity != "same":
        os.setgroups([])
        os.setgid(int(identity))
        os.setuid(int(identity))
    if sys.platform == "linux":  # last: a change of identity clears it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent is gone already")
    os.execvp(program[0], program)  # noqa: S606 - a list of words, no shell wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
