"""The state file: the one file that a storage program writes without being allowed."""

import os

import pytest

from skerry.allowed import Policy

pytestmark = pytest.mark.core
GNU = ("-static", "-D_GNU_SOURCE")

STATE = r"""
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static char said[4096];
static long done(long value) { return value < 0 ? -errno : value; }
static void say(const char *name, long value)
{
    value = done(value);
    char *end = said + strlen(said);
    if (value < 0)
        sprintf(end, "%s=%s ", name, strerrorname_np(-value));
    else
        sprintf(end, "%s=%ld ", name, value);
}
static void see(void)
{
    char text[100] = "";
    int fd = open("state", O_RDONLY);
    say("open", fd);
    if (fd < 0)
        return;
    read(fd, text, 99);
    close(fd);
    sprintf(said + strlen(said), "'%s' ", text);
}
static int put(const char *text, int flags)
{
    int fd = open("state", flags, 0600);
    say("put", fd);
    if (fd >= 0)
        say("write", write(fd, text, strlen(text)));
    return fd;
}
static void (*volatile crash)(void);
static void in_storage(size_t n, struct virtbuffer buf[n], size_t res)
{
    const char *what = buf[0].data;
    said[0] = 0;
    if (*what == 's')
        see();
    if (*what == 'r')
        say("close", close(put("replaced", O_WRONLY | O_CREAT | O_TRUNC)));
    if (*what == 'a')
        say("close", close(put("+", O_WRONLY | O_APPEND)));
    if (*what == 'x')
        put("no", O_RDWR | O_CREAT | O_EXCL);
    if (*what == 'l')
        put("left open", O_WRONLY | O_TRUNC), see();
    if (*what == 'c')
        put("crashed", O_WRONLY | O_TRUNC), crash();
    if (*what == 't')
        put("1", O_WRONLY | O_TRUNC), put("2", O_WRONLY | O_TRUNC);
    if (*what == 'b') {
        int fd = put("", O_RDWR);
        say("last", pwrite(fd, "x", 1, (64 << 20) - 1));
        say("more", pwrite(fd, "x", 1, 64 << 20));
        say("size", ftruncate(fd, (64 << 20) + 1));
        say("none", ftruncate(fd, 2));
        say("sync", fsync(fd));
        close(fd);
    }
    if (*what == 'd') {
        int fd = put("one", O_WRONLY | O_TRUNC), other = dup(fd);
        close(fd);
        see();
        close(other);
        see();
    }
    storage_return(said, strlen(said) + 1);
}
START {
    STORAGE_ALLOW(in_storage);
    if (IS_STORAGE() && access("state", F_OK) != 0)
        put("begun", O_WRONLY | O_CREAT);
    said[0] = 0;
    if (!IS_STORAGE())
        put("no", O_WRONLY | O_CREAT), see();
}
HANDLE {
    char text[4096];
    if (url[1] == 'S')
        reply("%s", said);
    said[0] = 0;
    if (url[1] == 'R') {
        see();
        put("no", O_WRONLY | O_CREAT | O_TRUNC);
        say("access", access("state", W_OK));
        reply("%s", said);
    }
    if (storage_call(in_storage, url + 1, strlen(url), text, sizeof text) < 0)
        strcpy(text, "failed");
    reply("%s", text);
}
"""


@pytest.fixture
def keeper(guest, tmp_path):
    """keeper(): a storage program whose state file is tmp_path / "state"."""

    def start():
        policy = Policy(state=tmp_path / "state")
        return guest(STATE, flags=GNU, allowed=policy, storage=True)

    return start


def test_storage_replaces_its_state_file_when_it_closes_it(keeper, tmp_path):
    vm, file = keeper(), tmp_path / "state"
    assert vm.text("/s") == "open=3 'begun' "
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open() as reader:
        assert vm.text("/r") == "put=3 write=8 close=0 "
        assert (file.read_text(), reader.read()) == ("replaced", "begun")
    assert vm.text("/a") == "put=3 write=1 close=0 "
    assert file.read_text() == "replaced+"
    assert vm.text("/x") == "put=EEXIST "
    assert vm.text("/d") == "put=3 write=3 open=3 'replaced+' open=3 'one' "
    assert vm.text("/l") == "put=3 write=9 open=4 'one' "
    assert file.read_text() == "left open"
    assert os.listdir(tmp_path) == ["state"]
    assert keeper().text("/s") == "open=3 'left open' "


def test_a_call_that_fails_leaves_the_state_file_as_it_was(keeper, tmp_path):
    vm = keeper()
    assert vm.text("/c") == "failed"
    assert vm.text("/s") == "open=3 'begun' "
    assert (tmp_path / "state").read_text() == "begun"


def test_a_state_file_has_bounds(keeper, tmp_path):
    """One copy at a time, of at most 64 MB."""
    vm = keeper()
    assert vm.text("/t") == "put=3 write=1 put=EBUSY "
    found = vm.text("/b").split()
    assert found[:4] == ["put=3", "write=0", "last=1", "more=EFBIG"]
    assert found[4:] == ["size=EFBIG", "none=0", "sync=0"]
    assert (tmp_path / "state").read_bytes() == b"1\0"
    with (tmp_path / "state").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert vm.text("/a") == "put=EFBIG close=EBADF "


def test_requests_read_the_state_file_and_do_not_write_it(keeper, tmp_path):
    vm = keeper()
    assert vm.text("/S") == "put=EACCES open=3 'begun' "
    assert vm.text("/R") == "open=3 'begun' put=EACCES access=EACCES "
    assert (tmp_path / "state").read_text() == "begun"


def test_a_state_file_that_cannot_be_replaced_is_an_error(keeper, tmp_path):
    """... of close(), or else of the call."""
    vm = keeper()
    (tmp_path / "state.new").mkdir()
    assert vm.text("/r") == "put=3 write=8 close=EISDIR "
    assert vm.text("/l") == "failed"
    assert "state file: Is a directory" in str(vm.lines())
    assert (tmp_path / "state").read_text() == "begun"


def test_a_state_file_is_no_link(keeper, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "state").symlink_to("secret")
    vm = keeper()
    assert vm.text("/s") == "open=ELOOP "
    assert vm.text("/a").startswith("put=ELOOP")
    assert (tmp_path / "secret").read_text() == "secret"


TASK = r"""
#include <fcntl.h>
#include <unistd.h>
static void later(size_t n, struct virtbuffer buf[n], size_t res)
{
    const char *text = buf[0].data;
    int fd = open("state", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write(fd, text, strlen(text));
    if (*text == '-')
        *(volatile int *)0 = 1;
}
START { STORAGE_ALLOW(later); }
HANDLE { reply("%ld", storage_task(later, url + 1, strlen(url))); }
"""


def test_a_task_of_storage_writes_the_state_file(guest, tmp_path):
    """... if it ends well."""
    vm = guest(TASK, allowed=Policy(state=tmp_path / "state"), storage=True)
    for path in ("/done", "/-failed"):
        assert vm.text(path) == "0"
        vm.storage.run_task()
        assert (tmp_path / "state").read_text() == "done"
    (tmp_path / "state.new").mkdir()
    assert vm.text("/lost") == "0"
    vm.storage.run_task()
    assert vm.storage.counts().tasks_failed == 2
    assert "Is a directory" in str(vm.lines())
