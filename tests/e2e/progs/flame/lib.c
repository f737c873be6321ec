// SPDX-License-Identifier: GPL-2.0-only
/* ../work.h in a shared library, for a program that loads it by dlopen; tests/e2e/flame.sh builds it. */
#include "../work.h"

void library_burn(double seconds);

void library_burn(double seconds)
{
	struct burnt b = { 0, 0, 0 };

	work(seconds, &b);
	burn_tell(&b);
}
