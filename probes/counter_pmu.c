// SPDX-License-Identifier: GPL-2.0-only
/* Events of the machine's counting units: see counter_pmu.h. */
#include "probes/counter_pmu.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define WORD 64
#define DEPTH_MAX 2 /* a name, whose terms may have names no more */

struct unit {
	const char *root;
	char name[WORD];
	struct event_kind *kind;
	struct err *err;
};

/* A file's first line, the caller's to free; NULL: there is none. */
static char *line_of(const struct unit *u, const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct err ignored = {};
	char *text = NULL;

	if (strchr(name, '/') || *name == '.')
		return NULL;
	snprintf(path, sizeof(path), "%s/%s/%s%s%s", u->root, u->name, dir, *dir ? "/" : "", name);
	if (file_read_text(path, &text, &ignored))
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static uint64_t *config_of(struct event_kind *kind, const char *name, size_t len)
{
	if (len == 6 && !strncmp(name, "config", 6))
		return &kind->config;
	if (len == 7 && !strncmp(name, "config1", 7))
		return &kind->config1;
	if (len == 7 && !strncmp(name, "config2", 7))
		return &kind->config2;
	return NULL;
}

/* "config1:0-7,32" and a value: its lowest bits go into the first piece, the next ones into the next. False: it does not fit. */
static bool put_value(struct event_kind *kind, const char *format, uint64_t value)
{
	size_t len = strcspn(format, ":");
	uint64_t *to = config_of(kind, format, len);
	const char *at = format + len;

	if (!to || *at != ':')
		return false;
	while (*at) {
		char *end;
		unsigned long low = strtoul(at + 1, &end, 10), high = low, width;

		if (*end == '-')
			high = strtoul(end + 1, &end, 10);
		if (end == at + 1 || high > 63 || low > high || (*end && *end != ','))
			return false;
		width = high - low + 1;
		*to |= (width == 64 ? value : value & ((1ull << width) - 1)) << low;
		value = width == 64 ? 0 : value >> width;
		at = end;
	}
	return !value;
}

static int take_terms(const struct unit *u, const char *terms, int depth);

/* One term: name=value, or a name alone: of a flag, or of an event. */
static int take_term(const struct unit *u, char *term, int depth)
{
	_cleanup_(free_p) char *format = NULL;
	_cleanup_(free_p) char *event = NULL;
	char *value = strchr(term, '='), *end;
	uint64_t number = 1, *config;

	if (value)
		*value++ = '\0';
	format = line_of(u, "format", term);
	config = config_of(u->kind, term, strlen(term));
	if (!format && !config && !value && depth < DEPTH_MAX)
		event = line_of(u, "events", term);
	if (event)
		return take_terms(u, event, depth + 1);
	if (!format && !config)
		return err_set(u->err, -EINVAL,
			       "%s/.../: there is no term '%.60s': see %s/%s/format and .../events",
			       u->name, term, u->root, u->name);
	if (value) {
		errno = 0;
		number = strtoull(value, &end, 0);
		if (end == value || *end || errno || *value == '-')
			return err_set(
				u->err, -EINVAL,
				"%s/.../: '%.60s' is no number for %.60s: give one such as 0x3c",
				u->name, value, term);
	}
	if (format && !put_value(u->kind, format, number))
		return err_set(u->err, -EINVAL, "%s/.../: %#llx is too large for %.60s (%.60s)",
			       u->name, (unsigned long long)number, term, format);
	if (!format)
		*config = number;
	return 0;
}

static int take_terms(const struct unit *u, const char *terms, int depth)
{
	char word[2 * WORD];
	int r = 0;

	while (!r) {
		size_t len = strcspn(terms, ",");

		if (!len || len >= sizeof(word))
			return err_set(u->err, -EINVAL,
				       "%s/.../: a term is %s: write them as in event=0x3c,umask=1",
				       u->name, len ? "too long" : "empty");
		snprintf(word, sizeof(word), "%.*s", (int)len, terms);
		r = take_term(u, word, depth);
		if (!terms[len])
			break;
		terms += len + 1;
	}
	return r;
}

/* For a whole package, or a device: its counts are of no thread. */
static bool counts_no_threads(const struct unit *u)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/cpumask", u->root, u->name);
	return !access(path, F_OK);
}

static int open_unit(struct unit *u)
{
	_cleanup_(free_p) char *type = line_of(u, "", "type");
	char *end;
	unsigned long number = type ? strtoul(type, &end, 10) : 0;

	if (!type || end == type || *end || number > UINT32_MAX || strchr(u->name, '/'))
		return err_set(u->err, -EINVAL,
			       "there is no counting unit '%.60s' on this machine: `ls %s` lists "
			       "them",
			       u->name, u->root);
	if (counts_no_threads(u))
		return err_set(
			u->err, -EINVAL,
			"'%.60s' counts for a whole package, not for threads: use perf stat -a",
			u->name);
	u->kind->type = (uint32_t)number;
	u->kind->config = u->kind->config1 = u->kind->config2 = 0;
	u->kind->unit = "events";
	u->kind->view = USER_PART;
	return 0;
}

int counter_pmu_terms(const char *root, const char *text, struct event_kind *kind, struct err *err)
{
	size_t len = strcspn(text, "/"), end = strlen(text);
	struct unit u = { .root = root, .kind = kind, .err = err };
	char terms[4 * WORD];
	int r;

	if (!len || len >= WORD || text[len] != '/' || end < len + 2 || text[end - 1] != '/' ||
	    end - len - 2 >= sizeof(terms))
		return err_set(err, -EINVAL,
			       "'%.80s' is no event of a counting unit: write it as in "
			       "cpu/event=0x3c,umask=1/",
			       text);
	snprintf(u.name, sizeof(u.name), "%.*s", (int)len, text);
	snprintf(terms, sizeof(terms), "%.*s", (int)(end - len - 2), text + len + 1);
	r = *u.name == '.' ? err_set(err, -EINVAL, "there is no counting unit '%.60s'", u.name) :
			     open_unit(&u);
	return r ? r : take_terms(&u, terms, 0);
}

int counter_pmu_event(const char *root, const char *name, struct event_kind *kind, struct err *err)
{
	DIR *dir = opendir(root);
	struct dirent *entry;
	int r = 0;

	while (dir && !r && (entry = readdir(dir))) {
		struct unit u = { .root = root, .kind = kind, .err = err };
		_cleanup_(free_p) char *terms = NULL;

		if (*entry->d_name == '.' || strlen(entry->d_name) >= WORD)
			continue;
		snprintf(u.name, sizeof(u.name), "%s", entry->d_name);
		terms = counts_no_threads(&u) ? NULL : line_of(&u, "events", name);
		if (!terms)
			continue;
		r = open_unit(&u) ?: take_terms(&u, terms, 1);
		r = r ?: 1;
	}
	if (dir)
		closedir(dir);
	return r;
}
