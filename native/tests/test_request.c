/* A request in the memory of the program that takes it. */
#include "bare.h"
#include "check.h"
#include "request.h"
#include "stubs.h"

static struct bare b;
static struct machine *m = &b.machine;

static void begin(enum callback callback)
{
    bare_open(&b, MAX_MEMORY_MIN, 0);
    b.facts.callback[callback] = PROGRAM_LOW;
}

static void end(void)
{
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}

static const char *string_at(uint64_t addr)
{
    static char text[1 << 20];
    CHECK(guest_string(&m->mem, addr, text, sizeof(text)) >= 0);
    return text;
}

static void check_called(void)
{
    const struct kvm_regs *r = vcpu_regs(&m->vm);
    CHECK_EQ(r->rip, TRAMPOLINE_ADDR);
    CHECK_EQ(r->r10, PROGRAM_LOW);
    CHECK(r->rsp % 16 == 0 && region_holds(m->mem.layout.call_stack, r->rsp, 1));
}

TEST(get_finds_its_url_on_an_aligned_stack)
{
    begin(ON_GET);
    CHECK_EQ(request_enter(m, &b.request), 0);
    check_called();
    CHECK_TEXT(string_at(vcpu_regs(&m->vm)->rdi), "/");
    CHECK_TEXT(string_at(vcpu_regs(&m->vm)->rsi), "");
    CHECK_TEXT(string_at((uint64_t)machine_exchange(m)->method), "GET");
    CHECK_EQ(machine_exchange(m)->num_headers, 2);
    end();
}

TEST(request_finds_everything_in_its_struct)
{
    struct kvm_request r;
    struct kvm_request_header h[2];
    begin(ON_REQUEST);
    b.request.body = "body";
    b.request.body_len = 4;
    CHECK_EQ(request_enter(m, &b.request), 0);
    check_called();
    CHECK_EQ(guest_read(&m->mem, vcpu_regs(&m->vm)->rdi, &r, sizeof(r)), 0);
    CHECK_EQ(guest_read(&m->mem, (uint64_t)r.headers, h, sizeof(h)), 0);
    CHECK_TEXT(string_at((uint64_t)h[0].field), "Host: test");
    CHECK_TEXT(string_at((uint64_t)h[1].field), "Accept: */*");
    CHECK(h[1].field_len == 11 && h[1].field_colon == 6 && r.num_headers == 2);
    CHECK_TEXT(string_at((uint64_t)r.content), "body");
    CHECK(r.content_len == 4 && r.method_len == 3 && r.url_len == 1);
    end();
}

TEST(header_lines_of_any_number_and_form_fit)
{
    static char lines[600000];
    static const char *const forms[] = {
        "",         "\r\n",    "a: b\r\n", "no colon\r\n", ":\r\n",
        "\r\n\r\n", "cut off", "x: y\r",   "\r\r\r\r"};
    begin(ON_REQUEST);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        for (size_t count = 1; count < 60000; count = count * 7 + 1) {
            size_t len = strlen(forms[i]), used = 0;
            for (size_t k = 0; k < count && used + len < sizeof(lines);
                 k++, used += len)
                memcpy(lines + used, forms[i], len);
            b.request.headers = lines;
            b.request.headers_len = used;
            CHECK_EQ(request_enter(m, &b.request), 0);
            check_called();
        }
    end();
}

TEST(a_body_fills_the_inbox_but_for_its_NUL)
{
    static char body[MAX_MEMORY_MIN / 4];
    begin(ON_POST);
    uint64_t room = m->mem.layout.inbox.end - m->mem.layout.inbox.begin;
    memset(body, 'x', sizeof(body));
    b.request.body = body;
    for (uint64_t len = room - 2; len < room; len++) {
        b.request.body_len = len;
        CHECK_EQ(request_enter(m, &b.request), 0);
        CHECK_EQ(strlen(string_at(m->mem.layout.inbox.end - 100)),
                 99 - (room - 1 - len));
    }
    b.request.body_len = room;
    CHECK(request_enter(m, &b.request) < 0);
    CHECK(strstr(m->reason, "does not fit") != NULL);
    end();
}

/* What was wrong with the request must not be wrong with on_error again. */
TEST(a_head_that_does_not_fit_fails_and_on_error_is_called_all_the_same)
{
    static char url[(16 << 20) + 1];
    memset(url, 'u', sizeof(url) - 1);
    static const size_t lens[] = {65536, 1 << 20, 9 << 20, 16 << 20};
    for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
        begin(ON_ERROR);
        b.request.url = url;
        b.request.url_len = lens[i];
        CHECK(request_enter(m, &b.request) < 0);
        CHECK_EQ(request_enter_error(m, &b.request), 1);
        check_called();
        string_at(vcpu_regs(&m->vm)->rdi);
        CHECK(strstr(string_at(vcpu_regs(&m->vm)->r11), "request head of ") != NULL);
        end();
    }
}

TEST(a_program_without_a_callback_fails_the_request)
{
    begin(ON_ERROR);
    CHECK(request_enter(m, &b.request) < 0);
    CHECK(strstr(m->reason, "no callback") != NULL);
    bare_close(&b);
}

TEST(two_requests_get_different_random_bits)
{
    struct kvm_request r[2];
    begin(ON_REQUEST);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(request_enter(m, &b.request), 0);
        CHECK_EQ(guest_read(&m->mem, vcpu_regs(&m->vm)->rdi, &r[i], sizeof(r[i])), 0);
    }
    CHECK(r[0].prng[0] != r[1].prng[0] && r[0].prng[1] != r[1].prng[1]);
    end();
}

TEST(pieces_of_a_body_are_called_with_one_head)
{
    struct upload u = {0};
    begin(ON_STREAM_POST);
    const struct kvm_regs *r = vcpu_regs(&m->vm);
    b.facts.callback[ON_POST] = PROGRAM_LOW;
    CHECK_EQ(request_enter_piece(m, &b.request, &u, "abc", 3), 0);
    check_called();
    uint64_t rsp = r->rsp, url = r->rdi;
    CHECK_TEXT(string_at(url), "/");
    CHECK_TEXT(string_at(r->r12), "abc");
    CHECK(r->r8 == 3 && r->r9 == 0 && u.in_piece);
    u.offset = 3;
    CHECK_EQ(request_enter_piece(m, &b.request, &u, "de", 2), 0);
    CHECK(r->rsp == rsp && r->rdi == url && r->r8 == 2 && r->r9 == 3);
    CHECK_TEXT(string_at(r->r12), "de");
    u.offset = 5;
    CHECK_EQ(request_enter_end(m, &b.request, &u), 0);
    CHECK(r->rsp == rsp && r->rdi == url && r->r12 == 0 && r->r8 == 5);
    end();
}
