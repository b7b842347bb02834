"""Becomes the program that a private JSON file describes, with the environment written there.

Supervisor's own ``environment=`` cannot carry every character and would put secrets beside settings. Beside what is
written a program sees the few variables that the supervisor itself was given. This file needs the standard library only
and is run in isolation, so that it starts within milliseconds.
"""

import json
import os
import sys


def main() -> None:
    with open(sys.argv[1]) as file:
        program = json.load(file)
    os.chdir(program["directory"])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    os.execve(program["command"][0], program["command"], {**kept, **program["environment"]})


if __name__ == "__main__":
    main()
