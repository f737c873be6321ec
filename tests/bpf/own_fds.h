/* SPDX-License-Identifier: GPL-2.0-only */
/* The open files of a test program, for probes that must close theirs, and hand none on. */
#ifndef WHYSCALE_TESTS_BPF_OWN_FDS_H
#define WHYSCALE_TESTS_BPF_OWN_FDS_H

#include <stdbool.h>
#include <stddef.h>

/* How many there are; whether all beyond the standard three end with an exec. */
size_t own_fds_count(bool *ret_all_cloexec);

#endif
