// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPython's mark in an ELF file: see python_file.h. _PyRuntime is in the dynamic symbols of every CPython from 3.7 on, static or
 * shared, stripped or not; since 3.11 Py_Version is, too; the loop's function, PyEval_EvalFrameEx, since 2.5. Read with pread(2), as the
 * file may change under our hands.
 */
#include "probes/python_file.h"

#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The bytes of the file at an address. False: they are not all in the file. */
static bool read_address(Elf *elf, int fd, uint64_t address, void *ret, size_t bytes)
{
	size_t nr = 0;
	GElf_Phdr ph;

	elf_getphdrnum(elf, &nr);
	for (size_t i = 0; i < nr && gelf_getphdr(elf, (int)i, &ph); i++)
		if (ph.p_type == PT_LOAD && address >= ph.p_vaddr &&
		    address - ph.p_vaddr < ph.p_filesz &&
		    bytes <= ph.p_filesz - (address - ph.p_vaddr))
			return pread(fd, ret, bytes,
				     (off_t)(ph.p_offset + (address - ph.p_vaddr))) ==
			       (ssize_t)bytes;
	return false;
}

/* All symbols in one pass; their number is bounded by the section's size in the file, which libelf has checked. */
static void find_symbols(Elf *elf, GElf_Sym *ret_runtime, GElf_Sym *ret_version, GElf_Sym *ret_loop)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	Elf_Data *data;
	GElf_Sym sym;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_DYNSYM)
			break;
	data = scn ? elf_getdata(scn, NULL) : NULL;
	for (int i = 0; data && gelf_getsym(data, i, &sym); i++) {
		int type = GELF_ST_TYPE(sym.st_info);
		const char *name;

		if ((type != STT_OBJECT && type != STT_FUNC) || sym.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(elf, sh.sh_link, sym.st_name);
		if (name && type == STT_OBJECT && !strcmp(name, "_PyRuntime"))
			*ret_runtime = sym;
		else if (name && type == STT_OBJECT && !strcmp(name, "Py_Version"))
			*ret_version = sym;
		else if (name && type == STT_FUNC && !strcmp(name, "PyEval_EvalFrameEx"))
			*ret_loop = sym;
	}
}

static void version_of_path(const char *path, struct python_file *ret)
{
	const char *name = strrchr(path, '/');
	int major, minor;

	name = strstr(name ? name : path, "python");
	if (name && sscanf(name, "python%1d.%2d", &major, &minor) == 2) {
		ret->major = major;
		ret->minor = minor;
	}
}

static void find_segments(Elf *elf, struct python_file *ret)
{
	size_t nr = 0;
	GElf_Phdr ph;

	elf_getphdrnum(elf, &nr);
	for (size_t i = 0; i < nr && gelf_getphdr(elf, (int)i, &ph); i++)
		if (ph.p_type == PT_LOAD && ph.p_flags & PF_X && ret->nr_segments < PYTHON_SEGMENTS)
			ret->segment[ret->nr_segments++] =
				(struct python_segment){ ph.p_offset, ph.p_vaddr, ph.p_filesz };
}

static void read_elf(Elf *elf, int fd, const char *path, struct python_file *ret)
{
	GElf_Sym runtime = {}, version = {}, loop = {};
	uint32_t hex; /* as PY_VERSION_HEX; it is an unsigned long */

	/* the layouts are those of 64-bit machines with the low byte first */
	if (elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64 ||
	    elf_getident(elf, NULL)[EI_DATA] != ELFDATA2LSB)
		return;
	find_symbols(elf, &runtime, &version, &loop);
	if (!runtime.st_value && !loop.st_value)
		return;
	ret->is_python = true;
	ret->before_37 = !runtime.st_value;
	ret->runtime = runtime.st_value;
	if (version.st_value && read_address(elf, fd, version.st_value, &hex, sizeof(hex))) {
		ret->major = (int)(hex >> 24);
		ret->minor = (int)(hex >> 16 & 0xff);
	} else {
		version_of_path(path, ret);
	}
	if (ret->before_37)
		return;
	ret->has_debug = read_address(elf, fd, runtime.st_value, ret->debug, sizeof(ret->debug));
	find_segments(elf, ret);
}

void python_file_read(int fd, const char *path, struct python_file *ret)
{
	Elf *elf;

	*ret = (struct python_file){};
	if (elf_version(EV_CURRENT) == EV_NONE)
		return;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf)
		read_elf(elf, fd, path, ret);
	elf_end(elf);
}

bool python_file_runtime(const struct python_file *f, const struct mapping *m,
			 uint64_t *ret_address)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (unsigned int i = 0; i < f->nr_segments; i++) {
		const struct python_segment *s = &f->segment[i];
		uint64_t first = s->offset / page * page;

		if (m->offset < first || m->offset >= s->offset + s->bytes)
			continue;
		*ret_address = f->runtime + m->start - m->offset + s->offset - s->address;
		return true;
	}
	return false;
}
