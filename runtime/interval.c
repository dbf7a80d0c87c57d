/* interval.c - a future that ends at every instant of a grid. */
/* SPDX-License-Identifier: Apache-2.0 */
#include <jackdaw/timer.h>

/* The instant after `tick`, which has just come, as seen at now. */
static uint64_t next_tick(const struct jd_interval *self, uint64_t tick, uint64_t now)
{
	uint64_t period = self->_period_ns, late = now - tick;

	if (late < period || self->_missed == JD_MISSED_BURST)
		return jd_deadline_after(tick, period);
	if (self->_missed == JD_MISSED_DELAY)
		return jd_deadline_after(now, period);
	return jd_deadline_after(tick + late / period * period, period);
}

static void sleep_until(struct jd_interval *self, uint64_t instant)
{
	uint32_t slack = self->_sleep._timer._slack_ns;

	self->_next_ns = instant;
	jd_sleep_init_until(&self->_sleep, instant);
	self->_sleep._timer._slack_ns = slack;
}

static jd_status interval_poll(struct jd_future *future, struct jd_context *context, void *result)
{
	struct jd_interval *self = jd_container_of(future, struct jd_interval, base);

	if (!self->_started) {
		self->_started = true;
		sleep_until(self, jd_deadline_after(jd_now(context->scheduler), self->_period_ns));
	}
	jd_status status = jd_future_poll(&self->_sleep.base, context, NULL);

	if (status != JD_OK)
		return status;
	*(uint64_t *)result = self->_next_ns;
	jd_future_drop(&self->_sleep.base);
	sleep_until(self, next_tick(self, self->_next_ns, jd_now(context->scheduler)));
	return JD_OK;
}

static void interval_drop(struct jd_future *future)
{
	struct jd_interval *self = jd_container_of(future, struct jd_interval, base);

	jd_future_drop(&self->_sleep.base);
}

jd_status jd_interval_init(struct jd_interval *self, uint64_t period_ns,
			   enum jd_missed_ticks missed)
{
	jd_status status = jd_interval_init_at(self, JD_NEVER, period_ns, missed);

	if (status == JD_OK)
		self->_started = false;
	return status;
}

jd_status jd_interval_init_at(struct jd_interval *self, uint64_t start_ns, uint64_t period_ns,
			      enum jd_missed_ticks missed)
{
	static const struct jd_future_ops ops = {
		.poll = interval_poll,
		.drop = interval_drop,
		.size = sizeof(struct jd_interval),
		.result_size = sizeof(uint64_t),
	};

	if (!self || !period_ns || (unsigned)missed > JD_MISSED_DELAY)
		return JD_EINVAL;
	*self = (struct jd_interval){
		.base = {&ops}, ._period_ns = period_ns, ._missed = missed, ._started = true};
	jd_interval_set_slack(self, period_ns / 8 < JD_MS ? period_ns / 8 : JD_MS / 2);
	sleep_until(self, start_ns);
	return JD_OK;
}

void jd_interval_set_slack(struct jd_interval *self, uint64_t slack_ns)
{
	jd_timer_set_slack(&self->_sleep._timer, slack_ns);
}

void jd_interval_reset(struct jd_interval *self)
{
	uint32_t slack = self->_sleep._timer._slack_ns;

	jd_future_drop(&self->_sleep.base);
	sleep_until(self, JD_NEVER);
	self->_sleep._timer._slack_ns = slack;
	self->_started = false;
}
