/* gate.c - the bound on what foreign threads may have waiting: the waits. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/gate.h"

#include "platform/platform.h"

void jd_gate_wake(struct jd_gate *gate)
{
	/* order: (GT5) release - the room; pairs with (GT6). */
	atomic_fetch_add_explicit(&gate->word, JD_GATE_CHANGE, memory_order_release);
	jd_futex_wake_all(&gate->word);
}

void jd_gate_close(struct jd_gate *gate)
{
	/* order: (GT7) release - what led to the end; pairs with (GT6). */
	atomic_fetch_or_explicit(&gate->word, JD_GATE_CLOSED, memory_order_release);
	jd_futex_wake_all(&gate->word);
}

jd_status jd_gate_wait(struct jd_gate *gate)
{
	for (;;) {
		/* order: (GT6) acquire - what led to the end; pairs with (GT5), (GT7). */
		uint32_t seen = atomic_load_explicit(&gate->word, memory_order_acquire);

		if (seen & JD_GATE_CLOSED)
			return JD_ECLOSED;
		/* order: (GT3) seq_cst - announce, then look; pairs with (GT4). */
		atomic_store_explicit(&gate->waiting, 1, memory_order_seq_cst);
		if (jd_gate_take(gate, 1))
			return JD_OK;
		jd_futex_wait(&gate->word, seen, JD_NEVER);
	}
}
