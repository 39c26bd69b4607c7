/* The response of a program as a head and a body. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "reply.h"

static struct exchange x;
static struct text spill;
static struct skerry_reply reply;
static struct text out; /* of exactly its size: no write behind it goes unseen */

static void begin(void)
{
    fields_release(&x.answered);
    memset(&x, 0, sizeof(x));
    memset(&reply, 0, sizeof(reply));
    out = (struct text){.at = malloc(SKERRY_OUT_SIZE), .capacity = SKERRY_OUT_SIZE};
    x.status = 200;
    x.body = (const uint8_t *)"";
}

static void end(void)
{
    fields_release(&x.answered);
    free(spill.at);
    spill = (struct text){0};
    free(out.at);
}

static void append(const char *text)
{
    CHECK_EQ(fields_append(&x.answered, text, (uint32_t)strlen(text)), 0);
}

static void type(const char *text)
{
    x.content_type_len = (uint32_t)strlen(text);
    memcpy(x.content_type, text, x.content_type_len);
}

static void body(const void *bytes, uint64_t len)
{
    x.body = bytes;
    x.body_len = len;
}

static const char *build(void)
{
    static char head[SKERRY_OUT_SIZE + 1];
    reply = (struct skerry_reply){0};
    out.used = 0;
    CHECK_EQ(reply_build(&x, &out, &spill, &reply), 0);
    size_t len = reply.head_len < SKERRY_OUT_SIZE ? reply.head_len : SKERRY_OUT_SIZE;
    memcpy(head, reply.head, len);
    head[len] = 0;
    return head;
}

#define OCTETS "Content-Type: application/octet-stream\r\n"
#define EMPTY "Content-Length: 0\r\n\r\n"

TEST(a_small_answer_is_head_then_body)
{
    begin();
    type("text/plain");
    append("X-Counter: 1");
    body("Hello", 5);
    x.status = 404;
    CHECK_TEXT(build(), "Content-Type: text/plain\r\nX-Counter: 1\r\n"
                        "Content-Length: 5\r\n\r\n");
    CHECK(memcmp(out.at + reply.head_len, "Hello", 5) == 0);
    CHECK(reply.status == 404 && reply.flags == SKERRY_HAS_TYPE);
    end();
}

TEST(an_answer_without_a_type_is_octets)
{
    begin();
    CHECK_TEXT(build(), OCTETS EMPTY);
    end();
}

TEST(a_status_that_has_no_body_tells_no_length)
{
    begin();
    append("A: b");
    body("ignored", 7);
    for (x.status = 204; x.status <= 304; x.status += 100) {
        CHECK_TEXT(build(), "A: b\r\n\r\n");
        CHECK_EQ(reply.body_len, 0);
    }
    end();
}

TEST(fields_that_frame_messages_do_not_pass)
{
    static const char *const framing[] = {
        "Content-Length: 3", "transfer-encoding: chunked",
        "CONNECTION: close", "Keep-Alive: x",
        "Upgrade: h2c",      "TrAiLeR: X",
    };
    begin();
    for (size_t i = 0; i < sizeof(framing) / sizeof(*framing); i++)
        append(framing[i]);
    append("Content-Lengthy: 3");
    CHECK_TEXT(build(), "Content-Lengthy: 3\r\n" OCTETS EMPTY);
    CHECK_EQ(reply.flags, 0);
    end();
}

TEST(fields_that_were_removed_do_not_pass)
{
    begin();
    append("A: 1");
    append("Date: x");
    append("Content-Type: y");
    fields_set(&x.answered, "A", 1);
    fields_set(&x.answered, "date", 4);
    fields_set(&x.answered, "content-type", 12);
    CHECK_TEXT(build(), OCTETS EMPTY);
    CHECK_EQ(reply.flags, 0);
    end();
}

TEST(the_host_is_told_which_of_its_own_fields_are_there)
{
    begin();
    append("date: x");
    append("SERVER: y");
    append("content-type: z");
    CHECK_TEXT(build(), "date: x\r\nSERVER: y\r\ncontent-type: z\r\n" EMPTY);
    CHECK_EQ(reply.flags, SKERRY_HAS_DATE | SKERRY_HAS_SERVER | SKERRY_HAS_TYPE);
    end();
}

TEST(there_is_one_content_type_and_the_responses_wins)
{
    begin();
    append("content-type: a/b");
    append("Content-Type: e/f");
    CHECK_TEXT(build(), "content-type: a/b\r\n" EMPTY);
    type("c/d");
    CHECK_TEXT(build(), "Content-Type: c/d\r\n" EMPTY);
    end();
}

