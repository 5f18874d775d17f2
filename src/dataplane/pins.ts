import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { hashText } from "../core/hash.ts";
import { SluiceError } from "../core/problem.ts";
import { ensureBpfFs } from "../system/bpffs.ts";
import { detachLink, openPinned } from "../system/libbpf.ts";
import { closeFd } from "../system/net.ts";
import { generatedPath } from "./build.ts";

/** Where an instance's programs and maps are pinned. bpffs knows no dots in names. */
export interface Pins {
  root: string;
  /** Maps, in a folder named after their layout: another layout never adopts them. */
  maps: string;
  places: string;
  /** The folder of links. */
  links: string;
  link(device: string): string;
}

const layoutName = (): string => hashText(readFileSync(generatedPath, "utf8"), 0).toString(16).padStart(8, "0");

/** Names only; makes nothing. */
export function pinsOf(bpfDir: string): Pins {
  return {
    root: bpfDir,
    maps: join(bpfDir, `maps-${layoutName()}`),
    places: join(bpfDir, "places"),
    links: join(bpfDir, "links"),
    link: (device) => join(bpfDir, "links", device.replaceAll(".", ":")),
  };
}

/** Makes the folders. Throws SluiceError where there is no BPF file system and none can be mounted. */
export function makePins(pins: Pins): void {
  if (pins.root.startsWith("/sys/fs/bpf")) {
    const there = ensureBpfFs();
    if (!there.ok) throw new SluiceError(there.problems[0]!);
  }
  mkdirSync(pins.maps, { recursive: true });
  mkdirSync(pins.links, { recursive: true });
}

/** Devices that have a pinned link. */
export function pinnedDevices(pins: Pins): string[] {
  if (!existsSync(pins.links)) return [];
  return readdirSync(pins.links)
    .map((name) => name.replaceAll(":", "."))
    .sort();
}

/** Takes a pinned link off its interface, and its pin away. */
export function unpinLink(path: string): void {
  if (!existsSync(path)) return;
  const link = openPinned(path);
  if (link !== null) {
    detachLink(link);
    closeFd(link);
  }
  unlinkSync(path);
}

/** Folders of maps of another layout: those of another version, whose programs run until they are replaced. */
export const oldMaps = (pins: Pins): string[] =>
  readdirSync(pins.root)
    .filter((name) => name.startsWith("maps-"))
    .map((name) => join(pins.root, name))
    .filter((folder) => folder !== pins.maps);

/** Their programs have been replaced. */
export function removeOldMaps(pins: Pins): void {
  for (const folder of oldMaps(pins)) rmSync(folder, { recursive: true, force: true });
}

/**
 * Detaches and frees everything that an instance has pinned: links first, so that no program runs without its maps.
 * Works without a daemon. True when there was something.
 */
export function removePinned(bpfDir: string): boolean {
  if (!existsSync(bpfDir)) return false;
  const links = join(bpfDir, "links");
  if (existsSync(links)) for (const name of readdirSync(links)) unpinLink(join(links, name));
  rmSync(bpfDir, { recursive: true, force: true });
  return true;
}
