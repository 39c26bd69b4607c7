/* flatten.c: JSON in, JSON out: {"a": {"b": [1, 2]}} becomes {"a.b.0": 1, "a.b.1": 2}.
 *
 *      curl -d '{"a": {"b": [1, 2]}}' .../flatten
 *
 * It reads the text once (RFC 8259) and writes while it reads. What stands in strings
 * and numbers stays as it is written; an empty object or array stays one. The same
 * program is there in Rust, Zig and Go. */
#include "kvm_api.h"

#define DEPTH_MAX 100         /* objects and arrays around a value */
#define RESULT_MAX (4u << 20) /* bytes: long names, once for each value, are long */

struct text {
    const char *at, *end;
};

struct buffer {
    char *data;
    size_t len, room;
};

static struct text in;
static struct buffer out, path;

__attribute__((noreturn)) static void refuse(int16_t status, const char *why)
{
    backend_response_str(status, "text/plain", why);
    abort(); /* not reached: a response ends the request */
}

__attribute__((noreturn)) static void malformed(void)
{
    refuse(400, "expected JSON\n");
}

static void add(struct buffer *to, const char *data, size_t len)
{
    if (len > RESULT_MAX - to->len)
        refuse(413, "the result is too large\n");
    if (len > to->room - to->len) {
        to->room = 2 * (to->len + len);
        to->data = realloc(to->data, to->room);
        if (to->data == NULL)
            refuse(503, "out of memory\n");
    }
    memcpy(to->data + to->len, data, len);
    to->len += len;
}

/* --- The text --- */

/* The byte that comes next; 0, which is no part of JSON, at the end. */
static char peek(void)
{
    return in.at < in.end ? *in.at : '\0';
}

static bool take(char c)
{
    if (peek() != c)
        return false;
    in.at++;
    return true;
}

static void expect(char c)
{
    if (!take(c))
        malformed();
}

static void skip_space(void)
{
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')
        in.at++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void digits(void)
{
    if (!is_digit(peek()))
        malformed();
    while (is_digit(peek()))
        in.at++;
}

static void number(void)
{
    take('-');
    if (!take('0'))
        digits();
    if (take('.'))
        digits();
    if (take('e') || take('E')) {
        if (!take('+'))
            take('-');
        digits();
    }
}

static void escape(void)
{
    const char c = peek();
    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
        malformed();
    in.at++;
    for (int i = 0; c == 'u' && i < 4; i++, in.at++)
        if (peek() == '\0' || strchr("0123456789abcdefABCDEF", peek()) == NULL)
            malformed();
}

static void string(void)
{
    expect('"');
    while (!take('"')) {
        if ((unsigned char)peek() < ' ')
            malformed();
        if (take('\\'))
            escape();
        else
            in.at++;
    }
}

static void word(const char *expected)
{
    for (; *expected != '\0'; expected++)
        expect(*expected);
}

/* --- The values --- */

static void scalar(void)
{
    switch (peek()) {
    case '"':
        string();
        break;
    case 't':
        word("true");
        break;
    case 'f':
        word("false");
        break;
    case 'n':
        word("null");
        break;
    default:
        number();
    }
}

/* Writes the member (value), whose name is the path. */
static void emit(const char *value, size_t len)
{
    add(&out, out.len == 0 ? "{\n  \"" : ",\n  \"", 5);
    add(&out, path.data, path.len);
    add(&out, "\": ", 3);
    add(&out, value, len);
}

static void value(int depth);

/* A value inside of another, where its name is (len) bytes at (name). */
static void child(const char *name, size_t len, int depth)
{
    const size_t before = path.len;
    if (before > 0)
        add(&path, ".", 1);
    add(&path, name, len);
    value(depth + 1);
    path.len = before;
    skip_space();
}

static void object(int depth)
{
    do {
        skip_space();
        const char *name = in.at + 1;
        string();
        const size_t len = (size_t)(in.at - 1 - name);
        skip_space();
        expect(':');
        child(name, len, depth);
    } while (take(','));
    expect('}');
}

static void array(int depth)
{
    char name[24];
    size_t i = 0;
    do
        child(name, (size_t)snprintf(name, sizeof(name), "%zu", i++), depth);
    while (take(','));
    expect(']');
}

/* The value that begins here or behind spaces, in so many others. */
static void value(int depth)
{
    skip_space();
    const char *begin = in.at;
    if (depth > DEPTH_MAX)
        malformed();
    if (take('{')) {
        skip_space();
        if (take('}'))
            emit("{}", 2);
        else
            object(depth);
    } else if (take('[')) {
        skip_space();
        if (take(']'))
            emit("[]", 2);
        else
            array(depth);
    } else {
        scalar();
        emit(begin, (size_t)(in.at - begin));
    }
}

/* --- UTF-8, RFC 3629 --- */

/* The length of the character at (at), or 0 if it is none: so many bytes as its first
 * one says, no more than it needs, and neither a surrogate nor above U+10FFFF. */
static size_t character(const unsigned char *at, size_t left)
{
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t len = *at < 0x80   ? 1
                       : *at < 0xC0 ? 0
                       : *at < 0xE0 ? 2
                       : *at < 0xF0 ? 3
                       : *at < 0xF8 ? 4
                                    : 0;
    if (len <= 1 || len > left)
        return len > left ? 0 : len;
    uint32_t code = *at & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3F);
    }
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    return code >= LEAST[len] && code <= 0x10FFFF && !surrogate ? len : 0;
}

static bool is_utf8(const uint8_t *data, size_t len)
{
    for (size_t at = 0, step; at < len; at += step) {
        step = character(data + at, len - at);
        if (step == 0)
            return false;
    }
    return true;
}

static void on_post(const char *url, const char *arg, const char *ctype,
                    const uint8_t *data, size_t len)
{
    (void)url;
    (void)arg;
    (void)ctype;
    if (!is_utf8(data, len))
        malformed();
    in = (struct text){(const char *)data, (const char *)data + len};
    value(0);
    skip_space();
    if (in.at != in.end)
        malformed();
    add(&out, "\n}\n", 3);
    backend_response(200, "application/json", strlen("application/json"), out.data,
                     out.len);
}

static void on_get(const char *url, const char *arg)
{
    (void)url;
    (void)arg;
    refuse(405, "POST some JSON\n");
}

int main(void)
{
    set_backend_get(on_get);
    set_backend_post(on_post);
    wait_for_requests();
}
