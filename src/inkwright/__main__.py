"""`inkwright`, `python -m inkwright`, and `torchrun -m inkwright`."""

import signal


def main() -> None:
    """The command line. While it is being loaded, and when it is done, Ctrl-C ends it without a word."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # whoever starts it may have it ignored
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from inkwright import interrupt
    from inkwright.app import cli

    try:
        if heard:
            signal.signal(signal.SIGINT, interrupt.leave)
        cli.main()
    finally:
        if heard:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
