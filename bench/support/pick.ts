import { counterIndex } from "../../src/core/counters.ts";
import type { SchedulerDefinition } from "../../src/core/scheduler.ts";
import { rowsInUse, serviceCells } from "../../src/observe/cells.ts";
import { mapSharedMemory } from "../../src/runtime/memory.ts";
import { createBalancer } from "../../src/schedulers/follow.ts";
import { CounterMemory } from "../../src/supervisor/memory.ts";

/** Rows of the counter memory as a daemon with one worker makes them. */
const ROWS = 48;
/** Units of work that are under way at a time; a power of two. */
const UNDER_WAY = 64;
/** Choices of one measurement. */
const CHOICES = 50_000;
const RUNS = 5;
const UNEVEN = 5;

/**
 * CPU of a scheduler's part in one request alone (the choice, what it learns of begin and end, the counting of the work),
 * ns: the best of some runs.
 * @param uneven weights of 1 to 5 in turn instead of equal ones
 */
export function pickCost(definition: SchedulerDefinition, size: number, uneven: boolean): number {
  const choose = world(definition, size, uneven);
  choose(CHOICES);
  return Math.min(...Array.from({ length: RUNS }, () => choose(CHOICES)));
}

function world(definition: SchedulerDefinition, size: number, uneven: boolean): (choices: number) => number {
  const memory = new CounterMemory("bench", ROWS);
  const { row, rows, rowCells } = memory.describe(memory.takeRow());
  const { cells } = mapSharedMemory(memory.fd, rows * rowCells);
  const all = Array.from({ length: rows }, (_, i) => cells.subarray(i * rowCells, (i + 1) * rowCells));
  const counts = serviceCells(memory.range("shop", size)!, all[row]!, all.slice(1), rowsInUse(cells, rowCells));
  const backends = Array.from({ length: size }, (_, i) => ({
    id: i + 1,
    address: `127.0.${i >> 8}.${i & 255}`,
    port: 80,
    weight: uneven ? 1 + (i % UNEVEN) : 1,
    state: "up" as const,
    tier: 0,
    tags: [],
    load: null,
  }));
  const eligible = backends.map(({ id }) => id);
  const snapshot = { service: "shop", revision: 1, generation: 1, backends, eligible };
  const env = {
    random: Math.random,
    now: () => performance.now(),
    seed: 7,
    load: (id: number) => counts.activeEverywhere(id),
  };
  const balancer = createBalancer(definition, definition.options.parse({}), env, snapshot);
  const underWay = new Int32Array(UNDER_WAY).fill(-1);
  const tried: ReadonlySet<number> = new Set();
  let key = 1;
  return (choices) => {
    const before = process.cpuUsage();
    for (let i = 0; i < choices; i++) {
      const ended = underWay[i & (UNDER_WAY - 1)]!;
      if (ended >= 0) {
        balancer.ended(ended, "done");
        counts.add(ended, counterIndex.active, -1);
      }
      key = (Math.imul(key, 1_664_525) + 1_013_904_223) | 0;
      const backend = balancer.pick(key >>> 0, tried);
      balancer.began(backend);
      counts.add(backend, counterIndex.active, 1);
      underWay[i & (UNDER_WAY - 1)] = backend;
    }
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / choices;
  };
}
