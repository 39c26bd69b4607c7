"""kvm_api.h: what its functions ask of a host, and what they find out without asking.

The programs here run natively, with a host of a few lines inside (fake_host.h)."""

from collections.abc import Callable

import pytest

# What every program here begins with.
REQUEST_HEADERS = r"""
static char host_field[] = "Host: example.org";
static char accept[] = "Accept: a", again[] = "accept: b";
static struct kvm_request_header received[] = {
    {host_field, 4, 17}, {accept, 6, 9}, {again, 6, 9}};

static void receive(void)
{
    page->headers = received;
    page->num_headers = 3;
}
"""


@pytest.fixture(params=["gcc -O0", "gcc -O2", "g++ -O2"])
def guest(
    request: pytest.FixtureRequest, native: Callable[..., str]
) -> Callable[..., None]:
    """guest(body, before): runs (body) as main; every CHECK in it must hold."""
    compiler, optimise = request.param.split()

    def run(body: str, before: str = "") -> None:
        main = f"int main(void)\n{{\n    fake_host();\n{body}\n    return 0;\n}}\n"
        native(
            '#include "fake_host.h"\n' + REQUEST_HEADERS + before + main,
            language="c++" if compiler == "g++" else "c",
            flags=f"{optimise} -Wall -Wextra -Wno-unused",
        )

    return run


def test_a_call_by_number_passes_six_arguments_and_keeps_the_rest(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    host_rax = -1234567890123;
    CHECK(kvm_api_call6(0x12345, 1, 2, 3, 4, 5, 6) == -1234567890123);
    CHECK(num_calls == 1 && last_call()->nr == 0x12345);
    for (unsigned i = 0; i < 6; i++)
        CHECK(last_call()->arg[i] == i + 1);
    """)


def test_two_word_results_come_from_rax_and_rdx(guest: Callable[..., None]) -> None:
    guest(r"""
    host_rax = 0x4000000000, host_rdx = 0x4000200000;
    struct shared_memory_info area = sys_shared_memory_area();
    CHECK(area.ptr == 0x4000000000 && area.end == 0x4000200000);
    """)


def test_callbacks_are_registered_by_their_index(guest: Callable[..., None]) -> None:
    guest(r"""
    set_backend_get((kvm_get_func)0x1001);
    set_backend_post((kvm_post_func)0x1002);
    set_backend_request((kvm_request_func)0x1003);
    set_backend_stream_post((kvm_stream_post_func)0x1004);
    set_on_error((kvm_error_func)0x1005);
    set_on_live_update((kvm_live_update_func)0x1006);
    set_on_live_restore((kvm_live_restore_func)0x1007);
    CHECK(num_calls == 7);
    for (unsigned i = 0; i < 7; i++) {
        CHECK(calls[i].nr == KVM_API_REGISTER_FUNC);
        CHECK(calls[i].arg[0] == i + 1 && calls[i].arg[1] == 0x1001 + i);
    }
    """)


def test_the_wait_never_returns_even_if_the_host_does(
    guest: Callable[..., None],
) -> None:
    guest(
        r"""
    noreturn_nr = 0; /* the host comes back: three times, then it stops the program */
    if (sigsetjmp(noreturn, 1) == 0) {
        signal(SIGALRM, stop);
        ualarm(100000, 0);
        wait_for_requests();
    }
    CHECK(num_calls > 1 && last_call()->nr == KVM_API_WAIT_FOR_REQUESTS);
    """,
        "#include <unistd.h>\n"
        "static void stop(int signal) { (void)signal; siglongjmp(noreturn, 1); }\n",
    )


def test_a_response_is_one_call_with_all_of_it(guest: Callable[..., None]) -> None:
    guest(r"""
    struct BackendResponseExtra extra;
    text_arg = 3;
    backend_response_str(404, "text/plain", "not here");
    CHECK(num_calls == 1 && last_call()->nr == KVM_API_BACKEND_RESPONSE);
    CHECK(last_call()->arg[0] == 404 && last_call()->arg[2] == 10);
    CHECK(last_call()->arg[4] == 8 && last_call()->arg[5] == 0);
    CHECK(saw("not here"));
    backend_response_extra(-1, NULL, 0, NULL, 0, &extra);
    CHECK((int16_t)last_call()->arg[0] == -1 && last_call()->arg[3] == 0);
    CHECK(last_call()->arg[5] == (uint64_t)&extra);
    """)


def test_caching_times_are_sent_in_milliseconds(guest: Callable[..., None]) -> None:
    guest(r"""
    page->is_storage = 1; /* nothing is gathered: by number */
    set_cacheable(true, 1.5f, -1.0f, 0.25f);
    CHECK(last_call()->arg[0] == 1 && last_call()->arg[1] == 1500);
    CHECK(last_call()->arg[2] == 0 && last_call()->arg[3] == 250);
    set_cacheable(false, __builtin_nanf(""), __builtin_inff(), 1e30f);
    CHECK(last_call()->arg[1] == 0 && last_call()->arg[2] == 1000000000000000);
    CHECK(last_call()->arg[3] == 1000000000000000);
    """)


def test_caching_times_are_gathered_without_a_call(guest: Callable[..., None]) -> None:
    guest(r"""
    const uint64_t said[] = {1, 1500, 0, 250};
    set_cacheable(true, 1.5f, -1.0f, 0.25f);
    CHECK(num_calls == 0 && page->data_len == 40);
    CHECK(memcmp(page->data, "\x05\x00\x01\x00\x01\x00\x20\x00", 8) == 0);
    CHECK(memcmp(page->data + 8, said, 32) == 0);
    """)


def test_response_headers_are_gathered_without_a_call(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    static const char expected[] =
        "\x20\x00\x01\x00\x01\x00\x06\x00" "X-A: 1\0\0"
        "\x21\x00\x01\x00\x01\x00\x08\x00" "X-B: two"
        "\x21\x00\x01\x00\x01\x00\x03\x00" "X-C\0\0\0\0";
    CHECK(http_append_str(RESPONSE, "X-A: 1") == 6);
    CHECK(http_setf(BERESP, "X-%c: %s", 'B', "two") == 8);
    CHECK(http_unset_str(RESP, "X-C") == 3);
    CHECK(num_calls == 0);
    CHECK(page->data_len == 48 && sizeof(expected) == 48);
    CHECK(memcmp(page->data, expected, 48) == 0);
    """)


