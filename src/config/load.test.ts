import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../runtime/child.ts";
import { loadConfig, MAX_CONFIG_BYTES } from "./load.ts";
import { checkReport } from "./report.ts";
import { testCatalog } from "./test-catalog.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sluice-load-test-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const body = `{ version: 1, services: { shop: { method: "proxy", listen: ["10.0.0.1:80"], backends: ["10.0.0.2:80"] } } }`;
const write = (name: string, text: string | Uint8Array): string => {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
};
const told = async (file: string): Promise<string[]> => {
  const loaded = await loadConfig(file, testCatalog);
  return loaded.problems.map((p) => `${p.path.join(".")} ${p.code} ${p.message}`);
};

describe("a file", () => {
  test("that is not there, too large, no text or of an unknown kind is refused", async () => {
    expect(await told(join(dir, "none.yaml"))).toEqual([" SLUICE_CONFIG_READ There is no such file."]);
    expect(await told(write("a.toml", ""))).toEqual([
      ' SLUICE_CONFIG_READ ".toml" is not a kind of configuration: .yaml, .yml, .json or .ts.',
    ]);
    expect(await told(write("b.yaml", new Uint8Array([0xff, 0xfe, 0x00])))).toEqual([
      " SLUICE_CONFIG_READ The file is not UTF-8 text.",
    ]);
    expect((await told(write("c.yaml", new Uint8Array(MAX_CONFIG_BYTES + 1))))[0]).toContain("at most");
    expect(await told(dir)).toEqual([" SLUICE_CONFIG_READ It is not a file."]);
  });

  test("that is a pipe or has no end is refused, and not waited for", async () => {
    const pipe = join(dir, "pipe.yaml");
    await run(["mkfifo", pipe]);
    symlinkSync("/dev/zero", join(dir, "zero.yaml"));
    for (const name of ["pipe.yaml", "zero.yaml"])
      expect(await told(join(dir, name))).toEqual([" SLUICE_CONFIG_READ It is not a file."]);
  });

  test("on standard input is read as far as the limit", async () => {
    const load = `
      import { loadConfig } from ${JSON.stringify(join(import.meta.dirname, "load.ts"))};
      import { checkReport } from "./report.ts";
import { testCatalog } from ${JSON.stringify(join(import.meta.dirname, "test-catalog.ts"))};
      console.log((await loadConfig("-", testCatalog)).problems[0].message);`;
    const { stdout } = await run(["sh", "-c", '"$0" --no-env-file -e "$1" </dev/zero', process.execPath, load]);
    expect(stdout).toContain(`at most ${MAX_CONFIG_BYTES} bytes`);
  });

  test("may have any name: none moves the cursor", async () => {
    const loaded = await loadConfig(write("a\u001b[2J.yaml", body), testCatalog);
    const bad = await loadConfig(write("b\u001b[2J.yaml", `{ "__\u009b2J": 1 }`), testCatalog);
    for (const one of [loaded, bad])
      expect(checkReport(one, { json: false, color: false, github: false })).not.toMatch(/[\u001b\u009b]/);
  });

  test("in JSON loads like one in YAML", async () => {
    const json = JSON.stringify({
      version: 1,
      services: { shop: { method: "proxy", listen: ["10.0.0.1:80"], backends: ["10.0.0.2:80"] } },
    });
    const loaded = await loadConfig(write("d.json", json), testCatalog);
    expect(loaded.ok && loaded.value.services[0]!.name).toBe("shop");
  });
});

