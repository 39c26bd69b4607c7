"""kvm_api.h: any C or C++ program may include it, and its layouts are the ABI's."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "guest" / "examples"
STRICT = "-Wall -Wextra -Wpedantic"
# The two programs of the seed do not use all of their parameters.
SEED_STYLE = f"{STRICT} -Wno-unused-parameter"

COUNTER = r"""#include "kvm_api.h"
#include <string.h>
#include <stdio.h>
static int storage_counter = 0;

static void increment_counter(size_t n, struct virtbuffer buf[n], size_t res)
{
	storage_counter ++;

	storage_return(&storage_counter, sizeof(storage_counter));
}

static void
on_get(const char *url, const char *arg)
{
	int counter;
	storage_call(increment_counter, 0, 0, &counter, sizeof(counter));

	http_setf(BERESP, "X-Counter: %d", counter);

	backend_response_str(200, "text/plain", "Hello Compute World!");
}

int main(int argc, char **argv)
{
	/* IS_STORAGE() macro tells us if we are currently in the storage VM */ 
	if (IS_STORAGE()) {
		puts("Hello Storage World!");
		fflush(stdout);
	}

	/* Only allow this function to be called in storage */
	STORAGE_ALLOW(increment_counter);

	set_backend_get(on_get);
	wait_for_requests();
}
"""

SCOUNTER = r"""#include "kvm_api.h"
#include <string.h>
#include <stdio.h>
static int *counter;

static void
on_get(const char *url, const char *arg)
{
	const int c = __sync_fetch_and_add(counter, 1);

	char buffer[64];
	const int len =
		snprintf(buffer, sizeof(buffer), "Hello %d World!", c);

	backend_response(200, "text/plain", strlen("text/plain"), buffer, len);
}

int main(int argc, char **argv)
{
	/* Allocate an integer from shared memory area */
	counter = SHM_ALLOC_TYPE(*counter);

	set_backend_get(on_get);
	wait_for_requests();
}
"""

# The ABI: struct -> its size, and the offset of each field.
LAYOUTS = {
    "kvm_request_header": (16, {"field": 0, "field_colon": 8, "field_len": 12}),
    "kvm_request": (
        128,
        {
            "method": 0,
            "url": 8,
            "arg": 16,
            "content_type": 24,
            "method_len": 32,
            "url_len": 34,
            "arg_len": 36,
            "content_type_len": 38,
            "content": 40,
            "content_len": 48,
            "headers": 56,
            "num_headers": 64,
            "info_flags": 66,
            "reserved": 68,
            "prng": 72,
            "reserved2": 88,
        },
    ),
    "ResponseHeader": (16, {"field": 0, "field_len": 8}),
    "BackendResponseExtra": (
        56,
        {
            "headers": 0,
            "num_headers": 8,
            "cached": 10,
            "ttl": 12,
            "grace": 16,
            "keep": 20,
            "reserved": 24,
        },
    ),
    "streaming_content": (16, {"data": 0, "len": 8}),
    "virtbuffer": (16, {"data": 0, "len": 8}),
    "shared_memory_info": (16, {"ptr": 0, "end": 8}),
    "meminfo": (
        32,
        {"max_memory": 0, "max_reqmem": 8, "reqmem_upper": 16, "reqmem_current": 24},
    ),
    "curl_op": (
        176,
        {
            "status": 0,
            "post_buflen": 4,
            "post_buffer": 8,
            "headers": 16,
            "headers_length": 24,
            "unused": 28,
            "content": 32,
            "content_length": 40,
            "ctlen": 44,
            "ctype": 48,
        },
    ),
    "curl_fields": (120, {"ptr": 0, "len": 96}),
    "curl_options": (
        24,
        {
            "interface": 0,
            "unused": 8,
            "follow_location": 16,
            "dummy_fetch": 17,
            "tcp_fast_open": 18,
            "dont_verify_host": 19,
            "unused2": 20,
        },
    ),
    "kvm_api_exchange": (
        4096,
        {
            "magic": 0,
            "is_storage": 4,
            "shm_begin": 8,
            "shm_end": 16,
            "method": 24,
            "method_len": 32,
            "headers": 40,
            "num_headers": 48,
            "request_changed": 56,
            "result_ready": 60,
            "data_len": 64,
            "reserved": 68,
            "data": 128,
        },
    ),
    "kvm_api_header_op": (8, {"op": 0, "where": 4, "len": 6}),
}

# The ABI: number -> the name after KVM_API_.
NUMBERS = {
    0x10000: "REGISTER_FUNC",
    0x10001: "WAIT_FOR_REQUESTS",
    0x10002: "WAIT_FOR_REQUESTS_PAUSED",
    0x10005: "SET_CACHEABLE",
    0x10010: "BACKEND_RESPONSE",
    0x10011: "STORAGE_RETURN",
    0x10012: "STREAMING_RESPONSE",
    0x10013: "STORAGE_NORETURN",
    0x10020: "HTTP_APPEND",
    0x10021: "HTTP_SET",
    0x10022: "HTTP_FIND",
    0x10023: "HTTP_METHOD",
    0x10030: "REGEX_COMPILE",
    0x10031: "REGEX_FREE",
    0x10032: "REGEX_MATCH",
    0x10033: "REGEX_SUBST",
    0x10035: "REGEX_COPYTO",
    0x10700: "SHARED_MEMORY_AREA",
    0x10703: "MAKE_EPHEMERAL",
    0x10706: "IS_STORAGE",
    0x10707: "STORAGE_ALLOW",
    0x10708: "STORAGE_CALLV",
    0x10709: "STORAGE_TASK",
    0x1070A: "STOP_STORAGE_TASK",
    0x10A00: "MEMINFO",
    0x20000: "FETCH",
    0x7E000: "RETURNED",
    0x7F000: "LOG",
    0x7F7F7: "BREAKPOINT",
    0x7FDEB: "IS_DEBUG",
}

# One use of every name that programs may use, in the way that they use it.
EVERYTHING = r"""
#include "kvm_api.h"

