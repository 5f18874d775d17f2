import { expect, test } from "bun:test";
import { SluiceError, toProblem } from "./problem.ts";

const thrown = (message: string, code?: string): Error => Object.assign(new Error(message), code ? { code } : {});

test("what is thrown becomes a problem: what the host denies or lacks is no fault of ours", () => {
  const cases: [unknown, string, RegExp | undefined][] = [
    [thrown("permission denied, mkdir '/sys/fs/bpf/sluice'", "EACCES"), "SLUICE_PRIVILEGE", /root/],
    [thrown("operation not permitted", "EPERM"), "SLUICE_PRIVILEGE", /root/],
    [thrown("read-only file system", "EROFS"), "SLUICE_PRIVILEGE", /writable/],
    [thrown('Executable not found in $PATH: "setpriv"', "ENOENT"), "SLUICE_HOST_COMMAND", /Install/],
    [thrown("no such file or directory, open '/x'", "ENOENT"), "SLUICE_INTERNAL", undefined],
    [thrown("x is undefined"), "SLUICE_INTERNAL", undefined],
    ["a word", "SLUICE_INTERNAL", undefined],
    [null, "SLUICE_INTERNAL", undefined],
  ];
  for (const [what, code, hint] of cases) {
    const problem = toProblem(what, "kernel");
    expect(problem).toMatchObject({ code, severity: "error", source: "kernel" });
    if (hint) expect(problem.hint).toMatch(hint);
    else expect(problem.hint).toBeUndefined();
  }
});

test("a problem that was thrown is itself again", () => {
  const problem = toProblem("x");
  expect(toProblem(new SluiceError(problem))).toBe(problem);
});
