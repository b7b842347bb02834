"""Where jobs, chunks and agents are kept: three collections, one document per thing, saved then told."""

from services.scheduler.repository.agents import Agents
from services.scheduler.repository.choices import Choices
from services.scheduler.repository.chunks import Chunks, Standing, Tally
from services.scheduler.repository.farm import Farms
from services.scheduler.repository.jobs import Jobs
from services.scheduler.repository.quotes import Quotes
from services.scheduler.repository.storage import Storages

__all__ = ["Agents", "Choices", "Chunks", "Farms", "Jobs", "Quotes", "Standing", "Storages", "Tally"]
