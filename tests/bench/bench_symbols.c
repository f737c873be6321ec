// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to name addresses: bench_symbols [-i] [-l] [-v] [-d DIR] FILE [COUNT]
 *
 * COUNT (100000) different addresses, spread evenly over the executable segments of the ELF file, are named by frames_of() as those
 * of a process that maps it. -i: with inlined functions, -l: with lines, -v: prints each address with its frames, innermost first,
 * for a comparison with addr2line. -d: where separate debug files are. The last line says: addresses, named ones, frames, seconds, megabytes.
 */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbol/elf_symbols.h"
#include "symbol/frames.h"

#define TGID 1
#define BASE 0x7f0000000000

static void die(const char *what)
{
	fprintf(stderr, "bench_symbols: %s\n", what);
	exit(1);
}

/* Maps the file's segments as the kernel would. */
static void map_file(struct space *space, const char *path, const struct elf_segment *segs,
		     size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t page = segs[i].address & ~UINT64_C(4095);
		struct mapping m = {
			.kind = MAPPING_ADD,
			.tgid = TGID,
			.prot = PROT_READ | (segs[i].flags & PF_X ? PROT_EXEC : 0),
			.flags = MAP_PRIVATE,
			.inode = 1,
			.start = BASE + page,
			.end = BASE +
			       ((segs[i].address + segs[i].file_bytes + 4095) & ~UINT64_C(4095)),
			.offset = segs[i].offset - (segs[i].address - page),
			.path = path,
		};

		if (segs[i].file_bytes && space_add(space, &m))
			die("a segment makes no sense");
	}
}

static uint64_t code_bytes(const struct elf_segment *segs, size_t nr)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += segs[i].flags & PF_X ? segs[i].file_bytes : 0;
	return sum;
}

/* The address that is `at` bytes into the executable segments. */
static uint64_t address_at(const struct elf_segment *segs, size_t nr, uint64_t at)
{
	for (size_t i = 0; i < nr; i++) {
		if (!(segs[i].flags & PF_X))
			continue;
		if (at < segs[i].file_bytes)
			return segs[i].address + at;
		at -= segs[i].file_bytes;
	}
	return 0;
}

static void show(uint64_t address, const struct frame_name *names, size_t nr)
{
	printf("%" PRIx64, address);
	while (nr-- > 0)
		printf("\t%s %s:%d", names[nr].name, names[nr].file ? names[nr].file : "??",
		       names[nr].line);
	putchar('\n');
}

struct options {
	struct frames_options frames;
	bool verbose;
	char *path;
	uint64_t count;
};

/* Asks for every address; returns the frames that came, and of how many the function is known. */
static uint64_t ask(struct frames *frames, const struct elf_segment *segs, size_t nr,
		    uint64_t count, bool verbose, uint64_t *ret_named)
{
	uint64_t bytes = code_bytes(segs, nr), total = 0;
	struct frame_name names[FRAMES_MAX];

	*ret_named = 0;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t address =
			address_at(segs, nr, (uint64_t)((unsigned __int128)bytes * i / count));
		size_t got = frames_of(frames, TGID, 1, BASE + address, true, names, FRAMES_MAX);

		*ret_named += names[0].named;
		total += got;
		if (verbose)
			show(address, names, got);
	}
	return total;
}

static void run(struct resolve *resolve, const struct elf_segment *segs, size_t nr,
		const struct options *o)
{
	uint64_t bytes = code_bytes(segs, nr), count = o->count < bytes ? o->count : bytes;
	uint64_t begin = monotonic_ns(), middle, named, total;
	struct frames *frames;
	struct rusage usage;

	if (frames_new(resolve, &o->frames, &frames))
		die("no memory");
	total = ask(frames, segs, nr, count, o->verbose, &named);
	middle = monotonic_ns();
	ask(frames, segs, nr, count, false, &named);
	getrusage(RUSAGE_SELF, &usage);
	printf("%" PRIu64 " addresses, %" PRIu64 " named, %" PRIu64
	       " frames, %.3f s, %ld MB; again %.3f s\n",
	       count, named, total, (double)(middle - begin) / 1e9, usage.ru_maxrss >> 10,
	       (double)(monotonic_ns() - middle) / 1e9);
	frames_free(frames);
}

int main(int argc, char **argv)
{
	struct options o = { .count = 100000 };
	const struct elf_segment *segs;
	struct elf_symbols *elf;
	struct resolve *resolve;
	struct space *space;
	struct elf_where where = { 0 };
	struct err err = { 0 };
	int option;
	size_t nr;

	while ((option = getopt(argc, argv, "ilvd:")) != -1) {
		if (option == '?')
			return 2;
		o.frames.inlined |= option == 'i';
		o.frames.lines |= option == 'l';
		o.verbose |= option == 'v';
		if (option == 'd')
			where.debug = optarg;
	}
	if (optind >= argc)
		die("which file?");
	o.path = realpath(argv[optind], NULL);
	if (!o.path)
		die("there is no such file");
	if (optind + 1 < argc)
		o.count = strtoull(argv[optind + 1], NULL, 10);
	if (elf_symbols_open(o.path, NULL, 0, NULL, &elf, &err))
		die(err.msg);
	segs = elf_symbols_segments(elf, &nr);
	if (!code_bytes(segs, nr) || space_new(&space) || resolve_new(space, &where, &resolve))
		die("no code, or no memory");
	map_file(space, o.path, segs, nr);
	run(resolve, segs, nr, &o);
	resolve_free(resolve);
	space_free(space);
	elf_symbols_close(elf);
	free(o.path);
	return 0;
}
