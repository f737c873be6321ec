// SPDX-License-Identifier: GPL-2.0-only
/* Opening ELF files that nobody vouches for: see elf_image.h. */
#include "symbol/elf_image.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path may name a device or a pipe, whose mere opening has effects: looks before it opens, and again after. */
static int open_regular(const char *path, struct elf_image *image, struct err *err)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(err, -errno, "cannot open %s", path);
	if (S_ISREG(st.st_mode)) {
		image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (image->fd < 0 || fstat(image->fd, &st))
			return err_sys(err, -errno, "cannot open %s", path);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, -ENOEXEC, "%s is not a regular file", path);
	image->identity = (struct elf_identity){
		.dev = st.st_dev,
		.inode = st.st_ino,
		.bytes = (uint64_t)st.st_size,
		.mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec,
	};
	return 0;
}

static int check_header(struct elf_image *image, int also, const char *path, struct err *err)
{
	const GElf_Ehdr *ehdr = &image->ehdr;

	if (!image->elf || elf_kind(image->elf) != ELF_K_ELF ||
	    !gelf_getehdr(image->elf, &image->ehdr))
		return err_set(err, -ENOEXEC, "%s is not an ELF file", path);
	if (ehdr->e_ident[EI_DATA] != ELFDATA2LSB ||
	    (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN && ehdr->e_type != also))
		return err_set(err, -ENOEXEC,
			       "%s is not a little-endian executable or shared object", path);
	return 0;
}

static int open_type(const char *path, int also, struct elf_image *ret_image, struct err *err)
{
	struct elf_image image = { .fd = -1 };
	int code;

	elf_version(EV_CURRENT);
	code = open_regular(path, &image, err);
	if (!code) {
		image.elf = elf_begin(image.fd, ELF_C_READ, NULL);
		code = check_header(&image, also, path, err);
	}
	if (code) {
		elf_image_close(&image);
		return code;
	}
	*ret_image = image;
	return 0;
}

int elf_image_open(const char *path, struct elf_image *ret_image, struct err *err)
{
	return open_type(path, ET_DYN, ret_image, err);
}

int elf_image_open_shared(const char *path, struct elf_image *ret_image, struct err *err)
{
	return open_type(path, ET_REL, ret_image, err);
}

int elf_image_memory(void *memory, size_t len, struct elf_image *ret_image, struct err *err)
{
	struct elf_image image = { .fd = -1, .memory = memory };
	int code;

	elf_version(EV_CURRENT);
	image.elf = elf_memory(memory, len);
	code = check_header(&image, ET_DYN, "what was unpacked", err);
	if (code) {
		elf_image_close(&image);
		return code;
	}
	*ret_image = image;
	return 0;
}

void elf_image_close(struct elf_image *image)
{
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
	free(image->memory);
	*image = (struct elf_image){ .fd = -1 };
}

Elf_Data *elf_image_section(const struct elf_image *image, const char *name, uint64_t max,
			    GElf_Shdr *ret_shdr)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (elf_getshdrstrndx(image->elf, &strings))
		return NULL;
	while ((scn = elf_nextscn(image->elf, scn))) {
		const char *its;
		Elf_Data *data;

		if (!gelf_getshdr(scn, ret_shdr) || ret_shdr->sh_type == SHT_NOBITS ||
		    !ret_shdr->sh_size || ret_shdr->sh_size > max)
			continue;
		its = elf_strptr(image->elf, strings, ret_shdr->sh_name);
		if (!its || strcmp(its, name))
			continue;
		data = elf_rawdata(scn, NULL);
		return data && data->d_buf && data->d_size ? data : NULL;
	}
	return NULL;
}

bool elf_image_is_build(const struct elf_image *image, const uint8_t *build_id, uint32_t len)
{
	const void *its;

	return len && dwelf_elf_gnu_build_id(image->elf, &its) == (ssize_t)len &&
	       !memcmp(its, build_id, len);
}
