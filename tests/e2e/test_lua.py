"""Lua of a distribution: its library in a program that answers requests, and its own
interpreter with a script."""

import pytest
from support.guests import compile_guest
from support.packages import need_package
from support.plain import outcome, outcome_in_guest
from support.server import Server, write_config

# Answers with what the body, as a chunk of Lua, returns: 400 if it is none, 500 if it
# fails. The libraries, and a function of its own, are loaded once.
LUA = r"""
#include "kvm_api.h"
#include <lua5.4/lauxlib.h>
#include <lua5.4/lualib.h>
static lua_State *lua;

static void answer(int status)
{
    size_t len;
    const char *text = luaL_tolstring(lua, -1, &len);
    backend_response(status, "text/plain", 10, text, len);
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    if (luaL_loadbufferx(lua, (const char *)data, len, "=body", "t") != LUA_OK)
        answer(400);
    answer(lua_pcall(lua, 0, 1, 0) == LUA_OK ? 200 : 500);
}
int main(void)
{
    lua = luaL_newstate();
    luaL_openlibs(lua);
    if (luaL_dostring(lua, "n = 0 function add(m) n = n + m return n end"))
        return 1;
    set_backend_post(on_post);
    wait_for_requests();
}
"""
INCLUDES = ("-static", "-I/usr/include/lua5.4")
LINKED = ("-llua5.4", "-lm", "-ldl")


@pytest.fixture(scope="module")
def lua(tmp_path_factory):
    """The program LUA, served."""
    need_package("liblua5.4-dev")
    program = compile_guest(LUA, flags=INCLUDES, libraries=LINKED)
    keys = {"filename": str(program), "max_request_time": 30}
    directory = tmp_path_factory.mktemp("lua")
    with Server(write_config(directory, {"lua": keys})) as server:
        yield server


QUEENS = """
local function place(row, columns, up, down)
    if row > 8 then return 1 end
    local found = 0
    for column = 1, 8 do
        if not (columns[column] or up[row + column] or down[row - column]) then
            columns[column], up[row + column], down[row - column] = true, true, true
            found = found + place(row + 1, columns, up, down)
            columns[column], up[row + column], down[row - column] = nil, nil, nil
        end
    end
    return found
end
return place(1, {}, {}, {})
"""


@pytest.mark.parametrize(
    ("chunk", "status", "answer"),
    [
        ("return 6 * 7", 200, "42"),
        ("return ('%5.2f|%q'):format(1 / 3, 'a\\n')", 200, ' 0.33|"a\\\n"'),
        ("return ('one two'):gsub('%w+', string.upper)", 200, "ONE TWO"),
        ("return table.concat({3, 1, 2}, '-')", 200, "3-1-2"),
        ("local t = {3, 1, 2} table.sort(t) return t[1] .. t[3]", 200, "13"),
        ("return select(2, pcall(error, 'caught'))", 200, "caught"),
        ("local function each() coroutine.yield(1) coroutine.yield(2) end"
         " local c = coroutine.wrap(each) return c() + c()", 200, "3"),
        ("return utf8.char(228, 8364) .. math.tointeger(2^53)", 200,
         "ä€9007199254740992"),
        ("return os.date('!%F', 86400)", 200, "1970-01-02"),
        ("return os.time() > 1700000000 and os.clock() >= 0", 200, "true"),
        ("return io.open('/etc/passwd')", 200, "nil"),
        ("return os.getenv('KVM_NAME')", 200, "lua"),
        ("return collectgarbage('count') < 4096", 200, "true"),
        (QUEENS, 200, "92"),
        ("local t = {} for i = 1, 1e5 do t[i] = {i} end return #t", 200, "100000"),
        ("local function deep() return 1 + deep() end return deep()", 500,
         "stack overflow"),
        ("error('on purpose', 0)", 500, "on purpose"),
        ("return nil + 1", 500, "attempt to perform arithmetic on a nil value"),
        ("return (", 400, "unexpected symbol near <eof>"),
    ],
)  # fmt: skip
def test_a_chunk_of_lua_is_answered(lua, chunk, status, answer):
    got = lua.request("POST", "/lua", chunk.encode())
    said = got.body.decode()
    assert got.status == status
    assert said == answer if status == 200 else answer in said


def test_no_chunk_sees_what_another_has_left(lua):
    for chunk in ("return add(1)", "string.upper = nil return add(1)", "return add(1)"):
        assert lua.request("POST", "/lua", chunk.encode()).body == b"1"
    assert lua.request("POST", "/lua", b"return ('a'):upper()").body == b"A"


SCRIPT = """
local path = ...
for line in io.lines(path) do print(#line, line:reverse(), line:match("(%d+)")) end
local file = assert(io.open(path))
print(file:seek("end"), file:seek("set", 4), file:read("n", "l", 5, "a"))
print(io.open("/not/there"))
print(pcall(file.write, file, "x"))
local words = {}
for word in ("a rose is a rose"):gmatch("%a+") do words[#words + 1] = word end
table.sort(words, function(a, b) return a > b end)
print(table.concat(words, ","), table.unpack(words, 2, 3))
print(os.time({year = 2024, month = 2, day = 29, hour = 12}), os.date("!%c", 0))
local function each() for n = 1, 3 do coroutine.yield(n * n) end end
local squares = coroutine.wrap(each)
print(squares(), squares(), squares())
print(pcall(function() error('table') end))
print(pcall(function() return nil .. "" end))
print(string.format("%q %a %g", 1 / 3, 1.5, 2 ^ 63), 7 // 2, -7 % 3)
print(string.pack("<i4z", 7, "x"):byte(1, -1))
goto over
print("never")
::over::
local function missing(_, key) return key .. "!" end
local kept <const> = setmetatable({}, {__index = missing})
print(kept.any, #arg, arg[0]:match("[^/]+$"))
io.stderr:write("to standard error")
os.exit(3)
"""


def test_the_interpreter_does_in_a_guest_what_it_does_natively(tmp_path):
    need_package("lua5.4")
    (tmp_path / "script.lua").write_text(SCRIPT)
    (tmp_path / "text").write_text("12 apples\nno pears\n7 plums\n")
    command = ["/usr/bin/lua5.4", tmp_path / "script.lua", tmp_path / "text"]
    natively = outcome(*command)
    assert natively[0] == 3  # it has come to its end
    assert outcome_in_guest(*command, paths=[tmp_path]) == natively
