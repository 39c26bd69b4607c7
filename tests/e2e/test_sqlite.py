"""SQLite of a distribution: its library in programs that answer requests, and its own
shell with a script."""

import sqlite3

import pytest
from support.guests import compile_guest
from support.packages import need_package
from support.plain import outcome, outcome_in_guest
from support.server import Server, write_config

# What all of these programs do with the body of a request: its rows as text, a line
# each, or the error.
ASK = r"""
#include "kvm_api.h"
#include <sqlite3.h>
static sqlite3 *db;
static char text[1 << 16];
static size_t used;

static void put(const char *what)
{
    used += snprintf(text + used, sizeof text - used, "%s", what);
}
static int row(void *unused, int columns, char **values, char **names)
{
    for (int i = 0; i < columns; i++) {
        put(values[i] ? values[i] : "NULL");
        put(i < columns - 1 ? "|" : "\n");
    }
    return used > sizeof text - 1000;
}
static int ask(const uint8_t *body, size_t len)
{
    char sql[4096];
    used = 0;
    snprintf(sql, sizeof sql, "%.*s", (int)len, (const char *)body);
    int status = sqlite3_exec(db, sql, row, NULL, NULL) == SQLITE_OK ? 200 : 400;
    if (status != 200)
        put(sqlite3_errmsg(db));
    return status;
}
static void must(int result)
{
    if (result != SQLITE_OK)
        exit(printf("%s\n", sqlite3_errmsg(db)));
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *body, size_t len);
static void serve(void)
{
    set_backend_post(on_post);
    wait_for_requests();
}
"""
FILL = """
CREATE TABLE town(name TEXT PRIMARY KEY, people INTEGER, land TEXT);
INSERT INTO town VALUES ('Bergen', 291940, 'no'), ('Oslo', 717710, 'no'),
    ('Turku', 201863, 'fi'), ('Lund', 94703, 'se');
CREATE INDEX by_land ON town(land, people);
"""

# Filled while it starts, and frozen like that.
FROZEN = r"""
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *body, size_t len)
{
    int status = ask(body, len);
    backend_response(status, "text/plain", 10, text, used);
}
int main(void)
{
    must(sqlite3_open(":memory:", &db));
    must(sqlite3_exec(db, getenv("FILL"), NULL, NULL, NULL));
    serve();
}
"""

# The database is in storage: one for all requests, and what they change stays.
STORED = r"""
static void query(size_t count, struct virtbuffer buffer[count], size_t most)
{
    int status = ask(buffer[0].data, buffer[0].len);
    memmove(text + sizeof status, text, used);
    memcpy(text, &status, sizeof status);
    storage_return(text, used + sizeof status);
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *body, size_t len)
{
    int status = 0;
    long got = storage_call(query, body, len, text, sizeof text);
    if (got < 0)
        backend_response(503, "text/plain", 10, NULL, 0);
    memcpy(&status, text, sizeof status);
    backend_response(status, "text/plain", 10, text + 4, got - 4);
}
int main(void)
{
    if (IS_STORAGE()) {
        must(sqlite3_open(":memory:", &db));
        must(sqlite3_exec(db, getenv("FILL"), NULL, NULL, NULL));
    }
    STORAGE_ALLOW(query);
    serve();
}
"""

# A database in a file, which the host allows it to read: opened in each request.
FILED = r"""
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *body, size_t len)
{
    int status = 500;
    if (sqlite3_open_v2("/data/towns.db", &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
        status = ask(body, len);
    backend_response(status, "text/plain", 10, text, used);
}
int main(void)
{
    serve();
}
"""

# The same, written by storage: the journal stays beside it, as no file is ever removed.
WRITTEN = r"""
static void query(size_t count, struct virtbuffer buffer[count], size_t most)
{
    ask(buffer[0].data, buffer[0].len);
    storage_return(text, used);
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *body, size_t len)
{
    long got = storage_call(query, body, len, text, sizeof text);
    backend_response(got < 0 ? 503 : 200, "text/plain", 10, text, got < 0 ? 0 : got);
}
int main(void)
{
    if (IS_STORAGE()) {
        must(sqlite3_open("/data/towns.db", &db));
        must(sqlite3_exec(db, "PRAGMA journal_mode = TRUNCATE", NULL, NULL, NULL));
    }
    STORAGE_ALLOW(query);
    serve();
}
"""
LINKED = ("-lsqlite3", "-lm", "-ldl", "-pthread")


