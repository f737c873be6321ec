// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the trace reader behind its checksums: the input says what chunks hold, and they are packed and sealed here.
 *
 *   input: { type:1 cpu:1 shift:1 time:1 len:2 bytes:len } ...     the chunk's time is time << shift
 *
 * clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -iquote userspace -iquote . tests/fuzz/fuzz_reader.c \
 *	userspace/trace/[!w]*.c userspace/base/err.c -lzstd -ljansson
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "bpf/events.h"
#include "trace/chunk.h"
#include "trace/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put_chunk(int fd, struct chunk_header h, const void *raw)
{
	uint8_t chunk[sizeof(h) + ZSTD_COMPRESSBOUND(1 << 16)];

	h.magic = CHUNK_MAGIC;
	h.stored_bytes = (uint32_t)ZSTD_compress(chunk + sizeof(h), sizeof(chunk) - sizeof(h), raw,
						 h.raw_bytes, 1);
	memcpy(chunk, &h, sizeof(h));
	chunk_seal(chunk);
	if (write(fd, chunk, sizeof(h) + h.stored_bytes) < 0)
		abort();
}

static int in_order(void *arg, const struct trace_event *ev)
{
	uint64_t *last = arg;

	if (ev->time_ns < *last || ev->time_ns > INT64_MAX || EV_WORDS(ev->rec[0]) < 2)
		abort();
	*last = ev->time_ns;
	return 0;
}

static int bounded(void *arg, const struct mapping *m)
{
	(void)arg;
	if (strlen(m->path) > MAP_MAX_PATH || m->build_id_len > MAPPING_BUILD_ID_MAX)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct file_header h = { .magic = FILE_MAGIC, .version = FILE_VERSION, .nr_cpus = 200 };
	_cleanup_(close_p) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct trace_reader *r;
	struct err err = { 0 };
	uint64_t last = 0;
	char path[32];

	if (fd < 0 || write(fd, &h, sizeof(h)) < 0)
		abort();
	put_chunk(fd, (struct chunk_header){ .type = CHUNK_META, .raw_bytes = 2 }, "{}");
	while (len >= 6) {
		struct chunk_header c = { .type = data[0],
					  .cpu = data[1],
					  .time = (uint64_t)data[3] << (data[2] & 63) };
		size_t take = (size_t)(data[4] | data[5] << 8);

		c.raw_bytes = (uint32_t)(take < len - 6 ? take : len - 6);
		put_chunk(fd, c, data + 6);
		data += 6 + c.raw_bytes;
		len -= 6 + c.raw_bytes;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (trace_open(path, &r, &err))
		abort();
	trace_each_mapping(r, bounded, NULL, &err);
	trace_each(r, in_order, &last, &err);
	trace_close(r);
	return 0;
}
