import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import type { Capability, Method } from "../core/method.ts";
import { memoryUse } from "../dataplane/memory-use.ts";
import { type Device, devices } from "../dataplane/routes.ts";
import { bytesText } from "../observe/units.ts";
import { runSync } from "../runtime/child.ts";
import { connectionLimit, openFiles } from "../supervisor/limits.ts";
import { isBpfFs } from "../system/bpffs.ts";
import { type Ability, hostCapabilities } from "../system/capabilities.ts";
import { instancePaths } from "../system/instance.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

/** One thing that was looked at. `warn`: it works, but somebody should know. */
export interface Finding {
  item: string;
  state: "good" | "warn" | "bad";
  seen: string;
  /** One command or sentence that mends it. */
  fix: string | null;
}

/** System programs that the methods and the labs call, and the Debian package of each. */
const programs: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  ethtool: "ethtool",
  clang: "clang",
  bpftool: "bpftool",
  tcpdump: "tcpdump",
  setpriv: "util-linux",
};

const fixes: Record<Capability, string> = {
  CAP_NET_ADMIN: "run as root, or grant it: setpriv --ambient-caps, or AmbientCapabilities= in the unit",
  CAP_BPF: "run as root, or grant it: setpriv --ambient-caps, or AmbientCapabilities= in the unit",
  CAP_NET_BIND_SERVICE: "run as root, or listen on ports from 1024",
  xdp: "use a kernel from 6.1 with BTF, or `nat: { engine: nftables }`",
  nftables: "install nftables and a kernel that has it, or `nat: { engine: xdp }`",
};

/** Those without which no service can start, by where the work of its method is done: checks are children of ours too. */
const called: Record<Method["runs"], readonly string[]> = { kernel: ["ip", "setpriv"], worker: ["setpriv"] };

function programFindings(): Finding[] {
  return Object.entries(programs).map(([name, debian]) => {
    const { code, stdout } = runSync(["sh", "-c", `command -v ${name}`]);
    return code === 0
      ? { item: name, state: "good", seen: stdout.trim(), fix: null }
      : { item: name, state: "bad", seen: "not found", fix: `apt-get install ${debian}` };
  });
}

function limitFindings(): Finding[] {
  const files = openFiles();
  const few = files < 65_536;
  const seen = `${files} open files: ${connectionLimit(files)} client connections a worker`;
  return [
    {
      item: "open files",
      state: few ? "warn" : "good",
      seen,
      fix: few ? "ulimit -n 1048576, or LimitNOFILE= in the unit" : null,
    },
  ];
}

/** Which methods can run here, by what each declares to need and the programs that are `absent`. */
export function methodFindings(
  abilities: Record<Capability, Pick<Ability, "able">>,
  absent: readonly string[],
): Finding[] {
  return catalog.methods.map(({ name, traits, runs }) => {
    const missing = traits.needs.filter((need) => !abilities[need].able);
    const uncalled = called[runs].filter((program) => absent.includes(program));
    if (uncalled.length > 0)
      return {
        item: `method ${name}`,
        state: "bad",
        seen: `lacks ${[...missing, ...uncalled].join(", ")}`,
        fix: `apt-get install ${uncalled.map((program) => programs[program]).join(" ")}`,
      };
    if (missing.length === 0) return { item: `method ${name}`, state: "good", seen: "can run", fix: null };
    // A port from 1024 needs no right: a lack of it is a warning for those who need nothing else.
    const onlyPorts = missing.every((need) => need === "CAP_NET_BIND_SERVICE");
    return {
      item: `method ${name}`,
      state: onlyPorts ? "warn" : "bad",
      seen: onlyPorts ? "can run on ports from 1024" : `lacks ${missing.join(", ")}`,
      fix: fixes[missing[0]!],
    };
  });
}

/** What answers in the kernel for a method of workers needs; where it cannot, the workers answer all. */
const FAST: readonly Capability[] = ["CAP_NET_ADMIN", "CAP_BPF", "xdp"];

/** Can methods whose work is done by workers be answered from XDP too, and where? */
export function fastFindings(
  abilities: Record<Capability, Pick<Ability, "able">>,
  links: ReadonlyMap<string, Pick<Device, "kind">>,
): Finding[] {
  const missing = FAST.filter((need) => !abilities[need].able);
  // A veth's other end must take part for the driver's hook; what is made of other devices has none of its own.
  const hook = (kind: string | null): string => (kind === null ? "driver's hook" : "generic hook, or the device below");
  const where = [...links].map(([name, { kind }]) => `${name} (${hook(kind)})`).join(", ");
  return catalog.methods
    .filter(({ fastPath }) => fastPath !== undefined)
    .map(({ name }): Finding => {
      const item = `${name} from XDP`;
      if (missing.length > 0)
        return {
          item,
          state: "warn",
          seen: `lacks ${missing.join(", ")}: the workers answer`,
          fix: fixes[missing[0]!],
        };
      if (where === "") return { item, state: "warn", seen: "no Ethernet interface: the workers answer", fix: null };
      return { item, state: "good", seen: `can be answered on ${where}`, fix: null };
    });
}

/** What the kernel keeps for each instance under `root`, running or left behind. */
export function memoryFindings(root: string): Finding[] {
  if (!existsSync(root)) return [];
  return readdirSync(root).flatMap((instance): Finding[] => {
    const use = memoryUse(join(root, instance));
    if (use === null) return [];
    const tables = use.perService > 0 ? `, ${bytesText(use.perService)} for the tables of a service` : "";
    const seen = `${bytesText(use.bytes)} in ${use.maps} maps${tables}`;
    return [{ item: `kernel memory of ${instance}`, state: "good", seen, fix: null }];
  });
}

/** All that this host and this process offer. Changes nothing. */
async function examine(): Promise<Finding[]> {
  const abilities = await hostCapabilities();
  const held = (Object.keys(abilities) as Capability[]).map((name): Finding => {
    const { able, why } = abilities[name];
    return { item: name, state: able ? "good" : "bad", seen: why, fix: able ? null : fixes[name] };
  });
  const bpffs: Finding = isBpfFs()
    ? { item: "bpffs", state: "good", seen: "mounted at /sys/fs/bpf", fix: null }
    : { item: "bpffs", state: "warn", seen: "not mounted at /sys/fs/bpf; `run` mounts it when it needs it", fix: null };
  const fast = fastFindings(abilities, await devices().catch(() => new Map<string, Device>()));
  // Only who may open pinned maps can read what they hold.
  const memory = abilities.CAP_BPF.able ? memoryFindings(dirname(instancePaths("main").bpfDir)) : [];
  const found = programFindings();
  const absent = found.filter(({ state }) => state === "bad").map(({ item }) => item);
  return [...held, bpffs, ...found, ...limitFindings(), ...methodFindings(abilities, absent), ...fast, ...memory];
}

const marks = { good: "✓", warn: "!", bad: "✗" } as const;

/** `sluice doctor`: what this host can do, a line each, with what mends it. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("say what this host offers and lacks, a line each, with what mends it; changes nothing")
    .option("--json", "as JSON (sluice.doctor/v1)")
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await examine();
      const width = Math.max(...findings.map(({ item }) => item.length));
      if (json) await print(JSON.stringify({ schema: "sluice.doctor/v1", findings }, null, 2));
      else
        for (const { item, state, seen, fix } of findings)
          await print(
            `${marks[state]} ${item.padEnd(width)}  ${seen}${fix ? `\n  ${" ".repeat(width)}  → ${fix}` : ""}`,
          );
      process.exit(findings.some(({ state }) => state === "bad") ? EXIT.kernel : EXIT.ok);
    });
}
