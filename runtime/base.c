/* base.c - texts of the status codes, the default allocator. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/base.h>

#include <stdalign.h>
#include <stdlib.h>

const char *jd_status_text(jd_status status)
{
	switch (status) {
#define JD_STATUS_TEXT(name, value, text) \
	case name:                        \
		return text;
		JD_STATUS_MAP(JD_STATUS_TEXT)
#undef JD_STATUS_TEXT
	}
	return "unknown status";
}

const char *jd_status_name(jd_status status)
{
	switch (status) {
#define JD_STATUS_NAME(name, value, text) \
	case name:                        \
		return #name;
		JD_STATUS_MAP(JD_STATUS_NAME)
#undef JD_STATUS_NAME
	}
	return "JD_UNKNOWN";
}

static void *default_alloc(void *ctx, size_t size, size_t align)
{
	(void)ctx;
	if (align <= alignof(max_align_t))
		return malloc(size);
	/* C11 wants the size to be a multiple of the alignment. */
	size_t rounded = (size + align - 1) & ~(align - 1);

	return rounded < size ? NULL : aligned_alloc(align, rounded);
}

static void default_free(void *ctx, void *ptr, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	(void)align;
	free(ptr);
}

const struct jd_allocator *jd_allocator_default(void)
{
	static const struct jd_allocator allocator = {default_alloc, default_free, NULL};

	return &allocator;
}
