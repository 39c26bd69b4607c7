"""After any crowd, a counter equals the number of requests answered, exactly."""

from support.client import crowd

CLIENTS, EACH = 12, 40


def counter(server):
    return int(server.get("/counter").headers["X-Counter"])


def scounter(server):
    return int(server.get("/scounter").body.split()[1])


def test_the_counter_in_storage_is_exact(examples):
    before = counter(examples)
    answers = crowd(examples.port, ["/counter"] * CLIENTS, EACH)
    counts = sorted(int(answer.headers["X-Counter"]) - before for answer in answers)
    assert counts == list(range(1, CLIENTS * EACH + 1))
    assert counter(examples) == before + CLIENTS * EACH + 1


def test_the_counter_in_shared_memory_is_exact(examples):
    before = scounter(examples)
    answers = crowd(examples.port, ["/scounter"] * CLIENTS, EACH)
    counts = sorted(int(answer.body.split()[1]) - before for answer in answers)
    assert counts == list(range(1, CLIENTS * EACH + 1))
    assert scounter(examples) == before + CLIENTS * EACH + 1


def test_programs_count_for_themselves_in_a_mixed_crowd(examples):
    before = counter(examples), scounter(examples)
    paths = ["/counter", "/scounter", "/hello", "/greet?name=Ada"] * 4
    answers = crowd(examples.port, paths, EACH)
    assert {answer.status for answer in answers} == {200}
    after = counter(examples), scounter(examples)
    assert after == tuple(count + 4 * EACH + 1 for count in before)


# Counts in storage and then spins past the inline time, so that requests end on threads
# of their own and their storage calls meet.
SLOW = r"""
static int count;
static void increment(size_t n, struct virtbuffer buf[n], size_t res)
{
    int now = count;
    for (int i = 0; i < 2000; i++)
        __builtin_ia32_pause();
    count = now + 1;
    storage_return(&count, sizeof count);
}
START { STORAGE_ALLOW(increment); }
HANDLE {
    int first, second;
    storage_call(increment, 0, 0, &first, sizeof first);
    for (int i = 0; i < 100000; i++)
        __builtin_ia32_pause();
    storage_call(increment, 0, 0, &second, sizeof second);
    reply("%d %d", first, second);
}
"""


def test_storage_calls_from_many_threads_never_overlap(serve):
    server = serve(slow={"source": SLOW, "storage": True})
    answers = crowd(server.port, ["/slow"] * 6, 10)
    counts = sorted(int(count) for each in answers for count in each.body.split())
    assert counts == list(range(1, 2 * 6 * 10 + 1))
