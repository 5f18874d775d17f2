import { fuzzDns } from "../../../src/methods/dns/fuzz.ts";
import type { FuzzRun, FuzzTarget, Random } from "./target.ts";

function run(inputs: number, random: Random): FuzzRun {
  const { answered, rcodes, faults } = fuzzDns(inputs, random);
  const outcomes = new Map(Object.entries(rcodes).map(([rcode, count]) => [`RCODE ${rcode}`, count]));
  if (answered < inputs) outcomes.set("silence", inputs - answered);
  const split = faults.map((text) => /^(.*): ([0-9a-f]*)$/s.exec(text) ?? [text, text, ""]);
  return { outcomes, faults: split.map(([, why, hex]) => ({ why: why!, hex: hex! })) };
}

export const dns: FuzzTarget = {
  summary: "DNS queries through the whole answer path: each answered by the rules, or silence where that is the rule",
  run,
};
