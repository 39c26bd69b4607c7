/* What a signal handler finds on its stack: bytes that Linux defines. */
#include "check.h"
#include "sigframe.h"

#include <errno.h>
#include <signal.h>

#define SIZE 832 /* x87, SSE and AVX */
#define FEATURES 7UL

static uint8_t image[XSAVE_MOST + 64];

static void sealed(void)
{
    sigframe_fresh_fpu(image);
    sigframe_seal_fpu(image, SIZE, FEATURES);
}

static void put(uint64_t at, uint64_t value)
{
    memcpy(image + at, &value, sizeof(value));
}

/* A handler without an alternate stack, or with one of (size) bytes at 0x10000. */
static int place(struct sigframe_place *p, uint64_t rsp, uint64_t size)
{
    const struct thread_signals t = {.stack = {.address = 0x10000, .size = size}};
    return sigframe_place(p, &t, rsp, SA_ONSTACK, SIZE);
}

TEST(a_frame_leaves_the_red_zone_alone_and_is_aligned)
{
    struct sigframe_place p;
    for (uint64_t rsp = 0x7ff000; rsp < 0x7ff080; rsp++) {
        CHECK_EQ(place(&p, rsp, 0), 0);
        CHECK(p.end <= rsp - SIGFRAME_RED_ZONE && p.end > rsp - SIGFRAME_RED_ZONE - 64);
        CHECK_EQ(p.fpu % 64, 0);
        CHECK_EQ((p.frame + 8) % 16, 0);
        CHECK(p.frame + sizeof(struct sigframe) <= p.fpu);
    }
}

TEST(an_alternate_stack_is_taken_once_and_never_left)
{
    struct sigframe_place p;
    CHECK_EQ(place(&p, 0x7ff000, 0x4000), 0);
    CHECK(p.end <= 0x14000 && p.frame > 0x10000);
    CHECK_EQ(place(&p, 0x13000, 0x4000), 0); /* on it already */
    CHECK(p.end <= 0x13000 - SIGFRAME_RED_ZONE);
    CHECK_EQ(place(&p, 0x10400, 0x4000), -EFAULT);
    CHECK_EQ(place(&p, 0x7ff000, 1024), -EFAULT);
}

TEST(a_stack_pointer_near_zero_does_not_wrap)
{
    struct sigframe_place p;
    for (uint64_t rsp = 0; rsp < 2000; rsp += 7)
        CHECK(place(&p, rsp, 0) == -EFAULT || p.frame <= p.end);
}

TEST(registers_come_back_but_for_flags_that_are_not_the_programs)
{
    struct sigframe f;
    struct kvm_regs r = {.rax = 1, .r15 = 2, .rip = 3, .rsp = 4, .rflags = 0x202}, back;
    const struct thread_signals t = {0};
    const struct sigframe_place p = {0};
    const struct signal_info info = {.signal = SIGUSR1};
    sigframe_fill(&f, &p, &t, &r, &info, 5);
    CHECK_EQ(f.context.mask, 5);
    f.context.registers.rflags = UINT64_MAX;
    back = (struct kvm_regs){.rflags = 0x202};
    CHECK_EQ(sigframe_registers(&f, &back), 0);
    CHECK_EQ(back.rflags, 0x202 | 0x50dd5);
    CHECK(back.rax == 1 && back.r15 == 2 && back.rip == 3 && back.rsp == 4);
    f.context.registers.cs = 0x08;
    CHECK_EQ(sigframe_registers(&f, &back), -EFAULT);
}

TEST(an_image_says_how_long_it_is_and_no_longer)
{
    sealed();
    CHECK_EQ(sigframe_fpu_length(image, SIZE), SIZE + 4);
    CHECK_EQ(sigframe_fpu_length(image, SIZE - 1), XSAVE_LEGACY);
    put(464, 0); /* not ours: the first 512 bytes count */
    CHECK_EQ(sigframe_fpu_length(image, SIZE), XSAVE_LEGACY);
    CHECK_EQ(sigframe_open_fpu(image, XSAVE_LEGACY, SIZE, FEATURES), 0);
}

TEST(an_image_that_a_processor_refuses_is_refused)
{
    static const struct {
        uint64_t at, value;
    } bad[] = {{24, 0x10000}, {512, 8}, {512, 1UL << 63}, {520, 1UL << 63}, {528, 1}};
    sealed();
    CHECK_EQ(sigframe_open_fpu(image, SIZE + 4, SIZE, FEATURES), 0);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        sealed();
        put(bad[i].at, bad[i].value);
        CHECK_EQ(sigframe_open_fpu(image, SIZE + 4, SIZE, FEATURES), -EFAULT);
    }
}

TEST(one_of_the_first_signals_is_pending_once_and_the_others_as_often_as_sent)
{
    struct pending_signals p = {0};
    const struct signal_action none = {0};
    struct signal_info once = {.signal = SIGUSR1}, often = {.signal = 40, .code = -1};
    for (int i = 0; i < SIGNALS_QUEUED - 1; i++) {
        CHECK_EQ(signals_send(&p, UINT64_MAX, &none, &once), 0);
        CHECK_EQ(signals_send(&p, UINT64_MAX, &none, &often), 0);
    }
    CHECK_EQ(signals_send(&p, UINT64_MAX, &none, &often), -EAGAIN);
    CHECK_EQ(signals_take(&p, UINT64_MAX, &once), SIGUSR1);
    for (int i = 0; i < SIGNALS_QUEUED - 1; i++)
        CHECK_EQ(signals_take(&p, UINT64_MAX, &often), 40);
    CHECK_EQ(signals_take(&p, UINT64_MAX, &often), 0);
    CHECK_EQ(p.queued, 0);
}