static void on_get(const char *url, const char *arg) { (void)url; (void)arg; }
static void on_post(const char *url, const char *arg, const char *ctype,
                    const uint8_t *data, size_t len)
{ (void)url; (void)arg; (void)ctype; (void)data; (void)len; }
static void on_request(const struct kvm_request *request) { (void)request; }
static long on_stream_post(const char *url, const char *arg, const char *ctype,
                           const uint8_t *data, size_t len, size_t off)
{ (void)url; (void)arg; (void)ctype; (void)data; (void)off; return (long)len; }
static void on_error(const char *url, const char *arg, const char *exception)
{ (void)url; (void)arg; (void)exception; }
static void on_update(void) {}
static void on_restore(size_t len) { (void)len; }
static struct streaming_content on_stream(void *arg, size_t max, size_t written,
                                          size_t total)
{
    struct streaming_content piece = {arg, max};
    (void)written;
    (void)total;
    return piece;
}
static void in_storage(size_t n, struct virtbuffer buf[], size_t res)
{
    (void)n;
    (void)res;
    storage_return(buf[0].data, buf[0].len);
    storage_return_nothing();
    storage_noreturn("x", 1);
}

static void responses(void)
{
    struct ResponseHeader header = {"X-A: 1", 6};
    struct BackendResponseExtra extra;
    memset(&extra, 0, sizeof(extra));
    extra.headers = &header;
    extra.num_headers = 1;
    backend_response(200, "text/plain", strlen("text/plain"), "body", 4);
    backend_response_str(200, "text/plain", "body");
    backend_response_extra(200, "text/plain", 10, "body", 4, &extra);
    sys_backend_response(200, "text/plain", 10, "body", 4, NULL);
    begin_streaming_response(200, "text/plain", 10, 1000, on_stream, NULL);
    set_cacheable(true, 1.5f, 2, 3);
    sys_set_cacheable(true, 1500, 2000, 3000);
}

