// SPDX-License-Identifier: GPL-2.0-only
/* Numbers as people read them: see units.h. */
#include "report/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *units_time(char *buf, uint64_t ns)
{
	const char *unit = ns < 999500 ? "us" : "ms";
	double value = (double)ns / (ns < 999500 ? 1e3 : 1e6);

	if (ns < 1000)
		snprintf(buf, UNITS_SIZE, "%" PRIu64 " ns", ns);
	else if (ns >= 999500000)
		snprintf(buf, UNITS_SIZE, "%.3f s", (double)ns / 1e9);
	else
		snprintf(buf, UNITS_SIZE, "%.*f %s",
			 value < 9.995 ? 2 :
			 value < 99.95 ? 1 :
					 0,
			 value, unit);
	return buf;
}

const char *units_percent(char *buf, uint64_t part, uint64_t whole)
{
	double value = whole ? 100.0 * (double)part / (double)whole : 0;

	if (!whole)
		snprintf(buf, UNITS_SIZE, "-");
	else if (!part)
		snprintf(buf, UNITS_SIZE, "0 %%");
	else if (part == whole)
		snprintf(buf, UNITS_SIZE, "100 %%");
	else if (value < 0.01)
		snprintf(buf, UNITS_SIZE, "<0.01 %%");
	else if (value < 100 && value >= 99.95)
		snprintf(buf, UNITS_SIZE, ">99.9 %%");
	else
		snprintf(buf, UNITS_SIZE, "%.*f %%", value < 0.995 ? 2 : 1, value);
	return buf;
}

const char *units_bytes(char *buf, uint64_t bytes)
{
	static const char *const names[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes / 1e3;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(buf, UNITS_SIZE, "%" PRIu64 " B", bytes);
		return buf;
	}
	for (; value >= 999.95 && i + 1 < sizeof(names) / sizeof(names[0]); i++)
		value /= 1e3;
	snprintf(buf, UNITS_SIZE, "%.1f %s", value, names[i]);
	return buf;
}

struct units_scale units_scale(uint64_t largest_ns)
{
	if (largest_ns < 10000000ull)
		return (struct units_scale){ "us", 1e3, 1 };
	if (largest_ns < 10000000000ull)
		return (struct units_scale){ "ms", 1e6, 2 };
	return (struct units_scale){ "s", 1e9, 3 };
}

const char *units_scaled(char *buf, const struct units_scale *scale, uint64_t ns)
{
	if (ns)
		snprintf(buf, UNITS_SIZE, "%.*f", scale->decimals, (double)ns / scale->ns);
	else
		snprintf(buf, UNITS_SIZE, "-");
	return buf;
}

static bool has_bit(const uint64_t *bits, size_t words, size_t bit)
{
	return bit / 64 < words && (bits[bit / 64] >> (bit % 64) & 1);
}

const char *units_cpus(char *buf, size_t size, const uint64_t *bits, size_t words)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t cpu = 0; cpu < words * 64; cpu++) {
		char range[2 * UNITS_SIZE];
		size_t first = cpu, n;

		if (!has_bit(bits, words, cpu))
			continue;
		while (has_bit(bits, words, cpu + 1))
			cpu++;
		if (cpu == first)
			snprintf(range, sizeof(range), "%s%zu", len ? "," : "", first);
		else
			snprintf(range, sizeof(range), "%s%zu-%zu", len ? "," : "", first, cpu);
		n = strlen(range);
		if (len + n + sizeof(",...") > size) {
			snprintf(buf + len, size - len, ",...");
			break;
		}
		memcpy(buf + len, range, n + 1);
		len += n;
	}
	return buf;
}

const char *units_count(char *buf, size_t size, uint64_t nr, const char *one)
{
	snprintf(buf, size, "%" PRIu64 " %s%s", nr, one, nr == 1 ? "" : "s");
	return buf;
}

const char *units_grouped(char *buf, uint64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	char *to = buf;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buf;
}
