/* base.c - texts of the status codes, the default allocator. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/base.h>

#include "platform/platform.h"

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
	return jd_heap_alloc(size, align);
}

static void default_free(void *ctx, void *ptr, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	jd_heap_free(ptr, align);
}

const struct jd_allocator *jd_allocator_default(void)
{
	static const struct jd_allocator allocator = {default_alloc, default_free, NULL};

	return &allocator;
}
