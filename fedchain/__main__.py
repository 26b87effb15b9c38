"""Entry point of ``python -m fedchain``, for use if the shell does not find ``fedchain``."""

import os
import sys

import fedchain

if __name__ == "__main__":
    # Python has put the current folder in front, where a file could pass for any package. It stays
    # only if it is the folder from which fedchain itself was imported.
    home = os.path.dirname(os.path.dirname(fedchain.__file__))  # noqa: PTH120 - no import before
    if not sys.flags.safe_path and sys.path[0] != home:
        del sys.path[0]
    from fedchain.commands import main

    main()
