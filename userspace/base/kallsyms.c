// SPDX-License-Identifier: GPL-2.0-only
/* Kernel symbols: see kallsyms.h. Rows of 24 bytes and one pool of names: 130,000 symbols take 6 MB. */
#include "base/kallsyms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

#define POOL_MAX (1u << 30)
#define MAX_GAP \
	(16u    \
	 << 20) /* bytes; further than this from the symbol before it, an address belongs to none of them */

struct row {
	uint64_t address;
	uint32_t seq;  /* order in the file */
	uint32_t name; /* offset in the pool; the module's name stands behind its 0, empty: none */
	char type;
};

struct kallsyms {
	struct row *rows;
	size_t nr, cap;
	char *pool;
	size_t pool_len, pool_cap;
	size_t zeros; /* lines whose address was 0 */
};

/* A line's fields, none of them ended by a 0. */
struct line {
	uint64_t address;
	char type;
	const char *name, *module;
	size_t name_len, module_len;
};

/* sscanf() would take ten times as long for the 100,000 lines. */
static bool parse_line(const char *text, struct line *ret)
{
	char *at;

	*ret = (struct line){ .address = strtoull(text, &at, 16) };
	if (at == text || *at != ' ' || !at[1] || at[2] != ' ')
		return false;
	ret->type = at[1];
	ret->name = at + 3;
	ret->name_len = strcspn(ret->name, " \t\n");
	ret->module = ret->name + ret->name_len;
	ret->module += strspn(ret->module, " \t");
	if (*ret->module == '[')
		ret->module_len = strcspn(++ret->module, "]\n");
	return ret->name_len > 0;
}

static int pool_add(struct kallsyms *k, const char *text, size_t len)
{
	if (k->pool_len + len + 1 > POOL_MAX ||
	    vec_room(&k->pool, &k->pool_cap, k->pool_len + len + 1))
		return -ENOMEM;
	memcpy(k->pool + k->pool_len, text, len);
	k->pool[k->pool_len + len] = '\0';
	k->pool_len += len + 1;
	return 0;
}

static int add_line(struct kallsyms *k, const struct line *line)
{
	uint32_t name = (uint32_t)k->pool_len;

	if (!line->address) {
		k->zeros++; /* also absolute symbols: offsets in per-CPU data, which are no addresses */
		return 0;
	}
	if (vec_room(&k->rows, &k->cap, k->nr + 1) || pool_add(k, line->name, line->name_len) ||
	    pool_add(k, line->module, line->module_len))
		return -ENOMEM;
	k->rows[k->nr] = (struct row){
		.address = line->address, .seq = (uint32_t)k->nr, .name = name, .type = line->type
	};
	k->nr++;
	return 0;
}

static int by_address(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static int read_lines(struct kallsyms *k, FILE *f)
{
	_cleanup_(free_p) char *text = NULL;
	size_t cap = 0;
	bool sorted = true;

	while (getline(&text, &cap, f) > 0) {
		struct line line;
		size_t nr = k->nr;

		if (!parse_line(text, &line))
			continue;
		if (add_line(k, &line))
			return -ENOMEM;
		sorted &= nr == k->nr || !nr || k->rows[nr - 1].address <= k->rows[nr].address;
	}
	if (!sorted)
		qsort(k->rows, k->nr, sizeof(*k->rows), by_address);
	return 0;
}

int kallsyms_read(FILE *f, const char *path, struct kallsyms **ret_kallsyms, struct err *err)
{
	struct kallsyms *k = calloc(1, sizeof(*k));

	*ret_kallsyms = NULL;
	if (!k || read_lines(k, f)) {
		kallsyms_free(k);
		return err_set(err, -ENOMEM, "no memory for the kernel's symbols in %s", path);
	}
	*ret_kallsyms = k;
	if (kallsyms_hidden(k))
		return err_set(err, -EACCES,
			       "%s hides the kernel's addresses: run as root, or with CAP_SYSLOG, "
			       "and with kernel.kptr_restrict below 2",
			       path);
	return 0;
}

int kallsyms_open(const char *path, struct kallsyms **ret_kallsyms, struct err *err)
{
	const char *name = path ? path : "/proc/kallsyms";
	_cleanup_(fclose_p) FILE *f = fopen(name, "re");

	*ret_kallsyms = NULL;
	return f ? kallsyms_read(f, name, ret_kallsyms, err) :
		   err_sys(err, -errno, "cannot read %s", name);
}

void kallsyms_free(struct kallsyms *k)
{
	if (!k)
		return;
	free(k->rows);
	free(k->pool);
	free(k);
}

static bool fits(const struct row *row, enum kallsyms_what what)
{
	return strchr(what == KALLSYMS_DATA ? "bBdDrR" : "tTwW", row->type) != NULL;
}

/* Names that the linker puts where sections begin and end; a real one at the same address says more. */
static bool is_mark(const char *name)
{
	static const char *const marks[] = { "_text", "_stext", "_etext", "__pi_", "_sinittext" };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (!strncmp(name, marks[i], strlen(marks[i])))
			return true;
	}
	return strstr(name, "_text_start") || strstr(name, "_text_end");
}

/* Which of the rows at one address, the last of which is before `end`. */
static const struct row *choose(const struct kallsyms *k, size_t end, enum kallsyms_what what)
{
	const struct row *mark = NULL, *found = NULL;

	for (size_t i = end; i && k->rows[i - 1].address == k->rows[end - 1].address; i--) {
		const struct row *row = &k->rows[i - 1];

		if (!fits(row, what))
			continue;
		if (is_mark(k->pool + row->name))
			mark = row;
		else
			found = row;
	}
	return found ? found : mark;
}

bool kallsyms_find(const struct kallsyms *k, uint64_t address, enum kallsyms_what what,
		   struct kallsym *ret_symbol)
{
	size_t low = 0, high = k ? k->nr : 0;
	const struct row *row;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (k->rows[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	row = low ? choose(k, low, what) : NULL;
	if (!row || address - row->address > MAX_GAP)
		return false;
	*ret_symbol =
		(struct kallsym){ .name = k->pool + row->name, .offset = address - row->address };
	ret_symbol->module = ret_symbol->name + strlen(ret_symbol->name) + 1;
	if (!*ret_symbol->module)
		ret_symbol->module = NULL;
	return true;
}

size_t kallsyms_nr(const struct kallsyms *k)
{
	return k->nr;
}

bool kallsyms_hidden(const struct kallsyms *k)
{
	return !k->nr && k->zeros;
}
