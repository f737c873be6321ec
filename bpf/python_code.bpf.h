/* SPDX-License-Identifier: GPL-2.0-only */
/* For python.bpf.h only: what a code object says, as EV_PYCODE. */
#ifndef WHYSCALE_PYTHON_CODE_BPF_H
#define WHYSCALE_PYTHON_CODE_BPF_H

#include "python_thread.bpf.h"

/* ---- a str, as UTF-8 ---- */

/* Puts a character at s->out. A byte of a file name that was no UTF-8 (U+DC80 to U+DCFF, PEP 383) is that byte again. */
static __always_inline void py_put(struct py_scratch *s, u32 c)
{
	u8 *to = s->text + (s->out & (PY_HEAD - 1));

	if (c >= 0xdc80 && c <= 0xdcff)
		c = c & 0xff;
	else if (c >= 0x80) {
		if (c >= 0x10000) {
			*to = 0xf0 | (c >> 18 & 7);
			to[1] = 0x80 | (c >> 12 & 0x3f);
			to[2] = 0x80 | (c >> 6 & 0x3f);
			s->out += 3;
		} else if (c >= 0x800) {
			*to = 0xe0 | c >> 12;
			to[1] = 0x80 | (c >> 6 & 0x3f);
			s->out += 2;
		} else {
			*to = 0xc0 | c >> 6;
			s->out += 1;
		}
		to = s->text + (s->out & (PY_HEAD - 1));
		c = 0x80 | (c & 0x3f);
	}
	*to = c ? c : '?';
	s->out++;
}

/* Puts character i of s->wide, if there is one and room for it. 0, or 1: there is none. */
__noinline int py_put_wide(u32 i)
{
	struct py_scratch *s = py_here();
	u32 kind;

	if (!s || i >= PY_WIDE_MAX || s->out + 4 > s->out_end)
		return 1;
	kind = s->kind;
	if (i * kind >= s->put)
		return 1;
	if (kind == 1)
		py_put(s, s->wide[i]);
	else if (kind == 2)
		py_put(s, *(u16 *)(s->wide + i * 2));
	else
		py_put(s, *(u32 *)(s->wide + i * 4));
	return 0;
}

/* Puts the str at `from` at s->out, at most `max` bytes, and a 0 behind it. 0, or 1: it cannot be read. */
PY_READER int py_text(PY_OF_AND u64 from, u32 max)
{
	const struct py_layout *layout;
	struct py_scratch *s = py_here();
	u64 length;
	u32 bytes;

	if (!s)
		return 1;
	s->from = from;
	s->out_end = s->out + (max < PY_FILE_MAX ? max : PY_FILE_MAX);
	layout = py_layout_of(s);
	if (!layout || !py_read(OF_AND & s->length, 8, READ_ONCE(s->from) + layout->text_length) ||
	    !py_read(OF_AND & s->state, 4, READ_ONCE(s->from) + layout->text_state))
		return 1;
	/* from 3.8 to 3.13: interned:2, kind:3, compact:1, ascii:1 */
	s->kind = s->state >> 2 & 7;
	length = READ_ONCE(s->length);
	if (!(s->state & 1 << 5) || (s64)length < 0)
		return 1;
	if (s->state & 1 << 6) {
		bytes = READ_ONCE(s->out_end) - READ_ONCE(s->out);
		if (length < bytes)
			bytes = length;
		barrier_var(bytes); /* the compiler knows this bound, the verifier only since 6.8 */
		bytes &= PY_FILE_MAX;
		if (!py_read(OF_AND s->text + (s->out & (PY_HEAD - 1)), bytes,
			     READ_ONCE(s->from) + layout->text_ascii))
			return 1;
		s->out += bytes;
	} else {
		if (s->kind != 1 && s->kind != 2 && s->kind != 4)
			return 1;
		if (length > PY_WIDE_MAX)
			length = PY_WIDE_MAX;
		length *= READ_ONCE(s->kind);
		barrier_var(length); /* likewise */
		if (length > sizeof(s->wide))
			return 1;
		s->put = bytes = length;
		if (!py_read(OF_AND s->wide, bytes, READ_ONCE(s->from) + layout->text_wide))
			return 1;
		for (u32 i = 0; i < PY_WIDE_MAX; i++)
			if (py_put_wide(i))
				break;
	}
	s->text[s->out & (PY_HEAD - 1)] = 0;
	s->out++;
	return 0;
}

/* ---- code objects ---- */

/* Part `part` of what is in s->text. 0, or 1: there was no room. */
__noinline int py_write_part(u32 part)
{
	const struct py_layout *layout;
	struct py_scratch *s = py_here();
	struct ev_pycode *rec;
	struct buf *b = buf_of(bpf_get_smp_processor_id());

	if (!s || !b || part >= PY_PARTS)
		return 1;
	layout = py_layout_of(s);
	rec = layout ? RESERVE(b, ev_pycode) : NULL;
	if (!rec)
		return 1;
	rec->id = s->id;
	rec->part = part;
	rec->parts = s->parts;
	rec->version = layout->version;
	rec->cut = s->table > PY_TABLE_MAX;
	rec->first_line = s->first_line;
	rec->tgid = s->tgid;
	rec->bytes = s->bytes;
	__builtin_memcpy(rec->byte, s->text + part * PYCODE_BYTES, PYCODE_BYTES);
	COMMIT(rec, s->now, EV_PYCODE, 0);
	return 0;
}

