/* topology_windows.h - what the system says about its processors, as a topology; for tests too. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JD_PLATFORM_WINDOWS_TOPOLOGY_WINDOWS_H
#define JD_PLATFORM_WINDOWS_TOPOLOGY_WINDOWS_H

#include "platform/topology.h"

/*
 * Fills core, cache, node and rank of the CPUs in the topology, whose os is set, from bytes of
 * records (SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX). What they do not mention stays apart from
 * everything else, but on node 0. False: they are broken, or name no core of ours.
 */
bool jd_topology_from_records(struct jd_topology *topology, const void *records, size_t bytes);

#endif