describe("a TypeScript configuration", () => {
  test("is typed, may import, and loads like YAML; its bundle is kept when asked", async () => {
    write("part.ts", `export const port: number = 8080;`);
    const file = write(
      "a.config.ts",
      `import { defineConfig } from "sluice";
       import { port } from "./part.ts";
       console.log("talk of the file");
       export default defineConfig({ version: 1, services: { shop: { method: "proxy", listen: [\`10.0.0.1:\${port}\`], backends: ["10.0.0.2:80"] } } });`,
    );
    const bundleDir = join(dir, "revision");
    mkdirSync(bundleDir);
    const loaded = await loadConfig(file, testCatalog, { bundleDir });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.value.services[0]!.listen).toEqual([{ address: "10.0.0.1", port: 8080, protocol: "tcp" }]);
    expect(readFileSync(loaded.bundle!, "utf8")).toContain("talk of the file");
    const again = await loadConfig(file, testCatalog);
    expect(again.ok && again.bundle).toBeNull();
  });

  test("is judged like YAML, with the file as the place", async () => {
    const loaded = await loadConfig(
      write("b.config.ts", `export default ${body.replace("proxy", "prxy")}`),
      testCatalog,
    );
    expect(loaded.problems).toMatchObject([
      { path: ["services", "shop", "method"], closest: "proxy", place: { line: 1, column: 1, endColumn: 1 } },
    ]);
  });

  test("that does not parse, throws, exports nothing, holds itself or the key __proto__ is refused", async () => {
    expect((await told(write("c.config.ts", "export default {{")))[0]).toContain("SLUICE_CONFIG_CODE");
    expect(await told(write("d.config.ts", `throw new TypeError("no such luck")`))).toEqual([
      " SLUICE_CONFIG_CODE TypeError: no such luck.",
    ]);
    expect((await told(write("e.config.ts", "export const a = 1")))[0]).toContain("exports no default");
    expect((await told(write("f.config.ts", "const a: any = {}; a.a = a; export default a")))[0]).toContain(
      "holds itself",
    );
    expect((await told(write("h.config.ts", `export default { services: { ["__proto__"]: {} } }`)))[0]).toContain(
      "cannot be a name",
    );
    expect((await told(write("g.config.ts", "process.exit(7)")))[0]).toContain("exit code 7");
  });

  test("that throws or does not parse is told at its line and column, also where an imported file does", async () => {
    write("broken.ts", "\n  const part: never = undefined;\nexport const port: number = part.length;");
    const thrower = `type Maybe = number | null;\n\nconst port = (n: Maybe): number => {\n  if (n === null) throw new Error("none");`;
    const cases: [string, string, string, number, number][] = [
      ["p.config.ts", `${thrower}\n  return n;\n};\nexport default port(null);`, "p.config.ts", 4, 29],
      ["q.config.ts", "export default (async () => missing)();", "q.config.ts", 1, 29],
      ["r.config.ts", `import { port } from "./broken.ts";\nexport default { port };`, "broken.ts", 3, 29],
      ["s.config.ts", `\nexport default {{`, "s.config.ts", 2, 17],
      ["t.config.ts", `import { a } from "./nowhere.ts";\nexport default a;`, "t.config.ts", 1, 19],
    ];
    for (const [name, text, at, line, column] of cases) {
      const loaded = await loadConfig(write(name, text), testCatalog);
      expect(loaded.problems[0]).toMatchObject({ place: { file: join(dir, at), line, column, endColumn: column + 1 } });
      const shown = checkReport(loaded, { json: false, color: false, github: false });
      expect(shown).toContain(`${at}:${line}:${column}  error SLUICE_CONFIG_CODE`);
      // The line itself is shown where it is the configuration's own.
      expect(shown.includes(`   ${line} | `)).toBe(at === name);
    }
  });

  test("that speaks in place of the loader is refused, whatever it says", async () => {
    const said = [`"nonsense"`, "null", `{ kind: "value", value: 1, functions: "x" }`, `{ kind: "refused" }`];
    for (const [i, message] of said.entries())
      expect(await told(write(`l${i}.config.ts`, `process.send!(${message}); for (;;) {}`))).toEqual([
        " SLUICE_CONFIG_CODE Its process answered nonsense.",
      ]);
  });

  test("may not hold a function where a value is needed", async () => {
    const file = write("h.config.ts", `export default ${body.replace(`"proxy"`, `"proxy", scheduler: () => 1`)}`);
    expect((await told(file))[0]).toStartWith(
      "services.shop.scheduler SLUICE_CONFIG_VALUE A function cannot stand here",
    );
  });

  test.skipIf(process.getuid?.() !== 0)("runs without the rights of the daemon", async () => {
    const target = join(dir, "stolen");
    const text = `import { writeFileSync } from "node:fs"; let what = "" + process.getuid();
      try { writeFileSync(${JSON.stringify(target)}, "x"); what += " wrote" } catch (e) { what += " " + e.code }
      export default { version: what }`;
    const loaded = await loadConfig(write("i.config.ts", text), testCatalog);
    expect(loaded.problems.map((p) => p.message).join()).toContain("65534 EACCES");
    expect(existsSync(target)).toBe(false);
  });

  test("leaves standard output to who loads it, and a folder for temporary files is needed", async () => {
    const file = write(
      "k.config.ts",
      `import { writeSync } from "node:fs"; writeSync(1, "talk"); console.log("more"); export default ${body}`,
    );
    const load = `
      import { loadConfig } from ${JSON.stringify(join(import.meta.dirname, "load.ts"))};
      import { testCatalog } from ${JSON.stringify(join(import.meta.dirname, "test-catalog.ts"))};
      const { ok, problems } = await loadConfig(${JSON.stringify(file)}, testCatalog);
      console.log(ok, problems[0]?.code);`;
    const answer = (env: Record<string, string>) =>
      run([process.execPath, "--no-env-file", "-e", load], { env }).then(({ stdout }) => stdout);
    expect(await answer({})).toBe("true undefined\n");
    expect(await answer({ TMPDIR: join(dir, "none") })).toBe("false SLUICE_CONFIG_CODE\n");
  });

  test("that does not end is ended", async () => {
    const loaded = await loadConfig(write("j.config.ts", "for (;;) {}"), testCatalog, { codeLimit: 500 });
    expect(loaded.problems[0]!.message).toContain("did not finish within 500ms");
  });
});
