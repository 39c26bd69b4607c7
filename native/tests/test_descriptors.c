/* What a program has open, against a list of numbers. */
#include <errno.h>
#include <fcntl.h>

#include "check.h"
#include "descriptors.h"

static struct descriptors d;

/* Opens a file, as files.c does. Its number or -errno. */
static int open_one(void)
{
    int index = descriptors_place(&d);
    if (index < 0)
        return index;
    d.open[index] = (struct open_file){.kind = OPEN_FILE};
    return descriptors_add(&d, index, 0, 0);
}

TEST(a_program_begins_with_the_standard_three)
{
    descriptors_init(&d);
    for (uint32_t fd = 0; fd < 3; fd++)
        CHECK_EQ(d.open[descriptors_find(&d, fd)].kind, OPEN_INPUT + fd);
    CHECK_EQ(descriptors_find(&d, 3), -EBADF);
    CHECK_EQ(descriptors_find(&d, DESCRIPTORS), -EBADF);
    CHECK_EQ(descriptors_find(&d, UINT32_MAX), -EBADF);
    CHECK_TEXT(d.directory, "/");
}

TEST(the_lowest_free_number_is_taken)
{
    descriptors_init(&d);
    CHECK_EQ(open_one(), 3);
    CHECK_EQ(open_one(), 4);
    descriptors_forget(&d, descriptors_close(&d, 3));
    CHECK_EQ(descriptors_add(&d, descriptors_find(&d, 4), 4, 0), 5);
    CHECK_EQ(open_one(), 3);
    CHECK_EQ(descriptors_add(&d, 0, DESCRIPTORS, 0), -EMFILE);
}

TEST(a_file_lives_as_long_as_one_of_its_numbers)
{
    descriptors_init(&d);
    int fd = open_one(), index = descriptors_find(&d, (uint32_t)fd);
    int other = descriptors_add(&d, index, 10, 0);
    CHECK_EQ(descriptors_close(&d, (uint32_t)fd), -1);
    CHECK_EQ(d.open[index].kind, OPEN_FILE);
    CHECK_EQ(descriptors_close(&d, (uint32_t)other), index);
    descriptors_forget(&d, index);
    CHECK_EQ(d.open[index].kind, OPEN_NONE);
}

TEST(close_on_exec_is_of_the_number)
{
    descriptors_init(&d);
    int fd = open_one(), index = descriptors_find(&d, (uint32_t)fd);
    CHECK_EQ(descriptors_add(&d, index, 63, 1), 63);
    CHECK_EQ(d.close_on_exec, 1UL << 63);
    descriptors_set(&d, index, 63, 0);
    CHECK_EQ(d.close_on_exec, 0);
}

/* (file) has, for each number, which file it leads to, 0: none. */
static void check_against(const uint32_t file[DESCRIPTORS])
{
    for (uint32_t fd = 0; fd < DESCRIPTORS; fd++) {
        int index = descriptors_find(&d, fd);
        CHECK_EQ(index < 0 ? 0 : d.open[index].offset, file[fd]);
    }
}

TEST(any_mix_of_calls_leads_to_the_right_files)
{
    uint64_t random = 7;
    uint32_t file[DESCRIPTORS] = {0}, name = 0;
    descriptors_init(&d);
    for (uint32_t fd = 0; fd < 3; fd++)
        descriptors_forget(&d, descriptors_close(&d, fd));
    for (int i = 0; i < 100000; i++) {
        uint32_t fd = (uint32_t)check_random(&random) % DESCRIPTORS;
        int index = descriptors_find(&d, fd), to = -EMFILE;
        if (check_random(&random) % 3 == 0) {
            to = open_one();
            if (to >= 0)
                d.open[descriptors_find(&d, (uint32_t)to)].offset = file[to] = ++name;
        } else if (index >= 0 && check_random(&random) % 2) {
            to = descriptors_add(&d, index, fd / 2, 0);
            if (to >= 0)
                file[to] = file[fd];
        } else if (index >= 0) {
            int last = descriptors_close(&d, fd);
            if (last >= 0)
                descriptors_forget(&d, last);
            file[fd] = 0;
        }
        check_against(file);
    }
}
