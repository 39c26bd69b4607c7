/* check.c: see check.h. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SECONDS_MOST 300 /* of one test: one that hangs ends them all */

static struct check_test *first, **last = &first;
static jmp_buf back;
static const char *running;

void check_add(struct check_test *test)
{
    *last = test;
    last = &test->next;
}

void check_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    longjmp(back, 1);
}

static void on_alarm(int signal)
{
    (void)signal;
    dprintf(STDERR_FILENO, "HANGS %s\n", running);
    _exit(1);
}

static int passes(const struct check_test *test)
{
    if (setjmp(back)) {
        fprintf(stderr, "FAILED %s\n", test->name);
        return 0;
    }
    running = test->name;
    alarm(SECONDS_MOST);
    test->run();
    return 1;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    signal(SIGALRM, on_alarm);
    for (const struct check_test *test = first; test; test = test->next)
        if (argc < 2 || strstr(test->name, argv[1]))
            passes(test) ? passed++ : failed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
