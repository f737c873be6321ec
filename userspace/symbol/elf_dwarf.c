// SPDX-License-Identifier: GPL-2.0-only
/* Opening DWARF, and the inlined functions at an address: see elf_dwarf.h. */
#include "symbol/elf_dwarf.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbol/elf_dwarf_internal.h"

#define MAX_RATIO 64 /* of a file's sections unpacked to the file; zlib reaches 1032 */
#define MAX_BYTES (8ull << 30)
#define MAX_LINE_BYTES (8u << 20) /* of a unit's line program: libdw makes 50 bytes of one */
#define MAX_DEPTH 128             /* of blocks and inlined functions in each other */
#define MIN_STEPS 200000000u

/* The bytes that a section is unpacked to. */
static uint64_t unpacked_bytes(Elf_Scn *scn, const GElf_Shdr *shdr)
{
	GElf_Chdr chdr;

	if (shdr->sh_type == SHT_NOBITS)
		return 0;
	if (!(shdr->sh_flags & SHF_COMPRESSED))
		return shdr->sh_size;
	return gelf_getchdr(scn, &chdr) ? chdr.ch_size : UINT64_MAX;
}

/* Has it DWARF, of a size that is not made up? What GNU packed before ELF had a format for it (.zdebug_) is not taken. */
static bool worth_reading(const struct elf_image *image, uint64_t *ret_bytes)
{
	uint64_t sum = 0, file = image->identity.bytes;
	Elf_Scn *scn = NULL;
	bool has_info = false;
	size_t strings;

	if (elf_getshdrstrndx(image->elf, &strings))
		return false;
	while ((scn = elf_nextscn(image->elf, scn))) {
		const char *name;
		GElf_Shdr shdr;
		uint64_t bytes;

		if (!gelf_getshdr(scn, &shdr) ||
		    !(name = elf_strptr(image->elf, strings, shdr.sh_name)))
			return false;
		if (!strncmp(name, ".zdebug_", 8))
			return false;
		if (strncmp(name, ".debug_", 7))
			continue;
		bytes = unpacked_bytes(scn, &shdr);
		has_info |= bytes && !strcmp(name, ".debug_info");
		sum += bytes < MAX_BYTES ? bytes : MAX_BYTES;
		if (sum >= MAX_BYTES || sum / MAX_RATIO > file)
			return false;
	}
	*ret_bytes = sum;
	return has_info;
}

/* The file's own DWARF, or that of its debug file. */
static int open_image(const struct elf_symbols *symbols, struct elf_image *ret, uint64_t *ret_bytes)
{
	struct elf_image image;
	int code = elf_symbols_image(symbols, &image);

	if (code)
		return code;
	if (image.fd >= 0 && worth_reading(&image, ret_bytes)) {
		*ret = image;
		return 0;
	}
	code = elf_symbols_debug(symbols, &image, ret);
	elf_image_close(&image);
	if (code)
		return code;
	if (ret->fd >= 0 && worth_reading(ret, ret_bytes))
		return 0;
	elf_image_close(ret);
	return -ENOENT;
}

/* Where dwz's file is, by its build-id or by the name in the link, which may be relative to the file's own directory. */
static bool alt_path(const struct elf_image *image, const char *root, const char *name, char *ret)
{
	char held[32], own[PATH_MAX];
	ssize_t len;
	char *slash;

	if (*name == '/')
		return snprintf(ret, PATH_MAX, "%s%s",
				strncmp(name, "/usr/lib/debug/", 15) ? "" : root,
				strncmp(name, "/usr/lib/debug/", 15) ? name : name + 14) < PATH_MAX;
	snprintf(held, sizeof(held), "/proc/self/fd/%d", image->fd);
	len = readlink(held, own, sizeof(own) - 1);
	if (len <= 0)
		return false;
	own[len] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	return snprintf(ret, PATH_MAX, "%s/%s", own, name) < PATH_MAX;
}

/*
 * libdw gives out strings of these sections from any offset in them, and those of elfutils 0.188 do not look for the end: a section
 * whose last byte is not a 0 would be read beyond. What is packed, libdw has unpacked by now.
 */
static bool strings_end(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (elf_getshdrstrndx(elf, &strings))
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr shdr;
		const char *name =
			gelf_getshdr(scn, &shdr) ? elf_strptr(elf, strings, shdr.sh_name) : NULL;
		const Elf_Data *data;

		if (!name || (strcmp(name, ".debug_str") && strcmp(name, ".debug_line_str")))
			continue;
		data = elf_getdata(scn, NULL);
		if (data && data->d_buf && data->d_size &&
		    ((const char *)data->d_buf)[data->d_size - 1])
			return false;
	}
	return true;
}

