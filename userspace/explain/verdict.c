// SPDX-License-Identifier: GPL-2.0-only
/* A prediction put to the test: see verdict.h. */
#include "explain/verdict.h"

#include <stdio.h>

void verdict_decide(struct verdict *v)
{
	if (!v->noise_known && v->noise < VERDICT_NOISE)
		v->noise = VERDICT_NOISE;
	v->word = v->measured > v->high * (1 + v->noise) ? VERDICT_TOO_LOW :
		  v->measured < v->low / (1 + v->noise)  ? VERDICT_TOO_HIGH :
							   VERDICT_HOLDS;
}

const char *verdict_text(const struct verdict *v, char buf[VERDICT_TEXT])
{
	static const char *const words[] = {
		[VERDICT_HOLDS] = "as predicted",
		[VERDICT_TOO_LOW] = "the prediction is wrong: it was faster",
		[VERDICT_TOO_HIGH] = "the prediction is wrong: it was slower",
	};

	snprintf(buf, VERDICT_TEXT,
		 "predicted %.2fx to %.2fx, measured %.2fx (noise %.1f %%%s): %s%s", v->low,
		 v->high, v->measured, v->noise * 100, v->noise_known ? "" : ", assumed",
		 words[v->word],
		 v->word == VERDICT_HOLDS && v->noise > VERDICT_TELLS_NOTHING ?
			 ", but the runs differ too much for that to say anything" :
			 "");
	return buf;
}

json_t *verdict_json(const struct verdict *v)
{
	char text[VERDICT_TEXT];

	return json_pack("{s:s,s:s,s:[f,f],s:f,s:f,s:b,s:b,s:s,s:s}", "what", v->what, "experiment",
			 v->experiment, "predicted", v->low, v->high, "measured", v->measured,
			 "noise", v->noise, "noise_known", v->noise_known, "holds",
			 v->word == VERDICT_HOLDS, "sentence", verdict_text(v, text), "because",
			 v->because);
}
