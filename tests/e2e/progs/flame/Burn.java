// SPDX-License-Identifier: GPL-2.0-only
// Burns SECONDS of CPU time in three methods, and tells what each took: "long Burn.seventy(long) NS", as the JVM's map calls it.
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

public class Burn {
	static final ThreadMXBean thread = ManagementFactory.getThreadMXBean();
	static final long SLICE = 1_000_000; // ns
	static volatile long sink;

	static long turn(long from) {
		long sum = from;

		for (int i = 0; i < 20_000; i++)
			sum += i * sum ^ sum >> 3;
		return sum;
	}

	// Not one function for all: each is a frame of its own.
	static long seventy(long until) {
		do
			sink += turn(sink);
		while (thread.getCurrentThreadCpuTime() < until);
		return thread.getCurrentThreadCpuTime();
	}

	static long twenty(long until) {
		do
			sink += turn(sink);
		while (thread.getCurrentThreadCpuTime() < until);
		return thread.getCurrentThreadCpuTime();
	}

	static long ten(long until) {
		do
			sink += turn(sink);
		while (thread.getCurrentThreadCpuTime() < until);
		return thread.getCurrentThreadCpuTime();
	}

	public static void main(String[] args) {
		long begin = thread.getCurrentThreadCpuTime(), a = 0, b = 0, c = 0, now = begin;
		System.err.println("java pid " + ProcessHandle.current().pid());
		long end = begin + (long) (Double.parseDouble(args[0]) * 1e9);

		while (now < end) {
			long t0 = now;
			long t1 = seventy(t0 + 7 * SLICE);
			long t2 = twenty(t1 + 2 * SLICE);

			now = ten(t2 + SLICE);
			a += t1 - t0;
			b += t2 - t1;
			c += now - t2;
		}
		System.out.println("long Burn.seventy(long) " + a);
		System.out.println("long Burn.twenty(long) " + b);
		System.out.println("long Burn.ten(long) " + c);
	}
}
