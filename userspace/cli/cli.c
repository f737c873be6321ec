// SPDX-License-Identifier: GPL-2.0-only
/* Exit statuses, numbers and the terminal: see cli.h. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memory.h"
#include "report/escape.h"

#define WIDTH_DEFAULT 100
#define WIDTH_MIN 40
#define WIDTH_MAX 1000
#define NOTE_MAX 1024

int cli_status(const struct err *err)
{
	switch (-err->code) {
	case 0:
		return 0;
	case EINVAL:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EACCES:
	case EROFS:
	case ELOOP:
	case ENAMETOOLONG:
	case ERANGE:
	case ESRCH:
	case EBADMSG:
	case ENODATA:
	case EPROTONOSUPPORT:
		return CLI_BAD_INPUT;
	default:
		return CLI_SYSTEM_FAULT;
	}
}

int cli_fail(const struct err *err)
{
	cli_note("%s", err->msg);
	return cli_status(err);
}

void cli_note(const char *fmt, ...)
{
	char line[NOTE_MAX], clean[ESCAPE_SIZE(NOTE_MAX)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fflush(stdout);
	/* the sentence may quote what the user or a file gave */
	fprintf(stderr, "whyscale: %s\n",
		escape_terminal(clean, sizeof(clean), line, sizeof(line), false));
}

bool cli_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return !errno && !*end && *ret_value >= min && *ret_value <= max;
}

bool cli_print_json(const json_t *json)
{
	return json && !json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) &&
	       putchar('\n') != EOF;
}

/* Sanitizers reserve more address space than any machine has memory. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SANITIZED)
#define BOUNDED false
#else
#define BOUNDED true
#endif

void cli_bound_memory(bool off)
{
	static rlim_t before = RLIM_INFINITY;
	uint64_t memory = BOUNDED ? memory_limit() : 0;
	struct rlimit limit;

	if (!memory || getrlimit(RLIMIT_DATA, &limit))
		return;
	if (off) {
		limit.rlim_cur = before;
	} else {
		rlim_t half = memory / 2;

		before = limit.rlim_cur;
		if (before != RLIM_INFINITY && before < half)
			return;
		limit.rlim_cur = half;
	}
	setrlimit(RLIMIT_DATA, &limit);
}

int cli_width(FILE *out)
{
	struct winsize size;
	int fd = fileno(out);

	if (fd < 0 || !isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col)
		return WIDTH_DEFAULT;
	if (size.ws_col < WIDTH_MIN)
		return WIDTH_MIN;
	return size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col;
}

bool cli_colour(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_color && *no_color)
		return false;
	return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}
