import { expect, test } from "bun:test";
import fc from "fast-check";
import { backendStatus, exampleModel, serviceStatus, statusModel } from "./fixture.ts";
import { escapeLabel, metricsText } from "./metrics.ts";

test("what a method cannot know has no series", () => {
  const text = metricsText(exampleModel());
  expect(text).toContain('sluice_service_requests_total{service="web",method="proxy"} 12345\n');
  expect(text).toContain('sluice_service_received_packets_total{service="files",method="direct"} 10\n');
  expect(text).not.toMatch(/requests_total\{service="files"/);
  expect(text).not.toContain("retries_total");
  expect(text).toContain('sluice_backend_state{service="web",backend="10.0.0.2:80",state="down"} 1\n');
  expect(text).toContain('sluice_backend_state{service="web",backend="10.0.0.2:80",state="up"} 0\n');
  expect(text).toContain('sluice_backend_check_latency_seconds{service="web",backend="10.0.0.1:80"} 0.00042\n');
  expect(text).not.toMatch(/check_latency_seconds\{service="web",backend="10.0.0.2:80"/);
  expect(text).not.toMatch(/check_passed\{service="files"/);
  expect(text).toContain(
    'sluice_service_drops_total{service="files",method="direct",code="SLUICE_DROP_NO_BACKEND"} 1\n',
  );
});

test("troubles are counted by code, and why a service failed is a label", () => {
  const trouble = { code: "SLUICE_NEIGHBOUR", message: "nobody answers" } as const;
  const troubles = [trouble, { ...trouble }, { code: "SLUICE_DEVICE_GONE", message: "" } as const];
  const problem = { code: "SLUICE_BPF_MEMORY", severity: "error", source: "kernel", path: [], message: "" } as const;
  const text = metricsText(statusModel([serviceStatus({ troubles }), serviceStatus({ name: "late", problem })]));
  expect(text).toContain('sluice_service_troubles{service="web",method="proxy",code="SLUICE_NEIGHBOUR"} 2\n');
  expect(text).toContain('sluice_service_troubles{service="web",method="proxy",code="SLUICE_DEVICE_GONE"} 1\n');
  expect(text).toContain('sluice_service_failed{service="late",method="proxy",code="SLUICE_BPF_MEMORY"} 1\n');
});

test("every family has help and type once, right before its series; names follow the rule", () => {
  const text = metricsText(exampleModel());
  const seen = new Set<string>();
  let family = "";
  for (const line of text.trimEnd().split("\n")) {
    const head = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (head?.[1] === "HELP") {
      family = head[2]!;
      expect(family).toMatch(/^sluice_[a-z_]+$/);
      expect(seen.has(family)).toBe(false);
      seen.add(family);
    } else if (head) {
      expect(head[3] === "counter").toBe(family.endsWith("_total"));
    } else expect(line).toMatch(new RegExp(`^${family}(\\{.*\\})? \\S+$`));
  }
});

/** Reads one series line by the format's own rules. */
function readLabels(line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let at = line.indexOf("{") + 1;
  while (line[at] !== "}") {
    const equals = line.indexOf("=", at);
    const name = line.slice(at, equals);
    let value = "";
    at = equals + 2;
    for (; line[at] !== '"'; at++) {
      if (line[at] !== "\\") value += line[at];
      else value += line[++at] === "n" ? "\n" : line[at];
    }
    labels[name] = value;
    at += line[at + 1] === "," ? 2 : 1;
  }
  return labels;
}

test("any label comes back as it was", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("\\", '"', "\n", "n", "{", "}", ",", "=", " ", "é", "\r") }),
      (name) => {
        expect(escapeLabel(name)).not.toContain("\n");
        const text = metricsText(statusModel([serviceStatus({ name, backends: [backendStatus({ name })] })]));
        const line = text.split("\n").find((l) => l.startsWith("sluice_backend_weight"))!;
        expect(readLabels(line)).toEqual({ service: name, backend: name });
      },
    ),
  );
});