def build(source: str) -> str:
    need_package("libsqlite3-dev")
    flags = ("-static", "-pthread")
    return str(compile_guest(ASK + source, flags=flags, libraries=LINKED))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """The program FROZEN, served."""
    keys = {"filename": build(FROZEN), "environment": [f"FILL={FILL}"]}
    directory = tmp_path_factory.mktemp("sqlite")
    with Server(write_config(directory, {"towns": keys})) as server:
        yield server


def ask(server: Server, sql: str) -> tuple[int, str]:
    answer = server.request("POST", "/towns", sql.encode())
    return answer.status, answer.body.decode()


COUNT = "SELECT count(*), sum(people) FROM town"


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        (COUNT, "4|1306216"),
        ("SELECT name FROM town WHERE land = 'no' ORDER BY people", "Bergen\nOslo"),
        ("SELECT a.name, b.name FROM town a JOIN town b ON a.land = b.land"
         " AND a.name < b.name", "Bergen|Oslo"),
        ("SELECT name, rank() OVER (PARTITION BY land ORDER BY people) r FROM town"
         " ORDER BY r DESC LIMIT 1", "Oslo|2"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
         " SELECT sum(i) FROM n", "499500"),
        ("SELECT json_group_array(name) FROM (SELECT name FROM town WHERE people < 3e5"
         " ORDER BY 1)", '["Bergen","Lund","Turku"]'),
        ("SELECT printf('%.3f', sqrt(2)), upper('a'), 'abc' REGEXP 'b'", None),
        ("SELECT date(86400, 'unixepoch'), hex(zeroblob(2)), NULL",
         "1970-01-02|0000|NULL"),
        ("CREATE VIRTUAL TABLE f USING fts5(t); INSERT INTO f VALUES ('old town');"
         "SELECT t FROM f WHERE f MATCH 'town'", "old town"),
        ("BEGIN; DELETE FROM town; ROLLBACK; " + COUNT, "4|1306216"),
        ("UPDATE town SET people = 1; " + COUNT, "4|4"),
        ("VACUUM; PRAGMA integrity_check", "ok"),
    ],
)  # fmt: skip
def test_sql_in_a_request_is_answered(frozen, sql, answer):
    status, said = ask(frozen, sql)
    if answer is None:
        assert (status, said) == (400, "no such function: REGEXP")
    else:
        assert (status, said) == (200, answer + "\n")


def test_what_is_no_sql_is_answered_with_the_error(frozen):
    assert ask(frozen, "SELEKT") == (400, 'near "SELEKT": syntax error')
    assert ask(frozen, "SELECT x FROM town") == (400, "no such column: x")
    twice = "INSERT INTO town VALUES ('Oslo', 1, '')"
    assert ask(frozen, twice) == (400, "UNIQUE constraint failed: town.name")


def test_every_request_sees_the_frozen_database(frozen):
    for change in (
        "INSERT INTO town VALUES ('Visby', 24330, 'se')",
        "DROP TABLE town",
        "BEGIN EXCLUSIVE",
        "PRAGMA cache_size = 1; DELETE FROM town",
    ):
        assert ask(frozen, change)[0] == 200
        assert ask(frozen, COUNT) == (200, "4|1306216\n")


def test_a_database_in_storage_keeps_what_requests_change(serve):
    server = serve(
        towns={
            "filename": build(STORED),
            "environment": [f"FILL={FILL}"],
            "storage": True,
        }
    )
    insert = "INSERT INTO town VALUES ('{}', 10, 'dk')"
    assert [ask(server, insert.format(name))[0] for name in "abc"] == [200] * 3
    assert ask(server, insert.format("b"))[0] == 400
    assert ask(server, COUNT) == (200, "7|1306246\n")
    assert ask(server, "DROP TABLE town")[0] == 200
    assert ask(server, COUNT) == (400, "no such table: town")


def make_file(directory):
    """A database file that this Python has made. Its size in rows of town: 4."""
    with sqlite3.connect(directory / "towns.db") as made:
        made.executescript(FILL)
    made.close()


