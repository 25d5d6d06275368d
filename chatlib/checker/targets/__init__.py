"""How a server under check is started, watched and ended.

`resolve` chooses one of three kinds: `in_process`, `program`, `remote`. `program_run` is one run of a
program, through `supervisor`. The protocols that all of them keep are in `target`.
"""
