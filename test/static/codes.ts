import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Code, codes } from "../../src/core/codes.ts";
import { refusals } from "../../src/protocols/http/refusal.ts";
import { reasonOf } from "../../src/protocols/http/reply.ts";
import { statusOf } from "../../src/relay/blame.ts";

const root = join(import.meta.dirname, "../..");
const source = (path: string): string => readFileSync(join(root, path), "utf8");

/** Where the codes of each group of `core/codes.ts` are seen, and what state they leave behind. */
const seen: Record<string, string> = {
  configuration:
    "`sluice check`, `sluice run` and `sluice reload` say it, with file, line and column. Nothing is changed: a daemon that runs keeps its configuration, and the command ends with 1.",
  "start and host":
    "On standard error and in the log. A service that cannot start is `failed` in `sluice status`; all others serve, and it is tried again. Where nothing can be served the command ends.",
  "kernel data plane":
    "In the log and in `sluice status`. `SLUICE_DROP_…` name packets: counted by service in `sluice_service_drops_total`, shown by `sluice trace`; flows and backends are as before.",
  checks:
    "The last word about each backend in `sluice status`, an event and a line of the log when its state changes. A backend that is down gets nothing new until its checks pass again.",
  HTTP: "In the answer's field `Sluice-Reason` and its body, in the access log as the reason, in the log; counted in `sluice_service_errors_total`. A connection whose request was refused is closed; others do not notice.",
  DNS: "Counted by code in `sluice_method_events_total`. Each is about one message; nothing stays behind.",
};

/** The groups of `core/codes.ts`: its comments, and the codes below each. */
function groups(): [group: string, codes: Code[]][] {
  const found: [string, Code[]][] = [];
  for (const [, group, code] of source("src/core/codes.ts").matchAll(/^ {2}(?:\/\/ (.+)|(SLUICE_[A-Z0-9_]+):)/gm))
    if (group !== undefined) found.push([group, []]);
    else found.at(-1)![1].push(code as Code);
  return found;
}

/** A backend's connection that fails (`Forwarder.failed`). */
const failures = [
  ...["CONNECT", "CONNECT_TIMEOUT", "TIMEOUT", "CLOSED", "PROTOCOL"].map((name) => `SLUICE_BACKEND_${name}` as Code),
  "SLUICE_INTERNAL" as const,
].map((code) => ({ code, status: statusOf(code), why: "" }));

/** Every answer that is made here: the codec's refusals, and what the engine's own lines say. */
function answers(): { code: Code; status: number; why: string }[] {
  const files = globSync(["src/relay/*.ts", "src/methods/redirect/*.ts"], { cwd: root });
  const lines = files.filter((file) => !file.endsWith(".test.ts")).flatMap((file) => source(file).split("\n"));
  const engine = lines.flatMap((line) => {
    const [, status, code, why] =
      /\b([45]\d\d), (?:code: )?"(SLUICE_[A-Z_]+)"(?:, (?:why: )?"([^"]+)")?/.exec(line) ?? [];
    return code === undefined ? [] : [{ code: code as Code, status: Number(status), why: why ?? "" }];
  });
  return [...refusals, ...engine, ...failures, { code: "SLUICE_NO_FILE", status: 404, why: "" }];
}

/** What a client is answered under a code, a line for each status. */
function answered(code: Code): string[] {
  const own = answers().filter((one) => one.code === code);
  const statuses = [...new Set(own.map(({ status }) => status))].sort((a, b) => a - b);
  return statuses.map((status) => {
    const whys = new Set(own.filter((one) => one.status === status && one.why !== "").map(({ why }) => why));
    return `- Answer: ${status} ${reasonOf(status)}${whys.size > 0 ? `: ${[...whys].join("; ")}` : ""}`;
  });
}

/** `docs/codes.md`: a section for each code, which a link can lead to. */
export function codesDocument(): string {
  const sections = groups().flatMap(([group, names]) => [
    `## ${group[0]!.toUpperCase()}${group.slice(1)}`,
    "",
    seen[group]!,
    "",
    ...names.flatMap((code) => {
      const [sentence, hint] = codes[code];
      const lines = [...answered(code), ...(hint === "" ? [] : [`- What to do: ${hint}`])];
      return [`### ${code}`, "", sentence, "", ...(lines.length > 0 ? [...lines, ""] : [])];
    }),
  ]);
  return [
    "# Codes",
    "",
    "Everything that can happen has a stable name: in messages, logs, metrics and drop reasons. Each has a section here:",
    "`codes.md#` and the code in lower case. What requests and answers are refused for, and why: [refusals](refusals.md).",
    "",
    ...sections,
  ].join("\n");
}
