import { type Command, InvalidArgumentError } from "commander";
import { type MethodName, methodNames } from "../core/service.ts";
import { closestWord } from "../core/words.ts";
import { interrupt, runDemo } from "../lab/demo/demo.ts";
import { methodText, tableText } from "../lab/demo/text.ts";

const say = (text: string): void => void process.stderr.write(text);

function toMethods(list: string): MethodName[] {
  return list.split(",").map((word) => {
    const name = methodNames.find((method) => method === word.trim());
    if (name) return name;
    const close = closestWord(word, methodNames);
    throw new InvalidArgumentError(
      `"${word}" is no method.${close ? ` Did you mean ${close}?` : ""} One of: ${methodNames.join(", ")}.`,
    );
  });
}

/** `sluice demo`: every method on the article's networks, shown and measured. */
export function registerDemo(program: Command): void {
  program
    .command("demo")
    .description("show all six methods on test networks of this machine: paths, shares, a death under load")
    .option("--only <methods>", "some of them, comma between", toMethods)
    .option("--loopback", "redirect, dns and proxy on this host's loopback, without labs")
    .option("--json", "the table as JSON (sluice.demo/v1)")
    .action(demo);
}

/** Why no namespaces can be made here; null when they can. */
function whyNoLabs(unwanted: boolean): string | null {
  if (unwanted) return "a lab is needed, and --loopback asks for none";
  if (process.platform !== "linux") return "Linux is needed";
  return process.getuid?.() === 0 ? null : "root is needed, to make network namespaces and to load kernel programs";
}

async function demo(options: { only?: MethodName[]; loopback?: boolean; json?: boolean }): Promise<void> {
  const began = performance.now();
  const stamp = () => `${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s`;
  const tell = options.json ? say : (text: string) => void process.stdout.write(text);
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      say("sluice: taking the lab down\n");
      void interrupt().finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
    });
  const report = await runDemo({
    only: options.only ?? null,
    noLabs: whyNoLabs(options.loopback === true),
    say: (text) => say(`${stamp()}  ${text}\n`),
    show: (result) => tell(`\n${methodText(result)}\n`),
  });
  if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

  tell(tableText(report));
  process.exitCode = report.ok ? 0 : 1;
}