static void headers(void)
{
    char buf[100];
    http_append(RESP, "X-A: 1", 6);
    http_append_str(BERESP, "X-A: 1");
    http_appendf(RESPONSE, "X-%s: %d", "A", 1);
    http_set(RESPONSE, "X-A: 1", 6);
    http_set_str(RESPONSE, "X-A: 1");
    http_setf(RESPONSE, "X-%s: %d", "A", 1);
    http_unset_str(REQ, "X-A");
    http_unset(BEREQ, "X-A", 3);
    long len = http_find(REQUEST, "host", 4, buf, sizeof(buf));
    len += http_find_str(REQUEST, "host", buf, sizeof(buf));
    len += http_find_strlen(REQUEST, "host");
    len += http_method(buf, sizeof(buf));
    len += sys_http_append(RESPONSE, "X-A: 1", 6) + sys_http_set(RESPONSE, "X", 1);
    len += sys_http_find(REQUEST, "host", 4, buf, 100) + sys_http_method(buf, 100);
    char *field = http_alloc_find(REQUEST, "host");
    char *method = http_alloc_method();
    free(field);
    free(method);
    vlogf("%ld bytes, %s", len, buf);
    sys_log("text", 4);
}

static void storage(void)
{
    int answer = sys_is_storage();
    struct virtbuffer two[2] = {{"a", 1}, {"b", 1}};
    storage_call(in_storage, 0, 0, &answer, sizeof(answer));
    storage_call(in_storage, "a", 1, NULL, 0);
    storage_callv(in_storage, 2, two, &answer, sizeof(answer));
    sys_storage_callv(in_storage, 2, two, &answer, sizeof(answer));
    storage_task(in_storage, "a", 1);
    sys_storage_task(in_storage, "a", 1, 10, 0);
    stop_storage_task(schedule_storage_task(in_storage, "a", 1, 0.5f, 1));
    sys_stop_storage_task(1);
}

static void rest(void)
{
    struct curl_op result;
    struct curl_options options;
    struct curl_fields fields;
    char buf[100];
    memset(&result, 0, sizeof(result));
    memset(&options, 0, sizeof(options));
    memset(&fields, 0, sizeof(fields));
    sys_fetch("/x", 2, &options, &result);
    long regex = sys_regex_compile("a+", 2);
    sys_regex_match(regex, "aa", 2);
    sys_regex_subst(regex, "aa", "b", buf, sizeof(buf), 1);
    sys_regex_copyto(regex, REQUEST, RESPONSE);
    sys_regex_free(regex);
    const struct meminfo info = get_meminfo();
    const struct shared_memory_info area = shared_memory_area();
    vlogf("%zu", (size_t)(info.max_memory + area.end + sys_shared_memory_area().ptr));
    sys_make_ephemeral(sys_is_debug());
    sys_breakpoint();
}

int main(int argc, char **argv)
{
    struct kvm_request request;
    if (argc < 1 || IS_LINUX_MAIN())
        return 1;
    if (IS_SANDBOXED_MAIN() && IS_STORAGE())
        STORAGE_ALLOW(in_storage);
    sys_storage_allow(in_storage);
    set_backend_get(on_get);
    set_backend_post(on_post);
    set_backend_request(on_request);
    set_backend_stream_post(on_stream_post);
    set_on_error(on_error);
    set_on_live_update(on_update);
    set_on_live_restore(on_restore);
    void *bytes = SHM_ALLOC_BYTES(100);
    void *more = SHM_ALLOC(100);
    int *number = SHM_ALLOC_TYPE(int);
    number = SHM_ALLOC_TYPE(*number);
    if (bytes == more || number == NULL)
        wait_for_requests_paused(&request);
    responses();
    headers();
    storage();
    rest();
    wait_for_requests();
}
"""


def test_any_program_may_include_the_header(
    dialect: tuple[str, str, str], compile: Callable[..., None]
) -> None:
    unused = '#include "kvm_api.h"\n'
    layouts = '#define KVM_API_LAYOUTS_ONLY\n#include "kvm_api.h"\n'
    twice = layouts + "#undef KVM_API_LAYOUTS_ONLY\n" + unused * 2
    compile(dialect, unused, layouts, twice, flags=f"-c -O2 {STRICT}")


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
def test_every_promised_name_is_there(
    dialect: tuple[str, str, str], compile: Callable[..., None], optimise: str
) -> None:
    compile(dialect, EVERYTHING, flags=f"{STRICT} {optimise} -o program")


def test_the_examples_compile_without_a_warning(
    dialect: tuple[str, str, str], compile: Callable[..., None]
) -> None:
    if dialect[0] == "c++":
        compile(dialect, EXAMPLES / "greet.cpp", flags=f"-c -O2 {STRICT}")
        return
    own = ("hello.c", "echo.c", "jwt.c", "flatten.c", "resize.c")
    seed = ("counter.c", "scounter.c")
    compile(dialect, *(EXAMPLES / f for f in own), flags=f"-c -O2 {STRICT}")
    compile(dialect, *(EXAMPLES / f for f in seed), flags=f"-c -O2 {SEED_STYLE}")


def test_the_seeds_programs_are_examples_as_printed() -> None:
    assert (EXAMPLES / "counter.c").read_bytes() == COUNTER.encode()
    assert (EXAMPLES / "scounter.c").read_bytes() == SCOUNTER.encode()


def test_the_layouts_are_those_of_the_abi(native: Callable[..., str]) -> None:
    lines = [
        f'printf("{struct} {field} %zu\\n", offsetof(struct {struct}, {field}));'
        for struct, (_, fields) in LAYOUTS.items()
        for field in fields
    ]
    lines += [f'printf("{name} %zu\\n", sizeof(struct {name}));' for name in LAYOUTS]
    expected = [
        f"{struct} {field} {offset}"
        for struct, (_, fields) in LAYOUTS.items()
        for field, offset in fields.items()
    ]
    expected += [f"{struct} {size}" for struct, (size, _) in LAYOUTS.items()]
    source = f"""#define KVM_API_LAYOUTS_ONLY
