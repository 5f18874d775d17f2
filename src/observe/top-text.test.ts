import { expect, test } from "bun:test";
import { backendStatus, counts, exampleModel, serviceStatus, statusModel } from "./fixture.ts";
import { ratesBetween } from "./rates.ts";
import { topText } from "./top-text.ts";

const plain = { color: false, width: 200, height: 50 };

const moment = (at: number, requests: [number, number], errors = 0) => ({
  ...statusModel([
    serviceStatus({ name: "idle", backends: [] }),
    serviceStatus({
      counts: counts({ active: 3, requests: requests[0] + requests[1], errors, bytesIn: 0, bytesOut: 1024 * at }),
      backends: requests.map((n, id) => {
        return backendStatus({ id, name: `10.0.0.${id + 1}:80`, counts: counts({ active: id, requests: n }) });
      }),
    }),
  ]),
  at,
});

test("what goes on, the busiest first", () => {
  const text = topText(moment(1_000_000, [100, 100]), moment(1_002_000, [200, 2100], 4), plain);
  expect(`\n${text}\n`).toBe(`
sluice main: revision 3, 2 workers, running for 10m

SERVICE  BACKEND      STATE    ACTIVE  WORK/S   PART  ERRORS/S  IN/S    OUT/S
web                   serving       3    1.1k                2    0B  1000KiB
         10.0.0.2:80  up            1    1.0k  95.2%         -     -        -
         10.0.0.1:80  up            0      50   4.8%         -     -        -
idle                  serving       -       -                -     -        -
`);
});

test("a count that fell began anew, and a service that is new began at 0", () => {
  const [web] = ratesBetween(moment(0, [500, 500]), moment(1000, [10, 20]));
  expect(web!.map(({ work }) => work)).toEqual([30, 20, 10]);
  const [fresh] = ratesBetween(statusModel([]), { ...moment(0, [10, 20]), at: statusModel([]).at + 1000 });
  expect(fresh!.map(({ work }) => work)).toEqual([30, 20, 10]);
});

test("two looks at the same moment are no division by zero", () => {
  for (const { work } of ratesBetween(exampleModel(), exampleModel()).flat()) expect([0, null]).toContain(work);
});

test("it fits its terminal, and says what is left out", () => {
  const [then, now] = [moment(0, [0, 0]), moment(1000, [1, 2])];
  const lines = topText(then, now, { color: true, width: 40, height: 6 }).split("\n");
  expect(lines).toHaveLength(6);
  expect(lines.at(-1)).toBe("and 2 more");
  for (const line of lines) expect(line.replace(/\u001b\[\d+m/g, "").length).toBeLessThanOrEqual(40);
});