/* Fields of (each) bytes until they are (total) bytes long; the type is the first. */
static void fill_fields(size_t total, size_t each)
{
    static char field[FIELD_MAX];
    memset(field, 'v', sizeof(field));
    memcpy(field, "content-type: ", 14);
    while (total) {
        size_t line = total < each + 2 + 20 ? total : each + 2;
        CHECK_EQ(fields_append(&x.answered, field, (uint32_t)line - 2), 0);
        memcpy(field, "n: ", 3);
        total -= line;
    }
}

TEST(an_answer_that_just_fits_is_small_and_one_byte_more_is_large)
{
    static const uint8_t bytes[SKERRY_OUT_SIZE + 1] = {'b'};
    static const size_t heads[] = {100, 1000, SKERRY_OUT_SIZE - 100, SKERRY_OUT_SIZE};
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        for (size_t more = 0; more < 2; more++) {
            begin();
            size_t room = SKERRY_OUT_SIZE - heads[i] + more;
            char length[64];
            body(bytes, room);
            fill_fields(
                heads[i] - (size_t)sprintf(length, "Content-Length: %zu\r\n\r\n", room),
                900);
            build();
            CHECK(reply.head_len == heads[i] && reply.body_len == room);
            CHECK_EQ(!!(reply.flags & SKERRY_LARGE), more);
            CHECK_EQ(out.used, more ? 0 : SKERRY_OUT_SIZE);
            CHECK(reply.head == out.at);
            end();
        }
}

TEST(a_head_that_does_not_fit_spills)
{
    for (size_t total = SKERRY_OUT_SIZE - 20; total < 200000; total += 39989) {
        begin();
        fill_fields(total, 60000);
        for (int again = 0; again < 2; again++) {
            build();
            CHECK(reply.flags & SKERRY_LARGE && reply.head != out.at);
            CHECK_EQ(reply.head_len, total + strlen(EMPTY));
            CHECK(memcmp(reply.head, "content-type: v", 15) == 0);
            CHECK(memcmp(reply.head + total - 3, "v\r\n" EMPTY, 3 + strlen(EMPTY)) ==
                  0);
        }
        end();
    }
}

TEST(a_small_answer_follows_a_large_one)
{
    begin();
    fill_fields(100000, 60000);
    build();
    fields_clear(&x.answered);
    append("a: b");
    CHECK_TEXT(build(), "a: b\r\n" OCTETS EMPTY);
    CHECK(reply.head == out.at && reply.flags == 0);
    end();
}

TEST(answers_of_a_batch_lie_one_behind_the_other)
{
    begin();
    struct text whole = out;
    body("Hello", 5);
    for (size_t used = 0; used < 1000; used += out.used) {
        out = (struct text){.at = whole.at + used, .capacity = 1000 - used};
        CHECK_TEXT(build(), OCTETS "Content-Length: 5\r\n\r\n");
        if (reply.flags & SKERRY_LARGE)
            break;
        CHECK(reply.head == whole.at + used && out.used == reply.head_len + 5);
    }
    CHECK(reply.flags & SKERRY_LARGE && out.used == 0);
    out = whole;
    end();
}

TEST(a_failure_is_an_answer_too)
{
    begin();
    reply_failed(&out, &reply);
    CHECK(reply.status == 500 && reply.body == out.at + reply.head_len);
    CHECK(
        strstr(strncpy((char[100]){0}, reply.head, 60), "Content-Length: 23\r\n\r\n"));
    CHECK(memcmp(reply.body, "500 the program failed\n", reply.body_len) == 0);
    CHECK_EQ(reply.body_len, 23);
    end();
}

TEST(a_stream_has_a_head_and_no_body_yet)
{
    static const struct {
        int status;
        uint64_t total;
        uint32_t flag;
        const char *end;
    } cases[] = {
        {200, 70000, SKERRY_STREAM, OCTETS "Content-Length: 70000\r\n\r\n"},
        {200, STREAM_UNKNOWN, SKERRY_STREAM, OCTETS "\r\n"},
        {204, 70000, 0, "\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin();
        x.status = cases[i].status;
        x.stream = (struct stream){.function = 1, .total = cases[i].total};
        CHECK_TEXT(build(), cases[i].end);
        CHECK_EQ(reply.flags & (SKERRY_STREAM | SKERRY_LARGE), cases[i].flag);
        CHECK_EQ(reply.body_len, 0);
        CHECK_EQ(reply.stream_len, cases[i].flag ? cases[i].total : 0);
        end();
    }
}
