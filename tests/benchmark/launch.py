"""Run a command: ``python launch.py COMMAND [ARGUMENT...]``.

Prints its seconds and its peak memory. The peak that the system reports includes that
of the process that starts a program, so this one is small.
"""

import os
import sys
import time

if __name__ == "__main__":
    discard = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    started = time.perf_counter()
    process = os.posix_spawnp(
        sys.argv[1], sys.argv[1:], os.environ, file_actions=[discard]
    )
    _, status, usage = os.wait4(process, 0)
    print(time.perf_counter() - started, usage.ru_maxrss)
    sys.exit(os.waitstatus_to_exitcode(status))
