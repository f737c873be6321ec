// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads folded stacks: see folded.h. Files are often sorted, so the frames that a line shares with the one before it are not
 * looked up again.
 */
#include "analysis/folded.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"

#define BUFFER_BYTES (1u << 20)
#define NO_NAME "[unknown]"

/* The stack read last: its text, and for each frame where it ends (at its ';' or the end). */
struct folded {
	struct flame_tree *tree;
	struct folded_summary *sum;
	uint64_t unit;
	char *text;
	size_t len, room;
	struct flame_frame frames[FLAME_DEPTH_MAX + 1];
	size_t ends[FLAME_DEPTH_MAX + 1];
	size_t nr;
	uint64_t line; /* its number in the file */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "function (file.py:12)", as py-spy and austin write it. */
static bool looks_python(const char *name, size_t len)
{
	size_t i = len - 1;

	if (len < 8 || name[i] != ')')
		return false;
	while (i && is_digit(name[i - 1]))
		i--;
	return i >= 4 && !memcmp(name + i - 4, ".py:", 4);
}

/* The frame's kind; a suffix that tells it is taken off the name. */
static enum flame_kind kind_of(const char *name, size_t *len)
{
	const char *suffix = name + *len - 4;

	if (*len > 4 && suffix[0] == '_' && suffix[1] == '[' && suffix[3] == ']' &&
	    memchr("kipwtj", suffix[2], 6)) {
		*len -= 4;
		switch (suffix[2]) {
		case 'k':
			return FLAME_KERNEL;
		case 'i':
			return FLAME_INLINED;
		case 'p':
			return FLAME_PYTHON;
		case 'w':
			return FLAME_WAITING;
		case 't':
			return FLAME_THREAD;
		default:
			return FLAME_USER;
		}
	}
	if (*len == strlen(NO_NAME) && !memcmp(name, NO_NAME, *len))
		return FLAME_NOTE;
	return looks_python(name, *len) ? FLAME_PYTHON : FLAME_USER;
}

static int read_frame(struct folded *f, const char *name, size_t len, struct flame_frame *ret_frame)
{
	if (!len) {
		name = NO_NAME;
		len = strlen(name);
	}
	ret_frame->kind = kind_of(name, &len);
	return flame_tree_name(f->tree, name, len, &ret_frame->name);
}

/* How many frames the text shares with the one before; *ret_at is where the next one begins. */
static size_t shared_frames(const struct folded *f, const char *text, size_t len, size_t *ret_at)
{
	size_t most = len < f->len ? len : f->len, same = 0, nr = 0;

	while (same + 8 <= most && !memcmp(text + same, f->text + same, 8))
		same += 8;
	while (same < most && text[same] == f->text[same])
		same++;
	while (nr < f->nr && f->ends[nr] < same)
		nr++;
	*ret_at = nr ? f->ends[nr - 1] + 1 : 0;
	return nr;
}

/* The stack's text into frames. Of a stack that is too deep one frame more than may be added is kept, so that it is cut. */
static int read_stack(struct folded *f, const char *text, size_t len)
{
	size_t at;

	f->nr = shared_frames(f, text, len, &at);
	f->len = 0;
	while (at <= len && f->nr <= FLAME_DEPTH_MAX) {
		const char *semicolon = memchr(text + at, ';', len - at);
		size_t end = semicolon ? (size_t)(semicolon - text) : len;
		int r = read_frame(f, text + at, end - at, &f->frames[f->nr]);

		if (r)
			return r;
		f->ends[f->nr++] = end;
		at = end + 1;
	}
	if (vec_room(&f->text, &f->room, len + 1))
		return -ENOMEM;
	memcpy(f->text, text, len);
	f->len = len;
	return 0;
}

/* A whole number, or one with a fraction, which is rounded. */
static bool read_number(const char *text, size_t len, uint64_t *ret_value, bool *ret_rounded)
{
	uint64_t value = 0;
	size_t i = 0;

	for (; i < len && is_digit(text[i]); i++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	if (!i)
		return false;
	*ret_rounded = i < len;
	if (i < len && text[i++] != '.')
		return false;
	if (i < len && is_digit(text[i]) && text[i] >= '5' &&
	    __builtin_add_overflow(value, 1u, &value))
		return false;
	while (i < len && is_digit(text[i]))
		i++;
	*ret_value = value;
	return i == len;
}

static void leave_out(struct folded *f)
{
	if (!f->sum->bad++)
		f->sum->bad_at = f->line;
}

static int read_line(struct folded *f, const char *line, size_t len)
{
	size_t number, stack;
	uint64_t value;
	bool rounded;
	int r;

	f->line++;
	while (len && (is_blank(line[len - 1]) || line[len - 1] == '\r'))
		len--;
	if (!len)
		return 0;
	f->sum->lines++;
	for (number = len; number && !is_blank(line[number - 1]);)
		number--;
	for (stack = number; stack && is_blank(line[stack - 1]);)
		stack--;
	if (!number || len > FOLDED_LINE_MAX ||
	    !read_number(line + number, len - number, &value, &rounded) ||
	    __builtin_mul_overflow(value, f->unit, &value)) {
		leave_out(f);
		return 0;
	}
	r = read_stack(f, line, stack);
	if (!r)
		r = flame_tree_add(f->tree, f->frames, f->nr, value, 0);
	if (r == -EOVERFLOW) {
		leave_out(f);
		return 0;
	}
	f->sum->stacks += !r;
	f->sum->rounded += !r && rounded;
	return r;
}

/* The file in pieces: buf[0, used) holds a line's beginning, of which nothing up to `sought` is a line's end. */
struct input {
	int fd;
	char *buf;
	size_t used, sought, room;
	bool skipping; /* the rest of a line that is too long */
};

/* The whole lines of the buffer; what follows the last of them is moved to its beginning. */
static int read_lines(struct folded *f, struct input *in)
{
	const char *line = in->buf, *end, *newline;
	int r = 0;

	for (end = in->buf + in->used; !r; line = newline + 1) {
		const char *from = line == in->buf ? line + in->sought : line;

		newline = memchr(from, '\n', (size_t)(end - from));
		if (!newline)
			break;
		if (!in->skipping)
			r = read_line(f, line, (size_t)(newline - line));
		in->skipping = false;
	}
	in->used = (size_t)(end - line);
	memmove(in->buf, line, in->used);
	in->sought = in->used;
	return r;
}

/* Room for more of the line; of one that is too long, the bytes so far are forgotten. */
static int make_room(struct folded *f, struct input *in)
{
	if (in->skipping || in->used > FOLDED_LINE_MAX) {
		if (!in->skipping) {
			f->sum->lines++;
			f->line++;
			leave_out(f);
		}
		in->skipping = true;
		in->used = in->sought = 0;
	}
	return vec_room(&in->buf, &in->room, in->used + BUFFER_BYTES / 2);
}

static int read_all(struct folded *f, struct input *in)
{
	bool begun = false;
	ssize_t n;
	int r;

	for (;;) {
		r = make_room(f, in);
		if (r)
			return r;
		n = read(in->fd, in->buf + in->used, BUFFER_BYTES / 2);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		in->used += (size_t)n;
		/* a byte order mark, if the first bytes come at once */
		if (!begun && in->used >= 3 && !memcmp(in->buf, "\xef\xbb\xbf", 3))
			memmove(in->buf, in->buf + 3, in->used -= 3);
		begun = true;
		r = read_lines(f, in);
		if (r)
			return r;
	}
	if (n < 0)
		return -errno;
	return in->used && !in->skipping ? read_line(f, in->buf, in->used) : 0;
}

static int open_input(const char *path, struct err *err)
{
	bool standard = !strcmp(path, "-");
	int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) :
			    open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, -errno, "cannot read the folded stacks of '%.200s'", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return fd;
}

static int check(const char *path, const struct folded_summary *sum, struct err *err)
{
	if (sum->stacks || !sum->lines)
		return 0;
	return err_set(err, -EINVAL,
		       "'%.200s' has no folded stack among %" PRIu64
		       " line%s: a line is frames and a number, as in 'main;work;read 12'",
		       path, sum->lines, sum->lines == 1 ? "" : "s");
}

int folded_read(const char *path, uint64_t unit, struct flame_tree *t,
		struct folded_summary *ret_summary, struct err *err)
{
	struct folded *f = calloc(1, sizeof(*f));
	struct input in = { .room = 0 };
	int r = 0;

	*ret_summary = (struct folded_summary){};
	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	f->tree = t;
	f->unit = unit;
	f->sum = ret_summary;
	in.fd = open_input(path, err);
	if (in.fd < 0) {
		free(f);
		return in.fd;
	}
	if (vec_room(&in.buf, &in.room, BUFFER_BYTES))
		r = -ENOMEM;
	if (!r)
		r = read_all(f, &in);
	close(in.fd);
	free(in.buf);
	free(f->text);
	free(f);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory, reading the folded stacks of '%.200s'",
			       path);
	if (r)
		return err_sys(err, r, "cannot read the folded stacks of '%.200s'", path);
	return check(path, ret_summary, err);
}
