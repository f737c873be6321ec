// SPDX-License-Identifier: GPL-2.0-only
/* Asking bpf/self.bpf.c: see pid_space.h. */
#include "probes/pid_space.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confined.h"
#include "probes/refusal.h"
#include "self.skel.h"

static void skel_p(struct self_bpf **skel)
{
	self_bpf__destroy(*skel);
}

static int run(struct self_bpf *skel, struct err *err)
{
	struct bpf_link *link = bpf_program__attach_iter(skel->progs.self, NULL);
	_cleanup_(close_p) int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -EIO;
	char none[64];

	bpf_link__destroy(link);
	if (fd < 0)
		return err_sys(err, fd, "cannot find out about the pid namespace");
	while (!skel->bss->tgid && read(fd, none, sizeof(none)) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(err, -errno, "cannot find out about the pid namespace");
	return 0;
}

int pid_space_find(struct pid_space *ret_space, struct err *err)
{
	_cleanup_(skel_p) struct self_bpf *skel = NULL;
	struct confined c;
	int r = confined_proc(err);

	if (r)
		return r;
	confined_look(&c);
	*ret_space = (struct pid_space){ .tgid = (uint32_t)getpid() };
	if (!c.pid_ns)
		return 0;
	refusal_listen();
	skel = self_bpf__open();
	if (!skel)
		return err_sys(err, -errno, "cannot open the program for the pid namespace");
	r = self_bpf__load(skel);
	if (r)
		return refusal_error(err, r, "the program for the pid namespace");
	r = run(skel, err);
	if (r)
		return r;
	*ret_space = (struct pid_space){ skel->bss->pid_level, skel->bss->pid_ns, skel->bss->tgid };
	return 0;
}
