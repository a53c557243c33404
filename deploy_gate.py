"""The door: ``python deploy_gate.py ENV --version V``. Arguments in, one exit code out."""

import sys

from gate.cli import main

if __name__ == "__main__":
    sys.exit(main())
