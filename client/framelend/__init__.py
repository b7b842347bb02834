"""Framelend for renters and lenders: a typed HTTP client and the `framelend` command on it.

from framelend import Client
with Client("https://farm.example", key="fl_…") as farm:
    upload = farm.upload("scene.zip")
    job = farm.submit(bundle=upload.sha256, frames="1-48", price_per_wu="0.01")
"""

from framelend.client import Client
from framelend.models import Account, Agent, Earnings, Frames, Job, JobLine, Quote, Upload
from framelend.problems import FarmProblem, FarmUnreachable, FramelendError

__all__ = [
    "Account",
    "Agent",
    "Client",
    "Earnings",
    "FarmProblem",
    "FarmUnreachable",
    "FramelendError",
    "Frames",
    "Job",
    "JobLine",
    "Quote",
    "Upload",
]
