import { z } from "zod";
import { defineCheck } from "../core/check.ts";
import { exchange, failed, passed } from "./exchange.ts";

/** Passes when the backend accepts a connection. Sends nothing. */
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
