"""Talks to `thrum mcp` with the official Python client, and prints as one JSON document what it got.

usage: mcp_client.py handshake|discover WORD...     (the words start the server)
`handshake` is `initialize`, which both lines of the client have; `discover` is what the newer one tries first.
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


@asynccontextmanager
async def opened(way, server):
    if way == "discover":
        from mcp import Client

        async with Client(server, mode="auto") as client:
            yield client, {"protocolVersion": client.protocol_version, "instructions": client.instructions}
    else:
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            yield session, plain(await session.initialize())


def plain(result):
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(way, command, *words):
    server = StdioServerParameters(command=command, args=list(words), env=dict(os.environ))
    got = {}
    async with opened(way, server) as (client, began):
        got["began"] = began
        got["tools"] = plain(await client.list_tools())["tools"]
        for name, tool, words in [
            ("sent", "send_message", {"to": "reviewer", "text": "from Python"}),
            ("checked", "check_messages", {}),
            ("waited", "wait_for_message", {"timeout_s": 1}),
            ("listed", "list_agents", {}),
            ("wrong", "send_message", {"to": "reviewer"}),
        ]:
            got[name] = plain(await client.call_tool(tool, words))
    print(json.dumps(got))


asyncio.run(main(*sys.argv[1:]))
