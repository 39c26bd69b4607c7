/* kitchen-sink.c: everything that kvm_api.h offers, a path for each. It is what the tests
 * load for a minute, so every answer can be checked: see table[]. main_arguments choose
 * how requests come: "callbacks", "request" or "paused". */
#define _POSIX_C_SOURCE 200809L
#include "kvm_api.h"
#include <fcntl.h>
#include <unistd.h>

#define TEXT "text/plain"

static void say(const char *text)
{
    backend_response_str(200, TEXT, text);
}

static void say_number(const char *what, long number)
{
    char text[64];
    snprintf(text, sizeof(text), "%s %ld", what, number);
    say(text);
}

/* The number at the end of (url), 0 without one. */
static long number_in(const char *url)
{
    const char *slash = strrchr(url, '/');
    return slash != NULL ? strtol(slash + 1, NULL, 10) : 0;
}

/* --- Headers, and what goes with a response --- */

static void headers(const char *url, const char *arg)
{
    char method[16] = "";
    http_method(method, sizeof(method) - 1);
    char *agent = http_alloc_find(REQUEST, "User-Agent");
    http_set_str(RESPONSE, "X-Unset: this one goes");
    http_unset_str(RESPONSE, "X-Unset");
    http_appendf(RESPONSE, "X-Length: %ld", http_find_strlen(REQUEST, "Host"));
    http_append_str(REQUEST, "X-Added: to the request");
    char added[64] = "";
    http_find_str(REQUEST, "X-Added", added, sizeof(added) - 1);
    http_append_str(RESPONSE, added);
    http_setf(RESPONSE, "X-Method: %s", method);
    http_setf(RESPONSE, "X-Agent: %s", agent != NULL ? agent : "none");
    free(agent);
    say(arg);
}

static void extra(const char *url, const char *arg)
{
    const char *fields[] = {"X-One: 1", "X-Two: 2"};
    struct ResponseHeader lines[2];
    for (int i = 0; i < 2; i++)
        lines[i] = (struct ResponseHeader){fields[i], strlen(fields[i])};
    const struct BackendResponseExtra more = {
        .headers = lines, .num_headers = 2, .cached = true, .ttl = 60, .grace = 30};
    backend_response_extra(200, TEXT, strlen(TEXT), "extra", 5, &more);
}

static void cacheable(const char *url, const char *arg)
{
    set_cacheable(true, 10.0f, 5.0f, 0.0f);
    say("cacheable");
}

/* --- Regular expressions: compiled once, used by every request --- */

static long words;

static void regex(const char *url, const char *arg)
{
    char text[256];
    const long mine = sys_regex_compile("^X-Copy", 7);
    const long copied = sys_regex_copyto(mine, REQUEST, RESPONSE);
    sys_regex_free(mine);
    if (sys_regex_match(words, url, strlen(url)) < 0 ||
        sys_regex_subst(words, url, "<\\1>", text, sizeof(text), 1) < 0)
        backend_response_str(404, TEXT, "no words");
    http_setf(RESPONSE, "X-Copied: %ld", copied);
    say(text);
}

/* --- Storage --- */

enum { COUNT, SUM, TICKS };
static long totals[3];

static void add(size_t n, struct virtbuffer buf[], size_t res)
{
    for (size_t i = 0; i < n; i++)
        totals[SUM] += *(const long *)buf[i].data;
    totals[COUNT] += n == 1; /* of storage_call, not of storage_callv */
    storage_return(totals, 2 * sizeof(long));
}

static void tick(size_t n, struct virtbuffer buf[], size_t res)
{
    totals[TICKS]++;
    storage_return_nothing();
}

static void read_ticks(size_t n, struct virtbuffer buf[], size_t res)
{
    storage_noreturn(&totals[TICKS], sizeof(long));
}

static void fail(size_t n, struct virtbuffer buf[], size_t res)
{
    totals[COUNT] += 1000000;
    abort();
}

static void counter(const char *url, const char *arg)
{
    long both[2] = {0, 0};
    storage_call(add, &both[0], sizeof(both[0]), both, sizeof(both));
    say_number("count", both[0]);
}

static void vector(const char *url, const char *arg)
{
    const long one = 1, two = 2;
    const struct virtbuffer buf[] = {{&one, sizeof(one)}, {&two, sizeof(two)}};
    long both[2] = {0, 0};
    storage_callv(add, 2, buf, both, sizeof(both));
    say_number("sum", both[1]);
}

static void undone(const char *url, const char *arg)
{
    say_number("failed", storage_call(fail, NULL, 0, NULL, 0));
}

static void task(const char *url, const char *arg)
{
    storage_task(tick, NULL, 0);
    const long timer = schedule_storage_task(tick, NULL, 0, 30.0f, 30.0f);
    say_number("stopped", timer >= 0 ? stop_storage_task(timer) : timer);
}

static void ticked(const char *url, const char *arg)
{
    long now = -1;
    storage_call(read_ticks, NULL, 0, &now, sizeof(now));
    say_number("ticks", now);
}

