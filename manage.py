"""The command line: Django's, with the servers that a command needs around it."""

import os
import sys

WITHOUT_APPS = frozenset(
    {"bench", "demo", "lint", "replay", "status", "test", "up"}
)  # no models loaded: faster, and they work on broken code


def main() -> None:
    """Run one management command."""
    if sys.version_info < (3, 12):  # noqa: UP036 - said to people who run it with another Python
        sys.exit("Florin needs Python 3.12 or newer; run ./florin, which finds one.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.local_stack.home import StackError
    from config.local_stack.session import servers_for

    try:
        with servers_for(sys.argv[1:]):
            from django.core.management import execute_from_command_line, load_command_class

            word = sys.argv[1] if len(sys.argv) > 1 else "help"
            if word in WITHOUT_APPS:
                load_command_class("config", word).run_from_argv(sys.argv)
            else:
                execute_from_command_line(sys.argv)
    except StackError as error:
        sys.exit(f"florin: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
