// SPDX-License-Identifier: GPL-2.0-only
/* What a call stack shows for an address: see frames.h. */
#include "symbol/frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "symbol/elf_dwarf.h"
#include "symbol/names.h"
#include "symbol/objects.h"
#include "symbol/perf_map.h"

/* What is at an address of a file. The frames stand in the pool. */
struct cached {
	uint64_t address;
	uint32_t file;  /* index + 1; 0: a free slot */
	uint32_t first; /* in the pool */
	uint32_t nr;
};

struct frames {
	struct resolve *resolve;
	struct frames_options options;
	struct names names;
	struct perf_maps *maps; /* NULL: not wanted */
	struct cached *slots;
	size_t nr, nr_slots; /* nr_slots is a power of two, or 0 */
	struct frame_name *pool;
	size_t pool_nr, pool_cap;
};

int frames_new(struct resolve *r, const struct frames_options *options, struct frames **ret_frames)
{
	struct frames *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->resolve = r;
	if (options)
		f->options = *options;
	if (!f->options.no_jit && perf_maps_new(f->options.realtime_ns, &f->maps)) {
		free(f);
		return -ENOMEM;
	}
	*ret_frames = f;
	return 0;
}

void frames_free(struct frames *f)
{
	if (!f)
		return;
	perf_maps_free(f->maps);
	names_free(&f->names);
	free(f->slots);
	free(f->pool);
	free(f);
}

static uint64_t hash_of(uint32_t file, uint64_t address)
{
	uint64_t mixed = (address + ((uint64_t)file << 40)) * UINT64_C(0x9e3779b97f4a7c15);

	return mixed ^ mixed >> 32;
}

static struct cached *slot_of(const struct frames *f, uint32_t file, uint64_t address)
{
	for (uint64_t at = hash_of(file, address);; at++) {
		struct cached *slot = &f->slots[at & (f->nr_slots - 1)];

		if (!slot->file || (slot->file == file && slot->address == address))
			return slot;
	}
}

static int grow(struct frames *f)
{
	struct frames bigger = { .nr_slots = f->nr_slots ? f->nr_slots * 2 : 1024 };

	bigger.slots = calloc(bigger.nr_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < f->nr_slots; i++) {
		if (f->slots[i].file)
			*slot_of(&bigger, f->slots[i].file, f->slots[i].address) = f->slots[i];
	}
	free(f->slots);
	f->slots = bigger.slots;
	f->nr_slots = bigger.nr_slots;
	return 0;
}

/* A string that lives as long as `f`, whatever happens. */
static const char *keep(struct frames *f, const char *text)
{
	const char *kept = names_keep(&f->names, text);

	return kept ? kept : "[out of memory]";
}

/* The last part of a path, without what the kernel adds when the file was unlinked. */
static void base_of(const char *path, char *ret, size_t size)
{
	static const char deleted[] = " (deleted)";
	const char *slash = strrchr(path, '/'), *base = slash && slash[1] ? slash + 1 : path;
	size_t len = strlen(base), tail = sizeof(deleted) - 1;

	if (len > tail && !strcmp(base + len - tail, deleted))
		len -= tail;
	snprintf(ret, size, "%.*s", (int)len, base);
}

/* What stands for an object or a place whose functions have no names. */
static const char *label(struct frames *f, const struct code_site *site)
{
	const char *path = site->file ? site->file->path : "[unknown]";
	char base[256], text[300];

	base_of(path, base, sizeof(base));
	if (site->replaced)
		snprintf(text, sizeof(text), "%s+0x%llx", base, (unsigned long long)site->address);
	else if (!*path || !strcmp(path, "//anon") || !strncmp(path, "[anon", 5))
		snprintf(text, sizeof(text), "[anon]");
	else
		snprintf(text, sizeof(text), *path == '[' ? "%s" : "[%s]", base);
	return keep(f, text);
}

static bool is_elf(const struct code_site *site)
{
	return site->elf || site->replaced;
}

