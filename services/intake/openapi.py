"""`python -m services.intake.openapi`: the OpenAPI document, without any server."""

import json
import sys

from services.intake.http.door import application


def document() -> str:
    return json.dumps(application(None).openapi(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
