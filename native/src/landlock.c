/* landlock.c: see landlock.h. The numbers are linux/landlock.h's, of Linux 6.15; here
 * because the header that is installed may be older than the kernel that runs. */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ASK_VERSION 1U
#define PATH_BENEATH 1
#define READ_FILE (1U << 2)
#define READ_DIR (1U << 3)
#define SYNC_THREADS 8U /* LANDLOCK_RESTRICT_SELF_TSYNC */
#define SYNC_VERSION 8

struct ruleset {
    uint64_t files, ports, scopes;
};

struct beneath {
    uint64_t rights;
    int32_t directory;
} __attribute__((packed));

/* What came with each version, the first one last. */
static const struct {
    int version;
    struct ruleset adds;
} rights[] = {
    {6, {.scopes = 3}},       /* abstract sockets, signals */
    {5, {.files = 1U << 15}}, /* ioctl of devices */
    {4, {.ports = 3}},        /* bind and connect of TCP */
    {3, {.files = 1U << 14}}, /* truncate */
    {2, {.files = 1U << 13}}, /* move to another directory */
    {1, {.files = 0x1fff}},   /* execute, write, read, list, remove, make */
};

static struct ruleset all_rights(int version)
{
    struct ruleset all = {0};
    for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++)
        if (rights[i].version <= version) {
            all.files |= rights[i].adds.files;
            all.ports |= rights[i].adds.ports;
            all.scopes |= rights[i].adds.scopes;
        }
    return all;
}

static int allow_reading(int rules, const char *path, struct skerry_error *err)
{
    struct beneath rule = {.rights = READ_FILE | READ_DIR};
    rule.directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rule.directory < 0)
        return skerry_fail(err, path);
    long ret = syscall(SYS_landlock_add_rule, rules, PATH_BENEATH, &rule, 0);
    int failed = ret < 0 ? skerry_fail(err, "landlock_add_rule") : 0;
    close(rule.directory);
    return failed;
}

static int fill(int rules, const char *const *readable, uint32_t count,
                struct skerry_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        int ret = allow_reading(rules, readable[i], err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

int landlock_takes_threads(int version)
{
    return version >= SYNC_VERSION;
}

static int restrict_self(int rules, int version, struct skerry_error *err)
{
    uint32_t flags = landlock_takes_threads(version) ? SYNC_THREADS : 0;
    long ret = syscall(SYS_landlock_restrict_self, rules, flags);
    return ret < 0 ? skerry_fail(err, "landlock_restrict_self") : 0;
}

int landlock_enter(const char *const *readable, uint32_t count,
                   struct skerry_error *err)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
    if (version <= 0)
        return 0;
    /* A kernel takes a longer struct than it knows if the rest is zero. */
    struct ruleset all = all_rights(version);
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (rules < 0)
        return skerry_fail(err, "landlock_create_ruleset");
    int ret = fill(rules, readable, count, err);
    if (ret == 0)
        ret = restrict_self(rules, version, err);
    close(rules);
    return ret < 0 ? ret : version;
}
