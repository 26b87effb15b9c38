"""Entry point of ``python -m fedchain``, for use if the shell does not find ``fedchain``."""

from fedchain.commands import main

if __name__ == "__main__":
    main()
