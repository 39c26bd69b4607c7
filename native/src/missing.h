/* missing.h: the library that a starting program has looked for in vain, for the
 * message that says why it did not start. */
#ifndef SKERRY_MISSING_H
#define SKERRY_MISSING_H

struct missing {
    char name[128];   /* of its file, or "" */
    char places[160]; /* directories, ", " between */
    int more;         /* directories that there was no room for */
};

/* A starting program has tried to open (path): (found), or not. Only libraries count,
 * by their name. */
void missing_note(struct missing *m, const char *path, int found);

/* For the end of a message: "" when nothing is missing. (text) has room for
 * MISSING_TEXT bytes. */
enum { MISSING_TEXT = 400 };
const char *missing_explain(const struct missing *m, char text[MISSING_TEXT]);

#endif
