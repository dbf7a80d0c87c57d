/* jackdaw.h - everything public at once; for applications, never included inside the library. */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JACKDAW_JACKDAW_H
#define JACKDAW_JACKDAW_H

#include <jackdaw/base.h>
#include <jackdaw/co.h>
#include <jackdaw/combine.h>
#include <jackdaw/exec_context.h>
#include <jackdaw/executor.h>
#include <jackdaw/fork.h>
#include <jackdaw/future.h>
#include <jackdaw/main_loop.h>
#include <jackdaw/os_scheduler.h>
#include <jackdaw/pool_scheduler.h>
#include <jackdaw/scheduler.h>
#include <jackdaw/sync.h>
#include <jackdaw/task.h>
#include <jackdaw/test_choice.h>
#include <jackdaw/test_scheduler.h>
#include <jackdaw/timer.h>
#include <jackdaw/version.h>
#include <jackdaw/ws_scheduler.h>

#endif
