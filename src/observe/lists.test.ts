import { expect, test } from "bun:test";
import { exampleModel, serviceStatus, statusModel } from "./fixture.ts";
import { backendsOf, backendsText, servicesText } from "./lists.ts";

test("a line for each service", () => {
  const { services } = exampleModel();
  expect(`\n${servicesText([...services, serviceStatus({ name: "gone", backends: [] })])}\n`).toBe(`
SERVICE  METHOD  STATE    ELIGIBLE   WORK  ERRORS      IN     OUT  SCHEDULER          WHERE
web      proxy   serving       1/2  12.3k       1  4.0KiB  4.8MiB  least-connections  125.12.12.12:80
files    direct  serving       1/1     10       -    640B       -  maglev             125.12.12.77:80
gone     proxy   empty         0/0      -       -       -       -  least-connections  125.12.12.12:80
`);
});

test("a line for each backend that is asked for", () => {
  const model = exampleModel();
  const names = (filter: Parameters<typeof backendsOf>[1]) => backendsOf(model, filter).map(({ name }) => name);
  expect(names({})).toEqual(["10.0.0.1:80", "10.0.0.2:80", "125.12.12.20"]);
  expect(names({ service: "files" })).toEqual(["125.12.12.20"]);
  expect(names({ state: "down" })).toEqual(["10.0.0.2:80"]);
  expect(names({ service: "files", state: "down" })).toEqual([]);
  expect(`\n${backendsText(backendsOf(model, { state: "down" }), model.at)}\n`).toBe(`
SERVICE  BACKEND      STATE  WEIGHT  SHARE  ACTIVE  CONNS  REQS  ERRORS  PACKETS   IN      OUT  SINCE  CHECK
web      10.0.0.2:80  down        1      -       0      -   345       1        -  96B  97.7KiB    12s  http connect refused
`);
});

test("a hundred thousand backends are a list like any other", () => {
  const one = exampleModel().services[0]!;
  const backends = Array.from({ length: 100_000 }, (_, id) => ({ ...one.backends[0]!, id }));
  const all = backendsOf(statusModel([{ ...one, backends }]), {});
  expect(backendsText(all, 0).split("\n")).toHaveLength(100_001);
});
