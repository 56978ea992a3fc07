"""The ledger, in Redis.

All purses share one slot, since one charge draws on several of them in one step. Charges and purses are fields of two
hashes, so every key is known beforehand; what is due stands in sorted sets, and each verb tidies up a little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sidecar.engine.state.ledger import (
    DRAWS_MAX,
    LEASE_S,
    RECORDED_KEPT_S,
    SETTLED_KEPT_S,
    Balance,
    Draw,
    Hold,
    Purse,
    Reservation,
)
from sidecar.engine.state.window import Window
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script, told

PREFIX: Final = "sidecar:{ledger}:"
KEYS: Final = tuple(PREFIX + name for name in ("purses", "forgotten", "charges", "leases", "finished", "limits"))

NOUNS: Final = """
local purses, forgotten, charges, leases, finished, limits = unpack(KEYS, 1, 6)
local given = cjson.decode(ARGV[1])
local used = {}
for index, budget in ipairs(given.budgets) do used[budget] = KEYS[6 + index] end

local function field(draw) return draw[1] .. '|' .. draw[2] end

local function period_of(window)
    if window == 'none' then return 0 end
    if window == 'hour' then return math.floor(now / 3600000) end
    local day = math.floor(now / 86400000)
    if window == 'day' then return day end
    -- Days to civil months: Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    local z = day + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local month = mp < 10 and mp + 3 or mp - 9
    return (yoe + era * 400 + (month <= 2 and 1 or 0)) * 12 + month - 1
end

-- A purse is {period, spent, held, forgotten at or 0, window, seconds kept or 0}.
local function purse_at(name)
    local raw = redis.call('HGET', purses, name)
    local purse = raw and cmsgpack.unpack(raw)
    if purse and (purse[4] == 0 or purse[4] >= now) then return purse end
end

local function keep_purse(name, purse)
    redis.call('HSET', purses, name, cmsgpack.pack(purse))
    local full = used[string.match(name, '^[^|]*')]
    if full then redis.call('ZADD', full, purse[2] + purse[3], name) end
end

-- The purse of a draw {budget, account, window, keep_s, period}, begun anew where it is over.
local function touched(draw)
    local name, purse = field(draw), purse_at(field(draw))
    if not purse or purse[1] < draw[5] then purse = {draw[5], 0, 0} end
    purse[4] = draw[4] > 0 and now + draw[4] * 1000 or 0
    purse[5], purse[6] = draw[3], draw[4]
    if purse[4] > 0 then redis.call('ZADD', forgotten, purse[4], name) end
    return name, purse
end

local function add(draw, spent, held)
    local name, purse = field(draw), purse_at(field(draw))
    if not purse or purse[1] ~= draw[5] then return end
    purse[2], purse[3] = purse[2] + spent, purse[3] + held
    keep_purse(name, purse)
end

-- A charge is {state, amount, draws}.
local function charge_at(id)
    local raw = redis.call('HGET', charges, id)
    return raw and cmsgpack.unpack(raw)
end

local function keep_charge(id, state, amount, draws, due)
    redis.call('HSET', charges, id, cmsgpack.pack({state, amount, draws}))
    redis.call('ZADD', state == 'held' and leases or finished, due, id)
end

local function finish(id, charge, amount)
    if charge[1] == 'done' then return 0 end
    for _, draw in ipairs(charge[3]) do
        if charge[1] == 'held' then add(draw, amount, -charge[2]) else add(draw, amount - charge[2], 0) end
    end
    redis.call('ZREM', leases, id)
    keep_charge(id, 'done', amount, {}, now + given.settled_ms)
    return 1
end

