import { listenerName, type Service } from "../core/service.ts";
import { LOWER } from "../protocols/http/octets.ts";
import { hostEnd } from "../protocols/http/target.ts";

/** The services behind one listening socket, found by the request's host. `S` is what the method keeps per service. */
export class Site<S> {
  private readonly exact = new Map<string, S>();
  /** `*.example.com`, kept as `.example.com`. */
  private readonly wild: [suffix: string, service: S][] = [];
  /** Serves all hosts: the only service here, or one without names. Null: hosts that are not known get nothing. */
  readonly fallback: S | null;
  /** Is there nothing to look up? */
  private readonly single: boolean;

  constructor(members: readonly { names: readonly string[]; service: S }[]) {
    for (const { names, service } of members)
      for (const name of names) {
        if (name.startsWith("*.")) this.wild.push([name.slice(1), service]);
        else if (!this.exact.has(name)) this.exact.set(name, service);
      }
    this.wild.sort(([a], [b]) => b.length - a.length);
    this.single = members.length === 1;
    this.fallback = (this.single ? members[0] : members.find(({ names }) => names.length === 0))?.service ?? null;
  }

  /** The service for `host[:port]` at `bytes[start, end)`; -1 for no host. Null when none answers for it. */
  find(bytes: Buffer, start: number, end: number): S | null {
    if (this.single || start < 0) return this.fallback;
    let stop = hostEnd(bytes, start, end);
    if (stop > start + 1 && bytes[stop - 1] === 46) stop--; // a root dot names the same host
    let host = "";
    for (let i = start; i < stop; i++) host += String.fromCharCode(LOWER[bytes[i]!]!);
    const found = this.exact.get(host);
    if (found !== undefined) return found;
    for (const [suffix, service] of this.wild) if (host.endsWith(suffix) && host.length > suffix.length) return service;
    return this.fallback;
  }
}

/** Services by the listener that they share. */
export function byListener<S>(
  services: readonly Service[],
  make: (service: Service) => S,
): Map<string, { names: readonly string[]; service: S }[]> {
  const sites = new Map<string, { names: readonly string[]; service: S }[]>();
  for (const service of services) {
    const member = { names: service.names, service: make(service) };
    for (const listener of service.listen) {
      const key = listenerName(listener);
      sites.set(key, [...(sites.get(key) ?? []), member]);
    }
  }
  return sites;
}
