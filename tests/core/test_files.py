"""Files of the host that a program is allowed. One program makes many calls, good and
bad; it runs on this Linux and in a guest, on the same files under the same names."""

import os
import socket
import stat
from pathlib import Path

import pytest
from support.guests import compile_guest
from support.leaks import Held
from support.oracle import MAIN, SHOW, differing, on_linux, results

from skerry import native
from skerry.allowed import Policy
from skerry.config import AllowedPath
from skerry.message import Request

pytestmark = pytest.mark.core
GNU = ("-static", "-D_GNU_SOURCE")

# One line a call: "CALL = RESULT", the result a number or a name of an error.
PROGRAM = (
    SHOW
    + r"""
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

static char p[8192], deep[600];
static const struct flock constant = {F_RDLCK};

static int has(const char *directory, const char *wanted, int kind)
{
    DIR *d = opendir(directory);
    struct dirent *e;
    int found = 0, count = 0;
    while (d && (e = readdir(d)) && ++count)
        found += !strcmp(e->d_name, wanted) && e->d_type == kind;
    closedir(d);
    return found;
}

static void reading(void)
{
    struct iovec iov[2] = {{p, 3}, {p + 3, 4}}, odd[2] = {{p, 2}, {BAD, 2}};
    TRY(open, "file", O_RDONLY);
    TRY(read, 3, p, 4);
    IS(memcmp(p, "0123", 4));
    TRY(read, 3, p, 100);
    IS(memcmp(p, "456789", 6));
    TRY(read, 3, p, 4);
    TRY(read, 3, BAD, 4);
    TRY(pread64, 3, p, 3, 2);
    IS(memcmp(p, "234", 3));
    TRY(pread64, 3, BAD, 3, 2);
    TRY(pread64, 3, p, 3, 100);
    TRY(pread64, 3, p, 3, -1);
    TRY(pread64, 1, p, 3, -1);
    TRY(pread64, 9, p, 3, 0);
    TRY(lseek, 3, 0, SEEK_CUR);
    TRY(lseek, 3, -3, SEEK_END);
    TRY(read, 3, BAD, 4);
    TRY(read, 3, p, 4);
    TRY(lseek, 3, -11, SEEK_END);
    TRY(lseek, 3, -1, SEEK_SET);
    TRY(lseek, 3, 1, 99);
    TRY(lseek, 3, 1ul << 40, SEEK_SET);
    TRY(lseek, 3, INT64_MAX, SEEK_CUR);
    TRY(read, 3, p, 4);
    TRY(lseek, 3, 4, SEEK_DATA);
    TRY(lseek, 3, 4, SEEK_HOLE);
    TRY(lseek, 3, 40, SEEK_DATA);
    TRY(lseek, 3, 1, SEEK_SET);
    TRY(readv, 3, iov, 2);
    IS(memcmp(p, "1234567", 7));
    TRY(readv, 3, odd, 2);
    TRY(readv, 3, iov, -1);
    TRY(write, 3, "x", 1);
    TRY(pwrite64, 3, "x", 1, 0);
    TRY(pwrite64, 3, "x", 1, -1);
    TRY(writev, 3, iov, 1);
    TRY(ftruncate, 3, 0);
    TRY(ftruncate, 3, -1);
    TRY(fsync, 3);
    TRY(fdatasync, 3);
    TRY(fdatasync, 9);
    TRY(ioctl, 3, TCGETS, p);
    TRY(getdents64, 3, p, 100);
    TRY(getdents64, 9, p, 100);
    TRY(fchdir, 3);
    TRY(fchdir, 9);
    TRY(close, 3);
    TRY(read, 3, p, 4);
}

static void duplicates(void)
{
    TRY(open, "file", O_RDONLY | O_CLOEXEC);
    TRY(fcntl, 3, F_GETFD);
    TRY(fcntl, 3, F_GETFL);
    TRY(dup, 3);
    TRY(fcntl, 4, F_GETFD);
    TRY(read, 4, p, 4);
    TRY(lseek, 3, 0, SEEK_CUR);
    TRY(fcntl, 3, F_SETFL, O_APPEND);
    TRY(fcntl, 4, F_GETFL);
    TRY(fcntl, 4, F_SETFD, 1);
    TRY(fcntl, 4, F_GETFD);
    TRY(fcntl, 3, F_DUPFD, 10);
    TRY(fcntl, 3, F_DUPFD_CLOEXEC, 10);
    TRY(fcntl, 11, F_GETFD);
    TRY(fcntl, 3, F_DUPFD, 64);
    TRY(fcntl, 3, F_DUPFD, -1);
    TRY(fcntl, 3, 9999);
    TRY(dup2, 3, 3);
    TRY(dup2, 9, 9);
    TRY(dup2, 3, 20);
    TRY(dup2, 3, 64);
    TRY(dup2, 3, -1);
    TRY(dup2, 9, 20);
    TRY(dup3, 3, 3, 0);
    TRY(dup3, 3, 21, O_CLOEXEC);
    TRY(fcntl, 21, F_GETFD);
    TRY(dup3, 3, 22, 1);
    TRY(open, "empty", O_RDONLY);
    TRY(dup2, 5, 3);
    TRY(read, 3, p, 4);
    TRY(read, 4, p, 4);
    TRY(dup2, 1, 30);
    TRY(write, 30, "", 0);
    TRY(read, 30, p, 4);
    for (int fd = 3; fd < 31; fd++)
        close(fd);
    TRY(read, 4, p, 4);
    for (int i = 3; i < 64; i++)
        IS(open("file", O_RDONLY) == i);
    TRY(open, "file", O_RDONLY);
    TRY(dup, 3);
    TRY(fcntl, 3, F_DUPFD, 0);
    TRY(dup2, 3, 63);
    for (int fd = 3; fd < 64; fd++)
        close(fd);
}

static void names(void)
{
    TRY(open, "./file", O_RDONLY);
    TRY(openat, AT_FDCWD, "inner/../file", O_RDONLY);
    TRY(openat, 99, "file", O_RDONLY);
    TRY(openat, 3, "file", O_RDONLY);
    TRY(open, "file/", O_RDONLY);
    TRY(open, "file/x", O_RDONLY);
    TRY(open, "file/..", O_RDONLY);
    TRY(open, "missing", O_RDONLY);
    TRY(open, "missing/..", O_RDONLY);
    TRY(open, "file", O_RDONLY | O_DIRECTORY);
    TRY(open, "file", O_RDONLY | O_CREAT | O_EXCL, 0600);
    TRY(open, "link", O_RDONLY);
    TRY(open, "link", O_RDONLY | O_NOFOLLOW);
    TRY(open, "loop", O_RDONLY);
    TRY(open, "dangling", O_RDONLY);
    TRY(open, deep, O_RDONLY);
    for (int fd = 3; fd < 12; fd++)
        close(fd);
    TRY(open, "inner", O_RDONLY | O_DIRECTORY);
    TRY(openat, 3, "deep/leaf", O_RDONLY);
    TRY(openat, 3, "../file", O_RDONLY);
    TRY(read, 3, p, 5);
    TRY(readv, 3, 0, 0);
    TRY(pread64, 3, p, 5, 0);
    TRY(write, 3, p, 5);
    TRY(lseek, 3, 0, SEEK_SET);
    TRY(getdents64, 3, p, 8);
    TRY(getdents64, 3, BAD, 1000);
    TRY(lseek, 3, 0, SEEK_SET);
    IS(getdents64(3, p, 4096) > 0);
    TRY(getdents64, 3, p, 4096);
    TRY(lseek, 3, 0, SEEK_SET);
    IS(getdents64(3, p, 4096) > 0);
    IS(has("inner", "deep", DT_DIR));
    IS(has("inner", "twig", DT_REG));
    IS(has("inner", ".", DT_DIR));
    IS(has("inner", "..", DT_DIR));
    IS(has(".", "link", DT_LNK));
    IS(has("many", "number 1999", DT_REG));
    TRY(access, "file", F_OK);
    TRY(access, "file", R_OK);
    TRY(access, "file", X_OK);
    TRY(access, "inner", X_OK);
    TRY(access, "file", 8);
    TRY(access, "missing", 0);
    TRY(access, BAD, 0);
    TRY(faccessat, 3, "twig", R_OK);
    TRY(faccessat, 99, "twig", R_OK);
    TRY(faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW);
    TRY(faccessat2, AT_FDCWD, "dangling", F_OK, 0);
    TRY(faccessat2, AT_FDCWD, "file", F_OK, 1);
    TRY(readlink, "link", p, 100);
    IS(memcmp(p, "file", 4));
    TRY(readlink, "link", p, 2);
    TRY(readlink, "link", p, 0);
    TRY(readlink, "link", BAD, 5);
    TRY(readlink, "dangling", p, 100);
    TRY(readlink, "file", p, 100);
    TRY(readlink, "missing", p, 100);
    TRY(readlinkat, 3, "../link", p, 100);
    for (int fd = 3; fd < 12; fd++)
        close(fd);
}

static void status(void)
{
    struct stat a, b;
    struct statx x;
    TRY(open, "file", O_RDONLY);
    TRY(fstat, 3, &a);
    TRY(stat, "file", &b);
    IS(a.st_size);
    IS(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_mtime == b.st_mtime);
    IS(b.st_mode);
    IS(b.st_mtime);
    IS(b.st_nlink);
    TRY(fstat, 3, BAD);
    TRY(stat, "file", BAD);
    TRY(stat, "inner", &b);
    IS(S_ISDIR(b.st_mode));
    TRY(lstat, "link", &b);
    IS(S_ISLNK(b.st_mode));
    IS(b.st_size);
    TRY(stat, "link", &b);
    IS(a.st_ino == b.st_ino);
    TRY(stat, "dangling", &b);
    TRY(lstat, "dangling", &b);
    TRY(stat, "file/", &b);
    TRY(stat, "", &b);
    TRY(newfstatat, AT_FDCWD, "link", &b, AT_SYMLINK_NOFOLLOW);
    IS(S_ISLNK(b.st_mode));
    TRY(newfstatat, 3, "", &b, AT_EMPTY_PATH);
    IS(a.st_ino == b.st_ino);
    TRY(newfstatat, AT_FDCWD, "", &b, AT_EMPTY_PATH);
    IS(S_ISDIR(b.st_mode));
    TRY(newfstatat, 3, "x", &b, 0);
    TRY(newfstatat, 3, "", &b, 0);
    TRY(newfstatat, 3, "", &b, 1);
    TRY(statx, AT_FDCWD, "file", 0, STATX_BASIC_STATS, &x);
    IS(x.stx_size);
    IS(x.stx_mode == a.st_mode && x.stx_ino == a.st_ino && x.stx_nlink == a.st_nlink);
    IS(x.stx_mtime.tv_sec == a.st_mtim.tv_sec);
    IS(x.stx_mtime.tv_nsec == a.st_mtim.tv_nsec);
    IS(x.stx_mask & STATX_BASIC_STATS);
    TRY(statx, 3, "", AT_EMPTY_PATH, STATX_SIZE, &x);
    IS(x.stx_size);
    TRY(statx, AT_FDCWD, "missing", 0, STATX_SIZE, &x);
    TRY(statx, AT_FDCWD, "file", 1, STATX_SIZE, &x);
    TRY(statx, AT_FDCWD, "file", 0, STATX__RESERVED, &x);
    TRY(statx, AT_FDCWD, "file", 0, STATX_SIZE, BAD);
    TRY(close, 3);
}

static void directories(void)
{
    char here[4096], *end;
    IS(getcwd(here, sizeof here) != NULL);
    end = here + strlen(here);
    TRY(chdir, "inner");
    IS(getcwd(p, sizeof p) && !strncmp(p, here, end - here));
    IS(strcmp(p + (end - here), "/inner"));
    TRY(open, "twig", O_RDONLY);
    TRY(open, "..", O_RDONLY);
    TRY(chdir, "deep/../deep/./");
    IS(getcwd(p, sizeof p) && !strcmp(p + (end - here), "/inner/deep"));
    TRY(chdir, "leaf");
    TRY(chdir, "missing");
    TRY(chdir, "");
    TRY(chdir, BAD);
    TRY(fchdir, 4);
    IS(getcwd(p, sizeof p) && !strcmp(p, here));
    TRY(chdir, "into");
    IS(getcwd(p, sizeof p) && !strcmp(p + (end - here), "/inner/deep"));
    TRY(chdir, here);
    TRY(fstat, 4, p);
    IS(S_ISDIR(((struct stat *)p)->st_mode));
    TRY(close, 3);
    TRY(close, 4);
}

static void mappings(void)
{
    char *m;
    TRY(open, "large", O_RDONLY);
    IS((m = mmap(0, 12345, PROT_READ, MAP_PRIVATE, 3, 4096)) != MAP_FAILED);
    IS(m[0]);
    IS(m[12344]);
    IS((m = mmap(0, 12345, PROT_READ, MAP_SHARED, 3, 0)) != MAP_FAILED);
    IS(m[12344]);
    IS((m = mmap(0, 4096, 3, MAP_PRIVATE, 3, 98304)) != MAP_FAILED);
    IS(m[1000]);
    IS(m[1695]);
    IS(m[1696]);
    IS(m[4095]);
    IS(++m[0]);
    TRY(pread64, 3, p, 1, 98304);
    IS(p[0] != m[0]);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, 3, 1);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, 9, 0);
    TRY(mmap, 0, 0, PROT_READ, MAP_PRIVATE, 3, 0);
    TRY(mmap, 0, 4096, PROT_READ, 0, 3, 0);
    TRY(open, "inner", O_RDONLY);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, 4, 0);
    TRY(close, 3);
    TRY(close, 4);
}

/* Of one process: what two would see of each other is not asked. */
#define LOCK(fd, command, ...) \
    lock = (struct flock){__VA_ARGS__}; \
    show(#fd " " #command " " #__VA_ARGS__, result(fcntl(fd, command, &lock)))
static void locks(void)
{
    struct flock lock;
    TRY(open, "file", O_RDONLY);
    TRY(memfd_create, "", 0);
    TRY(ftruncate, 4, 9);
    TRY(lseek, 4, 5, SEEK_SET);
    LOCK(3, F_SETLK, F_RDLCK, SEEK_SET, 0, 0);
    LOCK(3, F_SETLK, F_WRLCK, SEEK_SET, 0, 0);
    LOCK(4, F_SETLK, F_WRLCK, SEEK_SET, 1ul << 30, 510);
    LOCK(4, F_SETLKW, F_RDLCK, SEEK_CUR, -5, 1);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_CUR, -6, 1);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_END, -9, 0);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_END, -10, 0);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_SET, 5, -5);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_SET, 5, -6);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_CUR, INT64_MAX, 1);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_SET, INT64_MAX, 1);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_SET, INT64_MAX, 2);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_SET, 0, INT64_MIN);
    LOCK(4, F_SETLK, F_RDLCK, SEEK_DATA, 0, 0);
    LOCK(4, F_SETLK, F_UNLCK, SEEK_SET, 0, 0);
    LOCK(4, F_SETLK, 3, SEEK_SET, 0, 0);
    LOCK(4, F_SETLK, -1, SEEK_SET, 0, 0);
    LOCK(4, F_GETLK, F_WRLCK, SEEK_CUR, 1, 2);
    IS(lock.l_type == F_UNLCK && lock.l_whence == SEEK_CUR && lock.l_len == 2);
    LOCK(3, F_GETLK, F_WRLCK, SEEK_SET, 0, 0);
    LOCK(4, F_GETLK, F_UNLCK, SEEK_SET, 0, 0);
    LOCK(4, F_GETLK, F_RDLCK, 99, 0, 0);
    LOCK(9, F_SETLK, F_RDLCK, SEEK_SET, 0, 0);
    TRY(fcntl, 4, F_SETLK, BAD);
    TRY(fcntl, 4, F_GETLK, constant);
    TRY(close, 3);
    TRY(close, 4);
}

/* As on a file system that knows none, which this one may not be. */
static void attributes(void)
{
    TRY(getxattr, "missing", "user.x", p, 100);
    TRY(lgetxattr, "missing", "user.x", p, 100);
    TRY(getxattr, "dangling", "user.x", p, 100);
    TRY(listxattr, "missing", p, 100);
    TRY(llistxattr, "missing", p, 100);
    TRY(fgetxattr, 99, "user.x", p, 100);
    TRY(flistxattr, 99, p, 100);
    TRY(getxattr, "file", "odd.x", p, 100);
    TRY(lgetxattr, "file", "odd.x", p, 100);
    TRY(open, "file", O_RDONLY);
    TRY(fgetxattr, 3, "odd.x", p, 100);
    TRY(close, 3);
}

/* The one device. */
static void null_device(void)
{
    struct stat st;
    struct iovec iov[2] = {{p, 3}, {BAD, 4}};
    TRY(open, "/dev/null", O_RDWR | O_CLOEXEC);
    TRY(fcntl, 3, F_GETFL);
    TRY(fcntl, 3, F_GETFD);
    TRY(read, 3, p, 10);
    TRY(read, 3, BAD, 10);
    TRY(readv, 3, iov, 2);
    TRY(pread64, 3, p, 10, 5);
    TRY(write, 3, p, 10);
    TRY(write, 3, BAD, 1ul << 20);
    TRY(write, 3, p, 1ul << 40);
    TRY(writev, 3, iov, 2);
    TRY(pwrite64, 3, p, 10, 5);
    TRY(preadv, 3, iov, 2, 9, 0);
    TRY(pwritev, 3, iov, 2, 9, 0);
    TRY(lseek, 3, 100, SEEK_SET);
    TRY(lseek, 3, 0, SEEK_CUR);
    TRY(lseek, 3, -9, SEEK_END);
    TRY(lseek, 3, 0, 99);
    TRY(ftruncate, 3, 0);
    TRY(fsync, 3);
    TRY(ioctl, 3, TCGETS, p);
    TRY(getdents64, 3, p, 100);
    TRY(fchdir, 3);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, 3, 0);
    TRY(fstat, 3, &st);
    IS(st.st_mode);
    IS(st.st_rdev);
    IS(st.st_size);
    TRY(stat, "/dev/null", &st);
    IS(st.st_mode);
    TRY(lstat, "/dev/null", &st);
    IS(st.st_rdev);
    TRY(access, "/dev/null", R_OK | W_OK);
    TRY(access, "/dev/null", X_OK);
    TRY(readlink, "/dev/null", p, 100);
    TRY(chdir, "/dev/null");
    TRY(openat, 99, "/dev/null", O_RDONLY);
    TRY(write, 4, p, 1);
    TRY(open, "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    TRY(read, 5, p, 1);
    TRY(fcntl, 5, F_GETFL);
    TRY(open, "/dev/null", O_RDWR | O_CREAT | O_EXCL, 0644);
    TRY(open, "/dev/null", O_RDONLY | O_DIRECTORY);
    TRY(close, 3);
    TRY(close, 4);
    TRY(close, 5);
}

static void library(void)
{
    FILE *f = fopen("large", "r");
    IS(fseek(f, 99990, SEEK_SET));
    IS(fread(p, 1, 100, f));
    IS(feof(f));
    rewind(f);
    IS(fgetc(f));
    IS(ftell(f));
    IS(fclose(f));
    IS(fopen("missing", "r") == NULL);
}

static void try_all(void)
{
    memset(deep, 'x', sizeof deep - 1);
    reading();
    duplicates();
    names();
    status();
    directories();
    mappings();
    locks();
    attributes();
    null_device();
    library();
}
"""
    + MAIN
)


