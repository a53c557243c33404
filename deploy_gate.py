"""The door: ``python deploy_gate.py ENV --version V``. Arguments in, one exit code out."""

import signal
import sys


def _enter() -> int:
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # also while modules are still being read
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        from gate.cli import main

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(_enter())
