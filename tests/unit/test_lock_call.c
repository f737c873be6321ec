// SPDX-License-Identifier: GPL-2.0-only
/* What a futex is used for, by the call alone; whose a mutex is, by glibc's own; the class of each kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "analysis/lock_kind.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void test_calls(void **state)
{
	static const struct {
		struct lock_call call;
		enum lock_kind kind;
		bool mutex_word;
	} calls[] = {
		{ { true, 0, 2, true, 2 }, LOCK_FUTEX, true },
		{ { true, 128, 2, true, 2 }, LOCK_FUTEX, true },
		{ { true, 9 | 128 | 256, 2, true, 2 }, LOCK_FUTEX, true },
		{ { true, 128, 2, true, 1 }, LOCK_FUTEX, false }, /* let go of meanwhile */
		{ { true, 128, 1, true, 1 }, LOCK_FUTEX, false },
		{ { true, 128, 2, false, 2 }, LOCK_FUTEX, false }, /* could not be read */
		{ { true, 1, 2, true, 2 }, LOCK_FUTEX, false },    /* FUTEX_WAKE */
		{ { true, 6, 0, true, 77 }, LOCK_PI_MUTEX, false },
		{ { true, 6 | 128, 0, true, 77 }, LOCK_PI_MUTEX, false },
		{ { true, 13 | 128, 0, true, 77 }, LOCK_PI_MUTEX, false },
		{ { true, 11 | 128, 1, true, 1 }, LOCK_COND, false },
		/* flags of the later calls are no operations */
		{ { false, 6, 2, true, 2 }, LOCK_FUTEX, false },
		{ { false, 2 | 128, 2, true, 2 }, LOCK_FUTEX, false },
	};
	static const struct lock_call robust = { true, 0, 77 | LOCK_WAITERS, true,
						 77 | LOCK_WAITERS };

	(void)state;
	for (size_t i = 0; i < LEN(calls); i++) {
		assert_int_equal(lock_kind_by_call(&calls[i].call), calls[i].kind);
		assert_int_equal(lock_is_mutex_word(&calls[i].call), calls[i].mutex_word);
		assert_false(lock_is_robust_word(&calls[i].call, 77));
	}
	assert_true(lock_is_robust_word(&robust, 77));
	assert_false(lock_is_robust_word(&robust, 78));
	assert_false(lock_is_mutex_word(&robust));
}

/* The real thing: what glibc has in a mutex is what lock_mutex_owner() understands. */
static void test_owner(void **state)
{
	static const int types[] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				     PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP };
	uint32_t other[][3] = { { 7, 0, 0 }, { 7, 1, 0x400 }, { 0, 1, 0 }, { 1, 0, 0x5555 } };

	(void)state;
	for (size_t i = 0; i < LEN(types); i++) {
		pthread_mutexattr_t attr;
		pthread_mutex_t mutex;
		uint32_t near[3];

		pthread_mutexattr_init(&attr);
		pthread_mutexattr_settype(&attr, types[i]);
		pthread_mutex_init(&mutex, &attr);
		memcpy(near, (char *)&mutex + 8, sizeof(near));
		assert_int_equal(lock_mutex_owner(near), 0);
		pthread_mutex_lock(&mutex);
		memcpy(near, (char *)&mutex + 8, sizeof(near));
		assert_int_equal(lock_mutex_owner(near), gettid());
		pthread_mutex_unlock(&mutex);
		memcpy(near, (char *)&mutex + 8, sizeof(near));
		assert_int_equal(lock_mutex_owner(near), 0);
		pthread_mutex_destroy(&mutex);
		pthread_mutexattr_destroy(&attr);
	}
	for (size_t i = 0; i < LEN(other); i++)
		assert_int_equal(lock_mutex_owner(other[i]), 0);
}

static void test_classes(void **state)
{
	unsigned int nr[CLASS_NR] = { 0 };

	(void)state;
	for (int k = 0; k < LOCK_KIND_NR; k++) {
		assert_non_null(lock_kind_name(k));
		nr[lock_kind_class(k)]++;
		for (int other = 0; other < k; other++)
			assert_string_not_equal(lock_kind_name(k), lock_kind_name(other));
	}
	assert_int_equal(nr[CLASS_LOCK], 3);
	assert_int_equal(nr[CLASS_GIL], 1);
	assert_int_equal(nr[CLASS_KLOCK], 1);
	assert_int_equal(nr[CLASS_SYNC], LOCK_KIND_NR - 5);
	assert_int_equal(lock_kind_class(LOCK_FUTEX), CLASS_SYNC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