/* The one file that a storage program may write. */
static void write_state(size_t n, struct virtbuffer buf[], size_t res)
{
    const int fd = open("state", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    long written = fd < 0 ? -1 : (long)write(fd, buf[0].data, buf[0].len);
    if (fd >= 0 && close(fd) != 0)
        written = -1;
    storage_return(&written, sizeof(written));
}

static void state(const char *url, const char *arg)
{
    long written = -1;
    storage_call(write_state, url, strlen(url), &written, sizeof(written));
    say_number("written", written);
}

/* --- Shared memory --- */

static long *hits;

static void shared(const char *url, const char *arg)
{
    say_number("hits", __sync_add_and_fetch(hits, 1));
}

/* --- Files, other hosts, streams --- */

static void file(const char *url, const char *arg)
{
    char text[256] = "";
    const int fd = open("data/greeting.txt", O_RDONLY);
    const ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (len < 0)
        backend_response_str(404, TEXT, "no file");
    backend_response(200, TEXT, strlen(TEXT), text, (size_t)len);
}

static void fetch(const char *url, const char *arg)
{
    static char content[4096];
    const char *path = "/hello";
    struct curl_op op;
    memset(&op, 0, sizeof(op));
    op.content = content;
    op.content_length = sizeof(content);
    const long ret = sys_fetch(path, strlen(path), NULL, &op);
    if (ret < 0)
        say_number("not fetched", ret);
    backend_response((int16_t)op.status, op.ctype, op.ctlen, content, op.content_length);
}

static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    static char text[16384];
    const size_t left = total - written, room = max < sizeof(text) ? max : sizeof(text);
    const size_t len = left < room ? left : room;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + (written + i) % 26);
    return (struct streaming_content){text, len};
}

static void stream(const char *url, const char *arg)
{
    begin_streaming_response(200, TEXT, strlen(TEXT), (size_t)number_in(url), piece,
                             NULL);
}

/* --- The machine itself --- */

static void memory(const char *url, const char *arg)
{
    const struct meminfo info = get_meminfo();
    volatile char *some = (volatile char *)malloc(1 << 20);
    if (some == NULL)
        backend_response_str(500, TEXT, "no memory");
    for (size_t i = 0; i < 1 << 20; i += 4096)
        some[i] = 'x';
    say(get_meminfo().reqmem_current > info.reqmem_current ? "more" : "less");
}

static void logged(const char *url, const char *arg)
{
    vlogf("asked for %s", url);
    sys_breakpoint();
    say_number("debug", sys_is_debug());
}

static void crash(const char *url, const char *arg)
{
    __builtin_trap();
}

static char noted[64];

static void remember(const char *url, const char *arg)
{
    const int is_clean = noted[0] == '\0';
    snprintf(noted, sizeof(noted), "%s", url);
    say(is_clean ? "clean" : noted);
}

static const struct {
    const char *path;
    kvm_get_func answer;
} table[] = {
    {"/headers", headers}, {"/extra", extra},     {"/cacheable", cacheable},
    {"/regex", regex},     {"/counter", counter}, {"/vector", vector},
    {"/undone", undone},   {"/task", task},       {"/ticked", ticked},
    {"/state", state},     {"/shared", shared},   {"/file", file},
    {"/fetch", fetch},     {"/stream", stream},   {"/memory", memory},
    {"/logged", logged},   {"/crash", crash},     {"/remember", remember},
};

/* (url) begins with the program's name. */
static void on_get(const char *url, const char *arg)
{
    const char *path = strchr(url + 1, '/');
    for (size_t i = 0; path != NULL && i < sizeof(table) / sizeof(*table); i++)
        if (strncmp(path, table[i].path, strlen(table[i].path)) == 0)
            table[i].answer(url, arg);
    backend_response_str(404, TEXT, "no such path");
}

static void on_post(const char *url, const char *arg, const char *ctype,
                    const uint8_t *data, size_t len)
{
    say_number("posted", (long)len);
}

static size_t streamed, checksum;

static long on_stream_post(const char *url, const char *arg, const char *ctype,
                           const uint8_t *data, size_t len, size_t off)
{
    for (size_t i = 0; i < len; i++)
        checksum += data[i];
    streamed += off == streamed ? len : 0;
    return (long)len;
}

static void on_streamed(const char *url, const char *arg, const char *ctype,
                        const uint8_t *data, size_t len)
{
    char text[64];
    snprintf(text, sizeof(text), "streamed %zu of %zu, sum %zu", streamed, len, checksum);
    say(text);
}

static void on_request(const struct kvm_request *request)
{
    http_setf(RESPONSE, "X-Random: %016lx%016lx", (unsigned long)request->prng[0],
              (unsigned long)request->prng[1]);
    if (request->content_len > 0)
        on_post(request->url, request->arg, request->content_type, request->content,
                request->content_len);
    on_get(request->url, request->arg);
}

static void on_error(const char *url, const char *arg, const char *exception)
{
    backend_response_str(503, TEXT, "it failed, and says so");
}

/* --- A new build takes over what this one has counted --- */

static void on_update(void)
{
    storage_return(totals, sizeof(totals));
}

static void on_restore(size_t len)
{
    storage_return(totals, len);
}

static void allow(void)
{
    STORAGE_ALLOW(add);
    STORAGE_ALLOW(tick);
    STORAGE_ALLOW(read_ticks);
    STORAGE_ALLOW(fail);
    STORAGE_ALLOW(write_state);
}

int main(int argc, char **argv)
{
    static const char pattern[] = "([a-z]+)\\.";
    const char *mode = argc > 1 ? argv[1] : "callbacks";
    if (!IS_SANDBOXED_MAIN()) {
        puts("kitchen-sink runs on skerry only");
        return 1;
    }
    words = sys_regex_compile(pattern, sizeof(pattern) - 1);
    hits = SHM_ALLOC_TYPE(*hits);
    allow();
    set_on_error(on_error);
    set_on_live_update(on_update);
    set_on_live_restore(on_restore);
    if (strcmp(mode, "paused") == 0) {
        struct kvm_request request;
        wait_for_requests_paused(&request);
        on_request(&request);
    }
    if (strcmp(mode, "request") == 0)
        set_backend_request(on_request);
    set_backend_get(on_get);
    set_backend_stream_post(on_stream_post);
    set_backend_post(on_streamed);
    wait_for_requests();
}
