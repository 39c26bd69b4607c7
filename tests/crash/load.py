"""Clients of one program: changes and readings, written into its ledger."""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count

from crash.client import PATIENCE, Answer, Client, Died
from crash.host import Broken
from crash.ledger import ACCOUNTS, IDS, Books, Change, Ledger, Order, Reading, Result
from crash.site import Program

PAUSE = 0.012  # seconds at most between two requests of a client
RETRY = 0.05  # seconds from the end of a connection to the next one
READINGS = 0.15  # of the requests
VISIT = 200  # requests at most on one connection: the next may meet another worker
# A fault for every so many transfers; they cost between nothing and 0.25 s.
FAULTS = {"": 900, "W": 100, "s": 60, "t": 20, "w": 20, "n": 20, "e": 10, "c": 20}
FAULTS |= {"x": 20, "h": 4, "H": 6, "l": 2}

Step = Callable[[], Awaitable[bool]]


class Figures:
    """What clients saw, of all programs together."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.died = 0  # connections
        self.slowest = 0.0
        self.longest_gap = 0.0
        self._last = math.inf  # when the answer before came

    def answered(self, sent: float, now: float) -> None:
        """An answer with a status of 200 came."""
        self.slowest = max(self.slowest, now - sent)
        self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now


class Load:
    """What is asked of (program), on as many connections as run() is called for.

    (life) counts the deaths of the whole host: a new life of a state that does not
    outlive it has a new ledger, and a connection never reaches into the next life.
    """

    def __init__(self, program: Program, figures: Figures) -> None:
        self.program = program
        self.ledgers = [Ledger(program.name)]
        self._figures = figures
        self._life = 0
        self._ids = count()

    @property
    def ledger(self) -> Ledger:
        """That of the present life."""
        return self.ledgers[-1]

    def reborn(self) -> None:
        """The host died, and the next one has not been started yet."""
        self._life += 1
        if not self.program.durability:
            self.ledgers.append(Ledger(self.program.name))
            self._ids = count()

    async def run(self, port: int, seed: str, more: Callable[[], bool]) -> None:
        """One client, which asks as long as there is (more)."""
        chance = random.Random(seed)
        client, life, visits = Client(port), self._life, 0
        while more():
            await asyncio.sleep(chance.uniform(0, PAUSE))
            if life != self._life or visits == 0:
                client.close()
                life, visits = self._life, chance.randrange(1, VISIT)
            visits -= 1
            try:
                await client.connect()
                if life == self._life:
                    await self._ask(client, chance)
            except Died:
                self._figures.died += 1
                visits = 0
                await asyncio.sleep(RETRY)
        client.close()

    async def _ask(self, client: Client, chance: random.Random) -> None:
        order = self._order(chance) if self.program.is_bank else None
        if chance.random() < READINGS or (order and order.id >= IDS):
            await self._read(client)
        else:
            await self._change(client, order, chance.random() < 0.5)

    def _order(self, chance: random.Random) -> Order:
        source, target = chance.sample(range(ACCOUNTS), 2)
        [fault] = chance.choices([*FAULTS], [*FAULTS.values()])
        return Order(next(self._ids), source, target, chance.randrange(1, 100), fault)

    async def _change(
        self, client: Client, order: Order | None, post: bool = False
    ) -> Change:
        what = _query(order) if order else ""
        path = f"/{self.program.name}/add"
        change = self.ledger.change(time.monotonic(), order)
        if post and order:
            answer = await client.ask(path, what)
        else:
            answer = await client.ask(f"{path}?{what}")
        now = time.monotonic()
        self._count(answer, change.sent, now)
        match answer.says():
            case ["ok", number]:
                change.done(now, int(number))
            case ["refused"]:
                change.refused(now)
        return change

    async def _read(self, client: Client) -> bool:
        ledger, sent = self.ledger, time.monotonic()
        answer = await client.ask(f"/{self.program.name}/read")
        now = time.monotonic()
        self._count(answer, sent, now)
        match answer.says():
            case ["at", number, *audit]:
                seen = tuple(map(int, audit))
                ledger.readings.append(Reading(sent, now, int(number), seen))
                return True
        return False

    def _count(self, answer: Answer, sent: float, now: float) -> None:
        kind = (answer.says() or [str(answer.status)])[0]
        self._figures.answers[kind] += 1
        if answer.status == 200:
            self._figures.answered(sent, now)

    async def finish(self, port: int) -> None:
        """With nothing else on the way: one more change, which has to work, and all
        of the state."""
        client = Client(port)
        try:
            await self._insist(lambda: self._last_change(client), "a change")
            await self._insist(lambda: self._read(client), "a reading")
            if self.program.is_bank:
                await self._insist(lambda: self._read_books(client), "its books")
        finally:
            client.close()

    async def _insist(self, step: Step, what: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if await step():
                    return
            except Died:
                pass
            await asyncio.sleep(0.05)
        raise Broken(f"{self.program.name} does not give {what}, though all is quiet")

    async def _last_change(self, client: Client) -> bool:
        order = None
        if self.program.is_bank and (number := next(self._ids)) < IDS:
            order = Order(number, 0, 1, 1)
        elif self.program.is_bank:
            return True
        return (await self._change(client, order)).result is Result.DONE

    async def _read_books(self, client: Client) -> bool:
        balances = await client.ask(f"/{self.program.name}/balances")
        applied = await client.ask(f"/{self.program.name}/applied")
        if len(balances.says()) != ACCOUNTS or len(applied.body) != IDS:
            return False
        held = tuple(map(int, balances.says()))
        self.ledger.books = Books(held, applied.body)
        return True


def _query(order: Order) -> str:
    return (
        f"id={order.id}&from={order.source}&to={order.target}"
        f"&amount={order.amount}&fault={order.fault}"
    )