/* The names, lines and inlined functions that DWARF knows, onto `ret`; its first one is the function itself. */
static size_t from_dwarf(struct frames *f, const struct code_site *site, struct frame_name *ret,
			 size_t max)
{
	struct elf_dwarf_frame found[FRAMES_MAX];
	struct elf_dwarf *dwarf = resolve_dwarf(f->resolve, site);
	size_t nr = dwarf ? elf_dwarf_at(dwarf, site->address, f->options.lines, found, max) : 0;

	if (!f->options.inlined && nr > 1) {
		/* the line of the instruction, in whatever function it was written */
		found[0].file = found[nr - 1].file;
		found[0].line = found[nr - 1].line;
		nr = 1;
	}
	for (size_t i = 0; i < nr; i++) {
		ret[i] = (struct frame_name){ .inlined = i > 0, .line = found[i].line };
		if (found[i].name)
			ret[i].name = names_demangled(&f->names, found[i].name);
		ret[i].named = ret[i].name;
		if (found[i].file)
			ret[i].file = keep(f, found[i].file);
	}
	return nr;
}

/* The symbol table names the function: it knows aliases, and what assembler wrote. DWARF adds the rest. */
static size_t find(struct frames *f, const struct code_site *site, struct frame_name *ret)
{
	bool dwarf = f->options.inlined || f->options.lines;
	struct elf_symbol symbol;
	size_t nr = 0;

	ret[0] = (struct frame_name){ 0 };
	if (site->elf && dwarf)
		nr = from_dwarf(f, site, ret, FRAMES_MAX);
	if (site->elf && elf_symbols_function(site->elf, site->address, &symbol)) {
		ret[0].name = names_demangled(&f->names, symbol.name);
		ret[0].named = ret[0].name;
	}
	nr = nr ? nr : 1;
	for (size_t i = 0; i < nr; i++) {
		ret[i].object = site->file->path;
		ret[i].guessed = site->guessed;
		if (!ret[i].name)
			ret[i].name = i ? keep(f, "[inlined]") : label(f, site);
	}
	return nr;
}

static size_t give(const struct frame_name *from, size_t nr, struct frame_name *ret, size_t max)
{
	nr = nr < max ? nr : max;
	memcpy(ret, from, nr * sizeof(*ret));
	return nr;
}

static size_t of_object(struct frames *f, const struct code_site *site, struct frame_name *ret,
			size_t max)
{
	bool full = 2 * (f->nr + 1) > f->nr_slots && grow(f);
	struct frame_name fresh[FRAMES_MAX];
	struct cached *slot = NULL;
	size_t nr;

	if (!full)
		slot = slot_of(f, site->file->index + 1, site->address);
	if (slot && slot->file)
		return give(f->pool + slot->first, slot->nr, ret, max);
	nr = find(f, site, fresh);
	if (slot && f->pool_nr + nr <= UINT32_MAX &&
	    !vec_room(&f->pool, &f->pool_cap, f->pool_nr + nr)) {
		memcpy(f->pool + f->pool_nr, fresh, nr * sizeof(*fresh));
		*slot = (struct cached){ .address = site->address,
					 .file = site->file->index + 1,
					 .first = (uint32_t)f->pool_nr,
					 .nr = (uint32_t)nr };
		f->pool_nr += nr;
		f->nr++;
	}
	return give(fresh, nr, ret, max);
}

/* Code in memory, or in a file that is no ELF object: of a JIT, if one says so. */
static void of_memory(struct frames *f, uint32_t tgid, uint64_t time_ns, uint64_t address,
		      const struct code_site *site, struct frame_name *ret)
{
	struct perf_maps_place place;

	*ret = (struct frame_name){ .object = site->file ? site->file->path : "" };
	/* where nothing is known to be mapped, too: memory that becomes executable later is not told */
	if (f->maps && perf_maps_find(f->maps, tgid, resolve_began(f->resolve, tgid, time_ns),
				      time_ns, address, &place)) {
		ret->name = names_demangled(&f->names, place.name);
		ret->object = place.path;
		ret->guessed = place.guessed;
		ret->jit = ret->named = ret->name;
	}
	if (!ret->name)
		ret->name = label(f, site);
}

size_t frames_of(struct frames *f, uint32_t tgid, uint64_t time_ns, uint64_t pc, bool exact,
		 struct frame_name *ret, size_t max)
{
	uint64_t address = pc - (!exact && pc);
	struct code_site site;

	if (!max)
		return 0;
	resolve_site(f->resolve, tgid, time_ns, address, &site);
	if (is_elf(&site))
		return of_object(f, &site, ret, max);
	of_memory(f, tgid, time_ns, address, &site, ret);
	return 1;
}

void frames_problems(const struct frames *f, resolve_problem_fn fn, void *arg)
{
	if (f->maps)
		perf_maps_problems(f->maps, fn, arg);
}
