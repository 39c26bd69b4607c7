/* Regular expressions: what they match, their limits, their way to another process. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "regexes.h"

static const uint8_t go, halt = 1;
static char why[160];

static struct pattern *make(const char *text)
{
    struct pattern *p = NULL;
    CHECK_EQ(pattern_make(text, strlen(text), &p, why, sizeof(why)), 0);
    return p;
}

/* Matches a copy of exactly its size: no read beyond it goes unseen. */
static long match(const char *pattern, const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    struct pattern *p = make(pattern);
    memcpy(copy, text, len);
    long ret = pattern_match(p, copy, len, &go);
    pattern_free(p);
    free(copy);
    return ret;
}

TEST(a_match_tells_the_highest_group_and_one)
{
    CHECK_EQ(match("a", "cba"), 1);
    CHECK_EQ(match("(a)(b)?", "cba"), 2);
    CHECK_EQ(match("(a)|(b)", "b"), 3);
    CHECK_EQ(match("a", "cb"), -1);
    CHECK_EQ(match("", ""), 1);
    CHECK_EQ(match("^$", "a"), -1);
}

TEST(a_match_of_too_many_steps_or_too_much_heap_is_none)
{
    static char text[100001];
    memset(text, 'a', sizeof(text) - 1);
    CHECK_EQ(match("^(?:a|b)*$", text), -E2BIG);
    text[40] = 0;
    text[39] = 'b';
    CHECK_EQ(match("^(a+)+$", text), -E2BIG);
}

TEST(a_match_stops_when_it_is_told_to)
{
    struct pattern *p = make("a+b");
    char out[8];
    const struct replacement r = {"x", 1, 1};
    CHECK_EQ(pattern_match(p, "aaab", 4, &halt), PATTERN_STOPPED);
    CHECK_EQ(pattern_replace(p, "aaab", 4, &r, &halt, out, 8), PATTERN_STOPPED);
    CHECK_EQ(pattern_match(p, "aaab", 4, &go), 1);
    pattern_free(p);
}

TEST(a_replacement_writes_no_byte_beyond_its_room)
{
    struct pattern *p = make("b*");
    const struct replacement r = {"<\\0>", 4, 1};
    char *whole = malloc(17);
    CHECK_EQ(pattern_replace(p, "abbc", 4, &r, &go, whole, 17), 13);
    CHECK_TEXT(whole, "<>a<bb><>c<>");
    for (size_t room = 0; room < 13; room++) {
        char *out = malloc(room ? room : 1);
        CHECK_EQ(pattern_replace(p, "abbc", 4, &r, &go, out, room), -E2BIG);
        free(out);
    }
    free(whole);
    pattern_free(p);
}

static long replaced(const char *pattern, const char *text)
{
    const struct replacement r = {"x", 1, 1};
    struct pattern *p = make(pattern);
    char out[64];
    long ret = pattern_replace(p, text, strlen(text), &r, &go, out, sizeof(out));
    pattern_free(p);
    return ret;
}

TEST(a_match_that_ends_before_it_begins_is_not_replaced)
{
    CHECK_EQ(replaced("a\\Kb", "abab"), 5);
    CHECK_EQ(replaced("(?(DEFINE)(?<s>b\\K))a(?=(?&s))", "ab"), -E2BIG);
    CHECK_EQ(replaced("(?(DEFINE)(?<s>\\Ka))(?<=(?&s))b|a", "ab"), -E2BIG);
}

TEST(a_handle_is_the_lowest_that_is_free)
{
    struct regexes r = {0};
    for (long i = 1; i <= REGEX_MAX; i++)
        CHECK_EQ(regexes_make(&r, "a", 1, why, sizeof(why)), i);
    CHECK_EQ(regexes_make(&r, "a", 1, why, sizeof(why)), -ENOSPC);
    CHECK_EQ(regexes_free(&r, 7), 0);
    CHECK_EQ(regexes_free(&r, 7), -EINVAL);
    CHECK_EQ(regexes_make(&r, "(", 1, why, sizeof(why)), -EINVAL);
    CHECK_EQ(regexes_make(&r, "b", 1, why, sizeof(why)), 7);
    CHECK_EQ(regexes_free(&r, 0), -EINVAL);
    CHECK_EQ(regexes_free(&r, REGEX_MAX + 1), -EINVAL);
    regexes_restore(&r, &(struct regexes){0});
    CHECK(!regexes_find(&r, 1));
}

TEST(a_clone_shares_what_is_frozen_and_owns_what_it_makes)
{
    struct regexes start = {0}, frozen, clone = {0};
    CHECK_EQ(regexes_make(&start, "a", 1, why, sizeof(why)), 1);
    regexes_freeze(&start, &frozen);
    regexes_restore(&clone, &frozen);
    CHECK(regexes_find(&clone, 1) == regexes_find(&frozen, 1));
    CHECK_EQ(regexes_free(&clone, 1), 0);
    CHECK_EQ(regexes_make(&clone, "b", 1, why, sizeof(why)), 1);
    CHECK_EQ(clone.changed, 1);
    regexes_restore(&clone, &frozen);
    CHECK(regexes_find(&clone, 1) == regexes_find(&frozen, 1) && !clone.changed);
    regexes_restore(&clone, &(struct regexes){0});
    regexes_close(&frozen);
}

static void *packed(size_t *size)
{
    struct regexes start = {0}, frozen;
    CHECK_EQ(regexes_make(&start, "a", 1, why, sizeof(why)), 1);
    CHECK_EQ(regexes_make(&start, "(b)", 3, why, sizeof(why)), 2);
    CHECK_EQ(regexes_make(&start, "", 0, why, sizeof(why)), 3);
    CHECK_EQ(regexes_free(&start, 1), 0);
    regexes_freeze(&start, &frozen);
    *size = regexes_packed(&frozen);
    void *bytes = malloc(*size);
    regexes_pack(&frozen, bytes);
    regexes_close(&frozen);
    return bytes;
}

TEST(a_packed_pattern_matches_by_the_same_handle)
{
    struct regexes there = {0};
    size_t size;
    void *bytes = packed(&size);
    CHECK_EQ(regexes_unpack(&there, bytes, size, NULL), 0);
    CHECK(!regexes_find(&there, 1));
    CHECK_EQ(pattern_match(regexes_find(&there, 2), "b", 1, &go), 2);
    CHECK_EQ(pattern_match(regexes_find(&there, 3), "b", 1, &go), 1);
    regexes_close(&there);
    free(bytes);
}

/* Other bytes may be patterns too, but nothing reads beyond them. */
TEST(what_was_not_packed_is_refused)
{
    size_t size;
    uint8_t *bytes = packed(&size);
    for (size_t len = 1; len < size; len++) {
        struct regexes there = {0};
        uint8_t *cut = malloc(len);
        memcpy(cut, bytes, len);
        if (len != 11) /* where a pattern ends */
            CHECK_EQ(regexes_unpack(&there, cut, len, NULL), -EINVAL);
        regexes_close(&there);
        free(cut);
    }
    for (size_t at = 0; at < size; at++) {
        struct regexes there = {0};
        bytes[at] ^= 0xff;
        regexes_unpack(&there, bytes, size, NULL);
        regexes_close(&there);
        bytes[at] ^= 0xff;
    }
    free(bytes);
}
