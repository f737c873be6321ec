/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef WHYSCALE_BASE_VERSION_H
#define WHYSCALE_BASE_VERSION_H

#define WHYSCALE_VERSION "0.1.0"

#endif
