// SPDX-License-Identifier: GPL-2.0-only
/* From the symbol sections of an ELF file into tables: see elf_load.h. */
#include "symbol/elf_load.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define POOL_OVER_FILE \
	2 /* names share their tails in the file, not here; more than that is made up */

/* A symbol table that is being read. */
struct source {
	const struct elf_image *image;
	Elf_Data *symbols, *strings;
	size_t nr;
};

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
static struct elf_table *table_for(struct elf_load *l, const GElf_Sym *sym, const GElf_Shdr *shdr,
				   const char *name)
{
	switch (GELF_ST_TYPE(sym->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
		return l->functions;
	case STT_OBJECT:
		return sym->st_size ? l->objects : NULL;
	case STT_NOTYPE:
		/* Not ARM's marks of code and data ($x, $d), nor the assembler's own labels. */
		return (shdr->sh_flags & SHF_EXECINSTR) && *name != '$' && *name != '.' ?
			       l->functions :
			       NULL;
	default:
		return NULL;
	}
}

static int add_symbol(struct elf_load *l, const struct source *src, const GElf_Sym *sym)
{
	const char *name = (const char *)src->strings->d_buf + sym->st_name;
	struct elf_table *table;
	GElf_Shdr shdr;

	if (sym->st_name >= src->strings->d_size || !*name || !section_of(src, sym, &shdr))
		return 0;
	table = table_for(l, sym, &shdr, name);
	if (!table)
		return 0;
	if (table->names_len / POOL_OVER_FILE > src->strings->d_size + l->file_bytes)
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

bool elf_load_section(struct elf_load *l, const struct elf_image *image, uint32_t type)
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

			if (!gelf_getsym(src.symbols, (int)i, &sym) || add_symbol(l, &src, &sym))
				break;
		}
		return true;
	}
	return false;
}
