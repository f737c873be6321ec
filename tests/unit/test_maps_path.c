// SPDX-License-Identifier: GPL-2.0-only
/* A file that is found by its number on its device, as nobody knows the path by which its process had it. */
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/magic.h>

#include "base/cleanup.h"
#include "probes/maps_path.h"

struct fixture {
	char path[64];
	struct mapping m;
};

/* Its path is not that of the file, as that of another root directory is not. */
static int set_up(void **state)
{
	static struct fixture f = { .path = "/tmp/whyscale-test-XXXXXX" };
	_cleanup_(close_p) int fd = mkstemp(f.path);
	struct statfs fs;
	struct stat st;
	int generation;

	if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs))
		return -1;
	f.m = (struct mapping){ .path = "/nowhere/at/all",
				.dev_major = major(st.st_dev),
				.dev_minor = minor(st.st_dev),
				.inode = st.st_ino };
	if (fs.f_type == EXT4_SUPER_MAGIC && !geteuid() &&
	    !ioctl(fd, FS_IOC_GETVERSION, &generation))
		f.m.generation = (uint32_t)generation;
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	return unlink(f->path);
}

static int open_with(const struct fixture *f, uint64_t generation, uint64_t inode)
{
	struct mapping m = f->m;
	struct stat st;
	int fd;

	m.generation = generation;
	m.inode = inode;
	fd = maps_path_open_gone(&m, &st);
	if (fd >= 0)
		assert_int_equal(st.st_ino, f->m.inode);
	return fd;
}

static void needs_ext4(const struct fixture *f)
{
	if (f->m.generation)
		return;
	print_message("/tmp is no ext4 of root's\n");
	skip();
}

static void by_its_number(void **state)
{
	const struct fixture *f = *state;
	int fd;

	needs_ext4(f);
	fd = open_with(f, f->m.generation, f->m.inode);
	assert_true(fd >= 0);
	close(fd);
}

/* The number has gone to another file since. */
static void of_another_generation(void **state)
{
	const struct fixture *f = *state;

	needs_ext4(f);
	assert_int_equal(open_with(f, f->m.generation + 1, f->m.inode), -1);
}

/* Where it is not known which file it was that had the number, it is not this one. */
static void of_no_known_generation(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(open_with(f, 0, f->m.inode), -1);
}

static void of_a_number_that_is_too_large(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(open_with(f, 1, f->m.inode | 1ull << 32), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_its_number),
		cmocka_unit_test(of_another_generation),
		cmocka_unit_test(of_no_known_generation),
		cmocka_unit_test(of_a_number_that_is_too_large),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
