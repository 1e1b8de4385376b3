"""`python -m curate` is `curate`: the signals are looked after before anything is imported that takes its time."""

from curate import interrupts


def main() -> None:
    """Run the command line."""
    interrupts.install()
    try:
        from curate.cli import main as run

        run()
    except KeyboardInterrupt:
        interrupts.leave()
    except ImportError:
        if interrupts.received() is None:
            raise
        interrupts.leave()


if __name__ == "__main__":
    main()
