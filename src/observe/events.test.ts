import { expect, test } from "bun:test";
import type { EventBody } from "../core/event.ts";
import { createEventLog, eventText } from "./events.ts";

const down: EventBody = {
  kind: "backend",
  service: "web",
  backend: "10.0.0.7:80",
  from: "up",
  to: "down",
  code: "SLUICE_CHECK_REFUSED",
  detail: "tcp connect refused",
  progress: { count: 3, of: 3 },
  latency: 0.41,
  eligible: 4,
  of: 5,
};
const problem = { code: "SLUICE_BIND", severity: "error", source: "kernel", path: [], message: "No." } as const;

test("each kind of event has its sentence", () => {
  const sentences: [EventBody, string][] = [
    [down, "backend web/10.0.0.7:80 DOWN — tcp connect refused (check 3/3, 0.4 ms); 4 of 5 eligible"],
    [
      { ...down, to: "draining", detail: "set by an operator", progress: null, latency: null },
      "backend web/10.0.0.7:80 DRAINING — set by an operator; 4 of 5 eligible",
    ],
    [
      { ...down, to: "up", detail: "http status 200", latency: 1250 },
      "backend web/10.0.0.7:80 UP — http status 200 (check 3/3, 1.3 s); 4 of 5 eligible",
    ],
    [
      { kind: "revision", revision: 4, outcome: "running", problems: [], changes: ["web added"] },
      "revision 4 RUNNING — web added",
    ],
    [
      { kind: "revision", revision: 5, outcome: "refused", problems: [problem, problem], changes: [] },
      "revision 5 REFUSED — 2 problems: SLUICE_BIND No.; the running configuration stays",
    ],
    [
      {
        kind: "revision",
        revision: 5,
        outcome: "refused",
        problems: [{ ...problem, path: ["services", "web", "listen", 0] }],
        changes: [],
      },
      "revision 5 REFUSED — 1 problem: service web: SLUICE_BIND No.; the running configuration stays",
    ],
    [{ kind: "worker", pid: 12, what: "died", detail: "signal 9" }, "worker 12 DIED — signal 9"],
    [
      { kind: "checker", pid: 12, what: "silent", detail: "no sign of life for 15 s" },
      "checker 12 SILENT — no sign of life for 15 s; another takes its place",
    ],
    [{ kind: "service", service: "web", what: "serving", problem: null }, "service web SERVING"],
    [{ kind: "service", service: "web", what: "failed", problem }, "service web FAILED — SLUICE_BIND No."],
    [{ kind: "role", service: "web", what: "promoted" }, "service web PROMOTED — this director holds its addresses"],
  ];
  for (const [event, sentence] of sentences) expect(eventText(event)).toBe(sentence);
});

test("a backend's bytes cannot forge a second sentence", () => {
  expect(eventText({ ...down, detail: "status 2\r\n\u001b[2Jbackend web/x UP" })).not.toMatch(/[\r\n\u001b]/);
});

test("the log keeps the last ones, numbers them, and tells subscribers", () => {
  const log = createEventLog(3, () => 77);
  const heard: number[] = [];
  log.subscribe(() => {
    throw new Error("reader broke");
  });
  const stop = log.subscribe(({ sequence }) => heard.push(sequence));
  for (let i = 0; i < 4; i++) expect(log.record(down).at).toBe(77);
  stop();
  log.record(down);
  expect(heard).toEqual([77_001, 77_002, 77_003, 77_004]);
  expect(log.list().map((r) => r.sequence)).toEqual([77_003, 77_004, 77_005]);
  expect(log.list(77_004).map((r) => r.sequence)).toEqual([77_005]);
});

test.each([
  ["later", 78],
  ["earlier, by a clock that was set back", 76],
])("who has read the log of another daemon gets all of one that began %s, and none twice", (_when, began) => {
  const former = createEventLog(3, () => 77);
  for (let i = 0; i < 3; i++) former.record(down);
  const last = former.list().at(-1)!.sequence;
  const log = createEventLog(3, () => began);
  log.record(down);
  log.record(down);
  expect(log.list(last)).toHaveLength(2);
  expect(log.list(last)[0]!.sequence).not.toBe(last + 1);
  expect(log.list(log.list()[0]!.sequence)).toHaveLength(1);
});
