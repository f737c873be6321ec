// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks in every place that memory has: lock_places heap|stack|shared, lock_places plugin|closed LIBRARY. Facts as in facts.h, the
 * scene as in contest.h.
 */
#include "contest.h"
#include <sys/mman.h>

static const char *library;

static void contest_on(const char *name, pthread_mutex_t *lock)
{
	struct contest c =
		MUTEX_CONTEST(name, lock, .waiters = 2, .rounds = 2, .hold_ms = 15, .sleeps = true);

	contest_run(&c);
}

/* ---- heap, stack ---- */
static void do_heap(const long *n)
{
	pthread_mutex_t *lock = malloc(sizeof(*lock));

	(void)n;
	if (!lock || pthread_mutex_init(lock, NULL))
		die("heap");
	contest_on("heap", lock);
	free(lock);
}

static void do_stack(const long *n)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	(void)n;
	contest_on("stack", &lock);
}

/* ---- plugin: in a library that is loaded late; closed: and is gone, with its memory, long before the program ends ---- */
static void *with_plugin(void)
{
	void *handle = dlopen(library, RTLD_NOW);
	pthread_mutex_t *(*address)(void);

	if (handle)
		*(void **)&address = dlsym(handle, "plugin_lock_address");
	if (!handle || !address) {
		fprintf(stderr, "%s\n", dlerror());
		exit(99);
	}
	contest_on("plugin_lock", address());
	return handle;
}

static void do_plugin(const long *n)
{
	(void)n;
	with_plugin();
}

static void do_closed(const long *n)
{
	(void)n;
	dlclose(with_plugin());
	rest(100 * MSEC);
}

/*
 * ---- shared: two processes and a lock in a file that both have mapped, at different addresses. First the parent holds it and
 * the child waits, then the other way round. ----
 */
#define PAGE 4096
#define LOCK_OFFSET (2 * PAGE + 128)

static pthread_mutex_t *shared_lock; /* where this process has it */

static int shared_take(void *lock)
{
	(void)lock;
	return pthread_mutex_lock(shared_lock);
}

static int shared_leave(void *lock)
{
	(void)lock;
	return pthread_mutex_unlock(shared_lock);
}

/* The file's third page only, elsewhere than the parent's mapping of the whole, which is still there when this one is made. */
static void map_again(int fd, char *parents)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);

	if (page == MAP_FAILED || munmap(parents, 4 * PAGE))
		die("mmap");
	shared_lock = (void *)(page + LOCK_OFFSET % PAGE);
}

static void make_shared_lock(char *file)
{
	pthread_mutexattr_t attr;

	shared_lock = (void *)(file + LOCK_OFFSET);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (pthread_mutex_init(shared_lock, &attr))
		die("pthread_mutex_init");
}

static void do_shared(const long *n)
{
	struct contest scene = { .name = "shared_lock",
				 .take = shared_take,
				 .leave = shared_leave,
				 .wait = shared_take,
				 .pass = shared_leave,
				 .waiters = 1,
				 .rounds = 2,
				 .hold_ms = 15,
				 .sleeps = true };
	char path[] = "/tmp/whyscale-shared-XXXXXX", *file;
	struct contest *c; /* of both processes */
	int fd = mkstemp(path);
	pid_t pid;

	(void)n;
	file = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	c = mmap(NULL, 2 * sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ftruncate(fd, 4 * PAGE) || file == MAP_FAILED || c == MAP_FAILED)
		die("shared");
	make_shared_lock(file);
	c[0] = scene;
	c[1] = scene;
	c[1].hold_ms = 25;
	pid = child_of();
	if (!pid)
		map_again(fd, file);
	fact_lock("shared_lock", shared_lock, sizeof(*shared_lock));
	if (!pid) {
		contest_waiter(&c[0]);
		contest_holder(&c[1]);
		_exit(0);
	}
	fact("file", ",\"path\":\"%s\",\"offset\":%d", path, LOCK_OFFSET);
	contest_holder(&c[0]);
	contest_waiter(&c[1]);
	reap(pid);
	unlink(path);
}

static const struct workload workloads[] = {
	{ "heap", do_heap },     { "stack", do_stack },   { "plugin", do_plugin },
	{ "closed", do_closed }, { "shared", do_shared },
};

int main(int argc, char **argv)
{
	library = argc > 2 ? argv[2] : "";
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
