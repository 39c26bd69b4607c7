/* descriptors.c: see descriptors.h. */
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void descriptors_init(struct descriptors *d)
{
    memset(d, 0, sizeof(*d));
    for (uint8_t fd = 0; fd < 3; fd++) {
        d->file[fd] = fd + 1;
        d->open[fd].kind = OPEN_INPUT + fd;
        d->open[fd].flags = fd == 0 ? O_RDONLY : O_WRONLY;
        d->open[fd].at_start = 1;
    }
    d->directory[0] = '/';
    d->limit = DESCRIPTORS;
}

int descriptors_find(const struct descriptors *d, uint32_t fd)
{
    return fd < DESCRIPTORS && d->file[fd] ? d->file[fd] - 1 : -EBADF;
}

static int free_number(const struct descriptors *d, uint32_t low)
{
    for (uint32_t fd = low; fd < d->limit && fd < DESCRIPTORS; fd++)
        if (!d->file[fd])
            return (int)fd;
    return -EMFILE;
}

int descriptors_place(const struct descriptors *d)
{
    for (int i = 0; i < DESCRIPTORS && free_number(d, 0) >= 0; i++)
        if (d->open[i].kind == OPEN_NONE)
            return i;
    return -EMFILE;
}

int descriptors_add(struct descriptors *d, int index, uint32_t low, int cloexec)
{
    int fd = free_number(d, low);
    if (fd >= 0)
        descriptors_set(d, index, (uint32_t)fd, cloexec);
    return fd;
}

void descriptors_set(struct descriptors *d, int index, uint32_t fd, int cloexec)
{
    uint64_t bit = 1UL << fd;
    d->file[fd] = (uint8_t)(index + 1);
    d->close_on_exec = cloexec ? d->close_on_exec | bit : d->close_on_exec & ~bit;
}

int descriptors_close(struct descriptors *d, uint32_t fd)
{
    uint8_t file = d->file[fd];
    d->file[fd] = 0;
    return memchr(d->file, file, DESCRIPTORS) ? -1 : file - 1;
}

void descriptors_forget(struct descriptors *d, int index)
{
    for (uint32_t fd = 0; fd < DESCRIPTORS; fd++)
        if (d->file[fd] == index + 1)
            d->file[fd] = 0;
    d->open[index] = (struct open_file){0};
}
