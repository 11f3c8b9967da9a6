"""The sub-commands of `kbroker`, a module each: `add_arguments(parser)` and `run(arguments)`."""
