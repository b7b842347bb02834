"""Becomes the program that a private JSON file describes, with exactly the environment written there.

Supervisor's own ``environment=`` adds to what it inherited, cannot carry every character, and would put secrets beside
settings. This file needs the standard library only and is run in isolation, so that it starts within milliseconds.
"""

import json
import os
import sys


def main() -> None:
    with open(sys.argv[1]) as file:
        program = json.load(file)
    os.chdir(program["directory"])
    os.execve(program["command"][0], program["command"], program["environment"])


if __name__ == "__main__":
    main()
