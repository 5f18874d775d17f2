/**
 * A machine in software with another kernel: Debian's, unpacked and never installed, under qemu without help of the
 * host's kernel. Its files are the host's, read only, so the product runs there as it is.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { peer } from "../../src/lab/peers.ts";
import { cpio, FOLDER, PROGRAM } from "./cpio.ts";

const root = join(import.meta.dirname, "../..");
/** What stands between a bare kernel and the host's files. */
const FIRST_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];
const MEMORY_MIB = 2048;
/** An hour: it computes for some 17 minutes, on a host that has others to serve for many more. */
const PATIENCE_S = 3600;
/**
 * What the kernel does against attackers and for accounts costs an emulated one a fifth of its time, and nothing that is
 * tested looks at it.
 */
const BARE = "mitigations=off init_on_alloc=0 randomize_kstack_offset=off hardened_usercopy=off cgroup_disable=memory";

interface Kernel {
  image: string;
  /** Folder that holds a folder named by the release. */
  modules: string;
  release: string;
  busybox: string;
}

async function unpackKernel(): Promise<Kernel> {
  const [linux, { program: busybox }] = [await peer("linux"), await peer("busybox")];
  const modules = join(linux.folder, "lib/modules");
  const release = readdirSync(modules).find((name) => existsSync(join(linux.folder, `boot/vmlinuz-${name}`)));
  if (!release) throw new Error(`no kernel with its modules in ${linux.folder}`);
  // A package's own script would do this when it is installed.
  if (!existsSync(join(modules, release, "modules.dep")))
    spawnSync(busybox, ["depmod", "-b", linux.folder, release], { stdio: "ignore" });
  return { image: join(linux.folder, `boot/vmlinuz-${release}`), modules, release, busybox };
}

/** These modules and all they need, each after what it needs; paths under the release's folder. */
function withNeeds(names: readonly string[], dependencies: string): string[] {
  const lines = dependencies.split("\n").map((line) => line.split(/:\s*/));
  return [
    ...new Set(
      names.flatMap((name) => {
        const [path, needs = ""] = lines.find(([path]) => basename(path!) === `${name}.ko`) ?? [];
        // The nearest stands first.
        return path ? [...needs.split(" ").filter(Boolean).reverse(), path] : [];
      }),
    ),
  ];
}

function firstFiles({ modules, release, busybox }: Kernel, command: string): Uint8Array {
  const at = join(modules, release);
  const wanted = withNeeds(FIRST_MODULES, readFileSync(join(at, "modules.dep"), "utf8"));
  const text = (path: string, content: string) => ({ path, mode: PROGRAM, bytes: new TextEncoder().encode(content) });
  return cpio([
    ...["bin", "modules", "proc", "sys", "dev", "host", "written", "root"].map((path) => ({ path, mode: FOLDER })),
    { path: "bin/busybox", mode: PROGRAM, bytes: readFileSync(busybox) },
    text("init", readFileSync(join(import.meta.dirname, "init"), "utf8")),
    text("command", command),
    text("modules/order", wanted.map((path) => basename(path)).join("\n")),
    ...wanted.map((path) => ({
      path: `modules/${basename(path)}`,
      mode: PROGRAM,
      bytes: readFileSync(join(at, path)),
    })),
  ]);
}

/** A copy of the tree, which stays as it is while it is tested: whoever works on the tree need not wait. */
function copyTree(to: string): string {
  const apart = new Set(["node_modules", ".git"].map((name) => join(root, name)));
  cpSync(root, to, { recursive: true, preserveTimestamps: true, filter: (path) => !apart.has(path) });
  symlinkSync(join(root, "node_modules"), join(to, "node_modules"));
  return to;
}

const machine = (kernel: Kernel, folder: string, firmware: string): string[] => [
  ...["-L", `${firmware}/qemu`, "-L", `${firmware}/seabios`, "-nodefaults", "-no-user-config", "-no-reboot"],
  ...["-display", "none", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", String(MEMORY_MIB)],
  ...["-kernel", kernel.image, "-initrd", join(folder, "first.cpio")],
  ...["-append", `console=ttyS0 quiet panic=-1 ${BARE}`],
  ...["-serial", "stdio", "-serial", `file:${join(folder, "report")}`],
  ...["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"],
  ...["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"],
];

/**
 * Boots, and runs a command of the shell in a copy of the tree. What is said there goes to `talk`; what the command writes
 * to the file that REPORT names is the result (empty when nothing came).
 */
export async function runInGuest(command: string, talk: "stdout" | "stderr"): Promise<string> {
  const kernel = await unpackKernel();
  const qemu = await peer("qemu");
  await peer("ipvsadm");
  const folder = mkdtempSync(join(tmpdir(), "sluice-guest-"));
  const tree = copyTree(join(folder, "tree"));
  const words = [join(tree, "test/kernel/inside.sh"), tree, kernel.modules, kernel.busybox, command];
  writeFileSync(join(folder, "first.cpio"), firstFiles(kernel, `sh ${words.map((word) => `'${word}'`).join(" ")}`));
  try {
    const args = machine(kernel, folder, join(qemu.folder, "usr/share"));
    const run = spawn(qemu.program, args, {
      env: { ...process.env, ...qemu.env },
      stdio: ["ignore", talk === "stdout" ? 1 : 2, 2],
    });
    const timer = setTimeout(() => {
      console.error(`guest: stopped, it was not done after ${PATIENCE_S} s`);
      run.kill("SIGKILL");
    }, PATIENCE_S * 1000);
    await new Promise((resolve) => run.on("exit", resolve));
    clearTimeout(timer);
    return readFileSync(join(folder, "report"), "utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
