/* console.h: lines that programs print, queued until Python takes them. */
#ifndef SKERRY_CONSOLE_H
#define SKERRY_CONSOLE_H

#include "skerry.h"

#define CONSOLE_LINE 1024

/* Adds (len) bytes of stream (kind); lines end at newlines. Any thread. */
void console_write(struct skerry_console *c, int kind, const char *text, size_t len);

/* Adds a line of the host's own. */
__attribute__((format(printf, 2, 3))) void console_note(struct skerry_console *c,
                                                        const char *fmt, ...);

/* Ends unfinished lines. */
void console_flush(struct skerry_console *c);

/* Tells if there are lines to take. */
int console_pending(const struct skerry_console *c);

struct skerry_console *console_share(struct skerry_console *c);

#endif
