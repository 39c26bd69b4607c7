"""skerry serve FILE, in a jail in which a refused system call ends it."""

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from skerry import http, jail, native
from skerry.app import App
from skerry.config import load
from skerry.log import Log


async def serve(file: str) -> None:
    log, stop = Log(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    native.probe()
    app = App(log)
    await app.start(load(Path(file)))
    server = await http.serve(app, "127.0.0.1", 0)
    jail.Jail(kill=True).enter(log)
    log.info(f"listening on 127.0.0.1:{server.port}")
    await stop.wait()
    await server.stop(30)
    app.close()


jail.prepare()
uvloop.run(serve(sys.argv[2]))
