// SPDX-License-Identifier: GPL-2.0-only
/* Each distinct file once: see space_files.h. */
#include "symbol/space_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/vec.h"

static const char *path_of(const struct mapping *m)
{
	return m->path ? m->path : "";
}

static uint64_t hash_of(uint32_t dev_major, uint32_t dev_minor, uint64_t inode, const char *path)
{
	uint64_t numbers[] = { (uint64_t)dev_major << 32 | dev_minor, inode };

	return XXH64(path, strlen(path), XXH64(numbers, sizeof(numbers), 0));
}

static bool same(const struct space_file *file, const struct mapping *m)
{
	return file->inode == m->inode && file->dev_major == m->dev_major &&
	       file->dev_minor == m->dev_minor && file->build_id_len == m->build_id_len &&
	       !memcmp(file->build_id, m->build_id, m->build_id_len) &&
	       !strcmp(file->path, path_of(m));
}

/* The slot of the file, or the free one where it belongs. The table is never full. */
static uint32_t *slot_of(const struct space_files *f, const struct mapping *m)
{
	uint64_t at = hash_of(m->dev_major, m->dev_minor, m->inode, path_of(m));

	for (;; at++) {
		uint32_t *slot = &f->slots[at & (f->nr_slots - 1)];

		if (!*slot || same(f->files[*slot - 1], m))
			return slot;
	}
}

static int grow(struct space_files *f)
{
	size_t nr_slots = f->nr_slots ? f->nr_slots * 2 : 64;
	uint32_t *slots = calloc(nr_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->nr; i++) {
		const struct space_file *file = f->files[i];
		uint64_t at = hash_of(file->dev_major, file->dev_minor, file->inode, file->path);

		while (slots[at & (nr_slots - 1)])
			at++;
		slots[at & (nr_slots - 1)] = i + 1;
	}
	free(f->slots);
	f->slots = slots;
	f->nr_slots = nr_slots;
	return 0;
}

/* One allocation: the path stands behind the struct. */
static struct space_file *copy_of(const struct mapping *m, uint32_t index)
{
	size_t path_len = strlen(path_of(m));
	struct space_file *file = calloc(1, sizeof(*file) + path_len + 1);

	if (!file)
		return NULL;
	*file = (struct space_file){ .index = index,
				     .dev_major = m->dev_major,
				     .dev_minor = m->dev_minor,
				     .inode = m->inode,
				     .build_id_len = m->build_id_len,
				     .path = (char *)(file + 1) };
	memcpy(file->build_id, m->build_id, m->build_id_len);
	memcpy(file + 1, path_of(m), path_len);
	return file;
}

int space_files_index(struct space_files *f, const struct mapping *m, uint32_t *ret_index)
{
	uint32_t *slot;

	if (2 * (f->nr + 1) > f->nr_slots && grow(f))
		return -ENOMEM;
	slot = slot_of(f, m);
	if (!*slot) {
		struct space_file *file;

		if (vec_room(&f->files, &f->cap, f->nr + 1) ||
		    !(file = copy_of(m, (uint32_t)f->nr)))
			return -ENOMEM;
		f->files[f->nr++] = file;
		*slot = (uint32_t)f->nr;
	}
	*ret_index = *slot - 1;
	return 0;
}

void space_files_free(struct space_files *f)
{
	for (size_t i = 0; i < f->nr; i++)
		free(f->files[i]);
	free(f->files);
	free(f->slots);
}
