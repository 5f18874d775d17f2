import { expect, test } from "bun:test";
import { Command } from "commander";
import { flatten, describe as read } from "./command-tree.ts";
import { commands } from "./commands.ts";
import { shells } from "./completion.ts";
import { manual } from "./man.ts";

const program = new Command("sluice");
for (const register of commands) register(program);
const tree = read(program);

/** What bash offers for the last of these words. */
function offered(...words: string[]): string[] {
  const script = `${shells.bash!(tree)}
COMP_WORDS=(sluice "$@"); COMP_CWORD=$#; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script, "bash", ...words]);
  expect(stderr.toString()).toBe("");
  return stdout.toString().split("\n").filter(Boolean);
}

test("bash completes commands, their inner commands, options and choices", () => {
  expect(offered("back")).toEqual(["backends"]);
  expect(offered("lab", "")).toContain("up");
  expect(offered("backends", "web", "--st")).toEqual(["--state"]);
  expect(offered("backends", "--state", "d")).toEqual(["down", "draining"]);
  expect(offered("nothing-such", "back")).toEqual(["backends"]);
});

test("every command is known to every shell, and stands in the manual", () => {
  const all = flatten(tree).filter(({ path }) => path !== "");
  expect(all.length).toBeGreaterThan(30);
  for (const script of Object.values(shells)) {
    const text = script(tree);
    for (const { path } of all) expect(text).toContain(path.split(" ").at(-1)!);
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
