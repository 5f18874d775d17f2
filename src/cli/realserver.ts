import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseAddress } from "../core/address.ts";
import { SluiceError } from "../core/problem.ts";
import type { DecapCounts } from "../dataplane/decap.ts";
import { parsePrefix } from "../geo/prefix.ts";
import { instancePaths, removeInstance } from "../system/instance.ts";
import {
  createRealServer,
  type Decap,
  type RealServer,
  type RealServerMethod,
  type RealServerRequest,
  realServerMethods,
} from "../system/realserver.ts";
import { type RealServerItem, realServerStatus } from "../system/realserver-status.ts";
import { instanceNamed, leaveToRoot } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

interface Options {
  method?: RealServerMethod;
  vip?: string[];
  device?: string;
  director?: string[];
  instance: string;
  json?: boolean;
}

/** `125.12.12.77,125.12.12.78`, or the option several times. */
function addAddresses(text: string, before: string[] = []): string[] {
  const addresses = text.split(",").map((part) => {
    const address = parseAddress(part.trim());
    if (address === null) throw new InvalidArgumentError(`"${part}" is not an address.`);
    return address;
  });
  return [...before, ...addresses];
}

/** Directors by their addresses, or by the network that their outer sources come from. */
function addSenders(text: string, before: string[] = []): string[] {
  const senders = text.split(",").map((part) => part.trim());
  const wrong = senders.find((one) => parsePrefix(one) === null);
  if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is no address and no network without host bits.`);
  return [...before, ...senders];
}

/** `sluice realserver`: prepares the host behind a `direct` or `tunnel` backend. */
export function registerRealServer(program: Command): void {
  const command = program.command("realserver").description("prepare this host as a real server of direct or tunnel");
  const add = (verb: string, description: string, action: (options: Options) => Promise<number>): void => {
    command
      .command(verb)
      .description(description)
      .addOption(new Option("--method <method>", "how directors send to this host").choices(realServerMethods))
      .option("--vip <addresses>", "the service's address or addresses, with commas between", addAddresses)
      .option("--device <device>", "where wrapped packets arrive (default: the device of the default route)")
      .option(
        "--director <addresses>",
        "tunnel: take only their packets, and send on those that belong to another real server; networks too",
        addSenders,
      )
      // An instance of its own: a director on the same host goes down without taking this with it.
      .option(...instanceNamed("realserver"))
      .option("--json", "what stands, versioned (sluice.realserver/v1)")
      .action(async (options: Options) => process.exit(await told(() => action(options))));
  };
  add("up", "hold the VIPs silently and, for tunnel, unwrap what arrives; saying it twice is no harm", up);
  add("down", "undo exactly what up did: for some VIPs, for one method, or all", down);
  add("status", "say what is met and what is wrong, each with one command that mends it", status);
}

/** Problems of the host become one sentence and exit code 4. */
async function told(action: () => Promise<number>): Promise<number> {
  try {
    return await action();
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown;
    const { code, message, hint } = thrown.problem;
    console.error(`error ${code}: ${message}${hint ? `\n  ${hint}` : ""}`);
    return EXIT.kernel;
  }
}

function open(name: string): { server: RealServer; bpfDir: string } {
  leaveToRoot(name);
  const { runDir, bpfDir } = instancePaths(name);
  const decap: Decap = {
    attach: async (device, vips, sources) =>
      (await import("../dataplane/decap.ts")).attachDecap({ device, vips, sources, bpfDir }),
    detach: async () => void (await (await import("../dataplane/decap.ts")).detachDecap({ bpfDir })),
  };
  return { server: createRealServer({ runDir, bpfDir, decap }), bpfDir };
}

const usage = (message: string): number => {
  console.error(`error: ${message}`);
  return EXIT.usage;
};

async function up({ method, vip, device, director, instance, json }: Options): Promise<number> {
  if (!method) return usage("--method is needed: direct or tunnel");
  if (!vip) return usage("--vip is needed: the address that clients use");
  if (director && method !== "tunnel") return usage("--director is for --method tunnel");
  const { server, bpfDir } = open(instance);
  const request = { method, vips: vip, device: device ?? null, directors: director ?? [] };
  const said = await server.up(request);
  if (json) return report([{ method, items: await realServerStatus(request, bpfDir) }], true);
  for (const line of said) console.error(line);
  return EXIT.ok;
}

async function down({ method, vip, instance, json }: Options): Promise<number> {
  const { server } = open(instance);
  await server.down({ ...(method ? { method } : {}), ...(vip ? { vips: vip } : {}) });
  const left = server.state();
  if (Object.keys(left).length === 0) removeInstance(instancePaths(instance));
  if (json) await print(JSON.stringify({ schema: "sluice.realserver/v1", left }, null, 2));
  const words = Object.entries(left).map(([name, what]) => `${name}: ${what.vips.join(", ")}`);
  console.error(words.length > 0 ? `still up: ${words.join("; ")}` : "this host is as it was");
  return EXIT.ok;
}

/** Without `--vip`: what `up` was asked for. With it: anything, also on a host that was prepared by hand. */
async function status({ method, vip, device, director, instance, json }: Options): Promise<number> {
  const { server, bpfDir } = open(instance);
  const state = server.state();
  const asked: RealServerRequest[] = realServerMethods.flatMap((name): RealServerRequest[] => {
    if (method && method !== name) return [];
    const vips = vip && method ? vip : state[name]?.vips;
    const directors = director ?? state[name]?.directors ?? [];
    return vips ? [{ method: name, vips, device: device ?? state[name]?.device ?? null, directors }] : [];
  });
  if (asked.length === 0) return usage("nothing is up here; say --method and --vip to look all the same");
  const found = await Promise.all(
    asked.map(async (request) => ({
      method: request.method,
      items: await realServerStatus(request, bpfDir),
      ...(request.method === "tunnel" ? { packets: await packetsOf(bpfDir) } : {}),
    })),
  );
  return report(found, json === true);
}

/** What our own program has unwrapped, left alone and sent on; null where the kernel unwraps. */
async function packetsOf(bpfDir: string): Promise<DecapCounts | null> {
  if (!existsSync(bpfDir)) return null;
  return (await import("../dataplane/decap.ts")).decapCounts(bpfDir);
}

interface Found {
  method: RealServerMethod;
  items: RealServerItem[];
  packets?: DecapCounts | null;
}

/** Exit code 1 when something is wrong. */
async function report(found: Found[], json: boolean): Promise<number> {
  const good = found.every(({ items }) => items.every((item) => item.good));
  if (json) await print(JSON.stringify({ schema: "sluice.realserver/v1", good, methods: found }, null, 2));
  else
    for (const { method, items, packets: counted } of found) {
      await print(`real server of ${method}`);
      for (const { item, good: met, seen, fix } of items) {
        await print(`  ${met ? "✓" : "✗"} ${item.padEnd(12)} ${seen}`);
        if (fix) await print(`      mend it: ${fix}`);
      }
      if (!counted) continue;
      const { packets, refused, sentOn, parted } = counted;
      await print(`    packets: ${packets} unwrapped, ${refused} left alone, ${sentOn} sent on to other real servers`);
      if (parted > 0) await print(`    in fragments, left to the kernel's own ipip or fou: ${parted}`);
    }
  return good ? EXIT.ok : EXIT.config;
}
