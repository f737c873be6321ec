// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks of the kernel on which threads block: klocks position ROUNDS MS, klocks mmap MS. Facts as in facts.h.
 */
#include "contest.h"
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE 4096

/*
 * ---- position: two threads read from one open file. The first one's buffer is a page whose fault (userfaultfd) is not answered
 * before the second one was seen blocked, and MS later: meanwhile the first sleeps with the file position's mutex held.
 * Exit status 77: there is no userfaultfd. ----
 */
static int file_fd, fault_fd;
static char *fault_page;
static struct actor reader, second;
static atomic_int file_round;
static long file_rounds;

static void *first_reader(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "holder");
	actor_is_me(&reader);
	for (int round = 1; round <= file_rounds; round++) {
		while (atomic_load(&file_round) < 2 * round - 1)
			rest(200 * USEC);
		atomic_store(&reader.calling, round);
		if (read(file_fd, fault_page, PAGE) != PAGE)
			die("read");
	}
	fact("holder", ",\"lock\":\"position\"");
	return NULL;
}

static void *second_reader(void *arg)
{
	struct tally tally = { 0 };
	char byte;

	(void)arg;
	prctl(PR_SET_NAME, "waiter");
	actor_is_me(&second);
	for (int round = 1; round <= file_rounds; round++) {
		while (atomic_load(&file_round) < 2 * round)
			rest(200 * USEC);
		atomic_store(&second.calling, round);
		if (TALLY(&tally, (int)read(file_fd, &byte, 1)) != 1)
			die("read");
		atomic_store(&second.calling, -round);
	}
	fact_waiter("position", &tally);
	return NULL;
}

static void answer_fault(void)
{
	struct pollfd p = { .fd = fault_fd, .events = POLLIN };
	struct uffdio_zeropage zero = { .range = { (uintptr_t)fault_page, PAGE } };
	struct uffd_msg msg;

	if (poll(&p, 1, 5000) != 1 || read(fault_fd, &msg, sizeof(msg)) != sizeof(msg) ||
	    ioctl(fault_fd, UFFDIO_ZEROPAGE, &zero))
		die("userfaultfd");
}

static void open_fault_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	fault_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault_fd < 0)
		exit(77);
	fault_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)fault_page;
	reg.range.len = PAGE;
	if (fault_page == MAP_FAILED || ioctl(fault_fd, UFFDIO_API, &api) ||
	    ioctl(fault_fd, UFFDIO_REGISTER, &reg))
		die("userfaultfd");
}

static void open_file(long rounds)
{
	char path[] = "/tmp/whyscale-klocks-XXXXXX";

	file_fd = mkstemp(path);
	if (file_fd < 0 || unlink(path) || ftruncate(file_fd, (rounds + 1) * 2 * PAGE))
		die(path);
}

static void do_position(const long *n)
{
	uint64_t hold_ns = 0;
	pthread_t t[2];

	file_rounds = n[0];
	open_fault_page();
	open_file(file_rounds);
	t[0] = start(first_reader, NULL);
	t[1] = start(second_reader, NULL);
	for (int round = 1; round <= file_rounds; round++) {
		uint64_t began_ns;

		if (madvise(fault_page, PAGE, MADV_DONTNEED))
			die("madvise");
		atomic_store(&file_round, 2 * round - 1);
		await_blocked(&reader, round, true);
		atomic_store(&file_round, 2 * round);
		await_blocked(&second, round, true);
		began_ns = wall();
		rest((uint64_t)n[1] * MSEC);
		hold_ns += wall() - began_ns;
		answer_fault();
		while (atomic_load(&second.calling) != -round)
			rest(200 * USEC);
	}
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	fact("main", ",\"lock\":\"position\",\"rounds\":%ld,\"hold_ns\":%llu", file_rounds,
	     (unsigned long long)hold_ns);
}

/*
 * ---- mmap MS: one thread fills and empties 32 MB, the address space locked for reading; the other one maps and unmaps a
 * page, for which it must have it alone. How often it blocks is not fixed, it counts that itself. ----
 */
#define LARGE (32ul << 20)

static uint64_t mmap_end_ns;

static void *filler(void *arg)
{
	char *large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long filled = 0;

	(void)arg;
	prctl(PR_SET_NAME, "filler");
	if (large == MAP_FAILED)
		die("mmap");
	for (; wall() < mmap_end_ns; filled++)
		if (madvise(large, LARGE, MADV_POPULATE_WRITE) ||
		    madvise(large, LARGE, MADV_DONTNEED))
			die("madvise");
	fact("filler", ",\"filled\":%ld", filled);
	return NULL;
}

static int map_and_unmap(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED || munmap(page, PAGE) ? -1 : 0;
}

static void *mapper(void *arg)
{
	struct tally tally = { 0 };

	(void)arg;
	prctl(PR_SET_NAME, "mapper");
	while (wall() < mmap_end_ns) {
		if (TALLY(&tally, map_and_unmap()))
			die("mmap");
		burn(50 * USEC);
	}
	fact_waiter("mmap", &tally);
	return NULL;
}

static void do_mmap(const long *n)
{
	pthread_t t[2];

	mmap_end_ns = wall() + (uint64_t)n[0] * MSEC;
	t[0] = start(filler, NULL);
	t[1] = start(mapper, NULL);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}

static const struct workload workloads[] = {
	{ "position", do_position },
	{ "mmap", do_mmap },
};

int main(int argc, char **argv)
{
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
