// SPDX-License-Identifier: GPL-2.0-only
/*
 * The C++ library's locks and waits, each a known number of times: cxx WORKLOAD, facts as in ../facts.h. Where libstdc++ stands on
 * pthreads (mutex, shared_mutex, condition_variable, call_once) a report tells the kind; a future has a function of its own in the
 * library; what C++20 added waits by templates that are compiled into the program: a futex that nothing classifies.
 */
#include "scene.h"

#include <atomic>
#include <barrier>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>

std::mutex account_lock; // a global: its symbol is its name

namespace bank
{
struct Account {
	static std::mutex lock; // a class's: a mangled one
};
std::mutex Account::lock;
std::shared_mutex rates;
} // namespace bank

template <typename T> static T &as(void *p)
{
	return *static_cast<T *>(p);
}

template <typename T> static int lock(void *p)
{
	as<T>(p).lock();
	return 0;
}

template <typename T> static int unlock(void *p)
{
	as<T>(p).unlock();
	return 0;
}

static int lock_shared(void *p)
{
	as<std::shared_mutex>(p).lock_shared();
	return 0;
}

static int unlock_shared(void *p)
{
	as<std::shared_mutex>(p).unlock_shared();
	return 0;
}

/* ---- waiting for somebody's work ---- */

static std::mutex queue_lock;
std::condition_variable queue_filled;
static int queued;

static int put(void *)
{
	queue_lock.lock();
	queued++;
	queue_lock.unlock(); // who is woken finds it free
	queue_filled.notify_one();
	return 0;
}

static int get(void *)
{
	std::unique_lock<std::mutex> guard(queue_lock);

	queue_filled.wait(guard, [] { return queued > 0; });
	queued--;
	return 0;
}

static std::promise<int> promise;
static std::shared_future<int> result = promise.get_future().share();

static int keep_promise(void *)
{
	promise.set_value(42);
	return 0;
}

static int get_result(void *)
{
	std::shared_future<int> mine = result;

	return mine.get() == 42 ? 0 : 1;
}

std::atomic<int> generation;

static int next_generation(void *)
{
	generation.store(1);
	generation.notify_all();
	return 0;
}

static int wait_for_generation(void *)
{
	generation.wait(0);
	return 0;
}

std::counting_semaphore<8> tickets(0);

static int release_ticket(void *)
{
	tickets.release();
	return 0;
}

static int acquire_ticket(void *)
{
	tickets.acquire();
	return 0;
}

std::latch all_ready(1);

static int count_down(void *)
{
	all_ready.count_down();
	return 0;
}

static int wait_all_ready(void *)
{
	all_ready.wait();
	return 0;
}

std::barrier<> phase(3);

static int arrive(void *)
{
	phase.arrive_and_wait();
	return 0;
}

std::once_flag opened;

static int open_once(void *, void *(*body)(void *), void *arg)
{
	std::call_once(opened, body, arg);
	return 0;
}

static int find_it_open(void *)
{
	std::call_once(opened, [] { std::abort(); });
	return 0;
}

/* ---- where the futex words are that lie elsewhere ---- */

/* The shared state of a future is the first word of it, and the word lies in there. */
static const void *state_of(const std::shared_future<int> &f)
{
	const void *state;

	static_assert(sizeof(f) >= sizeof(state));
	__builtin_memcpy(&state, &f, sizeof(state));
	return state;
}

/*
 * What is no 32-bit integer (a barrier's phase) waits on a word in a table of libstdc++'s, chosen by the address: 16 entries, each of
 * its own cache line.
 */
constexpr size_t proxy_bytes = sizeof(std::__detail::__waiter_pool_base), proxies = 16;

static const void *proxy_table()
{
	char *first = nullptr; // what the address 0 is given

	return &std::__detail::__waiter_pool_base::_S_for(first);
}

int main(int argc, char **argv)
{
	using mutex = std::mutex;
	using shared = std::shared_mutex;
	const struct scene scenes[] = {
		{ "mutex", "account_lock", &account_lock, nullptr, sizeof(mutex), lock<mutex>,
		  unlock<mutex>, lock<mutex>, unlock<mutex>, nullptr, 2, 3, 8, false },
		{ "class_mutex", "bank::Account::lock", &bank::Account::lock, nullptr,
		  sizeof(mutex), lock<mutex>, unlock<mutex>, lock<mutex>, unlock<mutex>, nullptr, 1,
		  3, 8, true },
		{ "shared_mutex", "bank::rates", &bank::rates, nullptr, sizeof(shared),
		  lock<shared>, unlock<shared>, lock_shared, unlock_shared, nullptr, 2, 2, 10,
		  true },
		{ "condition_variable", "queue_filled", &queue_filled, nullptr,
		  sizeof(queue_filled), nullptr, put, get, nullptr, nullptr, 1, 4, 8, false },
		{ "future", "state of a future", &result, state_of(result), 64, nullptr,
		  keep_promise, get_result, nullptr, nullptr, 2, 1, 25, false },
		{ "atomic_wait", "generation", &generation, nullptr, sizeof(generation), nullptr,
		  next_generation, wait_for_generation, nullptr, nullptr, 2, 1, 25, true },
		{ "semaphore", "tickets", &tickets, nullptr, sizeof(tickets), nullptr,
		  release_ticket, acquire_ticket, nullptr, nullptr, 1, 3, 10, true },
		{ "latch", "all_ready", &all_ready, nullptr, sizeof(all_ready), nullptr, count_down,
		  wait_all_ready, nullptr, nullptr, 2, 1, 25, true },
		{ "barrier", "std::__detail::__waiter_pool_base::_S_for(void const*)::__w", &phase,
		  proxy_table(), proxies * proxy_bytes, nullptr, arrive, arrive, nullptr, nullptr,
		  2, 3, 8, false },
		{ "call_once", "opened", &opened, nullptr, sizeof(opened), nullptr, nullptr,
		  find_it_open, nullptr, open_once, 2, 1, 25, false },
	};

	return scene_main(argc, argv, scenes, sizeof(scenes) / sizeof(scenes[0]));
}
