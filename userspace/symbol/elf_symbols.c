// SPDX-License-Identifier: GPL-2.0-only
/* One ELF file's segments and symbols: see elf_symbols.h. */
#include "symbol/elf_symbols.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "symbol/elf_debug.h"
#include "symbol/elf_image.h"

#define MAX_SEGMENTS 256
#define POOL_OVER_FILE \
	2 /* names share their tails in the file, not here; more than that is made up */

struct elf_symbols {
	char *path;  /* where the file is */
	char *debug; /* where separate debug files are */
	struct elf_identity identity;
	uint16_t machine;
	struct elf_segment *segments;
	size_t nr_segments;
	bool loaded;
	struct elf_table functions, objects;
};

/* A symbol table that is being read. */
struct source {
	const struct elf_image *image;
	Elf_Data *symbols, *strings;
	size_t nr;
};

static int read_segments(struct elf_symbols *s, const struct elf_image *image)
{
	size_t nr, cap = 0;

	if (elf_getphdrnum(image->elf, &nr))
		return 0;
	for (size_t i = 0; i < nr && s->nr_segments < MAX_SEGMENTS; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(image->elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
		    ph.p_filesz > ph.p_memsz || ph.p_offset + ph.p_filesz < ph.p_offset ||
		    ph.p_vaddr + ph.p_memsz < ph.p_vaddr)
			continue;
		if (vec_room(&s->segments, &cap, s->nr_segments + 1))
			return -ENOMEM;
		s->segments[s->nr_segments++] = (struct elf_segment){
			.offset = ph.p_offset,
			.file_bytes = ph.p_filesz,
			.address = ph.p_vaddr,
			.memory_bytes = ph.p_memsz,
			.flags = ph.p_flags,
		};
	}
	return 0;
}

static int open_checked(struct elf_symbols *s, const uint8_t *build_id, uint32_t build_id_len,
			struct err *err)
{
	struct elf_image image;
	int code = elf_image_open(s->path, &image, err);

	if (code)
		return code;
	s->identity = image.identity;
	s->machine = image.ehdr.e_machine;
	if (build_id_len && !elf_image_is_build(&image, build_id, build_id_len))
		code = err_set(err, -ESTALE, "%s is another build than the recorded one", s->path);
	else if (read_segments(s, &image))
		code = err_set(err, -ENOMEM, "no memory for %s", s->path);
	elf_image_close(&image);
	return code;
}

int elf_symbols_open(const char *path, const uint8_t *build_id, uint32_t build_id_len,
		     const struct elf_where *where, struct elf_symbols **ret_symbols,
		     struct err *err)
{
	const char *root = where && where->root ? where->root : "";
	const char *debug = where && where->debug ? where->debug : "/usr/lib/debug";
	struct elf_symbols *s = calloc(1, sizeof(*s));
	int code;

	if (!s || asprintf(&s->path, "%s%s", root, path) < 0 || !(s->debug = strdup(debug))) {
		elf_symbols_close(s);
		return err_set(err, -ENOMEM, "no memory for %s", path);
	}
	code = open_checked(s, build_id, build_id_len, err);
	if (code) {
		elf_symbols_close(s);
		return code;
	}
	*ret_symbols = s;
	return 0;
}

void elf_symbols_close(struct elf_symbols *s)
{
	if (!s)
		return;
	elf_table_free(&s->functions);
	elf_table_free(&s->objects);
	free(s->segments);
	free(s->debug);
	free(s->path);
	free(s);
}

int elf_symbols_image(const struct elf_symbols *s, struct elf_image *ret_image)
{
	struct err err;
	int code = elf_image_open(s->path, ret_image, &err);

	if (code || !memcmp(&ret_image->identity, &s->identity, sizeof(s->identity)))
		return code;
	elf_image_close(ret_image);
	return -ESTALE;
}

/* The section that a symbol is in; false: it is in none that is loaded. An index that does not fit (XINDEX) is taken on trust. */
static bool section_of(const struct source *src, const GElf_Sym *sym, GElf_Shdr *ret_shdr)
{
	if (sym->st_shndx == SHN_XINDEX) {
		*ret_shdr = (GElf_Shdr){ .sh_flags = SHF_ALLOC };
		return true;
	}
	return sym->st_shndx != SHN_UNDEF && sym->st_shndx < SHN_LORESERVE &&
	       gelf_getshdr(elf_getscn(src->image->elf, sym->st_shndx), ret_shdr) &&
	       (ret_shdr->sh_flags & SHF_ALLOC);
}

