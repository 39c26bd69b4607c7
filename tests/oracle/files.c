/* files.c DIRECTORY: reads, writes and asks about what is in there: a file "one", a
 * directory "sub" with a file "two", and links to both. */
#include "oracle.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/uio.h>

static char p[8192];
static struct stat st;

static void reading(void)
{
    struct iovec iov[2] = {{p, 3}, {p + 100, 4}}, bad[2] = {{p, 3}, {BAD, 4}};
    int fd = (int)CALL(openat, AT_FDCWD, "one", O_RDONLY, 0);
    CALL(read, 0, p, 10);
    CALL(read, fd, p, 5);
    CALL(read, fd, p, 0);
    CALL(read, fd, BAD, 5);
    CALL(read, 99, p, 5);
    CALL(pread64, fd, p, 4, 2L);
    CALL(pread64, fd, p, 4, -1L);
    CALL(pread64, fd, p, 4, 1L << 40);
    CALL(pread64, fd, BAD, 4, 0L);
    CALL(lseek, fd, 0L, SEEK_SET);
    CALL(readv, fd, iov, 2L);
    show(p, 104);
    CALL(readv, fd, bad, 2L);
    CALL(readv, fd, BAD, 2L);
    CALL(readv, fd, iov, -1L);
    CALL(read, fd, p, sizeof(p));
    CALL(read, fd, p, sizeof(p));
    CALL(write, fd, "x", 1L);
    CALL(ftruncate, fd, 1L);
    CALL(fsync, fd);
    CALL(fdatasync, fd);
    CALL(close, fd);
    CALL(close, fd);
}

static void seeking(void)
{
    int fd = (int)CALL(open, "one", O_RDONLY, 0);
    CALL(lseek, fd, 4L, SEEK_SET);
    CALL(lseek, fd, 2L, SEEK_CUR);
    CALL(lseek, fd, -3L, SEEK_END);
    CALL(read, fd, p, 10L);
    CALL(lseek, fd, -100L, SEEK_CUR);
    CALL(lseek, fd, 1L << 40, SEEK_SET);
    CALL(read, fd, p, 10L);
    CALL(lseek, fd, 0L, SEEK_DATA);
    CALL(lseek, fd, 0L, SEEK_HOLE);
    CALL(lseek, fd, 1000L, SEEK_DATA);
    CALL(lseek, fd, 0L, 77);
    CALL(lseek, 99, 0L, SEEK_SET);
    CALL(close, fd);
}

static void writing(void)
{
    struct iovec iov[2] = {{"ab", 2}, {"cde", 3}};
    int fd = (int)CALL(openat, AT_FDCWD, "new", O_RDWR | O_CREAT | O_TRUNC, 0644);
    CALL(write, fd, "0123456789", 10L);
    CALL(write, fd, BAD, 5L);
    CALL(write, 99, "x", 1L);
    CALL(write, 1, "to standard output\n", 19L);
    CALL(pwrite64, fd, "XY", 2L, 4L);
    CALL(pwrite64, fd, "Z", 1L, -1L);
    CALL(pwrite64, fd, BAD, 1L, 0L);
    CALL(writev, fd, iov, 2L);
    CALL(writev, fd, BAD, 2L);
    CALL(writev, fd, iov, 0L);
    CALL(pread64, fd, p, 100L, 0L);
    CALL(ftruncate, fd, 6L);
    CALL(ftruncate, fd, -1L);
    CALL(ftruncate, 99, 1L);
    CALL(fstat, fd, &st);
    CALL(ftruncate, fd, 20L);
    CALL(pread64, fd, p, 100L, 0L);
    CALL(fsync, fd);
    CALL(fdatasync, fd);
    CALL(fsync, 99);
    CALL(fdatasync, 99);
    CALL(close, fd);
    fd = (int)CALL(openat, AT_FDCWD, "new", O_WRONLY | O_APPEND, 0);
    CALL(write, fd, "end", 3L);
    CALL(lseek, fd, 0L, SEEK_CUR);
    CALL(read, fd, p, 1L);
    CALL(close, fd);
}

static void copies(void)
{
    int fd = (int)CALL(openat, AT_FDCWD, "one", O_RDONLY, 0);
    int other = (int)CALL(dup, fd);
    CALL(read, fd, p, 3L);
    CALL(read, other, p, 3L);
    CALL(dup2, fd, 20);
    CALL(dup2, fd, fd);
    CALL(dup2, 99, 20);
    CALL(dup2, 99, 99);
    CALL(dup2, fd, -1);
    CALL(dup3, fd, 21, O_CLOEXEC);
    CALL(dup3, fd, fd, 0);
    CALL(dup3, fd, 22, 1);
    CALL(dup, 99);
    CALL(close, fd);
    CALL(read, 20, p, 3L);
    CALL(close, other);
    CALL(close, 20);
    CALL(close, 21);
}

static const char *const paths[] = {"one",  "sub",     "link", "sub/two", "missing",
                                    "turn", "one/two", "",     "./sub/.."};

