"""python -m tests.soak.traffic PLAN RECORDS [SECONDS AT_ONCE]: traffic until standard input ends.

With SECONDS: as much as the server takes, for so long. At the end a JSON object on standard output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path

from tests.soak.traffic.plan import Plan
from tests.soak.traffic.records import Writer
from tests.soak.traffic.visitors import Visitors

FLUSH = 0.2


async def main(plan: Plan, writer: Writer, saturate: list[str]) -> dict[str, float]:
    """Until it is over."""
    visitors = Visitors(plan, writer)
    if saturate:
        return {"rate": await visitors.saturate(float(saturate[0]), int(saturate[1]))}
    asyncio.get_running_loop().add_reader(sys.stdin, visitors.stop)
    flusher = asyncio.create_task(flush(writer))
    await visitors.run()
    flusher.cancel()
    return {"lag": visitors.lag}


async def flush(writer: Writer) -> None:
    """Others read while we write."""
    while True:
        await asyncio.sleep(FLUSH)
        writer.flush()


gc.freeze()  # what is loaded by now need not be looked at again: shorter pauses
with Path(sys.argv[2]).open("w") as file:
    result = asyncio.run(main(Plan.from_json(sys.argv[1]), Writer(file), sys.argv[3:]))
print(json.dumps(result))
