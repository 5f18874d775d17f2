import { expect, test } from "bun:test";
import { join } from "node:path";
import { Command } from "commander";
import { flatten, describe as read } from "./command-tree.ts";
import { registerCommands } from "./commands.ts";
import { shells } from "./completion.ts";
import { manual } from "./man.ts";

const root = join(import.meta.dirname, "../..");
const program = new Command("sluice");
await registerCommands(program);
const tree = read(program);

/** What bash offers for the last of these words. */
function offered(...words: string[]): string[] {
  const script = `${shells.bash!(tree)}
COMP_WORDS=(sluice "$@"); COMP_CWORD=$#; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script, "bash", ...words], { cwd: root });
  expect(stderr.toString()).toBe("");
  return stdout.toString().split("\n").filter(Boolean);
}

test("bash completes commands, their inner commands, options and choices", () => {
  expect(offered("back")).toEqual(["backends"]);
  expect(offered("lab", "")).toContain("up");
  expect(offered("backends", "web", "--st")).toEqual(["--state"]);
  expect(offered("backends", "--state", "d")).toEqual(["down", "draining"]);
  expect(offered("nothing-such", "back")).toEqual(["backends"]);
  for (const option of ["-c", "--config"]) expect(offered("check", option, "package.j")).toEqual(["package.json"]);
  expect(offered("trace", "--pcap", "package.j")).toEqual(["package.json"]);
});

test("every command is known to every shell, and stands in the manual", () => {
  const all = flatten(tree).filter(({ path }) => path !== "");
  expect(all.length).toBeGreaterThan(30);
  for (const { path } of all) {
    expect(shells.bash!(tree)).toContain(`\n    '${path}') words=`);
    expect(shells.zsh!(tree)).toContain(`\n    '${path}') found=`);
    const [last, ...before] = path.split(" ").reverse();
    const when = before.length === 0 ? "'not " : `'__fish_seen_subcommand_from ${before.join(" ")}; and not `;
    expect(shells.fish!(tree)).toMatch(new RegExp(`\n.* -n ${when}.* -a ${last} -d`));
  }
  const page = manual(tree);
  for (const { path, below } of all)
    if (below.length === 0) expect(page).toContain(`.SS sluice ${path.replaceAll("-", "\\-")} `);
});

test("a summary cannot break out of the scripts or the page", () => {
  const evil = new Command("sluice");
  evil.command("odd").description("it's $(touch /tmp/never) `x`\n.so /etc/passwd \\fB");
  const odd = read(evil);
  const said = Bun.spawnSync(["bash", "-n", "-c", shells.bash!(odd)]);
  expect([said.exitCode, said.stderr.toString()]).toEqual([0, ""]);
  expect(shells.fish!(odd)).toContain("'it'\\''s");
  expect(manual(odd)).toContain("\n\\&.so /etc/passwd \\efB");
});
