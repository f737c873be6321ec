/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file beside a stripped ELF file that holds its full symbol table, as GDB's manual describes it ("Separate Debug Files",
 * "MiniDebugInfo"), tried in this order:
 *   1. DEBUG/.build-id/xx/yyyy.debug, by the build-id;
 *   2. the name in .gnu_debuglink: beside the file, in .debug/ beside it, in DEBUG/ plus the file's directory;
 *   3. what a debuginfod server has for the build-id, if the environment names one (debuginfod.h);
 *   4. .gnu_debugdata within the file: an ELF file packed with xz.
 * A separate file is used only if its build-id is the file's, or without one if its CRC is that of the .gnu_debuglink.
 */
#ifndef WHYSCALE_SYMBOL_ELF_DEBUG_H
#define WHYSCALE_SYMBOL_ELF_DEBUG_H

#include "symbol/elf_image.h"

/* Opens it; `debug` is DEBUG above, `path` that of the image. -ENOENT: there is none. The caller closes ret_debug. */
int elf_debug_open(const struct elf_image *image, const char *path, const char *debug,
		   struct elf_image *ret_debug);

#endif
