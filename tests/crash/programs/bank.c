/* bank.c: 64 accounts in storage, whose sum never changes if transfers are whole.
 *
 *     /add?id=7&from=1&to=2&amount=30&fault=t     a transfer, GET or POST (in the body)
 *     /read        "at TRANSFERS SUM IDS TORN": TORN is 0 unless a transfer is in halves
 *     /balances    of all accounts
 *     /applied     a byte for each id: how many times it was applied
 *
 * A transfer writes to pages that lie apart, and meets its fault, a letter, between debit
 * and credit. With these it fails:
 *
 *     t trap    w null write    l endless loop    n no result    e exit
 *     h writes 3000 pages, more than a dirty ring holds, and traps
 *     c traps behind storage_return
 *
 * and with these it works:
 *
 *     s takes its time    H writes 3000 pages    W nothing else
 *     x the request traps after it: nobody learns that it worked
 *
 * All but s also write to 48 pages, to half of them before the fault. */
#include "answer.h"

enum { ACCOUNTS = 64, BALANCE = 1000, IDS = 1 << 16, WIDE = 48, HUGE = 3000 };

struct order {
    long id, from, to, amount, fault;
};

/* A page of its own for each. */
struct paged {
    long value;
    char rest[4096 - sizeof(long)];
};

static struct paged accounts[ACCOUNTS], journal[WIDE], huge[HUGE];
static uint8_t applied[IDS];
static long transfers;

/* All these pages carry the number of one transfer, if it is whole. */
static void stamp(struct paged *pages, int from, int to)
{
    for (int i = from; i < to; i++)
        pages[i].value = transfers;
}

/* Whether pages tell of different transfers. */
static long mixed(const struct paged *pages, int count)
{
    for (int i = 1; i < count; i++)
        if (pages[i].value != pages[0].value)
            return 1;
    return 0;
}

static void meet(long fault)
{
    switch (fault) {
    case 't':
        __builtin_trap();
    case 'w':
        *(volatile int *)8 = 1;
        break;
    case 'l':
        for (;;)
            __builtin_ia32_pause();
    case 'e':
        exit(0);
    case 's':
        for (int i = 0; i < 20000; i++)
            __builtin_ia32_pause();
        break;
    case 'h':
        stamp(huge, 0, HUGE);
        __builtin_trap();
    case 'H':
        stamp(huge, 0, HUGE);
    }
}

STORAGE(transfer)
{
    const struct order order = *(const struct order *)buf[0].data;
    const bool wide = order.fault != 0 && order.fault != 's';
    accounts[order.from].value -= order.amount;
    transfers++;
    if (wide)
        stamp(journal, 0, WIDE / 2);
    meet(order.fault);
    if (order.fault == 'n')
        return;
    if (wide)
        stamp(journal, WIDE / 2, WIDE);
    accounts[order.to].value += order.amount;
    applied[order.id]++;
    const long number = transfers;
    storage_return(&number, sizeof(number));
    if (order.fault == 'c')
        __builtin_trap();
}

STORAGE(audit)
{
    long seen[4] = {transfers, 0, 0, mixed(journal, WIDE) + 2 * mixed(huge, HUGE)};
    for (int i = 0; i < ACCOUNTS; i++)
        seen[1] += accounts[i].value;
    for (int i = 0; i < IDS; i++)
        seen[2] += applied[i];
    storage_return(seen, sizeof(seen));
}

STORAGE(balances)
{
    long all[ACCOUNTS];
    for (int i = 0; i < ACCOUNTS; i++)
        all[i] = accounts[i].value;
    storage_return(all, sizeof(all));
}

STORAGE(list)
{
    storage_return(applied, sizeof(applied));
}

static long number(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at != NULL ? atol(at + strlen(key)) : 0;
}

static void add(const char *text)
{
    const char *fault = strstr(text, "fault=");
    const struct order order = {number(text, "id="), number(text, "from="),
                                number(text, "to="), number(text, "amount="),
                                fault != NULL ? fault[6] : 0};
    long now;
    if ((unsigned long)order.id >= IDS || (unsigned long)order.from >= ACCOUNTS ||
        (unsigned long)order.to >= ACCOUNTS ||
        storage_call(transfer, &order, sizeof(order), &now, sizeof(now)) != sizeof(now))
        reply("refused");
    if (order.fault == 'x')
        __builtin_trap();
    reply("ok %ld", now);
}

static void show_balances(void)
{
    long all[ACCOUNTS];
    char text[ACCOUNTS * 21];
    int len = 0;
    if (storage_call(balances, NULL, 0, all, sizeof(all)) != sizeof(all))
        reply("refused");
    for (int i = 0; i < ACCOUNTS; i++)
        len += sprintf(text + len, "%ld ", all[i]);
    backend_response(200, "text/plain", 10, text, (size_t)len);
}

static void show_applied(void)
{
    static uint8_t all[IDS];
    if (storage_call(list, NULL, 0, all, sizeof(all)) != sizeof(all))
        reply("refused");
    backend_response(200, "application/octet-stream", 24, all, sizeof(all));
}

static void on_get(const char *url, const char *arg)
{
    long seen[4];
    if (strstr(url, "/add"))
        add(url);
    if (strstr(url, "/balances"))
        show_balances();
    if (strstr(url, "/applied"))
        show_applied();
    if (storage_call(audit, NULL, 0, seen, sizeof(seen)) != sizeof(seen))
        reply("refused");
    reply("at %ld %ld %ld %ld", seen[0], seen[1], seen[2], seen[3]);
}

static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    char text[256] = "";
    if (len < sizeof(text))
        memcpy(text, data, len);
    add(text);
}

int main(void)
{
    for (int i = 0; i < ACCOUNTS; i++)
        accounts[i].value = BALANCE;
    set_backend_get(on_get);
    set_backend_post(on_post);
    wait_for_requests();
}
