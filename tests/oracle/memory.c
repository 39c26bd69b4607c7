/* memory.c DIRECTORY: mappings are made, changed and taken away, of nothing and of the
 * file "one" in there. What can be touched is shown, as Linux says it by errors. */
#include "oracle.h"

#include <sys/mman.h>

#define PAGE 4096L
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define HUGE_LEN (1L << 60)

static char *map(long len, int prot)
{
    return (char *)CALL(mmap, NULL, len, prot, ANON, -1, 0L);
}

/* Whether the page at (at) can be read, and written. */
static void usable(char *at)
{
    int ends[2];
    pipe2(ends, O_NONBLOCK);
    CALL(write, ends[1], at, 1L);
    CALL(read, ends[0], at, 1L);
    close(ends[0]);
    close(ends[1]);
}

static void made(void)
{
    char *p = map(4 * PAGE, RW), *q;
    IS(p[0] + p[4 * PAGE - 1]);
    memset(p, 7, 4 * PAGE);
    q = (char *)CALL(mmap, p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0L);
    IS(q - p);
    IS(p[PAGE - 1] * 100 + p[PAGE] * 10 + p[2 * PAGE]);
    CALL(mmap, p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0L);
    CALL(mmap, p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0L);
    CALL(munmap, p + 2 * PAGE, 2 * PAGE);
    q = (char *)CALL(mmap, p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0L);
    IS(q - p);
    IS(q[0]);
    q = (char *)CALL(mmap, p + 3 * PAGE, PAGE, RW, ANON, -1, 0L);
    IS(q - p);
    CALL(munmap, p, 4 * PAGE);
    CALL(mmap, NULL, 0L, RW, ANON, -1, 0L);
    CALL(mmap, NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0L);
    CALL(mmap, NULL, HUGE_LEN, RW, ANON, -1, 0L);
    CALL(mmap, NULL, -1L, RW, ANON, -1, 0L);
    CALL(mmap, ~0UL << 12, PAGE, RW, ANON | MAP_FIXED, -1, 0L);
    p = (char *)CALL(mmap, NULL, 100L, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0L);
    usable(p + PAGE - 1);
    CALL(munmap, p, 1L);
    p = (char *)CALL(mmap, NULL, PAGE, RW,
                     ANON | MAP_POPULATE | MAP_NORESERVE | MAP_STACK, -1, 0L);
    usable(p);
    CALL(munmap, p, PAGE);
}

static void files(void)
{
    int fd = open("one", O_RDONLY), writing = open("new", O_RDWR | O_CREAT, 0644);
    char *p = (char *)CALL(mmap, NULL, PAGE, RW, MAP_PRIVATE, fd, 0L);
    show(p, 30);
    p[0] = 'F';
    CALL(pread64, fd, p + 100, 5L, 0L);
    CALL(munmap, p, PAGE);
    p = (char *)CALL(mmap, NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0L);
    show(p, 30);
    CALL(read, fd, p, 5L);
    CALL(munmap, p, PAGE);
    CALL(mmap, NULL, PAGE, RW, MAP_SHARED, fd, 0L);
    CALL(mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 5L);
    CALL(mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0L);
    CALL(mmap, NULL, PAGE, PROT_READ, 0, fd, 0L);
    CALL(mmap, NULL, 0L, PROT_READ, MAP_PRIVATE, fd, 0L);
    CALL(close, fd);
    fd = open("one", O_WRONLY);
    CALL(mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0L);
    CALL(close, fd);
    fd = open(".", O_RDONLY);
    CALL(mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0L);
    CALL(close, fd);
    CALL(close, writing);
}

static void access_rights(void)
{
    char *p = map(4 * PAGE, RW);
    CALL(mprotect, p, PAGE, PROT_READ);
    usable(p);
    CALL(mprotect, p + PAGE, PAGE, PROT_NONE);
    usable(p + PAGE);
    usable(p + 2 * PAGE);
    CALL(mprotect, p, 2 * PAGE, RW);
    usable(p);
    usable(p + PAGE);
    CALL(mprotect, p, 0L, PROT_NONE);
    usable(p);
    CALL(mprotect, p + 1, PAGE, RW);
    CALL(mprotect, p, PAGE, 0x100);
    CALL(mprotect, p, -PAGE, RW);
    CALL(mprotect, HUGE_LEN, PAGE, RW);
    CALL(munmap, p, 4 * PAGE);
    CALL(munmap, p, 4 * PAGE);
    CALL(munmap, p + 1, PAGE);
    CALL(munmap, p, 0L);
    CALL(munmap, p, -1L);
    p = map(PAGE, PROT_NONE);
    usable(p);
    CALL(mprotect, p, PAGE, RW);
    p[0] = 0;
    usable(p);
    CALL(munmap, p, PAGE);
}

