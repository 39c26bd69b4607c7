/* The library that a starting program has not found: what the message says of it. */
#include <stdio.h>

#include "check.h"
#include "missing.h"

static struct missing m;
static char text[MISSING_TEXT];

TEST(what_was_not_found_is_named_with_the_places)
{
    m = (struct missing){0};
    CHECK_TEXT(missing_explain(&m, text), "");
    missing_note(&m, "/etc/ld.so.cache", 1);
    missing_note(&m, "/srv/notes.txt", 0);
    CHECK_TEXT(missing_explain(&m, text), "");
    missing_note(&m, "/srv/lib/glibc-hwcaps/x86-64-v3/libx.so.1", 0);
    missing_note(&m, "/srv/lib/libx.so.1", 0);
    missing_note(&m, "/libx.so.1", 0);
    CHECK_TEXT(missing_explain(&m, text),
               "; its library libx.so.1 is not in /srv/lib, /: install it, or allow "
               "its directory (allowed_paths)");
}

TEST(what_was_found_elsewhere_is_not_missing)
{
    m = (struct missing){0};
    missing_note(&m, "/a/libx.so", 0);
    missing_note(&m, "/b/liby.so", 1);
    CHECK(missing_explain(&m, text)[0]);
    missing_note(&m, "/b/libx.so", 1);
    CHECK_TEXT(missing_explain(&m, text), "");
}

TEST(many_places_and_long_names_have_a_bound)
{
    char path[4096];
    m = (struct missing){0};
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/%0*d/libx.so", 20 + i, i);
        missing_note(&m, path, 0);
    }
    CHECK(strstr(missing_explain(&m, text), " and 34 more: ") != NULL);
    memset(path, 'x', sizeof(path) - 1);
    memcpy(path + sizeof(path) - 5, ".so", 4);
    path[0] = '/';
    missing_note(&m, path, 0);
    CHECK(strstr(missing_explain(&m, text), "libx.so ") != NULL);
}
