// SPDX-License-Identifier: GPL-2.0-only
/* One map of a JIT: see perf_map.h. Whoever wrote it vouches for nothing. */
#include "symbol/perf_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "symbol/demangle.h"
#include "symbol/space_tree.h"

#define MAX_BYTES (256u << 20)
#define MAX_PIECES (1u << 23)

struct piece {
	uint64_t start, end;
	uint32_t name; /* offset in the text */
};

struct perf_map {
	char *text; /* the file; each name ended by a 0 */
	struct piece *pieces;
	size_t nr, cap;
	struct space_tree *tree;
};

/* A JIT may be writing to it just now: what is there is read, no more than there was at first. */
static int read_text(int fd, char **ret_text, size_t *ret_len)
{
	struct stat st;
	size_t len = 0, size;
	ssize_t got;
	char *text;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size > MAX_BYTES)
		return -EFBIG;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	while (len < size && (got = pread(fd, text + len, size - len, (off_t)len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* Does not go past the end of the line as strtoull() would, which takes a newline for a space. */
static bool parse_hex(char **at, uint64_t *ret)
{
	char *end;

	if (**at == '\n' || **at == ' ' || **at == '-' || **at == '+')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 16);
	if (end == *at || errno || *end != ' ')
		return false;
	*at = end + 1;
	return true;
}

static bool parse_line(char *line, struct piece *ret, char **ret_name)
{
	uint64_t size;
	char *at = line;

	if (!parse_hex(&at, &ret->start) || !parse_hex(&at, &size) || !size ||
	    ret->start + size < ret->start || !*at)
		return false;
	ret->end = ret->start + size;
	if (strlen(at) >= DEMANGLE_MAX)
		at[DEMANGLE_MAX - 1] = '\0';
	*ret_name = at;
	return true;
}

static int parse(struct perf_map *m, size_t len)
{
	char *line = m->text, *end = m->text + len;

	while (line < end && m->nr < MAX_PIECES) {
		char *next = memchr(line, '\n', (size_t)(end - line)), *name;
		struct piece piece;

		/* the last one may not be finished */
		if (!next)
			break;
		*next = '\0';
		if (next > line && next[-1] == '\r')
			next[-1] = '\0';
		if (parse_line(line, &piece, &name)) {
			if (vec_room(&m->pieces, &m->cap, m->nr + 1))
				return -ENOMEM;
			piece.name = (uint32_t)(name - m->text);
			m->pieces[m->nr++] = piece;
		}
		line = next + 1;
	}
	return m->nr ? 0 : -EINVAL;
}

static void range_of(const void *arg, uint32_t i, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct piece *pieces = arg;

	*ret_start = pieces[i].start;
	*ret_end = pieces[i].end;
}

int perf_map_read(int fd, struct perf_map **ret_map)
{
	struct perf_map *m = calloc(1, sizeof(*m));
	size_t len = 0;
	int code = m ? read_text(fd, &m->text, &len) : -ENOMEM;

	if (!code)
		code = parse(m, len);
	if (!code)
		code = space_tree_new(range_of, m->pieces, (uint32_t)m->nr, &m->tree);
	if (code) {
		perf_map_free(m);
		return code;
	}
	*ret_map = m;
	return 0;
}

void perf_map_free(struct perf_map *m)
{
	if (!m)
		return;
	space_tree_free(m->tree);
	free(m->pieces);
	free(m->text);
	free(m);
}

bool perf_map_find(const struct perf_map *m, uint64_t address, const char **ret_name,
		   uint64_t *ret_start)
{
	uint32_t i = space_tree_find(m->tree, address, (uint32_t)m->nr);

	if (i == SPACE_TREE_NONE)
		return false;
	*ret_name = m->text + m->pieces[i].name;
	*ret_start = m->pieces[i].start;
	return true;
}