def test_what_the_page_cannot_take_is_a_call(guest: Callable[..., None]) -> None:
    guest(r"""
    static char text[5000];
    host_rax = 77;
    memset(text, 'x', sizeof(text));
    CHECK(http_append(REQUEST, "X-A: 1", 6) == 77 && num_calls == 1);
    CHECK(http_append(2, "X-A: 1", 6) == 77 && num_calls == 2);
    CHECK(http_append(RESPONSE, text, 5000) == 77 && num_calls == 3);
    CHECK(http_append(RESPONSE, text, 0) == 77 && num_calls == 4);
    CHECK(http_append(RESPONSE, text, 3961) == 77 && num_calls == 5);
    CHECK(http_append(RESPONSE, text, (size_t)-1) == 77 && num_calls == 6);
    CHECK(page->data_len == 0 && last_call()->arg[2] == (size_t)-1);
    CHECK(http_append(RESPONSE, text, 3960) == 3960 && num_calls == 6);
    CHECK(page->data_len == KVM_API_EXCHANGE_DATA);
    CHECK(http_set(RESPONSE, "X-A: 1", 6) == 77 && num_calls == 7);
    CHECK(last_call()->nr == KVM_API_HTTP_SET && last_call()->arg[0] == 1);
    """)


def test_a_page_that_was_scribbled_on_is_not_written_past_its_end(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    static const uint32_t lengths[] = {1, 3967, 3969, 4096, 0x80000000, 0xffffffff};
    for (unsigned i = 0; i < 6; i++) {
        page->data_len = lengths[i];
        http_append_str(RESPONSE, "X-A: 1");
        CHECK(num_calls == i + 1 && page->data_len == lengths[i]);
    }
    page->data_len = 0;
    page->magic = 0;
    http_append_str(RESPONSE, "X-A: 1");
    CHECK(num_calls == 7 && page->data_len == 0);
    """)


@pytest.mark.parametrize("length", [1023, 1024, 3960, 65535])
def test_a_formatted_header_may_have_any_length(
    guest: Callable[..., None], length: int
) -> None:
    guest(f"""
    text_arg = 1;
    host_rax = {length};
    CHECK(http_setf(REQUEST, "X: %0*d", {length} - 3, 7) == {length});
    CHECK(last_call()->arg[2] == {length});
    CHECK(saw("X: 0") && text_seen[{length} - 1] == '7');
    """)


def test_a_formatted_header_that_is_too_long_reaches_the_host_as_too_long(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    http_appendf(RESPONSE, "X: %0*d", 1000000, 7);
    CHECK(last_call()->nr == KVM_API_HTTP_APPEND);
    CHECK(last_call()->arg[2] == KVM_API_MAX_FIELD + 1);
    """)


