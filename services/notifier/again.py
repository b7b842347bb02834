"""The operator's command after a long outage: what was given up is told after all.

    python -m services.notifier.again [--channel mail|webhook] [--days 14]

Runs with the notifier's own environment; where the whole farm runs `python -m infra.local letters` does. What was last tried
longer ago than that is no news any more and stays as it is.
"""

import argparse
import asyncio
import sys
from datetime import timedelta

from contracts.topology import NOTIFIER
from services.chassis.service import grounded
from services.chassis.settings import told
from services.notifier.app import Settings, deliveries_of
from services.notifier.domain.delivery import Channel

INSTEAD = "It runs with the notifier's environment. In the farm's checkout: `python -m infra.local letters`."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.notifier.again", description="Tell what was given up after all.")
    parser.add_argument("--channel", type=Channel, choices=list(Channel), default=Channel.MAIL)
    parser.add_argument("--days", type=int, default=14, help="what was last tried longer ago stays as it is")
    arguments = parser.parse_args(sys.argv[1:])
    number = asyncio.run(_again(told(Settings, INSTEAD), arguments.channel, timedelta(days=arguments.days)))
    sys.stdout.write(f"{number} are due again\n")


async def _again(settings: Settings, channel: Channel, within: timedelta) -> int:
    async with grounded(NOTIFIER, settings) as ground:
        return await deliveries_of(ground, settings).again(channel, within)


if __name__ == "__main__":
    main()
