/* missing.c: see missing.h. */
#include "missing.h"

#include <stdio.h>
#include <string.h>

/* Directories of variants for better CPUs, by glibc old and new: they say nothing that
 * the directory around them does not. */
static const char *const variants[] = {"/glibc-hwcaps/", "/tls/",      "/haswell/",
                                       "/avx512_1/",     "/xeon_phi/", "/x86_64/"};

static int is_variant(const char *path)
{
    for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
        if (strstr(path, variants[i]))
            return 1;
    return 0;
}

static void begin(struct missing *m, const char *name)
{
    memset(m, 0, sizeof(*m));
    snprintf(m->name, sizeof(m->name), "%s", name);
}

static void add_place(struct missing *m, const char *path, size_t len)
{
    size_t used = strlen(m->places);
    const char *between = used ? ", " : "";
    if (used + strlen(between) + len >= sizeof(m->places))
        m->more++;
    else
        snprintf(m->places + used, sizeof(m->places) - used, "%s%.*s", between,
                 (int)len, path);
}

void missing_note(struct missing *m, const char *path, int found)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!strstr(name, ".so") || strlen(name) >= sizeof(m->name))
        return;
    int same = strcmp(name, m->name) == 0;
    if (found && same)
        memset(m, 0, sizeof(*m));
    if (found || is_variant(path))
        return;
    if (!same)
        begin(m, name);
    add_place(m, path, slash > path ? (size_t)(slash - path) : 1);
}

const char *missing_explain(const struct missing *m, char text[MISSING_TEXT])
{
    char more[32] = "";
    text[0] = 0;
    if (m->more)
        snprintf(more, sizeof(more), " and %d more", m->more);
    if (m->name[0])
        snprintf(text, MISSING_TEXT,
                 "; its library %s is not in %s%s: install it, or allow its directory "
                 "(allowed_paths)",
                 m->name, m->places, more);
    return text;
}
