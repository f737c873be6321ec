// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading .eh_frame and finding the entry for an address: see cfi.h.
 *
 *   length(4) 0          CIE: version, augmentation "zR...", factors, return register, augmentation data, instructions
 *   length(4) distance   FDE: start, length, augmentation data, instructions; `distance` back to its CIE
 *   0                    the end
 *
 * The table of .eh_frame_hdr is not used: an index of our own needs no trust in its order, and is there also without it.
 */
#include "symbol/cfi.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "symbol/cfi_internal.h"
#include "symbol/elf_image.h"

uint64_t cfi_pointer(const struct cfi *cfi, struct cursor *c, uint8_t encoding)
{
	uint64_t here = cfi->address + c->at, value;

	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		value = cursor_uint(c, 8);
		break;
	case DW_EH_PE_udata4:
		value = cursor_uint(c, 4);
		break;
	case DW_EH_PE_sdata4:
		value = cursor_int(c, 4);
		break;
	case DW_EH_PE_udata2:
		value = cursor_uint(c, 2);
		break;
	case DW_EH_PE_sdata2:
		value = cursor_int(c, 2);
		break;
	case DW_EH_PE_uleb128:
		value = cursor_uleb(c);
		break;
	case DW_EH_PE_sleb128:
		value = cursor_sleb(c);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (encoding & 0xf0) {
	case DW_EH_PE_absptr:
		return value;
	case DW_EH_PE_pcrel:
		return value + here;
	default:
		c->bad = true;
		return 0;
	}
}

/* The augmentation's letters and the data that they describe, from the CIE of version 1 and 3. */
static bool read_augmentation(const struct cfi *cfi, struct cursor *c, const char *letters,
			      struct cfi_cie *cie)
{
	uint64_t len;
	size_t end;

	if (!*letters)
		return true;
	if (*letters != 'z')
		return false; /* how long its data is cannot be known */
	cie->augmented = true;
	len = cursor_uleb(c);
	if (c->bad || len > c->end - c->at)
		return false;
	end = c->at + len;
	while (*++letters) {
		uint8_t encoding;

		switch (*letters) {
		case 'R':
			cie->encoding = (uint8_t)cursor_uint(c, 1);
			break;
		case 'P':
			encoding = (uint8_t)cursor_uint(c, 1);
			cfi_pointer(cfi, c, encoding & 0x0f);
			break;
		case 'L':
			cursor_skip(c, 1);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B': /* AArch64: signed with the B key */
			break;
		default:
			return false;
		}
	}
	c->at = end;
	return !c->bad;
}

static bool read_cie(const struct cfi *cfi, size_t offset, struct cfi_cie *ret)
{
	struct cursor c = { .bytes = cfi->bytes, .at = offset, .end = cfi->len };
	uint64_t len = cursor_uint(&c, 4);
	uint64_t id = cursor_uint(&c, 4), version;
	const char *letters;

	if (c.bad || id || len < 4 || len >= 0xfffffff0 || len - 4 > c.end - c.at)
		return false;
	c.end = c.at + len - 4;
	version = cursor_uint(&c, 1);
	letters = (const char *)c.bytes + c.at;
	if (c.bad || (version != 1 && version != 3) || !memchr(letters, '\0', c.end - c.at))
		return false;
	cursor_skip(&c, strlen(letters) + 1);
	*ret = (struct cfi_cie){ .code_factor = cursor_uleb(&c) };
	ret->data_factor = cursor_sleb(&c);
	ret->return_register = version == 1 ? cursor_uint(&c, 1) : cursor_uleb(&c);
	if (!read_augmentation(cfi, &c, letters, ret) || c.bad ||
	    ret->return_register >= CFI_REGISTERS)
		return false;
	ret->program = c.at;
	ret->end = c.end;
	return true;
}

/* Reads the FDE whose length is at `offset`, given its CIE. */
static bool read_fde(const struct cfi *cfi, size_t offset, const struct cfi_cie *cie,
		     struct cfi_entry *ret)
{
	struct cursor c = { .bytes = cfi->bytes, .at = offset, .end = cfi->len };
	uint64_t len = cursor_uint(&c, 4);

