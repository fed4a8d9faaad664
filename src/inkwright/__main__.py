"""`python -m inkwright`, and `torchrun -m inkwright`."""

from inkwright.app.cli import main

if __name__ == "__main__":
    main()
