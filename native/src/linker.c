/* linker.c: see linker.h. System V ABI, chapter 5, "Program Interpreter". */
#include "linker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP "load"
#define FILE_MAX (16U << 20) /* bytes; musl's, which is all of libc, has 0.7 MB */

static const char *advice(int code)
{
    switch (code) {
    case ENOENT:
        return ": install it, allow it (allowed_paths), or link with -static or "
               "-static-pie";
    case EISDIR:
        return ": link again with the path of a file (-Wl,--dynamic-linker)";
    default:
        return "";
    }
}

static int refuse(const char *path, int code, struct skerry_error *err)
{
    return skerry_refuse(err, code, STEP, "the dynamic linker %.200s: %s%s", path,
                         strerror(code), advice(code));
}

/* All (len) bytes of (fd) into (to). 0 or an errno value. */
static int read_all(int fd, uint8_t *to, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = pread(fd, to + at, len - at, (off_t)at);
        if (n < 0)
            return errno;
        if (n == 0)
            return EIO; /* it has just become shorter */
        at += (size_t)n;
    }
    return 0;
}

static int check_kind(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return EISDIR;
    return st->st_size > FILE_MAX ? EFBIG : 0;
}

/* Opens and reads (path) into (linker->file). Its length, or -errno with the reason. */
static int64_t fetch(struct linker *linker, const char *path, int opener,
                     enum opener_who who, uint64_t until, struct skerry_error *err)
{
    struct opener_answer answer;
    const struct opener_ask ask = {.what = OPENER_OPEN, .who = who};
    int fd = opener < 0 ? -ENOENT : opener_ask(opener, &ask, path, -1, until, &answer);
    if (fd < 0)
        return refuse(path, -fd, err);
    int code = check_kind(&answer.stat);
    size_t len = (size_t)answer.stat.st_size;
    if (code == 0 && !(linker->file = malloc(len + 1)))
        code = ENOMEM;
    if (code == 0)
        code = read_all(fd, linker->file, len);
    close(fd);
    return code ? refuse(path, code, err) : (int64_t)len;
}

/* What is wrong with the file of the linker is not wrong with the program's. */
static int blame(const char *path, int code, struct skerry_error *err)
{
    char text[sizeof(err->text)];
    memcpy(text, err->text, sizeof(text));
    return skerry_refuse(err, code, STEP, "the dynamic linker %.100s: %.300s", path,
                         text);
}

int linker_find(struct linker *linker, struct image *program, const struct layout *l,
                int opener, enum opener_who who, uint64_t until,
                struct skerry_error *err)
{
    const char *path = program->interpreter;
    if (!path)
        return 0;
    const struct layout rest = image_rest(program, l);
    int64_t len = fetch(linker, path, opener, who, until, err);
    if (len < 0)
        return (int)len;
    int ret = image_parse(&linker->image, linker->file, (uint64_t)len, &rest,
                          rest.program.begin, err);
    if (ret < 0)
        return blame(path, -ret, err);
    if (linker->image.interpreter)
        return skerry_refuse(err, ENOEXEC, STEP,
                             "the dynamic linker %.200s is itself dynamically linked: "
                             "it is some other program",
                             path);
    program->linker = linker->image.bias;
    program->start = linker->image.entry;
    program->end = linker->image.end;
    return 0;
}

void linker_load(const struct linker *linker, uint8_t *base, const struct layout *l)
{
    if (linker->file)
        image_load(&linker->image, linker->file, base, l);
}

void linker_close(struct linker *linker)
{
    free(linker->file);
    linker->file = NULL;
}
