// SPDX-License-Identifier: GPL-2.0-only

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Java threads that wait, each a known number of times: Monitors WORKLOAD ROUNDS HOLD_MS. A contest as in ../contest.h of one holder and
 * one waiter, and its facts.
 *
 * <pre>
 *   monitor   synchronized, which the other one is in: the virtual machine waits for it by several waits of limited time
 *   wait      Object.wait(), ended by notify()
 *   park      LockSupport.park(), ended by unpark()
 * </pre>
 */
public final class Monitors {
	private static final Object lock = new Object();
	private static final ThreadMXBean clock = ManagementFactory.getThreadMXBean();
	private static final AtomicInteger round = new AtomicInteger(), calling = new AtomicInteger(), passed = new AtomicInteger();
	private static volatile int given, waiterTid;
	private static volatile Thread waiterThread;
	private static String workload;
	private static int rounds;
	private static long holdMs;

	private static int tid() throws IOException {
		return Integer.parseInt(Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName().toString());
	}

	private static long voluntary() throws IOException {
		for (String line : Files.readAllLines(Path.of("/proc/thread-self/status")))
			if (line.startsWith("voluntary_ctxt_switches:"))
				return Long.parseLong(line.substring(24).trim());
		throw new IOException("no switches in /proc/thread-self/status");
	}

	/** Written by the main thread: formatting a line is so much work that it waits for locks, too. */
	private static void fact(String role, int tid, long now, String more) throws IOException {
		String line = String.format("{\"role\":\"%s\",\"pid\":%d,\"tid\":%d,\"now_ns\":%d,\"lock\":\"%s\"%s}\n", role,
				ProcessHandle.current().pid(), tid, now, workload, more);
		String file = System.getenv("KNOWN_FACTS");

		if (file == null)
			System.out.print(line);
		else
			Files.writeString(Path.of(file), line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
	}

	private static boolean waiterIsBlocked(int nr) throws IOException {
		if (calling.get() != nr)
			return false;
		Thread.State state = waiterThread.getState();
		String stat = Files.readString(Path.of("/proc/self/task/" + waiterTid + "/stat"));

		return (state == Thread.State.BLOCKED || state == Thread.State.WAITING) && stat.charAt(stat.lastIndexOf(')') + 2) == 'S';
	}

	/** Until it is blocked in its call of that round, seen three times, a millisecond apart: it may spin before. */
	private static void awaitBlocked(int nr) throws IOException, InterruptedException {
		for (int seen = 0; seen < 3; Thread.sleep(1))
			seen = waiterIsBlocked(nr) ? seen + 1 : 0;
	}

	private static void call(int nr) throws InterruptedException {
		switch (workload) {
		case "monitor":
			synchronized (lock) {
				given++;
			}
			break;
		case "wait":
			synchronized (lock) {
				while (given < nr)
					lock.wait();
			}
			break;
		default:
			while (given < nr)
				LockSupport.park();
		}
	}

	/* The waiter's fact. */
	private static long begin, before, calls, waits, waitNs, cpuNs, waiterEnd;

	private static void waiter() throws Exception {
		begin = System.nanoTime();
		before = voluntary();
		waiterTid = tid();
		for (int nr = 1; nr <= rounds; nr++) {
			while (round.get() < nr)
				Thread.onSpinWait(); // a sleep would be another wait
			long switches = voluntary(), cpu = clock.getCurrentThreadCpuTime(), began = System.nanoTime();
			calling.set(nr);
			call(nr);
			long took = System.nanoTime() - began, burnt = clock.getCurrentThreadCpuTime() - cpu;
			switches = voluntary() - switches;
			calls++;
			waits += switches;
			if (switches > 0) {
				waitNs += took;
				cpuNs += burnt;
			}
			passed.set(nr);
		}
		waiterEnd = System.nanoTime();
	}

	/* The holder's. */
	private static int holderTid;
	private static long heldNs, holderEnd;

	/** Sleeps for the time of a round, once the waiter is seen. Returns how long it was, ns. */
	private static long hold(int nr) throws Exception {
		round.set(nr);
		awaitBlocked(nr);
		long began = System.nanoTime();
		Thread.sleep(holdMs);
		return System.nanoTime() - began;
	}

	private static void holder() throws Exception {
		holderTid = tid();
		for (int nr = 1; nr <= rounds; nr++) {
			if (workload.equals("monitor")) {
				synchronized (lock) {
					heldNs += hold(nr);
				}
			} else {
				heldNs += hold(nr);
				given = nr;
				if (workload.equals("wait")) {
					synchronized (lock) {
						lock.notify();
					}
				} else {
					LockSupport.unpark(waiterThread);
				}
			}
			while (passed.get() < nr)
				Thread.sleep(0, 200000);
		}
		holderEnd = System.nanoTime();
	}

	private interface Part {
		void play() throws Exception;
	}

	private static Thread start(String name, Part part) {
		Thread thread = new Thread(() -> {
			try {
				part.play();
			} catch (Throwable e) {
				e.printStackTrace();
				Runtime.getRuntime().halt(99);
			}
		}, name);

		return thread;
	}

	/** Everything that the threads will need is loaded: a class that two of them want at once is another lock. */
	private static void warmUp() throws Exception {
		waiterTid = tid();
		waiterThread = Thread.currentThread();
		voluntary();
		clock.getCurrentThreadCpuTime();
		waiterIsBlocked(0);
		Thread.sleep(0, 200000);
		Thread.onSpinWait();
	}

	public static void main(String[] args) throws Exception {
		workload = args[0];
		rounds = Integer.parseInt(args[1]);
		holdMs = Long.parseLong(args[2]);
		warmUp();
		waiterThread = start("waiter", Monitors::waiter);
		Thread holder = start("holder", Monitors::holder);
		for (Thread thread : List.of(waiterThread, holder))
			thread.start();
		for (Thread thread : List.of(waiterThread, holder))
			thread.join();
		fact("waiter", waiterTid, waiterEnd, String.format(
				",\"calls\":%d,\"waits\":%d,\"wait_ns\":%d,\"wait_cpu_ns\":%d,\"begin_ns\":%d,\"before\":%d", calls, waits,
				waitNs, cpuNs, begin, before));
		fact("holder", holderTid, holderEnd, String.format(",\"rounds\":%d,\"hold_ns\":%d", rounds, heldNs));
	}
}
