/**
 * `bun run test:kernel [PATH…]`: the data plane's tests on the oldest kernel that it promises to run on, beside what
 * only a whole distribution kernel has (ipip, fou, 8021q, bonding, IPVS). Ends like every run of tests.
 * `bun run test:kernel --ipvs [--json] [--seconds=N]`: only `bench ipvs`, which needs that kernel; its words on stdout.
 */
import { benchObject } from "../../bench/support/packet-rig.ts";
import { ensureBuilt } from "../../src/dataplane/build.ts";
import { readJunit } from "../tools/conformance/junit.ts";
import { runInGuest } from "./guest.ts";

const paths = [
  "src/methods/direct/packets.test.ts",
  "src/methods/nat/packets.test.ts",
  "src/methods/tunnel/packets.test.ts",
  "src/dataplane/attach.test.ts",
  "src/dataplane/check-answers.test.ts",
  "src/dataplane/explain.test.ts",
  "src/dataplane/icmp-rate.test.ts",
  "src/dataplane/near.test.ts",
  "src/dataplane/quic.test.ts",
  "src/dataplane/ranges.test.ts",
  "src/dataplane/remember.test.ts",
  "src/dataplane/sticky.test.ts",
  "src/dataplane/second-chance.test.ts",
  "src/dataplane/second-chance.e2e.test.ts",
  "src/dataplane/trace/trace.test.ts",
  "src/system/realserver.test.ts",
  "src/methods/dns/xdp/xdp.test.ts",
  "src/methods/dns/xdp/trees.test.ts",
  "test/kernel",
];

ensureBuilt();
benchObject("generator");
const given = process.argv.slice(2);
const bench = "bin/bun bench/run.ts ipvs";
if (given[0] === "--ipvs") {
  const measured = await runInGuest(`${bench} ${given.slice(1).join(" ")} >$REPORT`, "stderr");
  process.stdout.write(measured);
  process.exit(measured === "" ? 1 : 0);
}
const tests = `bin/bun test --parallel=2 --timeout=600000 --reporter=junit --reporter-outfile=$REPORT`;
/** The bench counts as one test more: it holds when it has measured all its rows. */
const benchTest = `if ${bench} --seconds=1; then failed=; else failed="<failure/>"; fi
echo "<testcase name=\\"measures\\" classname=\\"bench ipvs\\" file=\\"bench/ipvs.ts\\">$failed</testcase>" >>$REPORT`;
// Whoever names tests wants no more than these.
const command = given.length > 0 ? `${tests} ${given.join(" ")}` : `${tests} ${paths.join(" ")}; ${benchTest}`;
const results = readJunit(await runInGuest(command, "stdout"));
const count = (result: string): number => results.filter((one) => one.result === result).length;
for (const { name, file, result } of results) if (result !== "passed") console.log(`${result}: ${file}: ${name}`);
const failed = count("failed") || (results.length === 0 ? 1 : 0);
console.log(`${count("passed")} passed, ${failed} failed, ${count("skipped")} skipped`);
process.exit(failed === 0 ? 0 : 1);
