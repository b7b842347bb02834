"""The dashboard *Farm overview*: is the farm well, does it work, does the money add up, and if not, where to look."""

from infra.grafana.farm_overview.messages import MESSAGES, STORAGE
from infra.grafana.farm_overview.people import AGENTS, MONEY
from infra.grafana.farm_overview.work import HEALTH, WORK

UID = "framelend-farm-overview"
TITLE = "Farm overview"
ABOUT = "Health, work, money and messages of one Framelend farm. Written by `python -m infra.grafana`: change it there."
ROWS = (HEALTH, WORK, AGENTS, MONEY, MESSAGES, STORAGE)
