import { expect, test } from "bun:test";
import { join } from "node:path";
import { run } from "../runtime/child.ts";

const main = join(import.meta.dirname, "main.ts");
const output = JSON.stringify(join(import.meta.dirname, "output.ts"));

const shell = (command: string, program: string) =>
  run(["bash", "-c", command, process.execPath, main, program], { env: { NO_COLOR: "1" } });

test("a command whose reader leaves ends without a word", async () => {
  expect(await shell('set -o pipefail; "$0" --no-env-file "$1" schema | true; echo $?', "")).toEqual({
    code: 0,
    stdout: "141\n",
    stderr: "",
  });
});

test("one whose output has no room says so", async () => {
  const { code, stderr } = await shell('"$0" --no-env-file "$1" schema >/dev/full', "");
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^error: standard output cannot be written: ENOSPC.*\n$/)]);
});

test("what follows events ends when its reader leaves", async () => {
  const program = `
    import { endWithOutput, print } from ${output};
    endWithOutput();
    for (;;) {
      await print("event");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }`;
  expect(await shell('"$0" --no-env-file -e "$2" | head -n 1', program)).toEqual({
    code: 0,
    stdout: "event\n",
    stderr: "",
  });
});

test("what follows events ends when its reader leaves while nothing happens, and not before", async () => {
  const program = `
    import { endWithOutput, endWithReader, print } from ${output};
    endWithOutput();
    endWithReader();
    await print("event");
    setTimeout(() => {}, 600_000);`;
  const began = '"$0" --no-env-file -e "$2"';
  expect(await shell(`set -o pipefail; ${began} | head -n 1; echo $?`, program)).toMatchObject({
    code: 0,
    stdout: "event\n141\n",
    stderr: "",
  });
  expect(await shell(`timeout 1.5 ${began} | cat; echo \${PIPESTATUS[0]}`, program)).toMatchObject({
    stdout: "event\n124\n",
  });
});

test("what was printed has left before the process ends, however slowly it is read", async () => {
  const program = `
    import { print } from ${output};
    await print("x".repeat(3_000_000));
    process.exit(0);`;
  expect((await shell('"$0" --no-env-file -e "$2" | { sleep 0.2; wc -c; }', program)).stdout.trim()).toBe("3000001");
});
