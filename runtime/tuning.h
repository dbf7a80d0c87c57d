/* tuning.h - every constant that was chosen rather than derived: unit, range, why. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_RUNTIME_TUNING_H
#define JD_RUNTIME_TUNING_H

/* Tries of a lock before sleeping, each about 25 ns. Critical sections are a few dozen ns. */
#define JD_LOCK_SPINS 40

/* Shards of the list of live tasks, a power of two: so many spawns can go on at once. */
#define JD_REGISTRY_SHARDS 16

/* Buckets of a shard at the start, a power of two. Doubles when there are as many tasks. */
#define JD_REGISTRY_BUCKETS 16

#endif
