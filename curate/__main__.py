"""`python -m curate` is `curate`: the signals are looked after before anything is imported that takes its time."""

import gc

from curate import interrupts


def main() -> None:
    """Run the command line."""
    interrupts.install()
    try:
        gc.disable()  # nothing that is imported is garbage, and looking for it takes 10 ms
        from curate.cli import main as run

        gc.enable()
        run()
    except KeyboardInterrupt:
        interrupts.leave()
    except ImportError:
        if interrupts.received() is None:
            raise
        interrupts.leave()


if __name__ == "__main__":
    main()