#include "kvm_api.h"
#include <stdio.h>
int main(void) {{ {" ".join(lines)} }}"""
    assert native(source).splitlines() == expected


def test_no_field_is_missing_from_the_layout_table() -> None:
    header = (ROOT / "guest" / "include" / "kvm_api.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    structs = re.findall(r"^struct (\w+) \{(.*?)^\};", code, re.S | re.M)
    found = {
        struct: re.findall(r"(\w+)(?:\[\w+\])?\s*[,;]", body)
        for struct, body in structs
    }
    assert found == {struct: list(fields) for struct, (_, fields) in LAYOUTS.items()}


def test_the_numbers_are_those_of_the_abi(native: Callable[..., str]) -> None:
    lines = [f'printf("%x\\n", KVM_API_{name});' for name in NUMBERS.values()]
    source = f"""#define KVM_API_LAYOUTS_ONLY
#include "kvm_api.h"
#include <stdio.h>
int main(void) {{ {" ".join(lines)} }}"""
    assert native(source).split() == [f"{number:x}" for number in NUMBERS]


@pytest.mark.parametrize(
    ("argv0", "sandboxed"), [("counter", "1 0"), ("./counter", "0 1"), ("", "1 0")]
)
def test_a_program_knows_where_it_runs_by_its_name(
    native: Callable[..., str], argv0: str, sandboxed: str
) -> None:
    source = r"""
#include "kvm_api.h"
int main(int argc, char **argv)
{
    (void)argc;
    printf("%d %d", IS_SANDBOXED_MAIN(), IS_LINUX_MAIN());
}"""
    assert native(source, argv0=argv0) == sandboxed


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("size", [0, 1, 8, 5000])
def test_a_file_can_be_embedded(
    native: Callable[..., str], tmp_path: Path, language: str, size: int
) -> None:
    (tmp_path / "page.html").write_text("x" * size)
    source = r"""
#include "kvm_api.h"
EMBED_BINARY(page, "page.html")
int main(void) { printf("%zu %zu %s", page_size, (size_t)page % 16, page); }"""
    assert native(source, language=language) == f"{size} 0 {'x' * size}"


def test_make_builds_every_example_and_again_for_a_new_header(tmp_path: Path) -> None:
    make = ["make", "-s", "-C", str(EXAMPLES), f"BUILD={tmp_path}"]
    subprocess.run(make, check=True)
    configured = re.findall(
        r'"filename": "build/([\w-]+)"', (EXAMPLES / "examples.json").read_text()
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(configured)
    assert subprocess.run([*make, "-q"]).returncode == 0
    assert subprocess.run([*make, "-q", "-W", "../include/kvm_api.h"]).returncode == 1
