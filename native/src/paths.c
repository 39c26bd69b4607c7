/* paths.c: see paths.h. */
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define OPENER_NS 2000000000UL /* for one answer */

uint64_t file_until(const struct machine *m)
{
    uint64_t until = clock_now() + OPENER_NS;
    return until < m->deadline ? until : m->deadline;
}

static long put_at_end(char *to, size_t used, const char *path)
{
    size_t len = strlen(path);
    if (used + 1 + len >= OPENER_PATH_MAX)
        return -ENAMETOOLONG;
    to[used] = '/';
    memcpy(to + used + 1, path, len + 1);
    return 0;
}

long path_of_directory(struct call *c, int at, char to[OPENER_PATH_MAX])
{
    const struct call other = {c->m, {(uint64_t)at}, 0, 0, 0};
    struct handle h;
    if (at == AT_FDCWD) {
        strcpy(to, c->m->process->files.directory);
        return (long)strlen(to);
    }
    int ret = handle_of(&other, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind != OPEN_DIRECTORY)
        return -ENOTDIR;
    ssize_t n = pread(h.host, to, OPENER_PATH_MAX - 1, OPENER_PATH_AT);
    if (n < 0)
        return -EIO;
    to[n] = 0;
    return (long)strlen(to);
}

long path_take(struct call *c, struct name name, char to[OPENER_PATH_MAX])
{
    char path[OPENER_PATH_MAX];
    long len = guest_string(&c->m->mem, name.addr, path, sizeof(path));
    if (len <= 0)
        return len;
    if (path[0] == '/') {
        memcpy(to, path, (size_t)len + 1);
        return len;
    }
    long used = path_of_directory(c, name.at, to);
    long ret = used < 0 ? used : put_at_end(to, (size_t)used, path);
    return ret < 0 ? ret : (long)strlen(to);
}

long path_ask(struct call *c, struct name name, enum opener_what what, uint32_t flags,
              struct opener_answer *answer)
{
    char path[OPENER_PATH_MAX];
    long len = path_take(c, name, path);
    if (len <= 0)
        return len < 0 ? len : -ENOENT;
    return files_ask(&c->m->files, what, flags, path, file_until(c->m), answer);
}
