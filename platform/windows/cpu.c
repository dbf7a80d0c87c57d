/* cpu.c - which CPUs, which one, how much of them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/windows/windows.h"

#include <stdio.h>

#include "platform/cpu.h"

/* Appends the CPUs of a group's mask to os. */
static unsigned add_group(unsigned group, uint64_t mask, unsigned *os, unsigned max, unsigned n)
{
	for (unsigned bit = 0; bit < JD_WINDOWS_GROUP; bit++) {
		if (!(mask >> bit & 1))
			continue;
		if (n < max)
			os[n] = group * JD_WINDOWS_GROUP + bit;
		n++;
	}
	return n;
}

static uint64_t whole_group(unsigned group)
{
	DWORD cpus = GetActiveProcessorCount((WORD)group);

	return cpus >= JD_WINDOWS_GROUP ? UINT64_MAX : (UINT64_C(1) << cpus) - 1;
}

/*
 * A process whose threads may use several groups has no mask (Windows 11 and later give it every
 * group unless told otherwise); then a thread that may use all of its group may use all groups.
 */
unsigned jd_cpu_allowed(bool process, unsigned *os, unsigned max)
{
	GROUP_AFFINITY self = {0};
	DWORD_PTR mask = 0, all = 0;
	unsigned n = 0;

	if (!GetProcessAffinityMask(GetCurrentProcess(), &mask, &all) ||
	    !GetThreadGroupAffinity(GetCurrentThread(), &self))
		return 0;
	if (mask)
		return add_group(self.Group, process ? mask : self.Mask, os, max, 0);
	if (!process && self.Mask != whole_group(self.Group))
		return add_group(self.Group, self.Mask, os, max, 0);
	for (unsigned g = 0; g < GetActiveProcessorGroupCount(); g++)
		n = add_group(g, whole_group(g), os, max, n);
	return n;
}

jd_status jd_cpu_pin(const unsigned *os, unsigned n)
{
	GROUP_AFFINITY set = {.Group = (WORD)(os[0] / JD_WINDOWS_GROUP)};

	/* A thread can be bound within one group only. */
	for (unsigned i = 0; i < n; i++) {
		if (os[i] / JD_WINDOWS_GROUP == set.Group)
			set.Mask |= (KAFFINITY)1 << os[i] % JD_WINDOWS_GROUP;
	}
	return SetThreadGroupAffinity(GetCurrentThread(), &set, NULL) ? JD_OK : JD_ENOTSUP;
}

/* There is no cheap way to ask. */
bool jd_cpu_crowded(void)
{
	return false;
}

int jd_cpu_current(void)
{
	PROCESSOR_NUMBER number;

	GetCurrentProcessorNumberEx(&number);
	return (int)(number.Group * JD_WINDOWS_GROUP + number.Number);
}

/* The hard limit of the process's job, in 1/10000 of the whole machine; 0: none. */
static unsigned job_rate(void)
{
	const DWORD hard = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE |
			   JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
	JOBOBJECT_CPU_RATE_CONTROL_INFORMATION info = {0};

	if (!QueryInformationJobObject(NULL, JobObjectCpuRateControlInformation, &info,
				       sizeof(info), NULL))
		return 0;
	return (info.ControlFlags & hard) == hard ? info.CpuRate : 0;
}

unsigned jd_cpu_quota(char *text, size_t size)
{
	uint64_t rate = job_rate();
	unsigned cpus =
		(unsigned)((rate * GetActiveProcessorCount(ALL_PROCESSOR_GROUPS) + 9999) / 10000);

	if (rate)
		snprintf(text, size, "%u CPU%s (job object)", cpus, cpus == 1 ? "" : "s");
	else
		snprintf(text, size, "none");
	return cpus;
}