def test_a_database_file_is_read_under_locks(serve, tmp_path):
    """It asks fcntl() for a lock before it reads, and writes in no request."""
    (tmp_path / "data").mkdir()
    make_file(tmp_path / "data")
    allowed = {"real": str(tmp_path / "data"), "virtual": "/data", "prefix": True}
    server = serve(towns={"filename": build(FILED), "allowed_paths": [allowed]})
    for _ in range(2):
        assert ask(server, COUNT) == (200, "4|1306216\n")
    refused = "attempt to write a readonly database"
    assert ask(server, "DELETE FROM town") == (400, refused)
    with sqlite3.connect(tmp_path / "data" / "towns.db") as other:
        other.execute("DELETE FROM town WHERE land = 'no'")
    other.close()
    assert ask(server, COUNT) == (200, "2|296566\n")


def test_a_database_file_is_written_by_storage(config, tmp_path):
    (tmp_path / "data").mkdir()
    make_file(tmp_path / "data")
    allowed = {"real": str(tmp_path / "data"), "virtual": "/data", "prefix": True}
    keys = {"storage": True, "allowed_paths": [allowed | {"writable": True}]}
    file = config(towns={"filename": build(WRITTEN)} | keys)
    for count in (5, 6):
        with Server(file) as server:
            insert = f"INSERT INTO town VALUES ('{count}', 1, '')"
            assert ask(server, insert) == (200, "")
            assert ask(server, "SELECT count(*) FROM town") == (200, f"{count}\n")
    with sqlite3.connect(tmp_path / "data" / "towns.db") as other:
        checked = other.execute("PRAGMA integrity_check").fetchall()
        assert checked == [("ok",)]
        assert other.execute("SELECT sum(people) FROM town").fetchall() == [(1306218,)]
    other.close()


SCRIPT = """
.mode box
CREATE TABLE a(i INTEGER PRIMARY KEY, t TEXT, r REAL, b BLOB);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO a SELECT i, printf('%c%03d', 97 + i % 26, i * 37 % 101), i / 7.0,
    x'00ff' FROM n;
SELECT count(*), avg(r), min(t), max(t), total(i), typeof(b) FROM a;
SELECT substr(t, 1, 1) AS first, count(*), group_concat(i, '+') FROM a
    WHERE i < 40 GROUP BY first HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT 5;
.mode csv
SELECT x.t, y.t FROM a x LEFT JOIN a y ON y.i = x.i * 2 AND y.i < 10 WHERE x.i < 9;
SELECT i, sum(i) OVER (ORDER BY i ROWS 2 PRECEDING), ntile(3) OVER (ORDER BY i),
    lag(t, 1, 'none') OVER w FROM a WHERE i < 9 WINDOW w AS (ORDER BY i);
SELECT key, value FROM json_each('{"a": [1, {"b": 2.5}], "c": "\\u00e4"}');
SELECT json_patch('{"a": 1}', json_object('b', json('[1]'))), '[7]' -> 0;
.mode list
CREATE TRIGGER g AFTER DELETE ON a BEGIN UPDATE a SET r = 0 WHERE i = old.i + 1; END;
DELETE FROM a WHERE i % 2 RETURNING i * (i < 6);
SELECT changes(), total_changes(), sum(r) FROM a;
EXPLAIN QUERY PLAN SELECT * FROM a WHERE i > 5 ORDER BY t;
CREATE VIRTUAL TABLE text USING fts5(body);
INSERT INTO text VALUES ('a storm in a glass'), ('no storm'), ('calm');
SELECT highlight(text, 0, '<', '>') FROM text('storm') ORDER BY rank;
SELECT strftime('%Y-%m-%d %H:%M', 1e9, 'unixepoch', '+1 month', 'weekday 0');
SELECT quote(round(2.5)), 7 % 3, 1 / 0 IS NULL, 'A' = 'a' COLLATE NOCASE, 9e999;
.schema
SELECT * FROM missing;
.print after an error
"""


def test_the_shell_does_in_a_guest_what_it_does_natively(tmp_path):
    need_package("sqlite3")
    make_file(tmp_path)
    (tmp_path / "script.sql").write_text(SCRIPT)
    script = f".read {tmp_path}/script.sql"
    last = "SELECT * FROM town ORDER BY people"
    command = ["/usr/bin/sqlite3", tmp_path / "towns.db"]
    natively = outcome(*command, "-readonly", last)
    assert natively[0] == 0 and natively[1].startswith(b"Lund|94703|se\n")
    in_guest = outcome_in_guest(*command, "-readonly", last, paths=[tmp_path])
    assert in_guest == natively
    command = ["/usr/bin/sqlite3", ":memory:", script]
    natively = outcome(*command)
    assert natively[1].endswith(b"after an error\n")
    assert outcome_in_guest(*command, paths=[tmp_path]) == natively
