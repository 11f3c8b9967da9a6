"""The sub-commands of `kbroker`: each module has `add_arguments(parser)` and `run(arguments)`.

`shared` has what several of them use.
"""
