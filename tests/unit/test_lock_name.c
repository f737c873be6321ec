// SPDX-License-Identifier: GPL-2.0-only
/* What locks are called that lie in an object of a file: by the name that the programmer wrote, if it can be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "analysis/locks_impl.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	struct lock lock;
	const char *expected;
} cases[] = {
	{ { .kind = LOCK_MUTEX,
	    .place = { .kind = PLACE_OBJECT, .path = "/srv/a/bank", .name = "the_lock" } },
	  "the_lock in bank" },
	{ { .kind = LOCK_MUTEX,
	    .place = { .kind = PLACE_OBJECT,
		       .path = "/srv/a/bank",
		       .name = "the_lock",
		       .offset = 8 } },
	  "the_lock+0x8 in bank" },
	/* C++, Rust before and since v0 */
	{ { .kind = LOCK_MUTEX,
	    .place = { .kind = PLACE_OBJECT,
		       .path = "/srv/a/bank",
		       .name = "_ZN4bank7Account4lockE" } },
	  "bank::Account::lock in bank" },
	{ { .kind = LOCK_MUTEX,
	    .place = { .kind = PLACE_OBJECT,
		       .path = "bank",
		       .name = "_ZN4bank4LOCK17h05af221e174051e9E",
		       .offset = 4 } },
	  "bank::LOCK+0x4 in bank" },
	{ { .kind = LOCK_MUTEX,
	    .place = { .kind = PLACE_OBJECT, .path = "bank", .name = "_RNvCs1234_4bank4LOCK" } },
	  "bank::LOCK in bank" },
	/* what looks like one, and is none */
	{ { .kind = LOCK_MUTEX,
	    .place = { .kind = PLACE_OBJECT, .path = "bank", .name = "_ZN4ban" } },
	  "_ZN4ban in bank" },
	{ { .kind = LOCK_MUTEX,
	    .runtime = "Rust",
	    .place = { .kind = PLACE_OBJECT, .path = "bank", .name = "_RNvCs1234_4bank4LOCK" } },
	  "Rust runtime (bank::LOCK in bank)" },
	{ { .kind = LOCK_MUTEX, .place = { .kind = PLACE_OBJECT, .path = "bank", .offset = 0x40 } },
	  "bank+0x40" },
	{ { .kind = LOCK_FUTEX, .address = 0x7000, .place = { .kind = PLACE_ANON } },
	  "memory 0x7000" },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		char *name = lock_make_name(NULL, &cases[i].lock);

		assert_string_equal(name, cases[i].expected);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
