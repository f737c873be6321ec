// SPDX-License-Identifier: GPL-2.0-only
/* The lines of call stacks: see script.h. */
#include <inttypes.h>
#include <string.h>

#include "report/escape.h"
#include "report/script_impl.h"

static void put_text(const struct line *l, const char *key, const char *text, size_t len)
{
	char clean[ESCAPE_SIZE(PYCODE_BYTES)];

	fprintf(l->out, " %s=%s", key, escape_terminal(clean, sizeof(clean), text, len, true));
}

int script_put_calls(const struct line *l)
{
	static const char *const about[] = { "sample", "off", "wake", "?" };
	const struct ev_calls *e = (const void *)l->ev->rec;

	script_put_head(l, e->who);
	fprintf(l->out, "calls about=%s kernel=%016" PRIx64 " user=%016" PRIx64 " seq=%u",
		about[l->flags & CL_ABOUT], e->kernel, e->user, e->seq);
	if (e->python)
		fprintf(l->out, " python=%016" PRIx64, e->python);
	script_put_flag(l, CL_NO_KERNEL, "no_kernel");
	script_put_flag(l, CL_NO_USER, "no_user");
	script_put_flag(l, CL_NO_PYTHON, "no_python");
	script_put_flag(l, CL_USER_MODE, "user_mode");
	if (e->more & CL2_KERNEL_AGAIN)
		fputs(" kernel_again", l->out);
	if (e->more & CL2_EXEC)
		fputs(" exec=1", l->out);
	return 0;
}

/* Of no thread: a stack that may be many threads'. */
static void put_stack_head(const struct line *l, const char *what, uint64_t id, unsigned int part,
			   unsigned int parts)
{
	uint64_t ns = l->script->base_ns + l->ev->time_ns;

	fprintf(l->out, "%" PRIu64 ".%09" PRIu64 " cpu%u - %s id=%016" PRIx64 " part=%u parts=%u",
		ns / 1000000000, ns % 1000000000, l->ev->cpu, what, id, part, parts);
}

/* The function's name; "?": META has none. */
static void put_kernel_code(const struct line *l, uint64_t address)
{
	char key[24], clean[ESCAPE_SIZE(64)];
	const char *name;

	snprintf(key, sizeof(key), "0x%" PRIx64, address);
	name = json_string_value(json_object_get(l->script->symbols, key));
	fputs(escape_terminal(clean, sizeof(clean), name && *name ? name : "?", 64, true), l->out);
}

int script_put_frames(const struct line *l)
{
	const struct ev_frames *e = (const void *)l->ev->rec;
	bool user = EV_KIND(*l->ev->rec) == EV_UFRAMES;

	put_stack_head(l, user ? "uframes" : "kstack", e->id, e->part, e->parts);
	if (user)
		fprintf(l->out, " pid=%" PRIu32, e->tgid);
	if (e->cut)
		fprintf(l->out, " cut=1");
	fprintf(l->out, " frames=");
	for (int i = 0; i < FRAMES_WORDS && e->address[i]; i++) {
		fputs(i ? "," : "", l->out);
		if (user || l->script->kernel_addresses)
			fprintf(l->out, "0x%" PRIx64, e->address[i]);
		else
			put_kernel_code(l, e->address[i]);
	}
	return 0;
}

int script_put_ustack(const struct line *l)
{
	const struct ev_ustack *e = (const void *)l->ev->rec;

	put_stack_head(l, "ustack", e->id, e->part, e->parts);
	fprintf(l->out, " pid=%" PRIu32 " bytes=%u", e->tgid, e->bytes);
	if (!e->part)
		fprintf(l->out, " pc=0x%" PRIx64 " sp=0x%" PRIx64, e->words[0], e->words[1]);
	return 0;
}

int script_put_pystack(const struct line *l)
{
	const struct ev_pystack *e = (const void *)l->ev->rec;

	put_stack_head(l, "pystack", e->id, e->part, e->parts);
	fprintf(l->out, " pid=%" PRIu32 " version=3.%u", e->tgid, e->version);
	if (e->cut)
		fprintf(l->out, " cut=1");
	fprintf(l->out, " frames=");
	for (int i = 0; i < PYSTACK_FRAMES && e->frame[i].code; i++)
		fprintf(l->out, "%s%016" PRIx64 "+%" PRIu32 "%s", i ? "," : "", e->frame[i].code,
			e->frame[i].at, e->frame[i].flags & PY_ENTRY ? "!" : "");
	return 0;
}

/* The names as far as this part has them, and its bytes. */
int script_put_pycode(const struct line *l)
{
	const struct ev_pycode *e = (const void *)l->ev->rec;
	const char *text = (const char *)e->byte;
	size_t begin = (size_t)e->part * PYCODE_BYTES, len = sizeof(e->byte), name;

	if (e->bytes < begin + len)
		len = e->bytes > begin ? e->bytes - begin : 0;
	name = strnlen(text, len);
	put_stack_head(l, "pycode", e->id, e->part, e->parts);
	fprintf(l->out, " pid=%" PRIu32 " version=3.%u bytes=%" PRIu32 " line=%" PRIu32, e->tgid,
		e->version, e->bytes, e->first_line);
	if (e->cut)
		fprintf(l->out, " cut=1");
	if (!e->part && name < len) {
		put_text(l, "name", text, name);
		put_text(l, "file", text + name + 1, strnlen(text + name + 1, len - name - 1));
	}
	fprintf(l->out, " hex=");
	for (size_t i = 0; i < len; i++)
		fprintf(l->out, "%02x", e->byte[i]);
	return 0;
}
