import type { Code } from "./codes.ts";

/** Something of the world around a service that is wrong now; it goes on as well as it can. */
export interface Trouble {
  code: Code;
  /** One sentence without its full stop: what is wrong, and with what. */
  message: string;
}
