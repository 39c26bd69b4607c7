/* Lines that programs print. */
#include <stdio.h>

#include "check.h"
#include "console.h"

static struct skerry_console *c;
static char line[2048];
static int kind;

static void begin(void)
{
    c = skerry_console_open();
    CHECK(c != NULL);
}

static void print(int stream, const char *text)
{
    console_write(c, stream, text, strlen(text));
}

static int take(void)
{
    int len = skerry_console_take(c, line, sizeof(line) - 1, &kind);
    line[len < 0 ? 0 : len] = 0;
    return len;
}

TEST(text_becomes_lines_however_it_comes)
{
    begin();
    const char *text = "one\n\ntwo\nthree";
    for (size_t i = 0; i < strlen(text); i++)
        console_write(c, SKERRY_LINE_STDOUT, text + i, 1);
    CHECK(take() == 3 && take() == 0 && take() == 3);
    CHECK_TEXT(line, "two");
    CHECK_EQ(take(), -1);
    console_flush(c);
    CHECK_EQ(take(), 5);
    CHECK_TEXT(line, "three");
    skerry_console_close(c);
}

TEST(streams_do_not_mix)
{
    begin();
    print(SKERRY_LINE_STDOUT, "out");
    print(SKERRY_LINE_STDERR, "err");
    print(SKERRY_LINE_LOG, "log");
    print(SKERRY_LINE_STDERR, "or\n");
    console_flush(c);
    CHECK(take() == 5 && kind == SKERRY_LINE_STDERR && strcmp(line, "error") == 0);
    CHECK(take() == 3 && kind == SKERRY_LINE_STDOUT);
    CHECK(take() == 3 && kind == SKERRY_LINE_LOG);
    CHECK_EQ(take(), -1);
    skerry_console_close(c);
}

TEST(a_long_line_comes_in_pieces)
{
    begin();
    for (int i = 0; i < 2500; i++)
        print(SKERRY_LINE_STDOUT, i < CONSOLE_LINE ? "a" : "b");
    print(SKERRY_LINE_STDOUT, "\n");
    CHECK_EQ(take(), CONSOLE_LINE);
    CHECK(line[0] == 'a' && line[CONSOLE_LINE - 1] == 'a');
    CHECK_EQ(take(), CONSOLE_LINE);
    CHECK_EQ(take(), 2500 - 2 * CONSOLE_LINE);
    CHECK_EQ(take(), -1);
    skerry_console_close(c);
}

TEST(a_line_of_the_host_is_cut_at_its_bound)
{
    begin();
    char text[3000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    console_note(c, "%s", text);
    CHECK_EQ(take(), CONSOLE_LINE - 1);
    CHECK_EQ(kind, SKERRY_LINE_HOST);
    skerry_console_close(c);
}

TEST(a_small_buffer_takes_the_beginning_of_a_line)
{
    begin();
    print(SKERRY_LINE_STDOUT, "abcdef\nx\n");
    CHECK_EQ(skerry_console_take(c, line, 3, &kind), 3);
    CHECK(memcmp(line, "abc", 3) == 0);
    CHECK(take() == 1 && line[0] == 'x');
    skerry_console_close(c);
}

/* Takes everything; returns how many lines of (stream) there were. */
static long drain(int stream)
{
    long lines = 0;
    while (take() >= 0)
        lines += kind == stream;
    return lines;
}

TEST(what_no_longer_fits_is_dropped_and_counted)
{
    begin();
    const long printed = 100000;
    for (long i = 0; i < printed; i++)
        print(SKERRY_LINE_STDOUT, "0123456789\n");
    CHECK(console_pending(c));
    long dropped = 0, taken = 0;
    while (take() >= 0) {
        taken += kind == SKERRY_LINE_STDOUT;
        if (kind == SKERRY_LINE_HOST)
            CHECK_EQ(sscanf(line, "%ld lines dropped", &dropped), 1);
    }
    CHECK(taken > 1000 && dropped > 1000);
    CHECK_EQ(taken + dropped, printed);
    print(SKERRY_LINE_STDOUT, "again\n");
    CHECK_EQ(drain(SKERRY_LINE_STDOUT), 1);
    skerry_console_close(c);
}

TEST(an_empty_console_says_so)
{
    begin();
    CHECK(!console_pending(c) && take() == -1);
    console_flush(c);
    CHECK(!console_pending(c));
    print(SKERRY_LINE_LOG, "x\n");
    CHECK(console_pending(c) && take() == 1 && take() == -1);
    CHECK(!console_pending(c));
    skerry_console_close(c);
    skerry_console_close(NULL);
}

TEST(a_console_lives_as_long_as_its_last_user)
{
    begin();
    console_share(c);
    skerry_console_close(c);
    print(SKERRY_LINE_LOG, "x\n");
    CHECK_EQ(take(), 1);
    skerry_console_close(c);
}