/* NULL: it has no DWARF that can be used. */
static Dwarf *begin(Elf *elf)
{
	Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);

	if (!dwarf || strings_end(elf))
		return dwarf;
	dwarf_end(dwarf);
	return NULL;
}

static bool open_alt_at(struct elf_dwarf *d, const char *path, const void *id, uint32_t len)
{
	uint64_t bytes;
	struct err err;

	if (elf_image_open_shared(path, &d->alt, &err))
		return false;
	if (elf_image_is_build(&d->alt, id, len) && worth_reading(&d->alt, &bytes)) {
		d->alt_dwarf = begin(d->alt.elf);
		d->steps += bytes;
	}
	if (!d->alt_dwarf)
		elf_image_close(&d->alt);
	return d->alt_dwarf;
}

/*
 * libdw would open whatever the link names, be it a pipe that nobody writes to; so it is given the file before it asks. Without
 * the file most names are missing: then the DWARF is of no use.
 */
static int open_alt(struct elf_dwarf *d, const char *root)
{
	char path[PATH_MAX], hex[129];
	const uint8_t *bytes;
	const char *name;
	const void *id;
	ssize_t len = dwelf_dwarf_gnu_debugaltlink(d->dwarf, &name, &id);

	if (!len)
		return 0;
	if (len < 2 || len > 64)
		return -ENODATA;
	bytes = id;
	for (ssize_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	if ((snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", root, hex, hex + 2) <
		     PATH_MAX &&
	     open_alt_at(d, path, id, (uint32_t)len)) ||
	    (alt_path(&d->image, root, name, path) && open_alt_at(d, path, id, (uint32_t)len))) {
		dwarf_setalt(d->dwarf, d->alt_dwarf);
		return 0;
	}
	return -ENODATA;
}

/* All sections have been read by now; the files need not be open any more. */
static void let_go(struct elf_image *image)
{
	if (!image->elf || image->fd < 0)
		return;
	elf_cntl(image->elf, ELF_C_FDDONE);
	close(image->fd);
	image->fd = -1;
}

int elf_dwarf_open(const struct elf_symbols *symbols, struct elf_dwarf **ret_dwarf)
{
	struct elf_dwarf *d = calloc(1, sizeof(*d));
	uint64_t bytes;
	int code;

	if (!d)
		return -ENOMEM;
	d->image.fd = d->alt.fd = -1;
	code = open_image(symbols, &d->image, &bytes);
	if (!code) {
		d->steps = MIN_STEPS + bytes;
		d->dwarf = begin(d->image.elf);
		code = d->dwarf ? open_alt(d, elf_symbols_debug_root(symbols)) : -ENOENT;
	}
	if (code) {
		elf_dwarf_close(d);
		return code;
	}
	let_go(&d->image);
	let_go(&d->alt);
	*ret_dwarf = d;
	return 0;
}

void elf_dwarf_close(struct elf_dwarf *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->nr_units; i++)
		free(d->units[i].functions.spans);
	free(d->units);
	free(d->spans.spans);
	dwarf_end(d->dwarf);
	dwarf_end(d->alt_dwarf);
	elf_image_close(&d->image);
	elf_image_close(&d->alt);
	free(d);
}

bool elf_dwarf_tired(const struct elf_dwarf *d)
{
	return !d->steps;
}

/* What an answer is built in. */
struct answer {
	struct elf_dwarf *d;
	uint64_t address;
	Dwarf_Die unit;
	bool has_lines; /* the unit's table of files and lines can be used */
	struct elf_dwarf_frame *frames;
	size_t nr, max;
};

/* Says whether a DIE's ranges contain the address, and in ret_none whether it has none at all. */
static bool contains(struct answer *a, Dwarf_Die *die, bool *ret_none)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	*ret_none = true;
	while (dwarf_step(a->d, 1) && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		*ret_none = false;
		if (a->address >= start && a->address < end)
			return true;
	}
	return false;
}

static const char *name_of(Dwarf_Die *die)
{
	static const unsigned int names[] = { DW_AT_linkage_name, DW_AT_MIPS_linkage_name,
					      DW_AT_name };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		Dwarf_Attribute attr;
		const char *name = dwarf_formstring(dwarf_attr_integrate(die, names[i], &attr));

		if (name && *name)
			return name;
	}
	return NULL;
}

