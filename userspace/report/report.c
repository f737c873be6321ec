// SPDX-License-Identifier: GPL-2.0-only
/* The table of output forms, and the words that they share: see report.h. */
#include "report/report.h"

#include <string.h>

#define FORM(name) extern const struct report_form form_##name;
#include "report/forms.def"
#undef FORM

#define FORM(name) &form_##name,
const struct report_form *const report_forms[] = {
#include "report/forms.def"
	NULL
};
#undef FORM

const struct report_form *report_form_by_name(const char *name)
{
	for (size_t i = 0; report_forms[i]; i++)
		if (!strcmp(report_forms[i]->name, name))
			return report_forms[i];
	return NULL;
}

int report_print(const struct loaded *l, const struct report_form *const *forms,
		 const struct report_options *o, FILE *out, struct err *err)
{
	int r = 0;

	if (forms[0] && !forms[0]->alone)
		report_header(l, o, out);
	for (size_t i = 0; forms[i] && !r; i++) {
		if (!forms[i]->alone)
			fputc('\n', out);
		r = forms[i]->print(l, o, out, err);
	}
	return r;
}

const char *report_audit_name(enum audit_result result)
{
	static const char *const names[] = {
		[AUDIT_NONE] = "none",
		[AUDIT_OK] = "ok",
		[AUDIT_MISSED] = "missed",
		[AUDIT_DIFFERS] = "differs",
	};

	return (unsigned int)result <= AUDIT_DIFFERS ? names[result] : "?";
}

const char *report_policy(unsigned int policy)
{
	static const char *const names[] = { "other", "fifo", "rr",       "batch",
					     "?",     "idle", "deadline", "ext" };

	return policy < sizeof(names) / sizeof(names[0]) ? names[policy] : "?";
}
