// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shared library with a static lock, for a program that loads it by dlopen; tests/e2e/locks.sh builds it.
 */
#include <pthread.h>

pthread_mutex_t *plugin_lock_address(void);

static pthread_mutex_t plugin_lock = PTHREAD_MUTEX_INITIALIZER;

pthread_mutex_t *plugin_lock_address(void)
{
	return &plugin_lock;
}
