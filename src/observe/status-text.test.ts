import { expect, test } from "bun:test";
import { backendStatus, exampleModel, serviceStatus, statusModel } from "./fixture.ts";
import { metricsText } from "./metrics.ts";
import { expectedShares } from "./status.ts";
import { statusText } from "./status-text.ts";
import { ageText, bytesText, countText } from "./units.ts";

test("the view of an instance", () => {
  expect(`\n${statusText(exampleModel(), { color: false, width: 200 })}\n`).toBe(`
sluice main: revision 3, pid 4242, 2 workers, running for 10m

web  proxy  125.12.12.12:80  least-connections  1 of 2 eligible
     BACKEND      STATE  WEIGHT   SHARE  ACTIVE  CONNS   REQS  ERRORS  PACKETS      IN      OUT  SINCE  CHECK
  ●  10.0.0.1:80  up          2  100.0%       2      -  12.0k       0        -  3.9KiB   4.7MiB    60s  http status 200, 0.4 ms
  ✗  10.0.0.2:80  down        1       -       0      -    345       1        -     96B  97.7KiB    12s  http connect refused
     all                                      2   1.5k  12.3k       1        -  4.0KiB   4.8MiB

files  direct  125.12.12.77:80  maglev  1 of 1 eligible
  xdp native on eth0
  dropped 1 SLUICE_DROP_NO_BACKEND
     BACKEND       STATE      WEIGHT   SHARE  ACTIVE  CONNS  REQS  ERRORS  PACKETS    IN  OUT  SINCE  CHECK
  ●  125.12.12.20  unchecked       1  100.0%       -      -     -       -        -     -    -    60s  -
     all                                           -      -     -       -       10  640B    -
`);
});

test("no line is wider than the terminal, with colour and without", () => {
  for (const color of [true, false]) {
    const text = statusText(exampleModel(), { color, width: 60 });
    for (const line of text.split("\n")) expect(line.replace(/\u001b\[\d+m/g, "").length).toBeLessThanOrEqual(60);
  }
});

test("a narrow terminal is spared counts before it is spared why a backend is as it is", () => {
  const lines = statusText(exampleModel(), { color: false, width: 80 }).split("\n");
  expect(lines.slice(3, 7)).toEqual([
    "     BACKEND      STATE  WEIGHT   SHARE   REQS  ERRORS  CHECK",
    "  ●  10.0.0.1:80  up          2  100.0%  12.0k       0  http status 200, 0.4 ms",
    "  ✗  10.0.0.2:80  down        1       -    345       1  http connect refused",
    "     all                                 12.3k       1",
  ]);
  const least = statusText(exampleModel(), { color: false, width: 47 }).split("\n");
  expect(least[5]).toBe("  ✗  10.0.0.2:80  down   http connect refused");
});

test("colour is only added: the text is the same without it", () => {
  const plain = statusText(exampleModel(), { color: false, width: 120 });
  const painted = statusText(exampleModel(), { color: true, width: 120 });
  expect(painted).not.toBe(plain);
  expect(painted.replace(/\u001b\[\d+m/g, "")).toBe(plain);
});

test("a failed service says why; strangers' bytes stay harmless; no services is said", () => {
  const problem = { code: "SLUICE_BIND", severity: "error", source: "kernel", path: [], message: "Taken." } as const;
  const check = { code: "SLUICE_CHECK_STATUS", detail: "http status \u001b[2J", latency: 1, at: 0 } as const;
  const text = statusText(
    statusModel([serviceStatus({ state: "failed", problem, backends: [backendStatus({ check })] })]),
    { color: false, width: 200 },
  );
  expect(text).toContain("FAILED");
  expect(text).toContain("SLUICE_BIND: Taken.");
  expect(text).not.toContain("\u001b");
  expect(statusText(statusModel([]), { color: false, width: 80 })).toContain("no services");
});

test("a backend's own words stand beside its check", () => {
  const agent = { code: "SLUICE_CHECK_OK", detail: "drain 50%", percent: 50, at: 0 } as const;
  const silent = { ...agent, code: "SLUICE_CHECK_REFUSED", detail: "connect refused" } as const;
  const backends = [backendStatus({ agent, load: 0.25 }), backendStatus({ agent: silent, check: null })];
  const text = statusText(statusModel([serviceStatus({ backends })]), { color: false, width: 200 });
  expect(text).toContain("  http status 200, 0.4 ms; agent says drain 50%; load 25.0%\n");
  expect(text).toContain("  agent silent: connect refused\n");
});

test("numbers are short", () => {
  expect([0, 999, 1000, 12_345, 999_999, 4e9, null].map(countText)).toEqual([
    "0",
    "999",
    "1.0k",
    "12.3k",
    "1000k",
    "4.0G",
    "-",
  ]);
  expect([0, 1023, 1024, 5_000_000, null].map(bytesText)).toEqual(["0B", "1023B", "1.0KiB", "4.8MiB", "-"]);
  expect([-5, 119_000, 120_000, 7_200_000, 200_000_000].map(ageText)).toEqual(["0s", "119s", "2m", "2h", "2d"]);
});

test("an expected share is the weight among the eligible", () => {
  const backend = { address: "10.0.0.1", port: 80, state: "up", tier: 0, tags: [], load: null } as const;
  const backends = [1, 2, 3].map((id) => ({ ...backend, tags: [], id, weight: id }));
  const snapshot = { service: "a", revision: 1, generation: 1, backends, eligible: [1, 3] };
  expect([...expectedShares(snapshot)]).toEqual([
    [1, 0.25],
    [3, 0.75],
  ]);
});

test("groups and what an operator has said are shown, in the table and in the metrics", () => {
  const operator = [
    { what: "state", is: "drain", until: 1_000_500 + 1_800_000 },
    { what: "weight", is: "3", until: null },
  ] as const;
  const groups = [
    { path: "east", up: 1, of: 3, good: false },
    { path: "west", up: 2, of: 2, good: true },
  ];
  const model = statusModel([serviceStatus({ groups, backends: [backendStatus({ operator: [...operator] })] })]);
  const text = statusText(model, { color: false, width: 200 });
  expect(text).toContain("  group east: 1 of 3 up, FAILED\n  group west: 2 of 2 up\n");
  expect(text).toContain("  operator: state drain for 30m; operator: weight 3; http status 200");
  const metrics = metricsText(model);
  expect(metrics).toContain('sluice_group_good{service="web",method="proxy",group="east"} 0\n');
  expect(metrics).toContain('sluice_group_backends_up{service="web",method="proxy",group="west"} 2\n');
  expect(metrics).toContain('sluice_backend_operator_words{service="web",backend="10.0.0.1:80"} 2\n');
});
