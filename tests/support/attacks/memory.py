"""Attacks with memory: the kernel's, nobody's, all of it; in pieces without end."""

from support.hostile import FINE

ATTACKS = r"""
#define PAGE 4096l
#define FIXED (ANON | MAP_FIXED)
static long map(long at, long size, long prot, long flags)
{
    return raw(mmap, at, size, prot, flags, -1l, 0l);
}
static long top_of_memory(void) /* what is behind it is not the program's */
{
    struct sysinfo s;
    sysinfo(&s);
    return s.totalram;
}
static sigjmp_buf back;
static void escape(int signal)
{
    siglongjmp(back, signal);
}
static int can_write(long at)
{
    if (sigsetjmp(back, 1))
        return 0;
    *(volatile char *)at = 0;
    return 1;
}
static void catch_faults(void) { signal(SIGSEGV, escape); }
static void end_with_faults(void) { signal(SIGSEGV, SIG_DFL); }

/* --- What is not the program's --- */

static void kernel_pages(void)
{
    const long size[] = {PAGE, 0x10000, 0x1ff000, 1l << 32, 1l << 46, -PAGE};
    for (long at = PAGE; at < 0x200000; at += at < 0x12000 ? PAGE : 0x1f000)
        for (int i = 0; i < LENGTH(size); i++) {
            EXPECT(map(at, size[i], RW, FIXED) < 0);
            EXPECT(map(at, size[i], 0, ANON | MAP_FIXED_NOREPLACE) < 0);
            EXPECT(raw(mprotect, at, size[i], 7) < 0);
            EXPECT(raw(mremap, at, size[i], PAGE, 0) < 0);
            EXPECT(raw(mremap, at, size[i], 2 * size[i], 1, 0) < 0);
            EXPECT(raw(mremap, FAR, PAGE, PAGE, 3, at) < 0);
            if (at < 0x100000)
                EXPECT(raw(madvise, at, size[i], MADV_DONTNEED) < 0);
        }
    EXPECT(raw(munmap, PAGE, 0x1ff000l) == 0); /* it does not know of them */
    EXPECT(raw(munmap, 0, 0x200000l) == 0);
}
static void every_kernel_page_is_closed(void)
{
    int writable = 0;
    catch_faults();
    for (long at = 0; at < 0x200000; at += PAGE)
        if (can_write(at))
            writable++;
    EXPECT(writable == 1 && can_write(0x100000)); /* the exchange page */
    for (long at = 0; at < 0x100000; at += PAGE)
        EXPECT(raw(getrandom, at, 1, 0) == -EFAULT);
    end_with_faults();
}
/* Stacks, inbox and page tables, with the holes between. */
static void behind_memory(void)
{
    const long top = top_of_memory();
    catch_faults();
    for (long at = top; at < 2 * top; at += 1 << 20) {
        EXPECT(map(at, PAGE, 7, FIXED) < 0);
        EXPECT(map(at, 1l << 34, 7, FIXED) < 0);
        EXPECT(raw(mremap, at, PAGE, 2 * PAGE, 1) < 0);
        raw(munmap, at, PAGE);
    }
    EXPECT(raw(munmap, top, 1l << 30) == 0);
    EXPECT(raw(mprotect, top, 1l << 30, 7) == -ENOMEM);
    EXPECT(raw(mprotect, top - PAGE, 1l << 28, 7) == -ENOMEM);
    EXPECT(!can_write(top) && !can_write(1l << 32));
    for (long at = top + (38l << 20); at < top + (46l << 20); at += 1 << 18)
        EXPECT(raw(getrandom, at, 1, 0) == -EFAULT); /* page tables among them */
    end_with_faults();
}
static void no_addresses(void)
{
    const long at[] = {ROOF, ROOF - PAGE, 1l << 63, -PAGE, 1l << 52, -1l << 47};
    for (int i = 0; i < LENGTH(at); i++) {
        EXPECT(map(at[i], PAGE, RW, FIXED) == -ENOMEM);
        EXPECT(raw(munmap, at[i], PAGE) == -EINVAL);
        EXPECT(raw(mprotect, at[i], PAGE, 7) == -ENOMEM);
        EXPECT(raw(madvise, at[i], PAGE, MADV_DONTNEED) == -ENOMEM);
        EXPECT(raw(mlock, at[i], PAGE) < 0);
        EXPECT(raw(msync, at[i], PAGE, 4) < 0);
        EXPECT(raw(mremap, at[i], PAGE, PAGE, 1) == -EFAULT);
        EXPECT(raw(brk, at[i]) == raw(brk, 0l));
    }
    EXPECT(raw(brk, -1ul >> 1) == raw(brk, 0l) && raw(brk, 0x1000l) == raw(brk, 0l));
    EXPECT(map(0, -1l, RW, ANON) == -ENOMEM && map(0, 1l << 63, RW, ANON) == -ENOMEM);
    EXPECT(raw(mlock, -1l, 2l) < 0 && raw(mlock, PAGE, -PAGE) < 0);
}
/* Behind the last instruction that an address can have there is nothing. */
static void last_instruction(void)
{
    const long at = map(ROOF - 2 * PAGE, PAGE, 7, FIXED);
    EXPECT(at == ROOF - 2 * PAGE || at == -ENOMEM);
    if (at < 0)
        return;
    memcpy((char *)at + PAGE - 7, "\xb8\x6e\0\0\0\x0f\x05", 7); /* getppid */
    catch_faults();
    if (sigsetjmp(back, 1) == 0)
        ((void (*)(void))(at + PAGE - 7))();
    EXPECT(raw(munmap, at, PAGE) == 0);
    end_with_faults();
}

/* --- Pieces --- */

/* Pages of two kinds in turn, until there is no room to note more of them. */
static void small_pieces(long at)
{
    long n = 0, ret = 0;
    for (; n < 100000 && ret >= 0; n++)
        ret = map(at ? at + n * PAGE : 0, PAGE, n % 2 ? RW : PROT_READ,
                  at ? FIXED : ANON);
    EXPECT(ret == -ENOMEM);
    EXPECT(!at || n < 66000);
    if (at)
        EXPECT(raw(munmap, at, n * PAGE) == 0);
}
static void far_pieces(void) { small_pieces(FAR); }
static void holes(void)
{
    const long at = map(FAR, 4000 * PAGE, RW, FIXED);
    if (at < 0)
        return;
    for (long n = 0; n < 4000; n += 2) {
        const long ret = raw(munmap, at + n * PAGE, PAGE);
        EXPECT(ret == 0 || ret == -ENOMEM);
        raw(mprotect, at + (n + 1) * PAGE, PAGE, n % 4 ? 7 : 0);
    }
    EXPECT(raw(munmap, at, 4000 * PAGE) == 0);
}
static void near_pieces(void)
{
    char *all = mmap(0, 1200 * PAGE, RW, ANON, -1, 0);
    for (int n = 0; n < 1200; n += 2)
        raw(munmap, all + n * PAGE, PAGE);
    for (int n = 1; n < 1200; n += 2)
        raw(mprotect, all + n * PAGE, PAGE, n % 4 ? 7 : PROT_READ);
    raw(munmap, all, 1200 * PAGE);
}
static void reservations(void)
{
    static long at[2000];
    int made = 0;
    while (made < 2000 && (at[made] = map(0, 1l << 36, 0, ANON)) > 0)
        made++;
    EXPECT(made < 2000);
    EXPECT(map(0, 1l << 46, 0, ANON) < 0);
    EXPECT(map(FAR, 1l << 46, 0, FIXED) < 0);
    while (made)
        EXPECT(raw(munmap, at[--made], 1l << 36) == 0);
}
static void moves(void)
{
    const long sizes[] = {PAGE, 3 * PAGE, 1l << 21, 1l << 62, -PAGE, 0};
    const long at[] = {FAR, FAR + PAGE, FAR + (1l << 21), PAGE, ROOF - PAGE, -PAGE, 1};
    for (int i = 0; i < LENGTH(sizes); i++)
        for (int j = 0; j < LENGTH(sizes); j++)
            for (int k = 0; k < LENGTH(at); k++)
                for (int flags = 0; flags < 4; flags++) {
                    if (map(FAR, 2 * PAGE, RW, FIXED) > 0)
                        *(long *)FAR = 77;
                    const long to = raw(mremap, FAR, sizes[i], sizes[j], flags, at[k]);
                    if (to > 0 && to != FAR && sizes[i] >= 8)
                        EXPECT(*(long *)to == 77);
                    if (to > 0)
                        raw(munmap, to, sizes[j]);
                }
    raw(munmap, FAR, 1l << 22);
}
/* What is written is run at once, and again after each change. */
static void rewritten_code(void)
{
    unsigned char *code = mmap(0, PAGE, 7, ANON, -1, 0);
    if (code == MAP_FAILED)
        return;
    for (int n = 0; n < 200; n++) {
        const unsigned char made[] = {0xb8, n, 0, 0, 0, 0xc3};
        mprotect(code, PAGE, n % 2 ? RW : 7);
        memcpy(code, made, sizeof made);
        mprotect(code, PAGE, n % 3 ? PROT_READ | PROT_EXEC : PROT_EXEC);
        EXPECT(((int (*)(void))code)() == n);
    }
}
static void odd_files(void)
{
    static char byte[100] = "bytes";
    const int fd = memfd_create("name", 0);
    const long offsets[] = {0, PAGE, 1 << 20, 1l << 62, -PAGE & -1ul >> 1, -PAGE};
    write(fd, byte, sizeof byte);
    for (int large = 0; large < 2; large++, ftruncate(fd, -1ul >> 1))
        for (int i = 0; i < LENGTH(offsets); i++) {
            char *at = mmap(0, 1 << 20, PROT_READ, MAP_PRIVATE, fd, offsets[i]);
            if (at == MAP_FAILED)
                continue;
            EXPECT(!memcmp(at, i ? byte + 50 : byte, 5) && !at[PAGE] && !at[1048575]);
            munmap(at, 1 << 20);
        }
    EXPECT(raw(mmap, 0, 1l << 63, 1, MAP_PRIVATE, fd, 0l) == -ENOMEM);
    EXPECT(raw(mmap, 0, PAGE, 1, MAP_PRIVATE, fd, 1l) == -EINVAL);
    EXPECT(raw(mmap, 0x4000l, PAGE, 1, MAP_PRIVATE | MAP_FIXED, fd, 0l) < 0);
    EXPECT(raw(mmap, ROOF, PAGE, 1, MAP_PRIVATE | MAP_FIXED, fd, 0l) == -ENOMEM);
    close(fd);
}

/* --- What ends a request --- */

/* Some of what the kernel keeps for its clock may not be there, for nobody. */
static void reads_the_clocks_pages(void)
{
    catch_faults();
    for (volatile char *at = (char *)0x40000; at < (char *)0x100000; at += PAGE)
        if (sigsetjmp(back, 1) == 0)
            *at;
}
static void touches_all(void)
{
    for (long n = 0;; n++) {
        volatile char *at = mmap(0, 1 << 20, RW, ANON | MAP_NORESERVE, -1, 0);
        for (int i = 0; at != MAP_FAILED && i < 256; i++)
            at[i * PAGE] = 1;
        if (at == MAP_FAILED)
            *(volatile char *)8 = 1;
    }
}
static void touches_a_reservation(void)
{
    volatile char *at = mmap(0, 1l << 33, RW, ANON | MAP_NORESERVE, -1, 0);
    for (long n = 0; at != MAP_FAILED; n++)
        at[n * PAGE] = 1;
    *(volatile char *)8 = 1;
}
/* By a call: the host takes memory for it. */
static void reads_into_a_reservation(void)
{
    char *at = mmap(0, 1l << 33, RW, ANON | MAP_NORESERVE, -1, 0);
    for (long n = 0; at != MAP_FAILED; n++)
        raw(getrandom, at + n * (32 << 20), 32l << 20, 0);
    *(volatile char *)8 = 1;
}
static void unmaps_itself(void)
{
    raw(munmap, 0, ROOF - PAGE);
    *(volatile char *)8 = 1;
}
static void maps_over_itself(void)
{
    map(0x200000, top_of_memory() - 0x200000, RW, FIXED);
    *(volatile char *)8 = 1;
}
/* on_error would have no stack either. */
static void closes_its_stacks(void)
{
    const long top = top_of_memory();
    raw(mprotect, top + (2 << 20), 8l << 20, 0);
    raw(mprotect, top + (12 << 20), 8l << 20, 0);
    *(volatile char *)8 = 1;
}
static void opens_its_stacks(void)
{
    const long top = top_of_memory();
    raw(mprotect, top + (2 << 20), 8l << 20, 7);
    raw(mprotect, top + (12 << 20), 8l << 20, 7);
    raw(mprotect, 0x200000l, top - 0x200000, 7);
    memset((char *)top + (12 << 20), 0xcc, 4 << 20);
}
"""

WAYS = {
    "kernel_pages": FINE,
    "every_kernel_page_is_closed": FINE,
    "behind_memory": FINE,
    "no_addresses": FINE,
    "last_instruction": FINE,
    "far_pieces": FINE,
    "holes": FINE,
    "near_pieces": FINE,
    "reservations": FINE,
    "moves": FINE,
    "rewritten_code": FINE,
    "odd_files": FINE,
    "opens_its_stacks": FINE,
    "reads_the_clocks_pages": f"{FINE}|Bad address",
    "touches_all": "out of memory|page fault|max_request_memory",
    "touches_a_reservation": "out of memory|page fault|max_request_memory",
    "reads_into_a_reservation": "out of memory|page fault|max_request_memory",
    "unmaps_itself": "page fault",
    "maps_over_itself": "page fault|illegal instruction|general protection",
    "closes_its_stacks": "page fault",
}
