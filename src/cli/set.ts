import type { Command } from "commander";
import { instanceOption, orExit, tellDaemon } from "./daemon-client.ts";

const states: Record<string, string> = {
  ready: "ready",
  drain: "drain",
  maint: "maintenance",
  maintenance: "maintenance",
};

function usage(message: string): never {
  console.error(`error: ${message}`);
  process.exit(2);
}

function wishOf(words: readonly string[]): { admin?: string; weight?: number } {
  const wish: { admin?: string; weight?: number } = {};
  for (let i = 0; i < words.length; i += 2) {
    const [word, value] = [words[i], words[i + 1] ?? ""];
    if (word === "state")
      wish.admin = states[value] ?? usage(`"${value}" is not a state; one of: ready, drain, maintenance`);
    else if (word === "weight" && /^\d{1,5}$/.test(value) && Number(value) <= 65535) wish.weight = Number(value);
    else
      usage(
        word === "weight" ? `"${value}" is not a weight: 0 to 65535` : `"${word}" is not known; one of: state, weight`,
      );
  }
  return wish;
}

export function registerSet(program: Command): void {
  program
    .command("set")
    .description("change a backend until the daemon ends: sluice set backend web/10.0.0.7:80 state drain")
    .argument("<what>", '"backend"')
    .argument("<name>", "SERVICE/BACKEND as status shows it")
    .argument("<words...>", "state ready|drain|maintenance, weight 0..65535")
    .option(...instanceOption)
    .action(async (what: string, name: string, words: string[], { instance }: { instance: string }) => {
      if (what !== "backend") usage(`"${what}" cannot be set; only "backend" can`);
      const slash = name.indexOf("/");
      if (slash < 0) usage(`"${name}" lacks the service: write SERVICE/BACKEND`);
      const [service, backend] = [name.slice(0, slash), name.slice(slash + 1)].map(encodeURIComponent);
      await orExit(await tellDaemon(instance, `/v1/services/${service}/backends/${backend}`, wishOf(words)), 2);
      console.error(`${name}: ${words.join(" ")} (until the daemon ends, or a new revision changes this backend)`);
    });
}