@pytest.fixture
def place(tmp_path) -> Path:
    """A directory with files of all kinds that a program may meet."""
    base = tmp_path / "data"
    (base / "inner" / "deep").mkdir(parents=True)
    (base / "many").mkdir()
    for number in range(2000):
        (base / "many" / f"number {number}").touch()
    (base / "file").write_bytes(b"0123456789")
    (base / "empty").touch()
    (base / "large").write_bytes(bytes(n % 251 for n in range(100000)))
    (base / "inner" / "twig").write_text("twig")
    (base / "inner" / "deep" / "leaf").write_text("leaf")
    (base / "link").symlink_to("file")
    (base / "into").symlink_to("inner/deep")
    (base / "loop").symlink_to("loop")
    (base / "dangling").symlink_to("missing")
    return base


def allow(path: Path, virtual: str | None = None, writable: bool = False, **more):
    """A policy with (path) alone, which is the working directory if it is one."""
    name = virtual or str(path)
    allowed = AllowedPath(path, name, path.is_dir(), writable)
    directory = name if path.is_dir() else "/"
    return Policy((allowed,), **{"directory": directory} | more)


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_files_answer_as_linux_does(guest, place, when):
    linux = on_linux(compile_guest(PROGRAM), directory=place)
    vm = guest(PROGRAM, whole=True, arguments=[when], allowed=allow(place))
    ours = results(vm.text(f"/{when}"))
    assert differing(ours, linux) == {}