static void sizes(void)
{
    char *p = map(4 * PAGE, RW), *q;
    memset(p, 5, 4 * PAGE);
    q = (char *)CALL(mremap, p, 4 * PAGE, 2 * PAGE, 0, NULL);
    IS(q - p);
    q = (char *)CALL(mremap, p, 2 * PAGE, 2 * PAGE, 0, NULL);
    IS(q - p);
    q = (char *)CALL(mremap, p, 2 * PAGE, 600 * PAGE, MREMAP_MAYMOVE, NULL);
    IS(q[0] * 100 + q[2 * PAGE - 1] * 10 + q[2 * PAGE]);
    IS(q[600 * PAGE - 1]);
    CALL(mremap, q + 1, PAGE, PAGE, 0, NULL);
    CALL(mremap, q, PAGE, 0L, 0, NULL);
    CALL(mremap, q, PAGE, PAGE, MREMAP_FIXED, q);
    CALL(mremap, q, PAGE, PAGE, 64, NULL);
    CALL(mremap, HUGE_LEN, PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL);
    CALL(munmap, q, 600 * PAGE);
}

static void advice(void)
{
    const int given[] = {MADV_NORMAL,   MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
                         MADV_DONTDUMP, MADV_DODUMP, MADV_DONTFORK,   MADV_DOFORK,
                         MADV_FREE,     MADV_COLD,   MADV_PAGEOUT};
    char *p = map(4 * PAGE, RW);
    memset(p, 5, 4 * PAGE);
    CALL(madvise, p + PAGE, 2 * PAGE, MADV_DONTNEED);
    IS(p[0] * 100 + p[PAGE] * 10 + p[3 * PAGE]);
    for (int i = 0; i < 11; i++)
        CALL(madvise, p, PAGE, given[i]);
    CALL(madvise, p + 1, PAGE, MADV_DONTNEED);
    CALL(madvise, p, PAGE, 77);
    CALL(madvise, p, 0L, MADV_DONTNEED);
    CALL(madvise, HUGE_LEN, PAGE, MADV_DONTNEED);
    CALL(munmap, p, 4 * PAGE);
}

static void staying(void)
{
    char *p = map(2 * PAGE, RW);
    CALL(mlock, p, 2 * PAGE);
    CALL(mlock, p + 5, 10L);
    CALL(munlock, p, 2 * PAGE);
    CALL(mlock, p, 0L);
    CALL(mlock, HUGE_LEN, PAGE);
    CALL(munlock, HUGE_LEN, PAGE);
    CALL(mlock2, p, PAGE, 0);
    CALL(mlock2, p, PAGE, MLOCK_ONFAULT);
    CALL(mlock2, p, PAGE, 2);
    CALL(mlock2, HUGE_LEN, PAGE, 0);
    CALL(mlockall, MCL_CURRENT);
    CALL(mlockall, 0);
    CALL(mlockall, 8);
    CALL(mlockall, MCL_ONFAULT);
    CALL(munlockall);
    CALL(msync, p, PAGE, MS_SYNC);
    CALL(msync, p, PAGE, MS_ASYNC | MS_INVALIDATE);
    CALL(msync, p, PAGE, MS_SYNC | MS_ASYNC);
    CALL(msync, p, PAGE, 8);
    CALL(msync, p + 1, PAGE, MS_SYNC);
    CALL(msync, p, 0L, MS_SYNC);
    CALL(msync, HUGE_LEN, PAGE, MS_SYNC);
    CALL(munmap, p, 2 * PAGE);
}

int main(int argc, char **argv)
{
    begin();
    CALL(chdir, argv[1]);
    made();
    files();
    access_rights();
    sizes();
    advice();
    staying();
    return 0;
}
