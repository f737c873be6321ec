// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeps with a stack that nobody can read: its page is not there, and a userfaultfd that does not answer was to bring it. "stuck
 * SECONDS" prints a line before it sleeps; exit status 77: that cannot be had here.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BYTES 65536

int main(int argc, char **argv)
{
	const struct timespec time = { .tv_sec = argc > 1 ? atoi(argv[1]) : 1 };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	char *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register whole = { .range = { (unsigned long)stack, BYTES },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (fd < 0 || stack == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &whole))
		return 77;
	puts("asleep");
	fflush(stdout);
#if defined(__x86_64__)
	long result;

	__asm__ volatile("mov %%rsp, %%rbx; mov %[stack], %%rsp; syscall; mov %%rbx, %%rsp"
			 : "=a"(result)
			 : "a"((long)SYS_nanosleep), "D"(&time),
			   "S"(0l), [stack] "r"(stack + BYTES / 2)
			 : "rbx", "rcx", "r11", "memory");
	return result != 0;
#elif defined(__aarch64__)
	register long call __asm__("x8") = SYS_nanosleep;
	register long result __asm__("x0") = (long)&time;
	register long rest __asm__("x1") = 0;

	__asm__ volatile("mov x19, sp; mov sp, %[stack]; svc #0; mov sp, x19"
			 : "+r"(result)
			 : "r"(call), "r"(rest), [stack] "r"(stack + BYTES / 2)
			 : "x19", "memory");
	return result != 0;
#else
	(void)time;
	return 77;
#endif
}
