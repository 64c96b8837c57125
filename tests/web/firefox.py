"""Firefox as a distribution packages it, for Playwright: run as `python firefox.py FIREFOX [OPTION]...`.

Playwright speaks WebDriver BiDi with it, and sends commands that are younger than an extended-support release. This
passes messages between the two, and answers a command that Firefox does not know as done: the option stays unset.
"""

import asyncio
import json
import re
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")


async def main(firefox: str, *options: str) -> int | None:
    """Run until Firefox ends. Returns its exit status."""
    process = await asyncio.create_subprocess_exec(firefox, *options, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    address = ""
    while not address:
        line = await process.stderr.readline()
        if not line:
            return await process.wait()
        if found := _LISTENING.search(line):
            address = f"{found[1].decode()}/session"

    async def between(playwright: ServerConnection) -> None:
        async with connect(address, max_size=None, ping_interval=None) as browser:

            async def there() -> None:
                async for message in playwright:
                    await browser.send(message)

            sending = asyncio.create_task(there())
            async for message in browser:
                await playwright.send(_known(message))
            sending.cancel()

    async with serve(between, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"WebDriver BiDi listening on ws://127.0.0.1:{port}", file=sys.stderr, flush=True)
        await process.communicate()
        return process.returncode


def _known(message: str | bytes) -> str | bytes:
    answer = json.loads(message)
    if answer.get("error") != "unknown command":
        return message
    return json.dumps({"type": "success", "id": answer["id"], "result": {}})


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
