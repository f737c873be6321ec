// SPDX-License-Identifier: GPL-2.0-only
/* This process's own vdso: see vdso.h. */
#include "symbol/vdso.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MAX_BYTES (1u << 20)

/* The section headers stand at its end. */
static uint64_t bytes_of(const ElfW(Ehdr) * ehdr)
{
	uint64_t end = ehdr->e_shoff + (uint64_t)ehdr->e_shnum * ehdr->e_shentsize;
	const ElfW(Phdr) *ph = (const void *)((const char *)ehdr + ehdr->e_phoff);

	for (int i = 0; i < ehdr->e_phnum; i++) {
		if (ph[i].p_offset + ph[i].p_filesz > end)
			end = ph[i].p_offset + ph[i].p_filesz;
	}
	return end;
}

int vdso_open(const char *kernel, uint64_t map_bytes, struct elf_symbols **ret_symbols)
{
	const ElfW(Ehdr) *ehdr = (const void *)getauxval(AT_SYSINFO_EHDR);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bytes;
	struct utsname uts;
	struct err err;

	if (!kernel || !ehdr || uname(&uts) || strcmp(uts.release, kernel) ||
	    memcmp(ehdr->e_ident, ELFMAG, SELFMAG))
		return -ENOENT;
	bytes = bytes_of(ehdr);
	/* a process of another word size has another one */
	if (bytes > MAX_BYTES || (bytes + page - 1) / page * page != map_bytes)
		return -ENOENT;
	return elf_symbols_open_memory(ehdr, bytes, "[vdso]", ret_symbols, &err) ? -ENOENT : 0;
}