static void looking(void)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        CALL(stat, paths[i], &st);
        CALL(lstat, paths[i], &st);
        CALL(newfstatat, AT_FDCWD, paths[i], &st, 0);
        CALL(newfstatat, AT_FDCWD, paths[i], &st, AT_SYMLINK_NOFOLLOW);
        CALL(readlink, paths[i], p, 100L);
        CALL(readlinkat, AT_FDCWD, paths[i], p, 2L);
        CALL(access, paths[i], F_OK);
        CALL(access, paths[i], R_OK | W_OK);
        CALL(faccessat, AT_FDCWD, paths[i], X_OK);
    }
    CALL(stat, BAD, &st);
    CALL(lstat, BAD, &st);
    CALL(stat, "one", BAD);
    CALL(fstat, 99, &st);
    CALL(newfstatat, 99, "one", &st, 0);
    CALL(newfstatat, AT_FDCWD, "one", &st, -1);
    CALL(newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH);
    CALL(readlink, "link", p, 0L);
    CALL(readlink, "link", BAD, 10L);
    CALL(readlinkat, 99, "link", p, 10L);
    CALL(access, "one", 77);
    CALL(access, BAD, R_OK);
    CALL(faccessat, 99, "one", R_OK);
}

static void names_of(long len)
{
    uint64_t sum = 0;
    for (long at = 0; at < len;) {
        const struct dirent64 *d = (const void *)(p + at);
        for (const char *c = d->d_name; *c; c++)
            sum += (uint64_t)*c * d->d_type;
        at += d->d_reclen;
    }
    show(&sum, sizeof(sum));
}

static void directories(void)
{
    int fd = (int)CALL(openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0);
    CALL(fstat, fd, &st);
    CALL(newfstatat, fd, "one", &st, 0);
    CALL(faccessat, fd, "one", R_OK);
    CALL(readlinkat, fd, "link", p, 100L);
    CALL(read, fd, p, 10L);
    names_of(CALL(getdents64, fd, p, sizeof(p)));
    CALL(getdents64, fd, p, sizeof(p));
    CALL(lseek, fd, 0L, SEEK_SET);
    CALL(getdents64, fd, p, 4L);
    CALL(getdents64, fd, BAD, sizeof(p));
    CALL(getdents64, 1, p, sizeof(p));
    CALL(getdents64, 99, p, sizeof(p));
    CALL(chdir, "sub");
    CALL(access, "two", R_OK);
    CALL(fchdir, fd);
    CALL(access, "two", R_OK);
    CALL(fchdir, 1);
    CALL(fchdir, 99);
    CALL(chdir, "one");
    CALL(chdir, "missing");
    CALL(chdir, BAD);
    CALL(close, fd);
}

static void vectors(void)
{
    struct iovec iov[2] = {{p, 3}, {p + 100, 4}}, bad[2] = {{p, 3}, {BAD, 4}};
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}};
    int fd = (int)CALL(open, "new", O_RDWR | O_CREAT | O_TRUNC, 0644), ends[2];
    int one = (int)CALL(open, "one", O_RDONLY, 0);
    memset(p, 0, sizeof(p));
    CALL(pwritev, fd, out, 2L, 3L, 0L);
    CALL(pwritev, fd, out, 2L, -1L, -1L);
    CALL(pwritev, one, out, 2L, 0L, 0L);
    CALL(pwritev2, fd, out, 1L, 0L, 0L, RWF_SYNC);
    CALL(pwritev2, fd, out, 1L, -1L, -1L, 0);
    CALL(pwritev2, fd, out, 1L, 0L, 0L, 0x4000000);
    CALL(lseek, fd, 0L, SEEK_CUR);
    CALL(preadv, fd, iov, 2L, 1L, 0L);
    show(p, 104);
    CALL(preadv, fd, iov, 2L, -1L, -1L);
    CALL(preadv, fd, bad, 2L, 0L, 0L);
    CALL(preadv, fd, BAD, 2L, 0L, 0L);
    CALL(preadv, fd, iov, 0L, 0L, 0L);
    CALL(preadv, 99, iov, 1L, 0L, 0L);
    CALL(preadv2, fd, iov, 2L, 0L, 0L, 0);
    CALL(preadv2, fd, iov, 2L, -1L, -1L, 0);
    CALL(lseek, fd, 0L, SEEK_CUR);
    CALL(pipe, ends);
    CALL(preadv, ends[0], iov, 1L, 0L, 0L);
    CALL(pwritev, ends[1], iov, 1L, 0L, 0L);
    CALL(fadvise64, one, 0L, 0L, 1);
    CALL(fadvise64, one, 0L, 0L, 6);
    CALL(fadvise64, one, 0L, -1L, 1);
    CALL(fadvise64, ends[0], 0L, 0L, 1);
    CALL(fadvise64, 99, 0L, 0L, 1);
    CALL(readahead, one, 0L, 100L);
    CALL(readahead, ends[0], 0L, 100L);
    CALL(readahead, 99, 0L, 100L);
    CALL(flock, one, 1);
    CALL(flock, one, 8 | 4);
    CALL(flock, one, 3);
    CALL(flock, 99, 1);
    CALL(syncfs, 99);
    CALL(fstatfs, one, p);
    CALL(fstatfs, one, BAD);
    CALL(fstatfs, 99, p);
    CALL(statfs, "sub", p);
    CALL(statfs, "absent", p);
    CALL(statfs, BAD, p);
    CALL(statfs, ".", BAD);
    for (int each = 0; each < 2; each++)
        CALL(close, ends[each]);
    CALL(close, one);
    CALL(close, fd);
}

int main(int argc, char **argv)
{
    begin();
    CALL(chdir, argv[1]);
    CALL(getcwd, p, sizeof(p));
    CALL(getcwd, p, 2L);
    CALL(getcwd, BAD, sizeof(p));
    reading();
    seeking();
    writing();
    copies();
    looking();
    directories();
    vectors();
    return argc - 2;
}
