import { mkdirSync, readFileSync } from "node:fs";
import type { Actor, Stage } from "./stage.ts";

/** One long download. */
export interface Download {
  /** Null while no head has come. */
  backend: string | null;
  /** Bytes came until the end that was set for it; null while it runs. */
  unbroken: boolean | null;
  error: string;
  /** The client's port; null while it runs. */
  port: number | null;
}

/**
 * A curl for each URL, at once, `$1` bytes a second for `$2` s; head and outcome of number i in `$0/i.head` and
 * `$0/i.out`. The body has no end in sight, so that no buffer on the way can hold all of it.
 */
const SCRIPT = `i=0 rate=$1 end=$2; shift 2; for url; do
  curl -4sSL --limit-rate "$rate" --max-time "$end" -o /dev/null -D "$0/$i.head" \\
    -w '%{http_code} %{exitcode} %{size_download} %{local_port} %{errormsg}\\n' "$url" >"$0/$i.out" &
  i=$((i+1)); done; wait`;

/** Bytes a second of each. */
const RATE = 1_000_000;

/** curl's exit code for its own --max-time. */
const ITS_TIME_WAS_UP = "28";

/** Slow downloads that run through a death. */
export interface Downloads {
  list(): Download[];
  /** Waits until every one is over. */
  over(timeout: number): Promise<Download[]>;
}

/** Starts `count` downloads that go on for `seconds`. */
export async function startDownloads(
  stage: Pick<Stage, "folder" | "urls" | "startClient">,
  count: number,
  seconds: number,
): Promise<Downloads> {
  const folder = `${stage.folder}/downloads`;
  mkdirSync(folder, { recursive: true });
  const urls = await stage.urls(`/bytes/${10 ** 12}`, count);
  const actor: Actor = await stage.startClient(["sh", "-c", SCRIPT, folder, `${RATE}`, `${seconds}`, ...urls]);
  // A stall shows as missing bytes; a busy machine may cost some too.
  const list = () => Array.from({ length: count }, (_, i) => readDownload(`${folder}/${i}`, (RATE * seconds) / 2));
  return {
    list,
    async over(timeout) {
      if (!(await actor.gone(timeout))) await actor.stop();
      return list();
    },
  };
}

function readDownload(stem: string, least: number): Download {
  const [status = "", exit = "", bytes = "", port = "", ...why] = read(`${stem}.out`).trim().split(" ");
  const backend = [...read(`${stem}.head`).matchAll(/^x-backend: *(\S+)/gim)].at(-1)?.[1] ?? null;
  return {
    backend,
    unbroken: status === "" ? null : status === "200" && exit === ITS_TIME_WAS_UP && Number(bytes) >= least,
    error: why.join(" "),
    port: port === "" ? null : Number(port),
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Keeps the receive buffers of a lab's client small: what a buffer holds would hide that its connection broke. */
export const SMALL_BUFFERS = "echo 4096 32768 65536 > /proc/sys/net/ipv4/tcp_rmem";
