"""A server on `websockets`; the path of a connection says what it does (main.rs). `server.mjs` does the same on `ws`.

Ends when its standard input does.
"""

import asyncio
import json
import os
import sys
import threading
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


def asked(request):
    url = urlsplit(request.path)
    return url.path, parse_qs(url.query, keep_blank_values=True)


def refuse(connection, request):
    if request.path == "/refuse":
        return connection.respond(503, "gateway draining")
    return None


def answer(connection, request, response):
    """`?NAME=VALUE` in the path of an answer: the header NAME, or no such header."""
    path, values = asked(request)
    if path == "/answer":
        for name, given in values.items():
            if name in response.headers:
                del response.headers[name]
            for value in given:
                if value:
                    response.headers[name] = value


async def fragments(connection):
    for part in ["Gr", "ü", "", "ße"]:
        await connection.ping(part)
        yield part


async def serve_one(connection):
    path, values = asked(connection.request)
    if path == "/echo":
        async for message in connection:
            await connection.send(message)
    elif path == "/request":
        headers = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        await connection.send(json.dumps([connection.request.path, headers]))
    elif path == "/ping":
        await (await connection.ping("there?"))
        await connection.send("pong there?")
    elif path == "/fragments":
        await connection.send(fragments(connection))
    elif path == "/close":
        await connection.close(int(values["code"][0]), values["reason"][0])
    elif path == "/raw":
        connection.transport.write(bytes.fromhex(values["hex"][0]))
    else:
        await connection.send("greeting")
    await connection.wait_closed()


async def handler(connection):
    try:
        await serve_one(connection)
    except ConnectionClosed:
        pass


async def main():
    async with serve(
        handler,
        "127.0.0.1",
        0,
        max_size=2 << 20,
        process_request=refuse,
        process_response=answer,
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
asyncio.run(main())