/* The line program is read whole by libdw; its length stands at its beginning. */
static bool lines_bounded(struct elf_dwarf *d, Dwarf_Die *unit)
{
	Dwarf_Attribute attr;
	Elf_Scn *scn = NULL;
	Dwarf_Word offset;
	size_t strings;

	if (dwarf_formudata(dwarf_attr(unit, DW_AT_stmt_list, &attr), &offset) ||
	    elf_getshdrstrndx(d->image.elf, &strings))
		return false;
	while ((scn = elf_nextscn(d->image.elf, scn))) {
		GElf_Shdr shdr;
		const char *name = gelf_getshdr(scn, &shdr) ?
					   elf_strptr(d->image.elf, strings, shdr.sh_name) :
					   NULL;
		Elf_Data *data;
		uint32_t len;

		if (!name || strcmp(name, ".debug_line"))
			continue;
		data = elf_rawdata(scn, NULL);
		if (!data || !data->d_buf || data->d_size < sizeof(len) ||
		    offset > data->d_size - sizeof(len))
			return false;
		memcpy(&len, (const char *)data->d_buf + offset, sizeof(len));
		return len <= MAX_LINE_BYTES;
	}
	return false;
}

static bool unit_lines(struct elf_dwarf *d, struct dwarf_unit *u, Dwarf_Die *unit)
{
	if (!u->lines_checked) {
		u->lines_checked = true;
		u->lines_usable = lines_bounded(d, unit);
	}
	return u->lines_usable;
}

/* Where the inlined function was called from is the line of the frame around it. */
static void note_call(struct answer *a, Dwarf_Die *die)
{
	struct elf_dwarf_frame *around = &a->frames[a->nr - 1];
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	Dwarf_Word file, line;
	size_t nr;

	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attr), &line) || line > INT_MAX)
		return;
	around->line = (int)line;
	if (a->has_lines && !dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attr), &file) &&
	    !dwarf_getsrcfiles(&a->unit, &files, &nr) && file < nr)
		around->file = dwarf_filesrc(files, file, NULL, NULL);
}

/* Goes down to the innermost inlined function that contains the address. True: one below `parent` does. */
static bool descend(struct answer *a, Dwarf_Die *parent, int depth)
{
	Dwarf_Die die;

	if (depth > MAX_DEPTH || !dwarf_step(a->d, 1) || dwarf_child(parent, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);
		bool none, in;

		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block &&
		    tag != DW_TAG_try_block && tag != DW_TAG_catch_block)
			continue;
		in = contains(a, &die, &none);
		if (in && tag == DW_TAG_inlined_subroutine && a->nr < a->max) {
			note_call(a, &die);
			a->frames[a->nr++] = (struct elf_dwarf_frame){ .name = name_of(&die) };
		}
		/* a block without addresses of its own may hold some that have */
		if ((in || (none && tag != DW_TAG_inlined_subroutine)) &&
		    (descend(a, &die, depth + 1) || in))
			return true;
	} while (dwarf_next(a->d, &die));
	return false;
}

static void note_line(struct answer *a)
{
	struct elf_dwarf_frame *innermost = &a->frames[a->nr - 1];
	Dwarf_Line *row = dwarf_getsrc_die(&a->unit, a->address);

	if (!row)
		return;
	innermost->file = dwarf_linesrc(row, NULL, NULL);
	dwarf_lineno(row, &innermost->line);
}

size_t elf_dwarf_at(struct elf_dwarf *d, uint64_t address, bool lines, struct elf_dwarf_frame *ret,
		    size_t max)
{
	struct answer a = { .d = d, .address = address, .frames = ret, .max = max };
	const struct dwarf_span *function;
	struct dwarf_unit *unit;
	Dwarf_Die die;

	unit = max && d->steps ? dwarf_unit_at(d, address) : NULL;
	if (!unit || !dwarf_offdie(d->dwarf, unit->die, &a.unit))
		return 0;
	a.has_lines = unit_lines(d, unit, &a.unit);
	ret[a.nr++] = (struct elf_dwarf_frame){ 0 };
	function = dwarf_function_at(d, unit, address);
	if (function && dwarf_offdie(d->dwarf, function->die, &die)) {
		ret[0].name = name_of(&die);
		descend(&a, &die, 0);
	}
	if (lines && a.has_lines)
		note_line(&a);
	return a.nr;
}
