import type { Command } from "commander";
import { Limit } from "../dataplane/generated/layout.ts";
import { PlaneView, type ViewedService } from "../dataplane/plane-view.ts";
import { Capture } from "../dataplane/trace/capture.ts";
import { type Filter, faultText, isFault, parseFilter } from "../dataplane/trace/filter.ts";
import type { TraceRecord } from "../dataplane/trace/record.ts";
import { type Names, toTraced, tracedText } from "../dataplane/trace/text.ts";
import { Tracer } from "../dataplane/trace/tracer.ts";
import { instancePaths } from "../system/instance.ts";
import { coarseNanoseconds, deviceName } from "../system/net.ts";
import { instanceOption, nothingInKernel } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { endWithReader, put } from "./output.ts";
import { wholeNumber } from "./whole-number.ts";

/** ms between two looks at what has come. */
const POLL = 50;
const RENEW = 1000;

interface Options {
  instance: string;
  json?: boolean;
  pcap?: string;
  count?: number;
  seconds?: number;
  rate: number;
  bytes: number;
}

function leave(message: string, code: number): never {
  console.error(`error: ${message}`);
  process.exit(code);
}

/** The names of what an instance has in the kernel; `view` is null where only a real server's program runs. */
function namesOf(view: PlaneView | null, services: readonly ViewedService[]): Names {
  const offset = BigInt(Date.now()) * 1_000_000n - coarseNanoseconds();
  const backends = new Map<number, string>();
  return {
    wall: (time) => time + offset,
    device: (index) => deviceName(index) ?? `interface ${index}`,
    service: (number) => services.find((one) => one.number === number)?.name ?? `number ${number}`,
    backend: (number) => {
      const known = backends.get(number) ?? view?.backendName(number) ?? `number ${number}`;
      backends.set(number, known);
      return known;
    },
  };
}

function filterOf(text: string, services: readonly ViewedService[]): Filter {
  const parsed = parseFilter(text, [...new Set(services.map(({ name }) => name))]);
  return isFault(parsed) ? leave(faultText(text, parsed), EXIT.usage) : parsed;
}

function openCapture(options: Options): Capture | null {
  try {
    return options.pcap === undefined ? null : new Capture(options.pcap, options.bytes);
  } catch (error) {
    return leave(`${options.pcap}: ${(error as Error).message}`, EXIT.usage);
  }
}

/** Writes the lines of records until the count or the time is reached, or a signal comes. */
async function follow(tracer: Tracer, lines: string[], options: Options, done: () => boolean): Promise<void> {
  let stop = false;
  const end = (): void => {
    stop = true;
  };
  process.once("SIGINT", end).once("SIGTERM", end);
  endWithReader(end);
  const until = performance.now() + (options.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  for (let renewed = performance.now(); !stop && !done() && performance.now() < until; ) {
    await new Promise((resolve) => setTimeout(resolve, POLL));
    tracer.poll();
    if (lines.length > 0) await put(lines.splice(0).join(""));
    if (performance.now() - renewed < RENEW) continue;
    tracer.renew();
    renewed = performance.now();
  }
}

async function trace(words: string[], options: Options): Promise<void> {
  const { bpfDir } = instancePaths(options.instance);
  const view = PlaneView.open(bpfDir);
  const services = view?.services() ?? [];
  const names = namesOf(view, services);
  const filter = filterOf(words.join(" "), services);
  let shown = 0;
  const lines: string[] = [];
  const full = (): boolean => options.count !== undefined && shown >= options.count;
  let capture: Capture | null = null;
  const show = (record: TraceRecord): void => {
    if (full()) return;
    shown++;
    const packet = toTraced(record, names);
    capture?.add(record, packet, names.wall(record.time));
    if (options.json) lines.push(`${JSON.stringify(packet)}\n`);
    else if (!capture) lines.push(`${tracedText(packet)}\n`);
  };
  const tracer = Tracer.open(bpfDir, show);
  if (!tracer) nothingInKernel(options.instance);
  capture = openCapture(options);
  const numberOf = (name: string): number => services.find((one) => one.name === name)!.number;
  const other = tracer.start({ filter, rate: options.rate, bytes: options.bytes }, numberOf);
  if (other !== null) leave(`process ${other} watches this instance's packets already`, EXIT.kernel);
  console.error(
    `watching packets of instance "${options.instance}"${options.pcap ? `; they go to ${options.pcap}` : ""}`,
  );
  await follow(tracer, lines, options, () => full() || capture?.failure != null);
  const { lost } = tracer;
  tracer.stop();
  capture?.close();
  view?.close();
  if (capture?.failure != null)
    leave(`SLUICE_CAPTURE: ${options.pcap} holds ${capture.packets} packets: ${capture.failure}`, EXIT.kernel);
  if (lost > 0) console.error(`${lost} more packets were wanted, beyond --rate ${options.rate}`);
  process.exit(EXIT.ok);
}

/** `sluice trace`: live packets with what becomes of them. */
export function registerTrace(program: Command): void {
  program
    .command("trace")
    .description("follow live packets through the xdp data plane and see what becomes of each, and why")
    .argument(
      "[filter...]",
      'tests joined by "and", "or", "not": tcp, udp, proto P, src A, dst A, host A (address or network), sport N, dport N, port N, service NAME, verdict passed|dropped|forwarded|answered|second-chance, reason CODE, error. Nothing: every packet',
    )
    .option("--pcap <file>", "write packets as they came and as they left to a pcapng file")
    .option("--count <n>", "end after so many packets", wholeNumber(1, 1_000_000_000))
    .option("--seconds <n>", "end after so long", wholeNumber(1, 86_400))
    .option("--rate <n>", "most packets in a second; others are only counted", wholeNumber(1, 100_000), 1000)
    .option("--bytes <n>", "bytes kept of each frame", wholeNumber(1, Limit.TRACE_BYTES), 128)
    .option("--json", "one packet a line (sluice.trace/v1)")
    .option(...instanceOption)
    .action(trace);
}
