import type { ServiceStatus, StatusHead, StatusView } from "./status.ts";

const SERVICES = ',"services":[';

/**
 * A status as JSON: one document, in which the head is a line and each service another one, so that who knows it takes
 * them as they come. To be read by `readStatus`, or as a whole by anybody.
 */
export function* statusParts({ head, services }: StatusView): Generator<string> {
  let before = `${JSON.stringify(head).slice(0, -1)}${SERVICES}\n`;
  for (const service of services) {
    yield before + JSON.stringify(service);
    before = ",\n";
  }
  yield before === ",\n" ? "\n]}\n" : `${before}]}\n`;
}

/** The inverse of `statusParts`, from its lines. Throws where they end before the document does. */
export async function readStatus(lines: AsyncIterable<string>): Promise<StatusView<AsyncGenerator<ServiceStatus>>> {
  const left = lines[Symbol.asyncIterator]();
  const { value: first = "" } = (await left.next()) as { value?: string };
  if (!first.endsWith(SERVICES)) throw new Error("what the daemon answers is no status");
  const head = JSON.parse(`${first.slice(0, -SERVICES.length)}}`) as StatusHead;
  return { head, services: servicesOf(left) };
}

async function* servicesOf(lines: AsyncIterator<string>): AsyncGenerator<ServiceStatus> {
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    if (next.value === "]}") return;
    yield JSON.parse(next.value.endsWith(",") ? next.value.slice(0, -1) : next.value) as ServiceStatus;
  }
  throw new Error("the daemon's status has no end");
}
