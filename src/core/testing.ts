import type { Backend } from "./backend.ts";

/** A backend that is up, of weight 1, for tests of every room. */
export const aBackend = (id: number, address: string, port: number | null, more: Partial<Backend> = {}): Backend => ({
  id,
  address,
  port,
  weight: 1,
  state: "up",
  tier: 0,
  tags: [],
  load: null,
  ...more,
});
