// SPDX-License-Identifier: GPL-2.0-only
/* Small files: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX_TEXT (1u << 20)

int file_read_text(const char *path, char **ret_text, struct err *err)
{
	_cleanup_(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(free_p) char *text = NULL;
	size_t len = 0, room = 0;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, -errno, "cannot read %s", path);
	do {
		if (len + 1 >= room) {
			char *bigger = room < MAX_TEXT ?
					       realloc(text, room = room ? room * 4 : 1024) :
					       NULL;

			if (!bigger)
				return err_set(err, -EFBIG, "%s is larger than expected", path);
			text = bigger;
		}
		n = read(fd, text + len, room - len - 1);
		if (n < 0)
			return err_sys(err, -errno, "cannot read %s", path);
		len += n;
	} while (n);
	text[len] = '\0';
	*ret_text = take_ptr(text);
	return 0;
}
