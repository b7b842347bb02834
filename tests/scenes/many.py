"""Surveys or renders many files in one process, because a Blender takes a second to start. Runs inside the render image:
`python3 many.py survey` or `python3 many.py render`, with a JSON list of tasks in /in/many.json."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

sys.path.insert(0, "/opt/framelend")

import driver
import survey
import task
from events import take_stdout


class Ear:
    """Stands where the container's standard output would be."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.buffer = open(os.devnull, "wb")  # noqa: SIM115  (as long as the process)

    def write(self, line: str) -> None:
        self.said.append(json.loads(line))

    def flush(self) -> None:
        """Nothing waits."""


def surveyed(one: dict[str, Any]) -> dict[str, Any]:
    return survey.bounded(survey.survey(task.parse_task(one))[0])


def rendered(one: dict[str, Any]) -> dict[str, Any]:
    """Frame → pixel hash; `error` → code."""
    ear = Ear()
    try:
        driver._run(ear, task.parse_task(one))
    except driver.Stop as stop:
        return {"error": stop.code}
    return {str(event["frame"]): event["pixel_sha256"] for event in ear.said if event["event"] == "frame"}


if __name__ == "__main__":
    out = take_stdout()
    with open("/in/many.json", encoding="utf-8") as file:
        asked = json.load(file)
    do = {"survey": surveyed, "render": rendered}[sys.argv[1]]
    out.write(json.dumps([do(one) for one in asked]) + "\n")
    out.flush()