	if (c.bad || len > c.end - c.at)
		return false;
	c.end = c.at + len;
	cursor_skip(&c, 4);
	ret->cie = *cie;
	ret->start = cfi_pointer(cfi, &c, cie->encoding);
	ret->len = cfi_pointer(cfi, &c, cie->encoding & 0x0f);
	if (cie->augmented)
		cursor_skip(&c, cursor_uleb(&c));
	ret->program = c.at;
	ret->end = c.end;
	return !c.bad && ret->len && ret->start + ret->len > ret->start;
}

/* Where the CIE of the FDE at `offset` is; false: this is no FDE. */
static bool cie_of(const struct cfi *cfi, size_t offset, size_t *ret_cie)
{
	struct cursor c = { .bytes = cfi->bytes, .at = offset + 4, .end = cfi->len };
	uint64_t distance = cursor_uint(&c, 4);

	*ret_cie = offset + 4 - distance;
	return !c.bad && distance && distance <= offset + 4;
}

bool cfi_entry_read(const struct cfi *cfi, size_t offset, struct cfi_entry *ret_entry)
{
	struct cfi_cie cie;
	size_t cie_offset;

	return cie_of(cfi, offset, &cie_offset) && read_cie(cfi, cie_offset, &cie) &&
	       read_fde(cfi, offset, &cie, ret_entry);
}

static int by_start(const void *left, const void *right)
{
	const struct cfi_fde *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Goes through the section once. The CIE is mostly that of the FDE before. */
static int index_fdes(struct cfi *cfi)
{
	struct cfi_cie cie;
	size_t last = SIZE_MAX, at = 0;
	bool good = false;

	while (cfi->len - at >= 8) {
		struct cursor c = { .bytes = cfi->bytes, .at = at, .end = cfi->len };
		uint64_t len = cursor_uint(&c, 4);
		struct cfi_entry entry;
		size_t offset;

		if (!len || len > cfi->len - c.at)
			break; /* the end, or 64-bit lengths, which nobody writes here */
		if (cie_of(cfi, at, &offset)) {
			if (offset != last)
				good = read_cie(cfi, offset, &cie);
			last = offset;
			if (good && read_fde(cfi, at, &cie, &entry)) {
				if (vec_room(&cfi->fdes, &cfi->cap_fdes, cfi->nr_fdes + 1))
					return -ENOMEM;
				cfi->fdes[cfi->nr_fdes++] =
					(struct cfi_fde){ .start = entry.start,
							  .len = entry.len,
							  .offset = (uint32_t)at };
			}
		}
		at = c.at + len;
	}
	if (!cfi->nr_fdes)
		return -ENOENT;
	qsort(cfi->fdes, cfi->nr_fdes, sizeof(*cfi->fdes), by_start);
	return 0;
}

static int read_section(struct cfi *cfi, const struct elf_image *image)
{
	GElf_Shdr shdr;
	Elf_Data *data;

	if (image->ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    (image->ehdr.e_machine != EM_X86_64 && image->ehdr.e_machine != EM_AARCH64))
		return -ENOENT;
	data = elf_image_section(image, ".eh_frame", ELF_SECTION_MAX, &shdr);
	if (!data)
		return -ENOENT;
	cfi->bytes = malloc(data->d_size);
	if (!cfi->bytes)
		return -ENOMEM;
	memcpy(cfi->bytes, data->d_buf, data->d_size);
	cfi->len = data->d_size;
	cfi->address = shdr.sh_addr;
	return index_fdes(cfi);
}

int cfi_open(const struct elf_symbols *symbols, struct cfi **ret_cfi)
{
	struct elf_image image;
	struct cfi *cfi;
	int code = elf_symbols_image(symbols, &image);

	if (code)
		return code;
	cfi = calloc(1, sizeof(*cfi));
	code = cfi ? read_section(cfi, &image) : -ENOMEM;
	elf_image_close(&image);
	if (code) {
		cfi_close(cfi);
		return code;
	}
	*ret_cfi = cfi;
	return 0;
}

void cfi_close(struct cfi *cfi)
{
	if (!cfi)
		return;
	free(cfi->fdes);
	free(cfi->bytes);
	free(cfi);
}

bool cfi_row_at(const struct cfi *cfi, uint64_t address, struct cfi_row *ret_row)
{
	size_t low = 0, high = cfi->nr_fdes;
	struct cfi_entry entry;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cfi->fdes[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address - cfi->fdes[low - 1].start < cfi->fdes[low - 1].len &&
	       cfi_entry_read(cfi, cfi->fdes[low - 1].offset, &entry) &&
	       cfi_run(cfi, &entry, address, ret_row);
}