def test_the_log_gets_the_formatted_text(guest: Callable[..., None]) -> None:
    guest(r"""
    text_arg = 0;
    vlogf("%d %s", 5, "apples");
    CHECK(last_call()->nr == KVM_API_LOG && last_call()->arg[1] == 8);
    CHECK(saw("5 apples"));
    """)


def test_request_headers_are_found_without_a_call(guest: Callable[..., None]) -> None:
    guest(r"""
    char out[64] = "untouched";
    receive();
    CHECK(http_find_str(REQUEST, "HOST", out, 17) == 17);
    CHECK(memcmp(out, "Host: example.orguntouched" , 17) == 0 && out[17] == 0);
    CHECK(http_find_str(REQUEST, "host", out, 16) == 0);
    CHECK(http_find_strlen(REQUEST, "Accept") == 9);
    CHECK(http_find_str(REQ, "aCCEPT", out, 64) == 9 && out[8] == 'a');
    CHECK(http_find_strlen(BEREQ, "Accep") == 0);
    CHECK(http_find_strlen(REQUEST, "Accept:") == 0);
    CHECK(http_find(REQUEST, "", 0, out, 64) == 0);
    CHECK(num_calls == 0);
    """)


def test_names_are_compared_as_ascii_letters_only(guest: Callable[..., None]) -> None:
    guest(r"""
    CHECK(kvm_api_same_name("AZaz-09", "azAZ-09", 7));
    CHECK(!kvm_api_same_name("@", "`", 1) && !kvm_api_same_name("[", "{", 1));
    CHECK(!kvm_api_same_name("\xc4", "\xe4", 1));
    """)


def test_a_changed_request_is_searched_by_the_host(guest: Callable[..., None]) -> None:
    guest(r"""
    receive();
    host_rax = 42;
    CHECK(http_find_strlen(RESPONSE, "Host") == 42 && num_calls == 1);
    page->request_changed = 1;
    CHECK(http_find_strlen(REQUEST, "Host") == 42 && num_calls == 2);
    CHECK(last_call()->nr == KVM_API_HTTP_FIND && last_call()->arg[2] == 4);
    """)


def test_headers_and_method_can_be_had_as_strings(guest: Callable[..., None]) -> None:
    guest(r"""
    char out[8];
    receive();
    char *field = http_alloc_find(REQUEST, "host"), *name = http_alloc_method();
    CHECK(strcmp(field, "Host: example.org") == 0 && strcmp(name, "PATCH") == 0);
    CHECK(http_alloc_find(REQUEST, "Cookie") == NULL);
    CHECK(http_method(NULL, 0) == 5 && http_method(out, 4) == 0);
    CHECK(http_method(out, 5) == 5 && memcmp(out, "PATCH", 5) == 0);
    CHECK(num_calls == 0);
    free(field);
    free(name);
    page->method_len = 0;
    CHECK(http_alloc_method() == NULL);
    """)


def test_header_calls_at_start_up_are_left_to_the_host_to_refuse(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    page->method = NULL;
    http_set_str(RESPONSE, "X-A: 1");
    http_find_strlen(REQUEST, "Host");
    http_method(NULL, 0);
    CHECK(num_calls == 3 && page->data_len == 0);
    """)


def test_header_calls_in_storage_are_left_to_the_host_to_refuse(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    receive();
    page->is_storage = 1;
    http_append_str(RESPONSE, "X-A: 1");
    http_find_strlen(REQUEST, "Host");
    http_method(NULL, 0);
    CHECK(num_calls == 3 && page->data_len == 0);
    """)


def test_the_page_says_whether_this_is_storage(guest: Callable[..., None]) -> None:
    guest(r"""
    CHECK(!IS_STORAGE());
    page->is_storage = 1;
    CHECK(IS_STORAGE() && num_calls == 0);
    host_rax = 1;
    CHECK(sys_is_storage() == 1 && num_calls == 1);
    page->magic = 0;
    page->is_storage = 0;
    CHECK(IS_STORAGE() && num_calls == 2);
    """)


