/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Traces a parsed packet. */
#pragma once
#include "parse.h"
#include "trace.h"
#include "verdict.h"

/* `verdict`: as inside the plane. */
__noinline int trace_packet(struct xdp_md *ctx, const struct packet *p, __u32 place, int verdict)
{
	struct trace_record *record = trace_record();

	/* What is no packet to us is nothing to show: no filter could name it. */
	if (!record || !p || !p->protocol)
		return 0;
	record->place = place;
	record->source = p->source;
	record->target = p->target;
	record->source_port = p->source_port;
	record->target_port = p->target_port;
	record->protocol = p->protocol;
	record->tcp_flags = p->protocol == IPPROTO_TCP && !p->icmp_error ? p->tcp_flags : 0;
	record->icmp_error = p->icmp_error;
	record->part = p->part;
	record->service = p->of_service ? p->service : TRACE_NOBODY;
	record->backend = p->backend ? p->backend - 1 : TRACE_NOBODY;
	record->reason = verdict < 0 ? DROPPED(verdict) : TRACE_NO_REASON;
	record->verdict = TRACE_PASSED;
	if (verdict == ANSWERED)
		record->verdict = TRACE_ANSWERED;
	else if (verdict < 0 || verdict == XDP_DROP)
		record->verdict = TRACE_DROPPED;
	else if (verdict != PASSED_ON)
		record->verdict = TRACE_FORWARDED;
	return trace_end(ctx);
}
