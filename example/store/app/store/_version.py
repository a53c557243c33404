"""What this code is. `build.py` writes this file anew into every release."""

VERSION = "0.0.0"
SCHEMA_HEAD = "0004"
