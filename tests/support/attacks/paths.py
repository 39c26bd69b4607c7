"""Attacks with paths: every call that takes one is found, and given those that lead to
what the program may not have. It may have /open, and all below it."""

from support.hostile import FINE

# SECRETS in the environment: device:inode, of what is outside, in decimal.
ATTACKS = r"""
#include <stdint.h>
#include <linux/stat.h>
#include <sys/sysmacros.h>
static const char *const past[] = {
    "/etc/passwd", "//etc//passwd", "/../etc/passwd", "/open/../../../../etc/passwd",
    "/open/../outside/secret", "/outside/secret", "/open/file/../../outside/secret",
    "/open/out/secret", "/open/out/../outside/secret", "/open/up/outside/secret",
    "/open/root/etc/passwd", "/open/root", "/open/out", "/open/up", "/open/loop",
    "/open/loop/file", "/open/deep/../up/outside", "/open/to_secret",
    "/open/to_proc/root/etc/passwd", "/open/to_proc/exe",
    "/proc", "/proc/self/root/etc/passwd", "/proc/self/cwd", "/proc/self/fd/0",
    "/proc/self/mem", "/proc/self/environ", "/proc/self/exe/", "/proc/1/root",
    "/proc/thread-self/fd/1", "/dev/kvm", "/dev/mem", "/dev/zero", "/dev/stdin", "/sys",
    "/open/file/", "/open/file/.", "/open/file/x", "/open/none/..", "",
    "/open/file\n/etc/passwd"};
/* Of these the link itself is there to be seen. */
static int is_link(const char *path)
{
    static const char *const links[] = {"/open/root", "/open/out", "/open/up",
                                        "/open/loop", "/open/to_secret"};
    for (int i = 0; i < LENGTH(links); i++)
        if (!strcmp(path, links[i]))
            return 1;
    return 0;
}
/* What would wait, end, or make something of its own. */
static int is_left_out(long number)
{
    static const short numbers[] = {
        SYS_rt_sigreturn, SYS_select, SYS_pause, SYS_clone, SYS_exit, SYS_futex,
        SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_epoll_wait, SYS_exit_group,
        SYS_epoll_pwait, SYS_pselect6, SYS_ppoll, 441, SYS_alarm, SYS_setitimer,
        SYS_rt_sigaction, SYS_sigaltstack, SYS_umask,
        SYS_sched_getaffinity};
    for (int i = 0; i < LENGTH(numbers); i++)
        if (numbers[i] == number)
            return 1;
    return 0;
}

/* --- One call --- */

#define NUMBERS 512
#define SHAPES 8
static char out[8192];
static int directory, file, ends[2];
static int next; /* the number that is opened next, if none has been */
static void forget(void)
{
    char now[64] = "";
    for (int fd = dup(0); fd >= next; fd--)
        close(fd);
    if (raw(getcwd, now, sizeof now) != 6 || strcmp(now, "/open"))
        chdir("/open");
}
/* The path first, or behind a directory; then what stands there in some call. */
static long shaped(long number, int shape, long at, const char *path)
{
    const long p = (long)path, o = (long)out;
    memset(out, 0, sizeof out);
    switch (shape) {
    case 0: return raw_call(number, p, o, 4096l, 0l, 0l, 0l);
    case 1: return raw_call(number, p, 0l, 0l, 0l, 0l, 0l);
    case 2: return raw_call(number, p, (long)(O_CREAT | O_RDWR), 0777l, 0l, 0l, 0l);
    case 3: return raw_call(number, p, p, o, 4096l, 0l, 0l);
    case 4: return raw_call(number, at, p, o, 0l, 0l, 0l);
    case 5: return raw_call(number, at, p, 0l, 0l, 0l, 0l);
    case 6: return raw_call(number, at, p, (long)(O_CREAT | O_RDWR), 0777l, o, 0l);
    default: return raw_call(number, at, p, 0l, (long)STATX_BASIC_STATS, o, 0l);
    }
}
static uint64_t secrets[8][2]; /* device, inode; the device behind the last is 0 */
static void read_secrets(void)
{
    char *s = getenv("SECRETS");
    for (int i = 0; *s; i++, s += *s == ',') {
        secrets[i][0] = strtoul(s, &s, 10);
        secrets[i][1] = strtoul(s + 1, &s, 10);
    }
}
static int is_secret(uint64_t device, uint64_t inode)
{
    for (int i = 0; secrets[i][0]; i++)
        if (secrets[i][0] == device && secrets[i][1] == inode)
            return 1;
    return 0;
}
/* As fstat() and statx() tell what they found, anywhere in what a call gave. */
static int tells_secret(const char *at)
{
    uint64_t st[2];
    struct statx stx;
    memcpy(st, at, sizeof st);
    memcpy(&stx, at, sizeof stx);
    return is_secret(st[0], st[1]) ||
           is_secret(makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino);
}
/* Tells if something that was found is a secret. */
static int has_secret(void)
{
    char found[64];
    struct stat st;
    const int over = dup(0);
    close(over);
    for (int fd = next; fd < over; fd++) {
        memset(found, 0, sizeof found);
        if (raw(pread64, fd, found, 63, 0l) > 0 && strstr(found, "SECRET"))
            return 1;
        if (fstat(fd, &st) == 0 && is_secret(st.st_dev, st.st_ino))
            return 1;
    }
    for (int i = 0; i < 256; i++)
        if (tells_secret(out + i))
            return 1;
    return 0;
}

/* --- All of them --- */

static unsigned char takes[NUMBERS]; /* a bit a shape: what is there matters */
static void begin(void)
{
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    directory = open("/open", O_RDONLY | O_DIRECTORY);
    file = open("/open/file", O_RDONLY);
    pipe(ends);
    next = ends[1] + 1;
    read_secrets();
    EXPECT(directory == 3 && next == 7 && chdir("/open") == 0);
}
static void end(void)
{
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    chdir("/");
}
static void find_calls(void)
{
    begin();
    for (long number = 0; number < NUMBERS; number++)
        for (int shape = 0; shape < SHAPES && !is_left_out(number); shape++) {
            const long known = raw_call(number, "/open/file", 0l, 0l, 0l, 0l, 0l);
            forget();
            if (known == -ENOSYS)
                break;
            const long there = shaped(number, shape, AT_FDCWD, "/open/file");
            forget();
            const long below = shaped(number, shape, AT_FDCWD, "/open/deep");
            forget();
            const long none = shaped(number, shape, AT_FDCWD, "/open/nowhere/none");
            forget();
            takes[number] |= (there != none || below != none) << shape;
        }
    const short known[] = {SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_chdir,
                           SYS_readlink, SYS_openat, SYS_newfstatat, SYS_readlinkat,
                           SYS_faccessat, SYS_statx, 439};
    for (int i = 0; i < LENGTH(known); i++)
        EXPECT(takes[known[i]]);
    end();
}
static void try(long number, int shape, long at, const char *path)
{
    const long ret = shaped(number, shape, at, path);
    if ((ret >= 0 && !is_link(path)) || has_secret())
        sprintf(wrong + (strlen(wrong) < 1500 ? strlen(wrong) : 0),
                "call %ld (%d) with %.60s: %ld; ", number, shape, path, ret);
    forget();
}
static void try_all(long at, const char *path)
{
    for (long number = 0; number < NUMBERS; number++)
        for (int shape = 0; shape < SHAPES && takes[number]; shape++)
            if (takes[number] >> shape & 1)
                try(number, shape, at, path);
}
static void escapes(void)
{
    begin();
    for (int i = 0; i < LENGTH(past); i++)
        try_all(AT_FDCWD, past[i]);
    end();
}
static void relative_escapes(void)
{
    static const char *const up[] = {"../etc/passwd", "../../../outside/secret",
                                     "out/secret", "deep/../../outside/secret",
                                     "./up/outside/secret"};
    begin();
    const long at[] = {AT_FDCWD, directory, file, ends[0], -1, 99, 1l << 31, 0};
    for (int i = 0; i < LENGTH(up); i++)
        for (int j = 0; j < LENGTH(at); j++)
            try_all(at[j], up[i]);
    for (int j = 2; j < LENGTH(at); j++) /* below what is no directory */
        for (int number = 0; number < NUMBERS; number++)
            for (int shape = 4; shape < SHAPES; shape++)
                if (takes[number] >> shape & 1)
                    try(number, shape, at[j], "deep");
    end();
}
static void odd_strings(void)
{
    static char longer[3][9000];
    char *edge = last_page() + 4096;
    begin();
    memcpy(edge - 10, "/open/file", 10); /* and no NUL */
    memset(longer[0], 'a', 4096);
    longer[0][0] = '/';
    for (int i = 0; i < 2040; i++)
        memcpy(longer[1] + 2 * i, "/a", 2);
    for (int i = 0; i < 1340; i++)
        memcpy(longer[2] + 3 * i, "/..", 3);
    strcat(longer[2], "/etc/passwd");
    const char *const odd[] = {edge - 10, edge - 1, edge, BAD, HIGH, KERNEL,
                               (char *)ROOF, (char *)(1l << 63), longer[0], longer[1],
                               longer[2]};
    for (int number = 0; number < NUMBERS; number++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int i = 0; i < LENGTH(odd) && takes[number] >> shape & 1; i++)
                if (shaped(number, shape, AT_FDCWD, odd[i]) >= 0)
                    sprintf(wrong + (strlen(wrong) < 1500 ? strlen(wrong) : 0),
                            "call %d (%d) with string %d; ", number, shape, i);
    end();
}
/* Somebody changes meanwhile where /open/swap leads. */
static void races(void)
{
    long opened = 0;
    begin();
    for (int i = 0; i < MANY / 8; i++) {
        opened += raw(open, "/open/swap/secret", 0) >= 0;
        EXPECT(!has_secret());
        raw(stat, "/open/swap/secret", out);
        EXPECT(!has_secret());
        raw(statx, (long)AT_FDCWD, "/open/swap/secret", 0l, 4095l, out);
        EXPECT(!has_secret());
        forget();
    }
    end();
    EXPECT(opened > 0 || getenv("AT_START"));
}
"""

WAYS = {
    "escapes": FINE,
    "relative_escapes": FINE,
    "odd_strings": FINE,
    "races": FINE,
}
