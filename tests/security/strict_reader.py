"""A reader with pamqp's own decoding, in a process of its own since ours has lost it: takes messages one at a time.

Reads `[url, queue, how many]` and writes, for each message, "" or what ended the connection it came on.
"""

import asyncio
import json
import sys

import aiormq


async def one(url: str, queue: str) -> str:
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel()
        await asyncio.wait_for(channel.basic_get(queue, no_ack=True), 10)
        return "" if not connection.is_closed else "closed"
    except (Exception, asyncio.CancelledError) as ended:
        return type(ended).__name__
    finally:
        await asyncio.gather(connection.close(), return_exceptions=True)


async def main(url: str, queue: str, number: int) -> None:
    print(json.dumps([await one(url, queue) for _ in range(number)]))


if __name__ == "__main__":
    asyncio.run(main(*json.load(sys.stdin)))
