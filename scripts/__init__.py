"""The release toolkit behind `tasks.py` and `noxfile.py`; `README.md` in this folder shows its packages."""

import sys

sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)  # Invoke would have all of us compiled at every start