def test_a_program_sees_what_is_allowed_under_its_virtual_name(guest, place):
    vm = guest(CAT, flags=GNU, allowed=allow(place, "/srv/data", directory="/srv"))
    assert vm.text("/srv/data/file") == "0123456789"
    assert vm.text("/-data/inner/twig") == "twig"
    assert vm.text("/-.././/srv/../srv/data//./file") == "0123456789"
    assert vm.text("/-file") == "ENOENT"


# Answers what is in the file that the path names; behind "/-" it is a relative one.
CAT = r"""
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
static char text[1 << 16];
static void answer(long n)
{
    if (n < 0)
        reply("%s", strerrorname_np(errno));
    backend_response(200, "text/plain", 10, text, n);
}
START {}
HANDLE {
    int fd = open(url[1] == '-' ? url + 2 : url, O_RDONLY);
    answer(fd < 0 ? -1 : read(fd, text, sizeof text));
}
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data/file", "0123456789"),
        ("/database/file", "ENOENT"),
        ("/dat", "ENOENT"),
        ("/etc/passwd", "ENOENT"),
        ("/data/../secret", "EACCES"),
        ("/data/inner/../../secret", "EACCES"),
        ("/data/../../etc/passwd", "EACCES"),
        ("/data/out", "EACCES"),
        ("/data/absolute", "EACCES"),
        ("/data/up/secret", "EACCES"),
        ("/data/pipe", "EACCES"),
        ("/data/socket", "EACCES"),
        ("/data/null", "EACCES"),
        ("/proc/self/environ", "ENOENT"),
        ("/secret", "ENOENT"),
    ],
)
def test_nothing_else_is_there(guest, place, path, found):
    """Not next to it, not above it, not behind a link, and no devices."""
    (place.parent / "secret").write_text("secret")
    (place.parent / "database").mkdir()
    (place.parent / "database" / "file").write_text("secret")
    (place / "out").symlink_to("../secret")
    (place / "absolute").symlink_to(place / "file")
    (place / "up").symlink_to("..")
    os.mkfifo(place / "pipe")
    os.mknod(place / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(place / "socket"))
        assert guest(CAT, flags=GNU, allowed=allow(place, "/data")).text(path) == found


def test_one_file_alone_is_allowed(guest, place):
    vm = guest(CAT, flags=GNU, allowed=allow(place / "file", "/only"))
    paths = ["/only", "/./only", "/only/", "/only/x", "/only2", "/"]
    found = [vm.text(path) for path in paths]
    assert found == ["0123456789", "0123456789", *["ENOTDIR"] * 2, "ENOENT", "EISDIR"]


def test_a_program_without_files_finds_none(guest):
    assert [guest(CAT, flags=GNU).text(path) for path in ("/", "/etc/passwd")] == [
        "ENOENT"
    ] * 2


LIBRARY = r"""
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
START {}
HANDLE {
    char text[16] = "", line[16] = "";
    FILE *file = fopen("file", "r");
    size_t n = fread(text, 1, sizeof text - 1, file);
    struct stat st;
    int count = 0, found = stat("file", &st);
    DIR *inner = opendir("inner");
    while (readdir(inner))
        count++;
    rewind(file);
    fgets(line, 4, file);
    reply("%d %s %s %d %d %d", (int)n, text, line, count, found, (int)st.st_size);
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc", "g++"])
def test_the_files_of_a_c_library_are_there(guest, place, compiler):
    vm = guest(LIBRARY, compiler=compiler, allowed=allow(place))
    assert vm.text() == "10 0123456789 012 4 0 10"
    assert vm.snapshot.unknown_syscalls == 0, vm.lines()


STREAM = r"""
#include <filesystem>
#include <fstream>
#include <string>
START {}
HANDLE {
    std::ifstream file("inner/deep/leaf");
    std::string word;
    file >> word;
    int count = 0;
    for (auto &each : std::filesystem::recursive_directory_iterator("inner"))
        count += each.is_regular_file();
    reply("%s %d %d", word.c_str(), count, (int)std::filesystem::exists("missing"));
}
"""


def test_the_streams_and_paths_of_cpp_are_there(guest, place):
    vm = guest(STREAM, compiler="g++", allowed=allow(place))
    assert vm.text() == "leaf 2 0"
    assert vm.snapshot.unknown_syscalls == 0, vm.lines()


# --- What stays open ---

KEPT = r"""
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
static int fd, directory;
START {
    char text[4];
    fd = open("file", O_RDONLY);
    directory = open("inner", O_RDONLY);
    read(fd, text, 4);
}
HANDLE {
    char text[16] = "";
    struct stat st;
    int inside = openat(directory, "twig", O_RDONLY);
    if (url[1] == 'c')
        close(fd), close(inside);
    int n = read(fd, text, 3);
    reply("%d %s %d %ld", n, text, inside, (long)lseek(fd, 0, SEEK_CUR));
}
"""


def test_what_start_up_has_opened_is_open_in_every_request(guest, place):
    """... where start-up has left it, whatever requests before have done with it."""
    vm = guest(KEPT, allowed=allow(place))
    paths = ["/", "/", "/close", "/"]
    found = [vm.text(path) for path in paths]
    assert found == ["3 456 5 7", "3 456 5 7", "-1  5 -1", "3 456 5 7"]
    with vm.clone() as other:
        answer = other.serve(Request(b"GET", b"/", b"test", b"", b"", b""))
        assert answer is not None and answer.body == b"3 456 5 7"


LEAK = r"""
#include <fcntl.h>
#include <unistd.h>
START {}
HANDLE {
    int last = 0;
    for (int i = 0; i < 3; i++)
        last = open(i ? "file" : "inner", O_RDONLY);
    if (url[1] == 'c')
        *(volatile int *)0 = 1;
    reply("%d %d", last, chdir("inner"));
}
"""


def test_what_a_request_opens_is_closed_when_it_ends(guest, place):
    vm = guest(LEAK, allowed=allow(place))
    before = None
    for number in range(200):
        assert vm.text() == "5 0"
        assert vm.get("/crash").status == 500
        before = before or Held.now() if number == 10 else before
    assert before is not None
    Held.now().assert_same(before)


MANY = r"""
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
START {}
HANDLE {
    int n = 0;
    while (open("file", O_RDONLY) >= 0)
        n++;
    reply("%d %s", n, strerrorname_np(errno));
}
"""


def test_the_requests_of_a_program_have_128_files_open_at_most(guest, place):
    vm = guest(MANY, flags=GNU, allowed=allow(place))
    request = Request(b"GET", b"/", b"test", b"", b"", b"")
    with vm.clone() as one, vm.clone() as two, vm.clone() as three:
        found = [clone.serve(request).body for clone in (one, two, three)]
        assert found == [b"61 EMFILE", b"61 EMFILE", b"6 ENFILE"]
        one.reset()
        assert vm.text() == "61 EMFILE"


# --- Writing ---

WRITE = r"""
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
static char said[4096];
static void try(const char *path, int flags)
{
    int fd = open(path, flags, 0666);
    long n = fd < 0 ? -1 : write(fd, "written", 7);
    char *end = said + strlen(said);
    sprintf(end, "%s ", n < 0 ? strerrorname_np(errno) : "done");
    close(fd);
}
static int kept, reader;
static void try_all(void)
{
    said[0] = 0;
    try("file", O_WRONLY);
    try("new", O_RDWR | O_CREAT);
    try("new", O_WRONLY | O_CREAT | O_EXCL);
    try("file", O_RDONLY | O_TRUNC);
    try("missing", O_WRONLY);
    try("/elsewhere", O_WRONLY | O_CREAT);
    try("inner", O_RDWR);
    try(".", O_RDWR | O_TMPFILE);
    try("log", O_WRONLY | O_CREAT | O_APPEND);
    try("log", O_WRONLY | O_CREAT | O_APPEND);
    sprintf(said + strlen(said), "%d%d", access("file", W_OK), access("file", R_OK));
}
static void in_storage(size_t n, struct virtbuffer buf[n], size_t res)
{
    try_all();
    storage_return(said, strlen(said) + 1);
}
START {
    STORAGE_ALLOW(in_storage);
    if (!IS_STORAGE())
        try_all();
    kept = open("kept", O_RDWR | O_CREAT, 0600);
    reader = open("file", O_RDONLY);
}
HANDLE {
    char text[4096];
    if (url[1] == 'o')
        reply("%d %d %d", kept, write(kept, "x", 1), read(reader, text, 5));
    if (url[1] == 's') {
        storage_call(in_storage, 0, 0, text, sizeof text);
        reply("%s", text);
    }
    if (url[1] == 'r')
        try_all();
    reply("%s", said);
}
"""
WRITTEN = "done done EEXIST EBADF ENOENT EACCES EISDIR EOPNOTSUPP done done 00"
REFUSED = (
    "EACCES EACCES EACCES EACCES ENOENT EACCES EACCES EOPNOTSUPP EACCES EACCES -10"
)


def test_writable_paths_are_written_to_at_the_start_and_in_storage(guest, place):
    """... and never in a request, not even through what start-up has left open."""
    vm = guest(WRITE, flags=GNU, allowed=allow(place, writable=True), storage=True)
    assert vm.text("/begin") == WRITTEN
    assert (place / "new").read_text() == "written"
    assert (place / "log").read_text() == "written" * 2
    assert (place / "file").read_text() == ""
    (place / "new").unlink()
    (place / "log").unlink()
    assert vm.text("/request") == REFUSED
    assert not (place / "new").exists()
    assert vm.text("/open") == "3 -1 0"
    assert vm.text("/storage") == WRITTEN


def test_other_paths_are_not_written_to_at_all(guest, place):
    vm = guest(WRITE, flags=GNU, allowed=allow(place), storage=True)
    found = [vm.text(path) for path in ("/begin", "/request", "/storage")]
    assert found == [REFUSED] * 3
    assert (place / "file").read_text() == "0123456789"


WARM = r"""
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
static int wrote, kept = -1;
START {}
HANDLE {
    char text[5] = "";
    if (kept < 0) {
        wrote = open("new", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
        kept = open("file", O_RDONLY);
    }
    pread(kept, text, 4, 0);
    reply("%d %d %s", wrote == EACCES, kept, text);
}
"""


def test_a_warm_up_request_reads_and_does_not_write(guest, place):
    """What it leaves open is open in every request, as what it leaves in memory is."""
    warmup = native.Warming(2, "GET", "/", "")
    vm = guest(WARM, allowed=allow(place, writable=True), warmup=warmup)
    assert [vm.text(), vm.text()] == ["1 3 0123"] * 2
    assert not (place / "new").exists()


WHERE = r"""
#include <string.h>
#include <unistd.h>
START {}
HANDLE { char path[600]; reply("%d", (int)strlen(getcwd(path, sizeof path))); }
"""


def test_a_working_directory_has_511_bytes_at_most(guest):
    whole = "/" + "x" * 510
    assert guest(WHERE, allowed=Policy(directory=whole)).text() == "511"
    with pytest.raises(native.NativeError, match=r"current_working_directory.*511"):
        guest(WHERE, allowed=Policy(directory=whole + "x"))
