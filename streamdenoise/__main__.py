"""``python -m streamdenoise`` is the command ``streamdenoise``."""

from .cli import main

if __name__ == "__main__":
    main()