/* Mixes a block of s->text into s->hash, up to `bytes`. */
#define PY_BLOCK 256
__noinline int py_hash_block(u32 from, u32 bytes)
{
	struct py_scratch *s = py_here();

	if (!s || from > PY_HEAD - PY_BLOCK)
		return 0;
	for (u32 i = 0; i < PY_BLOCK; i += 8) {
		if (from + i >= bytes)
			break;
		s->hash = py_mix(s->hash, *(u64 *)(s->text + from + i));
	}
	return 0;
}

/* s->text holds `bytes`. They are hashed up to PY_HEAD: the names, and the beginning of the line table. */
static __always_inline u64 py_text_id(struct py_scratch *s, u32 bytes, u64 hash)
{
	if (bytes <= PY_TEXT)
		*(u64 *)(s->text + bytes) = 0;
	s->hash = hash;
	for (u32 from = 0; from < PY_HEAD; from += PY_BLOCK)
		py_hash_block(from, bytes);
	hash = READ_ONCE(s->hash);
	return hash ? hash : 1;
}

/* Words of a str, bytes or code object that tell it from another one at its address. */
static __always_inline u64 py_mix_words(u64 hash, const u64 *words, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		hash = py_mix(hash, words[i]);
	return hash;
}

/*
 * What the code object at `code` is found by; its fields are in s->of_code then. 0: it cannot be read. The memory of what is gone is
 * soon another's, with the same pointers to strings that have come to the same addresses; so length and hash of these count too,
 * and the line table's length and first bytes.
 */
static __always_inline u64 py_check_of(PY_OF_AND struct py_scratch *s,
				       const struct py_layout *layout, u64 code)
{
	u64 name, file, table, check, *words = s->words;

	if (!py_read(OF_AND s->of_code, PYL_CODE_BYTES, code))
		return 0;
	name = PY_WORD(s->of_code, layout->code_name, PY_MASK);
	file = PY_WORD(s->of_code, layout->code_file, PY_MASK);
	table = PY_WORD(s->of_code, layout->code_table, PY_MASK);
	s->first_line = PY_WORD(s->of_code, layout->code_first_line, PY_MASK);
	check = py_mix(py_mix(code, s->tgid), s->first_line);
	check = py_mix(py_mix(py_mix(check, name), file), table);
	check = py_mix_words(check, (u64 *)s->of_code + 2, 4);
	if (layout->code_serial != PYL_NONE)
		check = py_mix(check, (u32)PY_WORD(s->of_code, layout->code_serial, PY_MASK));
	/* length and hash of a str follow each other */
	if (!py_read(OF_AND words, 16, name + layout->text_length))
		return 0;
	check = py_mix_words(check, words, 2);
	if (!py_read(OF_AND words, 16, file + layout->text_length))
		return 0;
	check = py_mix_words(check, words, 2);
	if (!py_read(OF_AND words, sizeof(s->words), table + layout->bytes_length))
		return 0;
	check = py_mix_words(check, words, PY_TABLE_WORDS);
	return check ? check : 1;
}

static __always_inline struct py_known *py_known_at(u64 check)
{
	u32 i = check & (PY_SEEN - 1);

	return bpf_map_lookup_elem(&py_codes, &i);
}

/* The names and the line table of the code object in s->of_code, into s->text. Returns how many bytes, or 0: they cannot be read. */
static __always_inline u32 py_copy_code(PY_OF_AND struct py_scratch *s,
					const struct py_layout *layout)
{
	u64 table = PY_WORD(s->of_code, layout->code_table, PY_MASK), size;
	u32 take, bytes;

	s->out = 0;
	if (py_text(OF_AND PY_WORD(s->of_code, layout->code_name, PY_MASK), PY_NAME_MAX) ||
	    py_text(OF_AND PY_WORD(s->of_code, layout->code_file, PY_MASK), PY_FILE_MAX))
		return 0;
	if (!py_read(OF_AND & s->length, 8, table + layout->bytes_length))
		return 0;
	size = READ_ONCE(s->length);
	if ((s64)size < 0)
		return 0;
	take = size < PY_TABLE_MAX ? size : PY_TABLE_MAX;
	barrier_var(take); /* likewise */
	if (take > PY_TABLE_MAX)
		return 0;
	bytes = s->out & (PY_HEAD - 1);
	if (!py_read(OF_AND s->text + bytes, take, table + layout->bytes_begin))
		return 0;
	s->table = size;
	return bytes + take;
}

/*
 * A code object that is not known: its fields are in s->of_code, what it will be found by in s->check. Writes it, unless another
 * process has the same. 0, or 1: it cannot be read, or there was no room for it.
 */
PY_READER int py_new_code(PY_OF)
{
	const struct py_layout *layout;
	struct py_scratch *s = py_here();
	struct py_known *known;
	struct buf *b;
	u32 bytes;

	if (!s)
		return 1;
	layout = py_layout_of(s);
	if (!layout)
		return 1;
	bytes = py_copy_code(OF_AND s, layout);
	if (!bytes)
		return 1;
	s->bytes = bytes;
	s->parts = (bytes + PYCODE_BYTES - 1) / PYCODE_BYTES;
	s->id = py_text_id(s, bytes, py_mix(py_mix(s->first_line, s->table), layout->version));
	if (!py_is_seen(READ_ONCE(s->id))) {
		b = buf_of(bpf_get_smp_processor_id());
		if (!b || !room_to_spare(b, READ_ONCE(s->parts) * sizeof(struct ev_pycode)))
			return 1;
		for (u32 part = 0; part < PY_PARTS && part < READ_ONCE(s->parts); part++)
			if (py_write_part(part))
				return 1;
	}
	py_set_seen(READ_ONCE(s->id));
	known = py_known_at(READ_ONCE(s->check));
	if (!known)
		return 1;
	known->id = s->id;
	known->check = s->check ^ s->id;
	return 0;
}

#endif
