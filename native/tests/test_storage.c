/* Calls into storage that are refused before they begin. */
#include "../src/storage_args.c"

#include "check.h"

TEST(the_allow_list_allows_what_is_on_it_and_all_when_empty)
{
    struct program_facts f = {0};
    CHECK(allowed(&f, 0) && allowed(&f, 0x1234));
    f.allow[f.allow_count++] = 0x1234;
    f.allow[f.allow_count++] = 0x5678;
    CHECK(allowed(&f, 0x1234) && allowed(&f, 0x5678));
    CHECK(!allowed(&f, 0x1235) && !allowed(&f, 0));
}
