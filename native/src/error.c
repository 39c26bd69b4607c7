/* error.c: see error.h. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int skerry_fail(struct skerry_error *err, const char *step)
{
    int code = errno;
    return skerry_refuse(err, code, step, "%s", strerror(code));
}

int skerry_refuse(struct skerry_error *err, int code, const char *step, const char *fmt,
                  ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->code = code;
        snprintf(err->step, sizeof(err->step), "%s", step);
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
    }
    return -code;
}
