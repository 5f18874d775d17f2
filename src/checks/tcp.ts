import { z } from "zod";
import { defineCheck } from "../core/check.ts";
import { exchange, failed, passed } from "./exchange.ts";

/**
 * Passes when the backend takes a connection. Sends nothing, and ends it before the last packet of the handshake: the
 * program behind it is not woken, and has nothing to log.
 */
export default defineCheck({
  name: "tcp",
  summary: "The backend accepts a connection.",
  options: z.strictObject({}),
  fromShort: (value) => (value === true || value === null ? {} : value),
  probe: (target, _options, timeout) =>
    exchange(
      target,
      {
        connected: () => passed("connected"),
        received: () => passed("connected"),
        ended: () => failed("SLUICE_CHECK_CLOSED", "closed at once"),
      },
      timeout,
    ),
});
