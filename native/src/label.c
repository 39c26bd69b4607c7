/* label.c: see label.h. */
#include "label.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "crc.h"
#include "disk.h"

static const char MAGIC[16] = "skerry storage\n";
static const uint8_t ZEROS[LABEL_SIZE];

static uint32_t checksum(const uint8_t block[LABEL_SIZE])
{
    struct label label;
    memcpy(&label, block, sizeof(label));
    label.checksum = 0;
    uint32_t crc = crc32c(0, &label, sizeof(label));
    return crc32c(crc, block + sizeof(label), LABEL_SIZE - sizeof(label));
}

static enum label_state judge(const uint8_t block[LABEL_SIZE],
                              const struct label *label)
{
    if (memcmp(block, ZEROS, LABEL_SIZE) == 0)
        return LABEL_EMPTY;
    if (memcmp(label->magic, MAGIC, sizeof(MAGIC)) != 0)
        return LABEL_FOREIGN;
    if (label->checksum != checksum(block))
        return LABEL_DAMAGED;
    return label->version == LABEL_VERSION ? LABEL_GOOD : LABEL_OTHER;
}

enum label_state label_parse(const uint8_t *blocks, uint32_t number,
                             struct label *label)
{
    const uint8_t *block = blocks + number * LABEL_SIZE;
    memcpy(label, block, sizeof(*label));
    return judge(block, label);
}

int label_make(struct label *label, const struct journal_id *id, uint64_t generation,
               uint64_t start)
{
    *label = (struct label){
        .version = LABEL_VERSION, .generation = generation, .start = start, .id = *id};
    memcpy(label->magic, MAGIC, sizeof(MAGIC));
    if (getrandom(&label->salt, sizeof(label->salt), 0) != sizeof(label->salt))
        return -EIO;
    return 0;
}

uint32_t label_chain(const struct label *label)
{
    const uint64_t seed[] = {label->salt, label->generation, label->start};
    return crc32c(0, seed, sizeof(seed));
}

int label_read(int fd, uint32_t number, struct label *label)
{
    uint8_t block[LABEL_SIZE];
    int ret = disk_read(fd, block, sizeof(block), number * LABEL_SIZE);
    if (ret < 0)
        return ret;
    return label_parse(block, 0, label) == LABEL_GOOD ? 0 : -EIO;
}

int label_write(int fd, uint32_t number, const struct label *label)
{
    uint8_t block[LABEL_SIZE] = {0};
    struct label *at = (struct label *)(void *)block;
    memcpy(block, label, sizeof(*label));
    const uint32_t sum = checksum(block);
    memcpy(&at->checksum, &sum, sizeof(sum));
    return disk_write(fd, block, sizeof(block), number * LABEL_SIZE);
}

int label_erase(int fd, uint32_t number)
{
    return disk_write(fd, ZEROS, sizeof(ZEROS), number * LABEL_SIZE);
}