local function tidy()
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', '(' .. now, 'LIMIT', 0, 20)) do
        local charge = charge_at(id)
        redis.call('ZREM', leases, id)
        -- Gone where Redis was told to evict keys when memory is short: then its hold is gone as well.
        if charge then
            for _, draw in ipairs(charge[3]) do add(draw, charge[2], -charge[2]) end
            keep_charge(id, 'lapsed', charge[2], charge[3], now + given.recorded_ms)
        end
    end
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', finished, '-inf', '(' .. now, 'LIMIT', 0, 20)) do
        redis.call('ZREM', finished, id)
        redis.call('HDEL', charges, id)
    end
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', forgotten, '-inf', '(' .. now, 'LIMIT', 0, 20)) do
        redis.call('ZREM', forgotten, name)
        redis.call('HDEL', purses, name)
        local full = used[string.match(name, '^[^|]*')]
        if full then redis.call('ZREM', full, name) end
    end
end

local function standing(hold)
    local period, purse = period_of(hold[3]), purse_at(field(hold))
    if not purse or purse[1] < period then purse = {period, 0, 0} end
    return purse, tonumber(redis.call('HGET', limits, hold[1]) or hold[5])
end

local function answer(first, held, refused)
    local told = {first, held, refused}
    for _, hold in ipairs(given.holds) do
        local purse, limit = standing(hold)
        for _, number in ipairs({purse[1], purse[2], purse[3], limit}) do told[#told + 1] = number end
    end
    return told
end
"""

RESERVE: Final = Script(
    "reserve",
    NOUNS
    + """
    tidy()
    local known = charge_at(given.id)
    if known then return answer(0, known[2], -1) end
    local held = given.amount
    for index, hold in ipairs(given.holds) do
        local purse, limit = standing(hold)
        local left = limit - purse[2] - purse[3]
        if hold[6] and left < given.amount + given.spare then return answer(1, 0, index - 1) end
    end
    if given.share > 0 then
        local least
        for _, hold in ipairs(given.holds) do
            local purse, limit = standing(hold)
            local left = limit - purse[2] - purse[3]
            if hold[6] and (not least or left < least) then least = left end
        end
        if least then held = math.max(held, math.floor(least * given.share / 100)) end
    end
    local draws = {}
    for index, hold in ipairs(given.holds) do
        local draw = {hold[1], hold[2], hold[3], hold[4], standing(hold)[1]}
        local name, purse = touched(draw)
        purse[3] = purse[3] + held
        keep_purse(name, purse)
        draws[index] = draw
    end
    keep_charge(given.id, 'held', held, draws, now + given.lease_ms)
    return answer(1, held, -1)
    """,
)

SETTLE: Final = Script(
    "settle",
    NOUNS
    + """
    tidy()
    local charge = charge_at(given.id)
    return charge and finish(given.id, charge, given.amount) or 0
    """,
)

WITHDRAW: Final = Script(
    "withdraw_charge",
    NOUNS
    + """
    tidy()
    local charge = charge_at(given.id)
    if not charge or charge[1] ~= 'held' then return 0 end
    for _, draw in ipairs(charge[3]) do add(draw, 0, -charge[2]) end
    redis.call('ZREM', leases, given.id)
    redis.call('HDEL', charges, given.id)
    return 1
    """,
)

CHARGE: Final = Script(
    "charge",
    NOUNS
    + """
    tidy()
    local charge = charge_at(given.id)
    if charge then return finish(given.id, charge, given.amount) end
    for _, draw in ipairs(given.draws) do
        local name, purse = touched(draw)
        if purse[1] == draw[5] then purse[2] = purse[2] + given.amount end
        keep_purse(name, purse)
    end
    keep_charge(given.id, 'done', given.amount, {}, now + given.recorded_ms)
    return 1
    """,
)

BALANCES: Final = Script("balances", NOUNS + "return answer(1, 0, -1)")

FULLEST: Final = Script(
    "fullest",
    NOUNS
    + """
    local found = {}
    for _, name in ipairs(redis.call('ZREVRANGE', used[given.budget], 0, 99)) do
        local purse = purse_at(name)
        if purse then
            found[#found + 1] = {string.sub(name, #given.budget + 2), purse[5], tostring(purse[6])}
        else
            redis.call('ZREM', used[given.budget], name)
        end
    end
    return found
    """,
)

SET_LIMIT: Final = Script(
    "set_limit",
    """
    if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
    return 1
    """,
)


RESET: Final = Script(
    "reset",
    NOUNS
    + """
    local hold = given.holds[1]
    local purse = standing(hold)
    local spent = purse[2]
    if spent ~= 0 then
        purse[2] = 0
        keep_purse(field(hold), purse)
    end
    return answer(spent, 0, -1)
    """,
)

KEPT: Final = {"settled_ms": int(SETTLED_KEPT_S * 1000), "recorded_ms": int(RECORDED_KEPT_S * 1000)}


class RedisLedger:
    """The Ledger port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._budgets: list[str] = []
        """Budgets whose purses are kept in order of fullness: those that were ever reserved from here."""

    async def reserve(
        self,
        charge_id: str,
        amount_micro_usd: int,
        holds: Sequence[Hold],
        *,
        share_percent: int = 0,
        spare_micro_usd: int = 0,
        lease_s: float = LEASE_S,
    ) -> Reservation:
        self._learn(hold.purse for hold in holds)
        given = {
            "id": charge_id,
            "amount": amount_micro_usd,
            "holds": [shape_of(hold) for hold in holds],
            "share": share_percent,
            "spare": spare_micro_usd,
            "lease_ms": int(lease_s * 1000),
        }
        first, held, refused, *numbers = await self._run(RESERVE, given)
        balances = tuple(balances_in(holds, numbers))
        return Reservation(balances, held, bool(first), None if refused < 0 else refused)

    async def settle(self, charge_id: str, amount_micro_usd: int) -> bool:
        return bool(await self._run(SETTLE, {"id": charge_id, "amount": amount_micro_usd}))

    async def void(self, charge_id: str) -> None:
        await self.settle(charge_id, 0)

    async def withdraw(self, charge_id: str) -> bool:
        return bool(await self._run(WITHDRAW, {"id": charge_id}))

    async def charge(self, charge_id: str, draws: Sequence[Draw], amount_micro_usd: int) -> bool:
        self._learn(draw.purse for draw in draws)
        shapes = [[*purse_shape(draw.purse), draw.period] for draw in draws]
        return bool(await self._run(CHARGE, {"id": charge_id, "amount": amount_micro_usd, "draws": shapes}))

    async def balances(self, holds: Sequence[Hold]) -> tuple[Balance, ...]:
        _, _, _, *numbers = await self._run(BALANCES, {"holds": [shape_of(hold) for hold in holds]})
        return tuple(balances_in(holds, numbers))

    async def fullest(self, budget: str, limit_micro_usd: int, at_most: int = 1) -> list[Balance]:
        self._learn([Purse(budget, "")])
        found = await self._run(FULLEST, {"budget": budget})
        purses = [
            Purse(budget, bytes(account).decode(), Window(bytes(window).decode()), float(keep_s) or None)
            for account, window, keep_s in found
        ]
        balances = await self.balances([Hold(purse, limit_micro_usd) for purse in purses]) if purses else ()
        return sorted(balances, key=lambda each: each.used_micro_usd, reverse=True)[:at_most]

    async def set_limit(self, budget: str, limit_micro_usd: int | None) -> None:
        said = "" if limit_micro_usd is None else limit_micro_usd
        await self._link.run(SET_LIMIT, [PREFIX + "limits"], (budget, said))

    async def reset(self, hold: Hold) -> tuple[Balance, int]:
        self._learn([hold.purse])
        spent, _, _, *numbers = await self._run(RESET, {"holds": [shape_of(hold)]})
        return next(balances_in([hold], numbers)), int(spent)

    async def _run(self, script: Script, given: dict[str, Any]) -> Any:
        keys = [*KEYS, *(f"{PREFIX}used:{budget}" for budget in self._budgets)]
        return await self._link.run(script, keys, (told({**KEPT, **given, "budgets": self._budgets}),))

    def _learn(self, purses: Iterator[Purse] | list[Purse]) -> None:
        for purse in purses:
            if purse.budget not in self._budgets and len(self._budgets) < DRAWS_MAX:
                self._budgets.append(purse.budget)


def purse_shape(purse: Purse) -> list[Any]:
    return [purse.budget, purse.account, purse.window.value, purse.keep_s or 0]


def shape_of(hold: Hold) -> list[Any]:
    return [*purse_shape(hold.purse), hold.limit_micro_usd, hold.is_binding]


def balances_in(holds: Sequence[Hold], numbers: Sequence[int]) -> Iterator[Balance]:
    for index, hold in enumerate(holds):
        yield Balance(hold.purse, *numbers[4 * index : 4 * index + 4])
