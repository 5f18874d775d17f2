import { mkdirSync, readFileSync } from "node:fs";
import type { Actor, Stage } from "./stage.ts";

/** One long download. */
export interface Download {
  /** Null while no head has come. */
  backend: string | null;
  /** All its bytes came; null while it runs. */
  whole: boolean | null;
  error: string;
  /** The client's port; null while it runs. */
  port: number | null;
}

/** A curl for each URL, at once and at `$1` bytes a second; head and outcome of number i in `$0/i.head`, `$0/i.out`. */
const SCRIPT = `i=0 rate=$1; shift; for url; do
  curl -4sSL --limit-rate "$rate" -o /dev/null -D "$0/$i.head" -w '%{http_code} %{size_download} %{local_port} %{errormsg}\\n' "$url" >"$0/$i.out" &
  i=$((i+1)); done; wait`;

/** Slow downloads that run through a death. */
export interface Downloads {
  list(): Download[];
  /** Waits until every one is over. */
  over(timeout: number): Promise<Download[]>;
  actor: Actor;
}

/** Starts `count` downloads that last `seconds` each. */
export async function startDownloads(
  stage: Pick<Stage, "folder" | "urls" | "startClient">,
  count: number,
  seconds: number,
): Promise<Downloads> {
  const rate = 500_000;
  const size = rate * seconds;
  const folder = `${stage.folder}/downloads`;
  mkdirSync(folder, { recursive: true });
  const urls = await stage.urls(`/bytes/${size}`, count);
  const actor = await stage.startClient(["sh", "-c", SCRIPT, folder, String(rate), ...urls]);
  const list = () => Array.from({ length: count }, (_, i) => readDownload(`${folder}/${i}`, size));
  return {
    list,
    actor,
    async over(timeout) {
      if (!(await actor.gone(timeout))) await actor.stop();
      return list();
    },
  };
}

function readDownload(stem: string, size: number): Download {
  const [code = "", bytes = "", port = "", ...why] = read(`${stem}.out`).trim().split(" ");
  const backend = [...read(`${stem}.head`).matchAll(/^x-backend: *(\S+)/gim)].at(-1)?.[1] ?? null;
  return {
    backend,
    whole: code === "" ? null : code === "200" && Number(bytes) === size,
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
