/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Services that choose by the client's place: each place is a service of its own behind the one that has the VIP. */
#pragma once
#include "maps.h"

/* Number of the service for this client's place; the given one for a client in no place. */
__noinline __u32 near_service(__u32 number, const struct address *client)
{
	if (!client)
		return number;
	__u32 copy = control.region_copy & 1, row = number + (copy ? MAX_SERVICES : 0);
	struct region_key key = { .length = REGION_COPY_BITS + 128, .copy = copy, .client = *client };
	__u32 *place = bpf_map_lookup_elem(&regions, &key);
	struct place_services *services_of = bpf_map_lookup_elem(&near_services, &row);
	if (!place || !services_of)
		return number;
	__u32 at = *place;
	asm volatile("" : "+r"(at));
	if (at >= MAX_PLACES || !services_of->service[at])
		return number;
	return services_of->service[at] - 1;
}

/* The service that has a packet to `*named`, and its number; NULL: none. `named` lies in a map: a key that were copied to
 * the stack would have every packet wait until it is there. */
static __always_inline struct service *serving(const __u32 *named, const struct address *client, __u32 *number)
{
	struct service *service = bpf_map_lookup_elem(&services, named);

	*number = *named;
	if (!service || service->used == USED_PLAIN)
		return service;
	if (!service->used)
		return 0;
	*number = near_service(*number, client);
	service = bpf_map_lookup_elem(&services, number);
	return service && service->used ? service : 0;
}
