import { readFileSync } from "node:fs";

/** How many connections the kernel holds open at this local port, accepted or not. */
function standing(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => readFileSync(file, "latin1").split("\n"));
  return lines.filter((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    return local?.endsWith(end) && state === "01";
  }).length;
}

/**
 * For tests: `count` connections from another process, which send `words` and read to the end. This process's event
 * loop stands still until all have come, so that it finds them in the listener's queue together.
 * @returns what each was sent.
 */
export async function together(to: { address: string; port: number }, count: number, words: string): Promise<string[]> {
  const program = `
    const one = () => new Promise((done) => {
      let got = "";
      const socket = {
        open: (s) => void s.write(${JSON.stringify(words)}),
        data: (s, chunk) => void (got += chunk),
        end: (s) => s.end(),
        close: () => done(got),
        error() {},
      };
      Bun.connect({ hostname: ${JSON.stringify(to.address)}, port: ${to.port}, socket });
    });
    console.log(JSON.stringify(await Promise.all(Array.from({ length: ${count} }, one))));`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  for (let i = 0; i < 1000 && standing(to.port) < count; i++) Bun.sleepSync(10);
  return JSON.parse(await new Response(child.stdout).text());
}
