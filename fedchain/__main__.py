"""Command line as ``python -m fedchain``, for when the script is not on the path."""

from fedchain.commands import main

if __name__ == "__main__":
    main()
