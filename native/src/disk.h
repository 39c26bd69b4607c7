/* disk.h: a file's bytes, read and written whole or not at all.
 *
 * All that a storage file's code does to the file is here, so that a test can stand in
 * for a disk that loses power. Functions return 0 or -errno. */
#ifndef SKERRY_DISK_H
#define SKERRY_DISK_H

#include <stdint.h>

/* Reads exactly (len) bytes at (at); -EIO when the file ends before. */
int disk_read(int fd, void *bytes, uint64_t len, uint64_t at);

/* A part may have been written when it fails. */
int disk_write(int fd, const void *bytes, uint64_t len, uint64_t at);

/* What was written, and the size, outlives a power loss from now on. */
int disk_sync(int fd);

/* Sets the file's size. */
int disk_cut(int fd, uint64_t size);

/* Gives the blocks of (begin) to (end), multiples of 4096, back; they read as zeros. */
int disk_punch(int fd, uint64_t begin, uint64_t end);

int disk_size(int fd, uint64_t *size);

#endif
