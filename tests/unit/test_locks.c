// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who held which lock: small traces whose story can be read off, to the nanosecond. A mutex is one by glibc's protocol: value and word 2,
 * beside it the owner's tid, a number of users and a kind. Where no owner shall be known it is one with priority inheritance whose word
 * holds no living thread's tid. Invariants hold in every one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lock_check.h"
#include "lock_show.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

#define THREE                           \
	"100 cpu0 snap A tid=1 oncpu\n" \
	"100 cpu1 snap B tid=2 oncpu\n" \
	"100 cpu2 snap C tid=3 oncpu\n"

/* A finds the mutex at 4096 taken by B, or one whose owner is not known */
#define MUTEX "addr=4096 owner=2,1,0\n"
#define PI "addr=4096 op=134 val=0 word=0\n"

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "one owner, who runs, waits for a disk, is preempted and sleeps",
	  THREE "200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
		"250 cpu1 switch B/I:read idle\n"
		"300 cpu1 wake B by idle hardirq\n"
		"310 cpu1 switch idle B\n"
		"400 cpu1 switch B/P u9\n"
		"450 cpu1 switch u9 B\n"
		"500 cpu1 switch B/S:nanosleep idle\n"
		"600 cpu1 wake B by idle hardirq\n"
		"600 cpu1 switch idle B\n"
		"700 cpu1 wake A by B task why=1\n"
		"720 cpu0 switch idle A\n",
	  "mutex 4096 500 in 1, longest 500, woken 1, running 290 preempted 60 blocked 50 asleep 100; "
	  "A 500/1; owner B 500; because B oncpu 290, B sleep 100, "
	  "B preempted 50, B wakeup 10, B io 50" },
	{ "the owner changes hands: to A first, then to C",
	  THREE "200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
		"300 cpu2 futex C " MUTEX "300 cpu2 switch C/S:futex idle\n"
		"400 cpu1 wake A by B task why=1\n"
		"450 cpu0 switch idle A\n"
		"600 cpu0 wake C by A task why=1\n"
		"600 cpu2 switch idle C\n",
	  "mutex 4096 500 in 2, longest 300, woken 2, running 450 preempted 50 (handed 50), convoys 1; "
	  "A 200/1, C 300/1; owner B 300, waker A 200" },
	{ "three hand it on; nobody's word tells the owner",
	  THREE "200 cpu0 futex A " PI "200 cpu0 switch A/S:futex idle\n"
		"250 cpu2 futex C " PI "250 cpu2 switch C/S:futex idle\n"
		"400 cpu1 wake A by B task why=1\n"
		"400 cpu0 switch idle A\n"
		"450 cpu1 futex B " PI "450 cpu1 switch B/S:futex idle\n"
		"600 cpu0 wake C by A task why=1\n"
		"600 cpu2 switch idle C\n"
		"700 cpu2 wake B by C task why=1\n"
		"700 cpu1 switch idle B\n",
	  "pi_mutex 4096 800 in 3, longest 350, woken 3, running 800, convoys 2; "
	  "A 200/1, C 350/1, B 250/1; waker B 350, waker A 350, waker C 100" },
	{ "who waited for it did not have it",
	  THREE "200 cpu0 futex A " PI "200 cpu0 switch A/S:futex idle\n"
		"210 cpu1 futex B addr=4096 op=134 val=0 word=0 timeout\n"
		"210 cpu1 switch B/S:futex idle\n"
		"300 cpu1 wake B by idle hardirq why=2\n"
		"300 cpu1 switch idle B\n"
		"500 cpu1 wake A by B task why=1\n"
		"500 cpu0 switch idle A\n",
	  "pi_mutex 4096 390 in 2, longest 300, woken 1, timed out 1, running 200 unknown 190; "
	  "B 90/1, A 300/1; waker B 200" },
	{ "time limits first: the next hand-over tells who had it",
	  THREE "200 cpu0 futex A addr=4096 op=134 val=0 word=0 timeout\n"
		"200 cpu0 switch A/S:futex idle\n"
		"250 cpu0 wake A by idle hardirq why=2\n"
		"250 cpu0 switch idle A\n"
		"260 cpu0 futex A addr=4096 op=134 val=0 word=0 timeout\n"
		"260 cpu0 switch A/S:futex idle\n"
		"310 cpu0 wake A by idle hardirq why=2\n"
		"310 cpu0 switch idle A\n"
		"320 cpu0 futex A addr=4096 op=134 val=0 word=0 timeout\n"
		"320 cpu0 switch A/S:futex idle\n"
		"350 cpu1 wake A by B task why=1\n"
		"350 cpu0 switch idle A\n",
	  "pi_mutex 4096 130 in 3, longest 50, woken 1, timed out 2, running 130; A 130/3; "
	  "waker B 130" },
	{ "a time limit and no more: nobody is shown",
	  THREE "200 cpu0 futex A addr=4096 op=134 val=0 word=0 timeout\n"
		"200 cpu0 switch A/S:futex idle\n"
		"250 cpu0 wake A by idle hardirq why=2\n"
		"250 cpu0 switch idle A\n",
	  "pi_mutex 4096 50 in 1, longest 50, timed out 1, unknown 50; A 50/1; ; because ? untracked 50" },
	{ "a signal; the owner is known, and what it did",
	  THREE "200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
		"260 cpu2 wake A by C task why=3\n"
		"280 cpu0 switch idle A\n",
	  "mutex 4096 60 in 1, longest 60, signal 1, running 60; A 60/1; owner B 60; "
	  "because B oncpu 60" },
	{ "a robust mutex holds its owner's tid",
	  THREE "200 cpu0 futex A addr=4096 op=0 val=2147483650 owner=2,1,16\n"
		"200 cpu0 switch A/S:futex idle\n"
		"300 cpu1 wake A by B task why=1\n"
		"310 cpu0 switch idle A\n",
	  "mutex 4096 100 in 1, longest 100, woken 1, running 100; A 100/1; owner B 100" },
	/*
	 * Told by the same events: B keeps it until it ends; or it lets go at 201, and wakes one of a process that is not recorded (the call is
	 * that of a shared futex), of which no record tells. Either gives it to C in the end. So no part of the wait is B's for sure.
	 */
	{ "the owner ends, and another one gives it away: when it changed hands is not known",
	  THREE "200 cpu0 futex A addr=4096 op=0 val=2147483650 owner=2,1,16\n"
		"200 cpu0 switch A/S:futex idle\n"
		"300 cpu1 exit B\n"
		"340 cpu1 switch B/X idle\n"
		"400 cpu2 wake A by C task why=1\n"
		"410 cpu0 switch idle A\n",
	  "mutex 4096 200 in 1, longest 200, woken 1, unknown 200; A 200/1; " },
	{ "priority inheritance: the owner is in the word",
	  THREE "200 cpu0 futex A addr=4096 op=6 val=0 word=2147483650\n"
		"200 cpu0 switch A/S:futex idle\n"
		"300 cpu1 wake A by B task why=1\n"
		"310 cpu0 switch idle A\n",
	  "pi_mutex 4096 100 in 1, longest 100, woken 1, running 100; A 100/1; owner B 100" },
	{ "woken from outside of the recording: the lock has changed hands",
	  THREE "200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
		"210 cpu2 futex C " MUTEX "210 cpu2 switch C/S:futex idle\n"
		"300 cpu1 wake A by u77 task why=1\n"
		"310 cpu0 switch idle A\n"
		"400 cpu0 wake C by A task why=1\n"
		"400 cpu2 switch idle C\n",
	  "mutex 4096 290 in 2, longest 190, woken 2, running 280 preempted 10 (handed 10), convoys 1; "
	  "A 100/1, C 190/1; owner B 190, waker A 100" },
	{ "an interrupt above B is not B",
	  THREE "200 cpu0 futex A " PI "200 cpu0 switch A/S:futex idle\n"
		"300 cpu1 wake A by B hardirq\n"
		"310 cpu0 switch idle A\n",
	  "pi_mutex 4096 100 in 1, longest 100, unknown 1, unknown 100; A 100/1; ; "
	  "because ? untracked 100" },
	{ "nor is B blamed where the context is not known",
	  THREE "200 cpu0 futex A " PI "200 cpu0 switch A/S:futex idle\n"
		"300 cpu1 wake A by B why=1\n"
		"310 cpu0 switch idle A\n",
	  "pi_mutex 4096 100 in 1, longest 100, woken 1, unknown 100; A 100/1; ; "
	  "because ? untracked 100" },
	{ "the owner waits for another lock: the wait is followed",
	  THREE "150 cpu1 futex B addr=8192 owner=3,1,0\n"
		"150 cpu1 switch B/S:futex idle\n"
		"200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
		"400 cpu2 wake B by C task why=1\n"
		"450 cpu1 switch idle B\n"
		"500 cpu1 wake A by B task why=1\n"
		"500 cpu0 switch idle A\n",
	  "mutex 4096 300 in 1, longest 300, woken 1, running 50 preempted 50 blocked 200; A 300/1; "
	  "owner B 300; because B oncpu 50, B wakeup 50, C oncpu 200\n"
	  "mutex 8192 250 in 1, longest 250, woken 1, running 250; B 250/1; owner C 250; "
	  "because C oncpu 250" },
	{ "a kernel lock inside of a futex call; found taken and spun for before",
	  THREE "180 cpu0 klockend A addr=65536 for=50 spin\n"
		"200 cpu0 klock A addr=32768\n"
		"200 cpu0 switch A/D:futex idle\n"
		"260 cpu1 wake A by B task\n"
		"270 cpu0 switch idle A\n"
		"280 cpu0 klockend A addr=32768 for=90\n"
		"300 cpu0 futex A " MUTEX "300 cpu0 switch A/S:futex idle\n"
		"350 cpu1 wake A by B task why=1\n"
		"350 cpu0 switch idle A\n",
	  "kernel 32768 60 in 1, longest 60, woken 1, running 60, spins 1 in 20; A 60/1; waker B 60; "
	  "because B oncpu 60\n"
	  "mutex 4096 50 in 1, longest 50, woken 1, running 50; A 50/1; owner B 50; "
	  "because B oncpu 50\n"
	  "kernel 65536 0 in 0, longest 0, spins 1 in 50; ; ; because" },
	{ "a record without its switch, and a switch without its record",
	  THREE "200 cpu0 futex A " MUTEX "200 cpu0 switch A/P u9\n"
		"210 cpu0 switch u9 A\n"
		"300 cpu0 switch A/S:futex idle\n"
		"400 cpu1 wake A by B task why=1\n"
		"400 cpu0 switch idle A\n",
	  "" },
	{ "a record of a switch that was lost is not of the next one",
	  THREE "200 cpu0 futex A " MUTEX "!200 cpu0 switch A/S:futex idle\n"
		"!250 cpu1 wake A by B task why=1\n"
		"!260 cpu0 switch idle A\n"
		"300 cpu0 lost 200 260 3\n"
		"300 cpu0 switch A/S:futex idle\n"
		"400 cpu1 wake A by B task why=1\n"
		"400 cpu0 switch idle A\n",
	  "" },
	{ "lost in the middle of a wait: the wait counts up to there, and its holder is not known",
	  THREE "2000200 cpu0 futex A " MUTEX "2000200 cpu0 switch A/S:futex idle\n"
		"5000000 cpu0 task B\n"
		"5000000 cpu1 task B\n"
		"5000000 cpu2 task B\n"
		"!5000300 cpu1 wake A by B task why=1\n"
		"!5000310 cpu0 switch idle A\n"
		"!5000400 cpu0 switch A/S:read idle\n"
		"!5000450 cpu1 wake A by B task\n"
		"5000500 cpu0 lost 5000300 5000450 4\n"
		"5000500 cpu0 switch idle A\n",
	  "mutex 4096 1999800 in 1, longest 1999800, unknown 1, unknown 1999800; A 1999800/1; ; "
	  "because ? untracked 1999800" },
	{ "lost in front of a switch: what it waits for is not known",
	  THREE "190 cpu1 futex B " PI "200 cpu1 switch B/S:futex idle\n"
		"!300 cpu0 futex A " PI "300 cpu0 lost 290 300 3\n"
		"300 cpu0 switch A/S:futex idle\n"
		"400 cpu2 wake A by C task why=1\n"
		"400 cpu0 switch idle A\n"
		"500 cpu2 wake B by C task why=1\n"
		"500 cpu1 switch idle B\n",
	  "pi_mutex 4096 300 in 1, longest 300, woken 1, running 200 unknown 100; B 300/1; waker C 200" },
	{ "lost while the wait went on: who gives it away had it since then",
	  THREE "200 cpu0 futex A " PI "200 cpu0 switch A/S:futex idle\n"
		"300 cpu2 lost 250 290 3\n"
		"400 cpu1 wake A by B task why=1\n"
		"400 cpu0 switch idle A\n",
	  "pi_mutex 4096 200 in 1, longest 200, woken 1, running 110 unknown 90; A 200/1; waker B 110" },
	{ "woken before its switch-out: a hand-over all the same",
	  THREE "200 cpu2 futex C " PI "200 cpu2 switch C/S:futex idle\n"
		"300 cpu1 wake A by B task oncpu seq=1 why=1\n"
		"301 cpu0 futex A " PI "302 cpu0 switch A/S:futex idle\n"
		"310 cpu0 switch idle A\n"
		"400 cpu0 wake C by A task why=1\n"
		"400 cpu2 switch idle C\n",
	  "pi_mutex 4096 200 in 2, longest 200, woken 2, running 192 preempted 8 (handed 8), convoys 1; "
	  "A 0/1, C 200/1; waker A 98, waker B 102" },
	/*
	 * At 300 B lets go, at 340 again. Who is woken has the lock only once it runs, and one of a higher priority may be faster
	 * (rt_mutex_steal()): B has taken it back at 301, or at 339, and the events are the same. So of C's wait these 40 are nobody's.
	 */
	{ "woken while still on its CPU: known as the end only later, after another hand-over",
	  THREE "200 cpu2 futex C " PI "200 cpu2 switch C/S:futex idle\n"
		"250 cpu0 futex A " PI "250 cpu0 switch A/S:futex idle\n"
		"300 cpu1 wake A by B task oncpu why=1\n"
		"340 cpu1 wake C by B task why=1\n"
		"340 cpu2 switch idle C\n"
		"400 cpu0 switch idle A\n",
	  "pi_mutex 4096 190 in 2, longest 140, woken 2, running 150 unknown 40, convoys 1; "
	  "C 140/1, A 50/1; waker B 150" },
	{ "the same address in two processes is two locks",
	  "100 cpu0 snap A tid=1 tgid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 tgid=1 oncpu\n"
	  "100 cpu2 snap C tid=3 tgid=3 oncpu\n"
	  "200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
	  "210 cpu2 futex C addr=4096 op=134 val=0\n"
	  "210 cpu2 switch C/S:futex idle\n"
	  "260 cpu1 wake A by B task why=1\n"
	  "260 cpu0 switch idle A\n",
	  "pi_mutex 4096 790 in 1, longest 790, unknown 1, unknown 790; C 790/1; ; "
	  "because ? untracked 790\n"
	  "mutex 4096 60 in 1, longest 60, woken 1, running 60; A 60/1; owner B 60; "
	  "because B oncpu 60" },
	{ "an owner of another process counts only for a shared futex, in the same namespace",
	  "100 cpu0 snap A tid=101 tgid=101 ns=1,7 oncpu\n"
	  "100 cpu1 snap B tid=102 tgid=102 ns=2,7 oncpu\n"
	  "100 cpu2 snap C tid=2 tgid=2 ns=2,8 oncpu\n"
	  "200 cpu0 futex A addr=4096 op=134 val=0 word=2147483650\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "260 cpu1 wake A by u9 task why=1\n"
	  "260 cpu0 switch idle A\n"
	  "300 cpu0 futex A addr=8192 op=6 val=0 word=2147483650\n"
	  "300 cpu0 switch A/S:futex idle\n"
	  "370 cpu1 wake A by u9 task why=1\n"
	  "370 cpu0 switch idle A\n",
	  "pi_mutex 8192 70 in 1, longest 70, woken 1, running 70; A 70/1; owner B 70; "
	  "because ? untracked 70\n"
	  "pi_mutex 4096 60 in 1, longest 60, woken 1, unknown 60; A 60/1; ; because ? untracked 60" },
	{ "a mutex between namespaces: who owns it is not known where both have a thread of that number",
	  "100 cpu0 snap A tid=101 tgid=101 ns=1,7 oncpu\n"
	  "100 cpu1 snap B tid=102 tgid=102 ns=2,7 oncpu\n"
	  "100 cpu2 snap C tid=103 tgid=103 ns=2,8 oncpu\n"
	  "200 cpu0 futex A addr=4096 op=0 owner=2,1,0\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "260 cpu2 wake A by C task why=1\n"
	  "260 cpu0 switch idle A\n",
	  "mutex 4096 60 in 1, longest 60, woken 1, running 60; A 60/1; waker C 60; because C oncpu 60" },
	{ "... and is where only another one has",
	  "100 cpu0 snap A tid=101 tgid=101 ns=1,7 oncpu\n"
	  "100 cpu1 snap B tid=102 tgid=102 ns=3,7 oncpu\n"
	  "100 cpu2 snap C tid=103 tgid=103 ns=2,8 oncpu\n"
	  "200 cpu0 futex A addr=4096 op=0 owner=2,1,0\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "260 cpu2 wake A by C task why=1\n"
	  "260 cpu0 switch idle A\n",
	  "mutex 4096 60 in 1, longest 60, woken 1, running 60; A 60/1; owner C 60; because C oncpu 60" },
	{ "another program begins while others wait: its locks are others; the leader's number",
	  "100 cpu0 snap A tid=1 ns=31,7 oncpu\n"
	  "100 cpu1 snap B tid=2 ns=32,7 oncpu\n"
	  "100 cpu2 snap C tid=3 ns=33,7 oncpu\n"
	  "150 cpu1 futex B addr=4096 op=134 val=0\n"
	  "150 cpu1 switch B/S:futex idle\n"
	  "160 cpu1 wake B by A task why=1\n"
	  "160 cpu1 switch idle B\n"
	  "200 cpu0 switch A/X idle\n"
	  "250 cpu1 exec B tid=1 old=2\n"
	  "300 cpu0 fork B > D tid=9 ns=39,7\n"
	  "310 cpu0 wakeup D new\n"
	  "320 cpu0 switch idle D\n"
	  "400 cpu0 futex D addr=4096 op=134 val=0 word=2147483679\n"
	  "400 cpu0 switch D/S:futex idle\n"
	  "500 cpu1 wake D by B task why=1\n"
	  "500 cpu0 switch idle D\n",
	  "pi_mutex 4096 100 in 1, longest 100, woken 1, running 100; D 100/1; owner B 100\n"
	  "pi_mutex 4096 10 in 1, longest 10, woken 1, running 10; B 10/1; waker A 10" },
	{ "a tid is used again: the owner is who lives",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "150 cpu1 switch B/X idle\n"
	  "160 cpu0 futex A " PI "160 cpu0 switch A/S:futex idle\n"
	  "170 cpu0 wake A by u9 task why=1\n"
	  "170 cpu0 switch idle A\n"
	  "180 cpu0 fork A > C tid=2\n"
	  "190 cpu1 wakeup C new\n"
	  "195 cpu1 switch idle C\n"
	  "200 cpu0 futex A addr=4096 op=134 val=0 word=2\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "300 cpu1 wake A by C task why=1\n"
	  "300 cpu0 switch idle A\n",
	  "pi_mutex 4096 110 in 2, longest 100, woken 2, running 100 unknown 10; A 110/2; "
	  "owner C 100" },
	{ "a dead thread's tid beside the word makes no mutex, and what is no mutex no owner",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "100 cpu2 snap C tid=3 oncpu\n"
	  "150 cpu1 switch B/X idle\n"
	  "200 cpu0 futex A " MUTEX "200 cpu0 switch A/S:futex idle\n"
	  "210 cpu2 wake A by C task why=1\n"
	  "210 cpu0 switch idle A\n"
	  "220 cpu0 futex A addr=8192 owner=3,0,0\n"
	  "220 cpu0 switch A/S:futex idle\n"
	  "240 cpu2 wake A by C task why=1\n"
	  "240 cpu0 switch idle A\n"
	  "250 cpu0 futex A addr=12288 owner=3,1,0 vector\n"
	  "250 cpu0 switch A/S:futex_waitv idle\n"
	  "280 cpu2 wake A by C task why=1\n"
	  "280 cpu0 switch idle A\n",
	  "futex 12288 30 in 1, longest 30, woken 1, running 30; A 30/1; waker C 30\n"
	  "futex 8192 20 in 1, longest 20, woken 1, running 20; A 20/1; waker C 20\n"
	  "futex 4096 10 in 1, longest 10, woken 1, running 10; A 10/1; waker C 10" },
	{ "a join is a shared wait for the number of a thread that lives; a counter is none",
	  THREE "200 cpu0 futex A addr=4096 op=265 val=2\n"
		"200 cpu0 switch A/S:futex idle\n"
		"250 cpu1 wake A by B task why=1\n"
		"260 cpu1 switch B/X idle\n"
		"260 cpu0 switch idle A\n"
		"300 cpu0 futex A addr=8192 op=137 val=3\n"
		"300 cpu0 switch A/S:futex idle\n"
		"340 cpu2 wake A by C task why=1\n"
		"340 cpu0 switch idle A\n",
	  "join 4096 50 in 1, longest 50, woken 1, running 50; A 50/1; waker B 50\n"
	  "futex 8192 40 in 1, longest 40, woken 1, running 40; A 40/1; waker C 40" },
	{ "io and stopped come first; a wait that goes on at the end",
	  THREE "200 cpu0 klock A addr=32768\n"
		"200 cpu0 switch A/I:read idle\n"
		"210 cpu1 futex B addr=4096 owner=3,1,0\n"
		"210 cpu1 switch B/T:futex idle\n"
		"400 cpu2 futex C addr=4096 owner=2,1,0\n"
		"400 cpu2 switch C/S:futex idle\n",
	  "mutex 4096 600 in 1, longest 600, unknown 1, blocked 600; C 600/1; owner B 600; "
	  "because B stopped 600" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct lock_run run;
		char *text;

		lock_run_begin(&run, 3, HISTORY_DEFAULT);
		trace_text_feed_locks(run.ledger, run.passes, run.locks, cases[i].text);
		lock_run_end(&run, END_NS);
		lock_run_check(&run, cases[i].name);
		text = lock_show(run.locks, strstr(cases[i].expected, "; because"));
		if (strcmp(text, cases[i].expected))
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].name, text, cases[i].expected);
		free(text);
		lock_run_free(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
