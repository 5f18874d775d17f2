import type { EventBody } from "../core/event.ts";
import type { GroupState, Method } from "../core/method.ts";
import type { Geography } from "../core/service.ts";
import type { Entry } from "./member.ts";

/** Groups of backends that a method chooses among: how they are, and events when one fails or is good again. */
export class Groups {
  readonly #methods: readonly Method[];
  readonly #geography: () => Geography;
  readonly #record: (event: EventBody) => void;
  /** By service and path: was it good when it was looked at last? */
  readonly #good = new Map<string, Map<string, boolean>>();

  /** `geography`: of the running revision. */
  constructor(methods: readonly Method[], geography: () => Geography, record: (event: EventBody) => void) {
    this.#methods = methods;
    this.#geography = geography;
    this.#record = record;
  }

  /** The groups of a service, outer ones before those inside; none where its method or the service has none. */
  of({ service, snapshot }: Pick<Entry, "service" | "snapshot">): GroupState[] {
    const method = this.#methods.find(({ name }) => name === service.method);
    return method?.groups?.(service, snapshot, this.#geography()) ?? [];
  }

  /** The service's snapshot is a new one. A group that is seen for the first time makes no event. */
  look(entry: Entry): void {
    const { name } = entry.service;
    const groups = this.of(entry);
    const before = this.#good.get(name);
    if (groups.length > 0) this.#good.set(name, new Map(groups.map(({ path, good }) => [path, good])));
    else this.#good.delete(name);
    for (const { path, good, up, of } of groups)
      if ((before?.get(path) ?? good) !== good)
        this.#record({ kind: "group", service: name, group: path, good, up, of });
  }
}
