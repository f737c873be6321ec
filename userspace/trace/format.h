/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace file, version 1. Little-endian throughout.
 *
 *   +--------+-------+-------+-------+-----+-------+-------+
 *   | header | chunk | chunk | chunk | ... | chunk | chunk |
 *   +--------+-------+-------+-------+-----+-------+-------+
 *              META    EVENTS  EVENTS         ROUND   META
 *              (start) cpu 0   cpu 1                  (end)
 *
 * header  struct file_header. `flags` has FILE_INCOMPLETE until the recording is closed; the last thing the recorder does is
 *         to clear it.
 * chunk   struct chunk_header, then `stored_bytes` of zstd, which unpack to `raw_bytes`. `checksum` is
 *         XXH3-64 of the header with its checksum field 0, then of the stored bytes. A reader stops at the first chunk
 *         that is cut or whose checksum is wrong, and says so.
 *
 * META    a JSON object. The first one (right after the header): {program, version, command[], kernel, arch, machine{cpus,
 *         online[]}, clock{epoch_ns, realtime_ns}, target{pid}, started}. The last one: {drops{...}, cost{...}, counters{...},
 *         cgroups{id: path}, exit{...}, ended_ns}. Later keys add to or replace earlier ones.
 *         Of `record --keep`, both have kept{asked_ns, limit_bytes, began_ns, short}, and, where the recording's beginning was let go
 *         of, from_ns: every thread that lives then has an EV_SNAP before, and its records in front of that are to be left out;
 *         serials: how many had been given out.
 *         In counters{}, those with an `index` are the values of EV_COUNTS; else they have a value, or say why they are `unavailable`.
 * EVENTS  records of one CPU (bpf/events.h) in the order they were reserved, turned on their side so that like stands by like:
 *
 *           +------------+---------+------------------+------------------+-----+
 *           | nr_records | word 0s | kind 1's word 1s | kind 1's word 2s | ... |    raw_bytes = 8 + 8 * all words
 *           +------------+---------+------------------+------------------+-----+
 *              8 bytes    a column: of its n words first the n lowest bytes, then the n next ones ... the n highest
 *
 *         The columns come by kind, then by word; how long each one is follows from the word 0s. A word 0 holds, in
 *         place of the time, the difference to the record before it (the first: to `time`, so 0), zigzag-coded (0, -1, 1, -2
 *         ... as 0, 1, 2, 3). `time` of the chunk header is the first record's full time. No time is above INT64_MAX.
 *         Why this way, with figures: columns.h.
 * ROUND   `time` is a moment, in ns since the epoch, such that every record older than it stands before this chunk: what a reader
 *         that merges the CPUs by time may now let go. It has no bytes.
 *
 * MAPS    what was mapped where (base/mapping.h), in order of time: records one behind the other, each a struct map_record, its build
 *         id and its path. No padding; the path has no 0 at its end. `time` of the chunk header is the first record's.
 *
 *           +---------------------+----------+------+---------------------+----------+------+-----+
 *           | struct map_record   | build id | path | struct map_record   | build id | path | ... |    raw_bytes: all of them
 *           +---------------------+----------+------+---------------------+----------+------+-----+
 *              72 bytes             0 to 20    0 to 4095: `bytes` is the sum, so that a later version can add to it
 *
 *         Private memory without a file is not in there, but for the heap, the first stack, code, a file's .bss, and where it took
 *         the place of something that is.
 *
 * A chunk type that a reader does not know is skipped. A version that is newer is refused.
 */
#ifndef WHYSCALE_TRACE_FORMAT_H
#define WHYSCALE_TRACE_FORMAT_H

#include <stdint.h>

#define FILE_MAGIC "WHYSCALE"
#define FILE_VERSION 1
#define FILE_INCOMPLETE 0x1u
#define FILE_MAX_CPUS 65536u

struct file_header {
	char magic[8];
	uint32_t version;
	uint32_t flags;
	uint32_t nr_cpus; /* every chunk's cpu is below it; 1 to FILE_MAX_CPUS */
	uint32_t reserved[3];
};

enum chunk_type {
	CHUNK_META = 1,
	CHUNK_EVENTS = 2,
	CHUNK_ROUND = 3,
	CHUNK_MAPS = 4,
};

#define CHUNK_MAGIC 0x4b434857u /* "WHCK" */
#define CHUNK_MAX_RAW (8u << 20)

struct chunk_header {
	uint32_t magic;
	uint16_t type;
	uint16_t cpu; /* EVENTS: whose records */
	uint32_t stored_bytes;
	uint32_t raw_bytes;
	uint64_t time; /* ns since the epoch */
	uint64_t checksum;
};

/* The fields are those of struct mapping. */
struct map_record {
	uint16_t bytes; /* of the record, with what follows the struct */
	uint8_t kind;
	uint8_t build_id_len;
	uint32_t tgid;
	uint64_t time;
	uint64_t start, end, offset, inode;
	uint32_t parent_tgid, prot, flags, dev_major, dev_minor;
	uint16_t path_len;
	uint16_t reserved;
};

#define MAP_MAX_PATH 4095u /* PATH_MAX without its 0 */

#endif
