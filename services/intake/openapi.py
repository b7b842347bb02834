"""`python -m services.intake.openapi`: the OpenAPI document, without any server."""

import json
import sys
from typing import Any

from services.intake.http.door import application


def document() -> dict[str, Any]:
    return application(None).openapi()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, sort_keys=True) + "\n")
