import { z } from "zod";
import { duration } from "../core/schema-words.ts";
import type { Service } from "../core/service.ts";

const DAY = 86_400_000;
const percent = () => z.int().min(0).max(100);

const ejection = z.strictObject({
  failures: z.int().min(1).max(1000).default(5).describe("Failures in a row that eject a backend."),
  percent: percent()
    .default(50)
    .describe("Part of a window's requests that must fail to eject a backend; 100: only when all fail."),
  volume: z.int().min(1).default(100).describe("Requests that a window must have for its percentage to count."),
  window: duration({ min: 1000, max: 3_600_000 }).prefault("10s").describe("How long a window is."),
  time: duration({ min: 1000, max: DAY })
    .prefault("10s")
    .describe("How long the first ejection lasts; each further one twice as long as the one before."),
  longest: duration({ min: 1000, max: DAY }).prefault("5m").describe("How long an ejection lasts at most."),
  share: percent().default(50).describe("Most backends of the service that may be ejected at a time, in percent."),
  slow: z
    .union([
      z.literal(false),
      z.strictObject({
        times: z.number().min(1.5).max(1000).default(4).describe("So many times the median of the pool is too slow."),
        least: duration({ min: 1, max: 3_600_000 }).prefault("100ms").describe("Faster than this is never too slow."),
      }),
    ])
    .default(false)
    .describe(
      "Eject a backend whose responses begin much later than those of the pool's median, in windows of at least `volume` requests; false: never.",
    ),
  statuses: z
    .array(z.int().min(500).max(599))
    .default([])
    .describe("Statuses that count as failures too, such as 503. Without them: no valid answer, or none in time."),
});

export type EjectionRules = z.output<typeof ejection>;

/** What a service may ask about the health of its backends beyond its check; for options of methods that see responses. */
export const healthRules = {
  ejection: z
    .union([z.literal(false), ejection])
    .prefault({})
    .describe("When backends that fail requests get none for a while; false: never."),
  panic: percent()
    .default(0)
    .describe(
      "When fewer backends than this percentage are healthy, in every tier, all get work, for they cannot all be ill. 0: never.",
    ),
  slowStart: duration({ max: DAY })
    .prefault("0s")
    .describe("A backend that comes back reaches its whole weight after this time."),
};

export interface HealthRules {
  ejection: EjectionRules | false;
  /** 0..100 */
  panic: number;
  /** ms */
  slowStart: number;
}

const none: HealthRules = { ejection: false, panic: 0, slowStart: 0 };

/** The rules of a service; those of a method whose options have none change nothing. */
export const healthRulesOf = (service: Pick<Service, "options">): HealthRules =>
  (service.options as { health?: HealthRules } | null)?.health ?? none;