STORAGE_FUNCTION = r"""
static void count(size_t n, struct virtbuffer buf[], size_t res)
{ (void)n; (void)buf; (void)res; }
"""


def test_a_storage_call_has_one_buffer(guest: Callable[..., None]) -> None:
    guest(
        r"""
    int answer;
    text_arg = -1;
    host_rax = 4;
    CHECK(storage_call(count, 0, 0, &answer, sizeof(answer)) == 4);
    CHECK(last_call()->nr == KVM_API_STORAGE_CALLV && last_call()->arg[1] == 1);
    CHECK(last_call()->arg[0] == (uint64_t)(uintptr_t)count);
    CHECK(last_call()->arg[3] == (uint64_t)&answer && last_call()->arg[4] == 4);
    STORAGE_ALLOW(count);
    CHECK(last_call()->nr == KVM_API_STORAGE_ALLOW);
    CHECK(last_call()->arg[0] == (uint64_t)(uintptr_t)count);
    schedule_storage_task(count, "abc", 3, 0.5f, 60);
    CHECK(last_call()->nr == KVM_API_STORAGE_TASK && last_call()->arg[2] == 3);
    CHECK(last_call()->arg[3] == 500 && last_call()->arg[4] == 60000);
    """,
        STORAGE_FUNCTION,
    )


def test_a_storage_result_waits_in_the_page(guest: Callable[..., None]) -> None:
    guest(r"""
    static char big[KVM_API_EXCHANGE_DATA + 1];
    page->is_storage = 1;
    storage_return("result", 6);
    CHECK(page->result_ready == 1 && page->data_len == 6);
    CHECK(memcmp(page->data, "result", 6) == 0);
    storage_return_nothing();
    CHECK(page->result_ready == 1 && page->data_len == 0);
    big[sizeof(big) - 2] = 'z';
    storage_return(big, sizeof(big) - 1);
    CHECK(page->data_len == KVM_API_EXCHANGE_DATA);
    CHECK(page->data[KVM_API_EXCHANGE_DATA - 1] == 'z' && num_calls == 0);
    """)


