// SPDX-License-Identifier: GPL-2.0-only
/*
 * make_seed TRACE EVENTS > INPUT: the first so many events of a trace as an input of fuzz_trace.c, which draws it. The files that it
 * maps are renamed, so that an input means the same on every machine: "/f/NAME" is found nowhere. Who recorded it is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/events.h"
#include "trace/maps.h"
#include "trace/reader.h"

#define ROWS 0x80
#define CHUNK_BYTES 65000u

static struct seed {
	uint64_t words[CHUNK_BYTES / 8];
	size_t nr, left;
	unsigned int cpu;
	uint8_t maps[CHUNK_BYTES];
	size_t maps_len;
} seed;

static void put_chunk(uint8_t type, uint8_t cpu, const void *bytes, size_t len)
{
	const uint8_t head[] = { type, cpu, 0, 0, (uint8_t)len, (uint8_t)(len >> 8) };

	fwrite(head, 1, sizeof(head), stdout);
	fwrite(bytes, 1, len, stdout);
}

static void flush_events(void)
{
	if (seed.nr)
		put_chunk(ROWS | CHUNK_EVENTS, (uint8_t)seed.cpu, seed.words, 8 * seed.nr);
	seed.nr = 0;
}

static int take_event(void *arg, const struct trace_event *ev)
{
	(void)arg;
	if (!seed.left--)
		return 1;
	if (ev->cpu != seed.cpu || 8 * (seed.nr + EV_WORDS(ev->rec[0])) > CHUNK_BYTES)
		flush_events();
	seed.cpu = ev->cpu;
	memcpy(seed.words + seed.nr, ev->rec, 8 * EV_WORDS(ev->rec[0]));
	seed.nr += EV_WORDS(ev->rec[0]);
	return 0;
}

static int take_mapping(void *arg, const struct mapping *m)
{
	struct mapping renamed = *m;
	const char *slash = strrchr(m->path, '/');
	char path[64];

	(void)arg;
	if (seed.maps_len + MAP_MAX_BYTES > sizeof(seed.maps))
		return 1;
	if (*m->path == '/') {
		snprintf(path, sizeof(path), "/f/%.50s", slash + 1);
		renamed.path = path;
	}
	seed.maps_len += maps_pack(&renamed, seed.maps + seed.maps_len);
	return 0;
}

static char *anonymous(const json_t *recorded)
{
	json_t *meta = json_deep_copy(recorded), *machine = json_object_get(meta, "machine");
	char *text;

	json_object_set_new(machine, "hostname", json_string("host"));
	json_object_set_new(meta, "kernel", json_string("6.1.0"));
	json_object_set_new(meta, "command", json_pack("[s]", "command"));
	json_object_set_new(meta, "cgroups", json_pack("{s:s}", "1", "/a"));
	text = json_dumps(meta, JSON_COMPACT);
	json_decref(meta);
	return text;
}

int main(int argc, char **argv)
{
	struct trace_reader *reader;
	struct err err = {};
	char *meta;

	if (argc != 3 || trace_open(argv[1], &reader, &err)) {
		fprintf(stderr, "usage: make_seed TRACE EVENTS\n%s\n", err.msg);
		return 2;
	}
	seed.left = strtoul(argv[2], NULL, 10);
	meta = anonymous(trace_meta(reader));
	putchar(0);
	put_chunk(CHUNK_META, 0, meta, strlen(meta));
	trace_each_mapping(reader, take_mapping, NULL, &err);
	put_chunk(CHUNK_MAPS, 0, seed.maps, seed.maps_len);
	trace_each(reader, take_event, NULL, &err);
	flush_events();
	free(meta);
	trace_close(reader);
	return 0;
}
