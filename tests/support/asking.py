"""Who asks a program, without HTTP in between."""

import asyncio

from skerry.message import Request

LONG = 60.0


class Client:
    """Sends one request to a program, as a connection of the server does. (response) is
    a task: what it gets."""

    is_gone = False

    def __init__(self, program, target="/", body=b""):
        self._given = asyncio.get_running_loop().create_future()
        self.response = asyncio.ensure_future(self._wait())
        kind = b"text/plain" if body else b""
        method = b"POST" if body else b"GET"
        request = Request(method, target.encode(), b"", b"Host: a\r\n", kind, body)
        request.client = self
        response = program.answer(request)
        if response is not None:
            self.on_response(response)

    def on_response(self, response):
        self._given.set_result(response)

    async def _wait(self):
        response = await self._given
        return await response if hasattr(response, "__await__") else response

    async def answer(self):
        """(status, body)"""
        async with asyncio.timeout(LONG):
            response = await self.response
        return response.status, response.body
