/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An ELF file while it is being read. It is opened for that moment only: a recording of a whole machine names more files than a
 * process may have open. What is kept of a file is in elf_symbols.h and cfi.h; struct elf_identity says whether it is still the same.
 */
#ifndef WHYSCALE_SYMBOL_ELF_IMAGE_H
#define WHYSCALE_SYMBOL_ELF_IMAGE_H

#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define ELF_SECTION_MAX (1ull << 30) /* bytes; nothing larger is read into memory */

struct elf_identity {
	uint64_t dev, inode, bytes, mtime_ns;
};

struct elf_image {
	int fd; /* -1: in memory */
	void *memory;
	Elf *elf;
	GElf_Ehdr ehdr;
	struct elf_identity identity;
};

/*
 * Opens the ELF file at `path`: a regular file, little-endian, an executable, a shared object or a debug file. Never maps it, so
 * that a file which is cut meanwhile raises no signal. Errors: those of open(2); -ENOEXEC: not such a file.
 */
int elf_image_open(const char *path, struct elf_image *ret_image, struct err *err);

/* The same for what dwz makes of several debug files, which is a relocatable file. */
int elf_image_open_shared(const char *path, struct elf_image *ret_image, struct err *err);

/* The same for `len` bytes at `memory` (from malloc), which belong to the image from now on, also after an error. */
int elf_image_memory(void *memory, size_t len, struct elf_image *ret_image, struct err *err);

void elf_image_close(struct elf_image *image);

/* The first section of that name with contents of 1 to `max` bytes: its header, and its bytes as they are in the file, which
 * belong to the image. NULL: there is none. */
Elf_Data *elf_image_section(const struct elf_image *image, const char *name, uint64_t max,
			    GElf_Shdr *ret_shdr);

/* Has the file this build-id? */
bool elf_image_is_build(const struct elf_image *image, const uint8_t *build_id, uint32_t len);

#endif
