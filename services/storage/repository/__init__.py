"""Storage's own database: one class per thing it remembers, queries named for their question."""

from services.storage.repository.agents import Agents
from services.storage.repository.frames import Claims, Frames, Refusals
from services.storage.repository.jobs import Jobs
from services.storage.repository.tasks import Tasks
from services.storage.repository.uploads import Bundles, Uploads

__all__ = ["Agents", "Bundles", "Claims", "Frames", "Jobs", "Refusals", "Tasks", "Uploads"]