/* The table that a symbol belongs into, or NULL. */
static struct elf_table *table_for(struct elf_symbols *s, const GElf_Sym *sym,
				   const GElf_Shdr *shdr, const char *name)
{
	switch (GELF_ST_TYPE(sym->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
		return &s->functions;
	case STT_OBJECT:
		return sym->st_size ? &s->objects : NULL;
	case STT_NOTYPE:
		/* Not ARM's marks of code and data ($x, $d), nor the assembler's own labels. */
		return (shdr->sh_flags & SHF_EXECINSTR) && *name != '$' && *name != '.' ?
			       &s->functions :
			       NULL;
	default:
		return NULL;
	}
}

static int add_symbol(struct elf_symbols *s, const struct source *src, const GElf_Sym *sym)
{
	const char *name = (const char *)src->strings->d_buf + sym->st_name;
	struct elf_table *table;
	GElf_Shdr shdr;

	if (sym->st_name >= src->strings->d_size || !*name || !section_of(src, sym, &shdr))
		return 0;
	table = table_for(s, sym, &shdr, name);
	if (!table)
		return 0;
	if (table->names_len / POOL_OVER_FILE > src->strings->d_size + s->identity.bytes)
		return -EFBIG;
	return elf_table_add(table, &(struct elf_table_new){
					    .name = name,
					    .name_len = strnlen(name, ELF_TABLE_NAME_MAX),
					    .address = sym->st_value,
					    .size = sym->st_size,
					    .section_end = shdr.sh_addr + shdr.sh_size,
					    .type = GELF_ST_TYPE(sym->st_info),
					    .bind = GELF_ST_BIND(sym->st_info),
				    });
}

/* Prepares to read a section of symbols; its names must end within their section. */
static bool open_source(const struct elf_image *image, Elf_Scn *scn, const GElf_Shdr *shdr,
			struct source *ret)
{
	Elf_Scn *names = elf_getscn(image->elf, shdr->sh_link);
	GElf_Shdr names_shdr;

	if (!names || !gelf_getshdr(names, &names_shdr) || names_shdr.sh_type != SHT_STRTAB ||
	    names_shdr.sh_size > ELF_SECTION_MAX || shdr->sh_size > ELF_SECTION_MAX ||
	    !shdr->sh_entsize)
		return false;
	*ret = (struct source){ .image = image,
				.symbols = elf_getdata(scn, NULL),
				.strings = elf_rawdata(names, NULL),
				.nr = shdr->sh_size / shdr->sh_entsize };
	return ret->symbols && ret->symbols->d_buf && ret->strings && ret->strings->d_buf &&
	       ret->strings->d_size &&
	       !((const char *)ret->strings->d_buf)[ret->strings->d_size - 1];
}

/* Adds the symbols of all sections of `type`; true: there is one. */
static bool add_section(struct elf_symbols *s, const struct elf_image *image, uint32_t type)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(image->elf, scn))) {
		struct source src;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != type ||
		    !open_source(image, scn, &shdr, &src))
			continue;
		for (size_t i = 1; i < src.nr && i <= INT_MAX; i++) {
			GElf_Sym sym;

			if (!gelf_getsym(src.symbols, (int)i, &sym) || add_symbol(s, &src, &sym))
				break;
		}
		return true;
	}
	return false;
}

/* What cannot be read is not there: every later question finds what could. */
static void load(struct elf_symbols *s)
{
	struct elf_image image, debug;

	if (s->loaded)
		return;
	s->loaded = true;
	if (elf_symbols_image(s, &image))
		return;
	if (!add_section(s, &image, SHT_SYMTAB) &&
	    !elf_debug_open(&image, s->path, s->debug, &debug)) {
		add_section(s, &debug, SHT_SYMTAB);
		elf_image_close(&debug);
	}
	add_section(s, &image, SHT_DYNSYM);
	elf_image_close(&image);
	elf_table_sort(&s->functions);
	elf_table_sort(&s->objects);
}

bool elf_symbols_function(struct elf_symbols *s, uint64_t address, struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_at(&s->functions, address, ret_symbol);
}

bool elf_symbols_object(struct elf_symbols *s, uint64_t address, struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_at(&s->objects, address, ret_symbol);
}

bool elf_symbols_find_object(struct elf_symbols *s, const char *name, struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_find(&s->objects, name, ret_symbol);
}

bool elf_symbols_find_function(struct elf_symbols *s, const char *name,
			       struct elf_symbol *ret_symbol)
{
	load(s);
	return elf_table_find(&s->functions, name, ret_symbol);
}

const struct elf_segment *elf_symbols_segments(const struct elf_symbols *s, size_t *ret_nr)
{
	*ret_nr = s->nr_segments;
	return s->segments;
}

bool elf_symbols_address(const struct elf_symbols *s, uint64_t offset, uint64_t *ret_address)
{
	for (size_t i = 0; i < s->nr_segments; i++) {
		const struct elf_segment *seg = &s->segments[i];

		if (offset - seg->offset >= seg->file_bytes)
			continue;
		*ret_address = seg->address + (offset - seg->offset);
		return true;
	}
	return false;
}

int elf_symbols_read(struct elf_symbols *s, uint64_t address, void *ret_bytes, size_t len)
{
	struct elf_image image;
	int code = -EFAULT;

	for (size_t i = 0; i < s->nr_segments; i++) {
		const struct elf_segment *seg = &s->segments[i];
		uint64_t in = address - seg->address;

		if (in >= seg->file_bytes || seg->file_bytes - in < len)
			continue;
		code = elf_symbols_image(s, &image);
		if (code)
			return code;
		if (pread(image.fd, ret_bytes, len, (off_t)(seg->offset + in)) != (ssize_t)len)
			code = -EFAULT;
		elf_image_close(&image);
		return code;
	}
	return code;
}

uint16_t elf_symbols_machine(const struct elf_symbols *s)
{
	return s->machine;
}