def test_a_result_that_does_not_fit_the_page_is_a_call(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    static char big[KVM_API_EXCHANGE_DATA + 1];
    page->is_storage = 1;
    storage_return(big, sizeof(big));
    CHECK(num_calls == 1 && last_call()->nr == KVM_API_STORAGE_RETURN);
    CHECK(last_call()->arg[1] == sizeof(big) && page->result_ready == 0);
    page->is_storage = 0;
    storage_return("result", 6);
    CHECK(num_calls == 2 && page->result_ready == 0);
    """)


def test_the_no_return_form_does_not_return(guest: Callable[..., None]) -> None:
    guest(r"""
    page->is_storage = 1;
    noreturn_nr = KVM_API_STORAGE_NORETURN;
    if (sigsetjmp(noreturn, 1) == 0)
        storage_noreturn("result", 6);
    CHECK(num_calls == 1 && last_call()->arg[1] == 6 && page->result_ready == 0);
    """)


SHARED = r"""
#define SHM_BEGIN 0x4000000000
static void share(uint64_t size)
{
    page->shm_begin = SHM_BEGIN;
    page->shm_end = SHM_BEGIN + size;
}
static int *counter;
static double side_effects(void) { counter = (int *)1; return 1; }
struct wide { char c; long double n; };
"""


def test_shared_memory_is_carved_up_in_order_and_aligned(
    guest: Callable[..., None],
) -> None:
    guest(
        r"""
    share(2 << 20);
    counter = SHM_ALLOC_TYPE(*counter);
    CHECK((uint64_t)counter == SHM_BEGIN);
    char *c = SHM_ALLOC_TYPE(char);
    CHECK((uint64_t)c == SHM_BEGIN + 4);
    struct wide *wide = SHM_ALLOC_TYPE(struct wide);
    CHECK((uint64_t)wide == SHM_BEGIN + 16 && sizeof(*wide) == 32);
    int (*eight)[8] = SHM_ALLOC_TYPE(int[8]);
    CHECK((uint64_t)eight == SHM_BEGIN + 48);
    c = SHM_ALLOC_TYPE(*c);
    CHECK((uint64_t)c == SHM_BEGIN + 80);
    CHECK((uint64_t)SHM_ALLOC_BYTES(1) == SHM_BEGIN + 96);
    CHECK((uint64_t)SHM_ALLOC(1) == SHM_BEGIN + 112);
    CHECK(num_calls == 0);
    """,
        SHARED,
    )


def test_sizing_shared_memory_evaluates_nothing(guest: Callable[..., None]) -> None:
    guest(
        r"""
    share(2 << 20);
    counter = NULL;
    double *number = SHM_ALLOC_TYPE(side_effects());
    CHECK(counter == NULL && (uint64_t)number == SHM_BEGIN);
    """,
        SHARED,
    )


def test_shared_memory_that_is_used_up_gives_null(guest: Callable[..., None]) -> None:
    guest(
        r"""
    CHECK(SHM_ALLOC_BYTES(1) == NULL && SHM_ALLOC_TYPE(int) == NULL);
    share(64);
    CHECK(SHM_ALLOC_BYTES(65) == NULL && SHM_ALLOC_BYTES((size_t)-1) == NULL);
    CHECK((uint64_t)SHM_ALLOC_BYTES(63) == SHM_BEGIN);
    CHECK(SHM_ALLOC_TYPE(int) == NULL);
    CHECK((uint64_t)SHM_ALLOC_TYPE(char) == SHM_BEGIN + 63);
    CHECK(SHM_ALLOC_TYPE(char) == NULL && SHM_ALLOC_BYTES(1) == NULL);
    """,
        SHARED,
    )


@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_files_of_a_program_share_one_place_in_shared_memory(
    native: Callable[..., str], language: str
) -> None:
    extern = '#ifdef __cplusplus\nextern "C"\n#endif\nvoid *other(void);\n'
    other = (
        f'#include "kvm_api.h"\n{extern}void *other(void) {{ return SHM_ALLOC(16); }}'
    )
    main = r"""
int main(void)
{
    fake_host();
    page->shm_begin = 0x4000000000, page->shm_end = 0x4000000040;
    void *mine = SHM_ALLOC(16), *theirs = other();
    printf("%zx %zx %zx", (size_t)mine, (size_t)theirs, (size_t)SHM_ALLOC(16));
}"""
    main = f'#include "fake_host.h"\n{extern}{main}'
    flags = "-O2 -Wno-unused"
    out = native(main, other, language=language, flags=flags)
    assert out == "4000000000 4000000010 4000000020"


def test_references_are_types_for_shared_memory_too(native: Callable[..., str]) -> None:
    source = r"""
#include "fake_host.h"
#include <utility>
template <typename T> T *share(T &&) { return nullptr; }
int main()
{
    fake_host();
    page->shm_begin = 0x4000000000, page->shm_end = 0x4000000040;
    int n = 0;
    int &reference = n;
    int *a = SHM_ALLOC_TYPE(reference), *b = SHM_ALLOC_TYPE(int &);
    int *c = SHM_ALLOC_TYPE(decltype(std::move(n)));
    std::pair<int, char> *pair = SHM_ALLOC_TYPE(std::pair<int, char>);
    printf("%td %td %td", b - a, c - a, reinterpret_cast<int *>(pair) - a);
}"""
    assert native(source, language="c++", flags="-O2 -Wno-unused") == "1 2 3"


def test_memory_figures_are_zero_if_the_host_gives_none(
    guest: Callable[..., None],
) -> None:
    guest(r"""
    host_rax = -38;
    struct meminfo info = get_meminfo();
    CHECK(last_call()->nr == KVM_API_MEMINFO && last_call()->arg[1] == sizeof(info));
    CHECK(info.max_memory == 0 && info.reqmem_current == 0);
    """)


@pytest.mark.parametrize("flags", ["-O2", "-O2 -flto", "-O3 -fno-inline"])
def test_a_static_that_changes_during_a_call_is_read_again(
    native: Callable[..., str], flags: str
) -> None:
    """The host may run callbacks: a call is as opaque as any unknown function."""
    source = r"""
#include "fake_host.h"
static int seen, told;
static void callback(int n) { (void)n; seen = told; }
__attribute__((noinline)) static void enter(void) { sys_log("x", 1); }
int main(void)
{
    fake_host();
    on_call = callback;
    told = 2;
    enter();
    const int first = seen;
    told = 3;
    enter();
    printf("%d %d", first, seen);
}"""
    assert native(source, flags=f"{flags} -Wno-unused") == "2 3"
