"""One module a command: `HELP`, `add_arguments(parser)` and `run(arguments) -> exit code`.

A module imports at its top only what `--help` needs; the rest is imported in `run`, so that
`build.py --help` stays quick.
"""
