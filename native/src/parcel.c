/* parcel.c: frozen machines and shared memory, handed to another process of the same
 * build: plain data as bytes, memory as file descriptors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "parcel_check.h"
#include "threads.h"
#include "x86.h"

#define PARCEL_MAGIC 0x6b736e73 /* "snsk" */

/* What goes to the other process beside the memory. */
struct snapshot_parcel {
    uint32_t magic, size;
    int ring0_stub; /* what the probe has found, which the other process need not do */
    uint8_t tss_type;
    uint64_t vdso; /* id of the kernel's, which guests use, or 0 */
    struct layout layout;
    struct process process;
    struct program_facts facts;
    struct space space; /* behind this are its ranges: so many bytes, ... */
    uint64_t ranges, regexes, objects, threads; /* ... and of these, in order */
};

size_t skerry_snapshot_size(const struct skerry_snapshot *s)
{
    return sizeof(struct snapshot_parcel) + space_packed(&s->space) +
           regexes_packed(&s->regexes) + objects_packed(&s->objects) +
           threads_packed(s->threads);
}

int skerry_snapshot_export(const struct skerry_snapshot *s, void *dst)
{
    const struct kvm *kvm = kvm_get(NULL); /* (s) was made with it */
    struct snapshot_parcel p = {.magic = PARCEL_MAGIC,
                                .size = sizeof(p),
                                .ring0_stub = kvm->ring0_stub,
                                .tss_type = kvm->tss_type,
                                .vdso = kvm->has_clock ? kvm->vdso.id : 0,
                                .layout = s->layout,
                                .process = s->process,
                                .facts = s->facts,
                                .space = s->space,
                                .ranges = space_packed(&s->space),
                                .regexes = regexes_packed(&s->regexes),
                                .objects = objects_packed(&s->objects),
                                .threads = threads_packed(s->threads)};
    uint8_t *behind = (uint8_t *)dst + sizeof(p);
    p.space.ranges = (struct ranges){0};
    memcpy(dst, &p, sizeof(p));
    space_pack(&s->space, behind);
    behind += p.ranges;
    regexes_pack(&s->regexes, behind);
    objects_pack(&s->objects, behind + p.regexes);
    threads_pack(s->threads, behind + p.regexes + p.objects);
    return s->fd;
}

/* Tells if the parts behind (p) are all that (size) bytes have; cannot wrap. */
static int is_whole(const struct snapshot_parcel *p, size_t size)
{
    const uint64_t parts[] = {p->ranges, p->regexes, p->objects, p->threads};
    uint64_t rest = size - sizeof(*p);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (parts[i] > rest)
            return 0;
        rest -= parts[i];
    }
    return rest == 0;
}

/* Tells if (p) was made with the kind of KVM that this process has, as far as it knows:
 * the first one tells it, and none changes it for the others. */
static int is_of_kind(const struct snapshot_parcel *p, const struct kvm *kvm)
{
    if (kvm->tss_type)
        return p->tss_type == kvm->tss_type && p->ring0_stub == kvm->ring0_stub;
    return (p->ring0_stub == 0 || p->ring0_stub == 1) &&
           (p->tss_type == SEG_TYPE_TSS_BUSY || p->tss_type == SEG_TYPE_TSS_AVAILABLE);
}

static int unpack(const struct snapshot_parcel *p, size_t size,
                  struct skerry_error *err)
{
    if (size < sizeof(*p) || p->magic != PARCEL_MAGIC || p->size != sizeof(*p) ||
        !is_whole(p, size))
        return skerry_refuse(err, EINVAL, "frozen machine",
                             "it was made by another version of skerry");
    struct kvm *kvm = kvm_get(err);
    if (!kvm)
        return -ENODEV;
    if (p->vdso && p->vdso != kvm->vdso.id)
        return skerry_refuse(err, EINVAL, "frozen machine",
                             "it was made under another kernel");
    if (!is_of_kind(p, kvm))
        return skerry_refuse(err, EINVAL, "frozen machine",
                             "it was made with another kind of KVM");
    kvm->ring0_stub = p->ring0_stub;
    kvm->tss_type = p->tss_type;
    if (p->vdso)
        kvm->has_clock = 1;
    return 0;
}

static int unpack_space(struct space *to, const struct snapshot_parcel *p,
                        const uint8_t *ranges, struct skerry_error *err)
{
    *to = p->space;
    int ret = space_unpack(to, ranges, p->ranges);
    return ret < 0 ? skerry_refuse(err, -ret, "far ranges", "%s", strerror(-ret)) : 0;
}

/* Takes all that is behind (p). 0, or -errno with (err). */
static int unpack_parts(struct skerry_snapshot *s, const struct snapshot_parcel *p,
                        struct skerry_error *err)
{
    const uint8_t *behind = (const uint8_t *)(p + 1);
    int ret = unpack_space(&s->space, p, behind, err);
    behind += p->ranges;
    if (ret == 0)
        ret = regexes_unpack(&s->regexes, behind, p->regexes, err);
    behind += p->regexes;
    if (ret == 0)
        ret = objects_unpack(&s->objects, behind, p->objects, err);
    if (ret == 0)
        ret = threads_unpack(&s->threads, behind + p->objects, p->threads, err);
    return ret;
}

/* Maps the frozen memory; of storage, only to look at it. 0, or -errno with (err). */
static int take_memory(struct skerry_snapshot *s, struct skerry_error *err)
{
    int ret = memory_map(s->fd, s->layout.slot_size, MAP_FROZEN, &s->frozen, err);
    if (ret < 0)
        return ret;
    ret = parcel_check_memory(s, kvm_get(NULL), s->frozen, err);
    if (s->facts.is_storage) {
        memory_unmap(s->frozen, s->layout.slot_size);
        s->frozen = NULL;
    }
    return ret;
}

int skerry_snapshot_import(const void *src, size_t size, int fd, struct skerry_shm *shm,
                           struct skerry_snapshot **out, struct skerry_error *err)
{
    const struct snapshot_parcel *p = src;
    struct skerry_snapshot *s = NULL;
    int ret = unpack(p, size, err);
    if (ret == 0 && !(s = calloc(1, sizeof(*s))))
        ret = skerry_fail(err, "frozen machine");
    if (ret < 0) {
        close(fd);
        return ret;
    }
    *s = (struct skerry_snapshot){.references = 1,
                                  .fd = fd,
                                  .layout = p->layout,
                                  .process = p->process,
                                  .facts = p->facts,
                                  .shm = shm_share(shm)};
    files_init(&s->files, -1, OPENER_START, NULL);
    ret = unpack_parts(s, p, err);
    if (ret == 0)
        ret = parcel_check(s, err);
    if (ret == 0)
        ret = take_memory(s, err);
    if (ret < 0) {
        skerry_snapshot_close(s);
        return ret;
    }
    *out = s;
    return 0;
}

_Static_assert(SKERRY_FILES == DESCRIPTORS, "room for all files");

int skerry_snapshot_files(const struct skerry_snapshot *s, int fds[SKERRY_FILES])
{
    return files_list(&s->files, &s->process.files, fds);
}

int skerry_snapshot_adopt(struct skerry_snapshot *s, int opener, const int *fds,
                          int count, struct skerry_error *err)
{
    int ret = files_adopt(&s->files, &s->process.files, opener, fds, count);
    return ret < 0 ? skerry_refuse(err, -ret, "open files", "some are missing") : 0;
}
