/* Header fields: what is one, order, replacing, limits. */
#include <errno.h>
#include <pthread.h>

#include "check.h"
#include "fields.h"

static struct fields f;

static void begin(void)
{
    fields_release(&f);
}

static int append(const char *text)
{
    return fields_append(&f, text, (uint32_t)strlen(text));
}

static int set(const char *text)
{
    return fields_set(&f, text, (uint32_t)strlen(text));
}

/* The fields that are left, one a line. */
static const char *all(void)
{
    static char text[4096];
    size_t used = 0;
    for (uint32_t i = 0; i < f.count; i++) {
        if (!f.field[i].len)
            continue;
        memcpy(text + used, f.text + f.field[i].at, f.field[i].len);
        used += f.field[i].len;
        text[used++] = '\n';
    }
    text[used] = 0;
    return text;
}

TEST(fields_keep_their_order_and_their_doubles)
{
    begin();
    CHECK_EQ(append("B: 1") | append("a: 2") | append("B: 3"), 0);
    CHECK_TEXT(all(), "B: 1\na: 2\nB: 3\n");
}

TEST(a_field_that_is_not_one_is_refused)
{
    begin();
    static const char *const wrong[] = {
        "",         "a",      "a:",       "a: ",      "abc",      ": abc",  "a:bc",
        "a b: c",   "a:\tb",  "a: b ",    "a: b\r",   "a: b\nc",  "a\n: b", "a: \x01z",
        "a: b\x7f", "a\t: b", "(a): bcd", "a\xc3: b", "a,b: cde", "=: abc",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK_EQ(append(wrong[i]), -EINVAL);
    CHECK_EQ(fields_append(&f, "a: \0b", 5), -EINVAL);
    CHECK_EQ(f.count, 0);
    CHECK_EQ(append("x: y") | append("!#$%&'*+-.^_`|~09azAZ: \xc3\xa9\tb"), 0);
}

TEST(set_replaces_all_of_that_name_whatever_the_case)
{
    begin();
    append("Cookie: a"), append("Other: b"), append("COOKIE: c");
    CHECK_EQ(set("cookie: new"), 0);
    CHECK_TEXT(all(), "Other: b\ncookie: new\n");
}

TEST(set_without_a_colon_removes)
{
    begin();
    append("Cookie: a"), append("Cookies: b"), append("cookie: c");
    CHECK_EQ(set("CookiE"), 0);
    CHECK_TEXT(all(), "Cookies: b\n");
    CHECK_EQ(set("Absent") | set(""), 0);
}

TEST(set_of_a_malformed_field_removes_nothing)
{
    begin();
    append("Cookie: a");
    CHECK_EQ(set("Cookie:b"), -EINVAL);
    CHECK_EQ(set("Cookie: b\r\nX: y"), -EINVAL);
    CHECK_TEXT(all(), "Cookie: a\n");
}

TEST(find_gives_the_first_that_is_left)
{
    begin();
    append("A: 1"), append("b: 2"), append("B: 3");
    CHECK_EQ(fields_find(&f, "B", 1) - f.field, 1);
    CHECK(!fields_find(&f, "B: ", 3) && !fields_find(&f, "", 0));
    set("b");
    CHECK(!fields_find(&f, "B", 1));
}

TEST(a_field_is_at_most_FIELD_MAX_long)
{
    begin();
    static char text[FIELD_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[1] = ':', text[2] = ' ';
    CHECK_EQ(fields_append(&f, text, FIELD_MAX), 0);
    CHECK_EQ(fields_append(&f, text, FIELD_MAX + 1), -EINVAL);
    CHECK(memcmp(f.text, text, FIELD_MAX) == 0);
}

TEST(a_list_has_a_bound_in_fields_and_in_bytes)
{
    begin();
    static char text[FIELD_MAX];
    for (int i = 0; i < FIELDS_MAX; i++)
        CHECK_EQ(append("a: b"), 0);
    CHECK_EQ(append("a: b"), -ENOSPC);
    fields_clear(&f);
    memset(text, 'x', sizeof(text));
    text[1] = ':', text[2] = ' ';
    for (uint32_t left = FIELDS_BYTES; left >= FIELD_MAX; left -= FIELD_MAX)
        CHECK_EQ(fields_append(&f, text, FIELD_MAX), 0);
    CHECK_EQ(fields_append(&f, text, FIELD_MAX), -ENOSPC);
    CHECK(f.used <= FIELDS_BYTES);
}

TEST(a_list_that_was_cleared_is_empty)
{
    begin();
    append("a: b");
    fields_clear(&f);
    CHECK(!fields_find(&f, "a", 1));
    CHECK_EQ(append("c: d"), 0);
    CHECK_TEXT(all(), "c: d\n");
    fields_release(&f);
}

static char shared[] = "Name: value-of-some-length";
static int stop;

/* Another clone: breaks the text and mends it, all the time. */
static void *break_and_mend(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        for (int i = 0; i < 2; i++) {
            __atomic_store_n(&shared[12], i ? '-' : '\r', __ATOMIC_RELAXED);
            __atomic_store_n(&shared[4], i ? ':' : ' ', __ATOMIC_RELAXED);
        }
    return unused;
}

/* Text in shared memory can change between a look and the next one. */
TEST(what_is_kept_is_what_was_checked)
{
    begin();
    pthread_t thread;
    stop = 0;
    CHECK_EQ(pthread_create(&thread, NULL, break_and_mend, NULL), 0);
    for (int i = 0; i < 200000; i++) {
        if ((i % 2 ? set(shared) : append(shared)) == -ENOSPC)
            fields_clear(&f);
        for (uint32_t k = f.count ? f.count - 1 : 0; k < f.count; k++)
            stop |= f.text[f.field[k].at + 12] == '\r' ||
                    f.text[f.field[k].at + f.field[k].colon] != ':';
        if (stop)
            break;
    }
    int broken = stop;
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    CHECK(!broken);
    begin();
}
