import { existsSync, readdirSync } from "node:fs";
import { isIPv6 } from "../core/address.ts";
import { sysctlName } from "../core/host-change.ts";
import { kindOf, routeWords } from "./change-kinds.ts";
import { addressesSync, linksSync } from "./ip.ts";
import { defaultDevice, IPIP_DEVICE, mssAdvice, type RealServerRequest } from "./realserver.ts";
import { effectiveConf, readSysctl } from "./sysctl.ts";

/** One thing that a real server needs, as it is now. */
export interface RealServerItem {
  /** Stable word: `vip`, `arp_ignore`, `arp_announce`, `decap`, `rp_filter`, `advmss`. */
  item: string;
  good: boolean;
  /** What is seen. */
  seen: string;
  /** One command that mends it; null when it is good. */
  fix: string | null;
}

const good = (item: string, seen: string): RealServerItem => ({ item, good: true, seen, fix: null });
const bad = (item: string, seen: string, fix: string): RealServerItem => ({ item, good: false, seen, fix });

/**
 * What of a real server's needs is met on this host, looked up in the kernel and not in what `up` remembers. Changes
 * nothing. `bpfDir` is where our own decapsulation is pinned.
 */
export async function realServerStatus(request: RealServerRequest, bpfDir: string): Promise<RealServerItem[]> {
  const { method, vips } = request;
  const items = vips.map(vipItem);
  if (!vips.every(isIPv6)) items.push(...arpItems());
  if (method === "tunnel") items.push(...tunnelItems(request, bpfDir), ...(await mssItems(request)));
  return items;
}

function vipItem(vip: string): RealServerItem {
  const all = addressesSync();
  const on = all.ok ? all.value.filter(({ address }) => address === vip).map(({ device }) => device) : [];
  const wrong = on.find((device) => device !== "lo");
  const length = isIPv6(vip) ? 128 : 32;
  if (wrong) return bad("vip", `${vip} is on ${wrong}, which answers for it`, `ip address del ${vip} dev ${wrong}`);
  if (on.length === 0) return bad("vip", `${vip} is on no device`, `ip address add ${vip}/${length} dev lo`);
  return good("vip", `${vip} is on lo`);
}

const devices = (): string[] => {
  const all = linksSync();
  return all.ok ? all.value.filter(({ type, up }) => type === "ether" && up).map(({ name }) => name) : [];
};

function arpItems(): RealServerItem[] {
  const wanted = [
    ["arp_ignore", 1, "answers ARP for the VIP"],
    ["arp_announce", 2, "asks by ARP with the VIP as sender"],
  ] as const;
  return wanted.map(([name, least, harm]) => {
    const low = devices().filter((device) => effectiveConf(device, name) < least);
    if (low.length === 0) return good(name, `${least} or more on every device`);
    const value = effectiveConf(low[0]!, name);
    return bad(
      name,
      `${value} on ${low.join(", ")}: this host ${harm}`,
      `sysctl -w net.ipv4.conf.all.${name}=${least}`,
    );
  });
}

const pinned = (bpfDir: string): boolean => existsSync(bpfDir) && readdirSync(bpfDir).length > 0;

function tunnelItems({ vips, device, directors = [] }: RealServerRequest, bpfDir: string): RealServerItem[] {
  const all = linksSync();
  // It takes IPv4 out of IPv4 alone, and everybody's.
  const mayKernel = directors.length === 0 && !vips.some(isIPv6);
  const byKernel = mayKernel && all.ok && all.value.some(({ name, up }) => name === IPIP_DEVICE && up);
  const named = directors.length > 0 ? ` --director ${directors.join(",")}` : "";
  const again = `sluice realserver up --method tunnel --vip ${vips.join(",")}${named}`;
  const decap = byKernel
    ? good("decap", `by the kernel, device ${IPIP_DEVICE}`)
    : pinned(bpfDir)
      ? good("decap", "by the XDP program of this instance")
      : bad("decap", "nothing unwraps IPIP here", again);
  return [decap, filterItem(byKernel ? IPIP_DEVICE : (device ?? defaultDevice()))];
}

/** The strict reverse path filter drops what arrives by another device than the one that leads back to the client. */
function filterItem(inbound: string | null): RealServerItem {
  const strict = inbound !== null && effectiveConf(inbound, "rp_filter") === 1 && inbound !== defaultDevice();
  if (!strict) return good("rp_filter", "does not stand in the way");
  const where = readSysctl("net/ipv4/conf/all/rp_filter") === "1" ? ["all", inbound] : [inbound];
  const fix = `sysctl -w ${where.map((name) => `${sysctlName(`net/ipv4/conf/${name}/rp_filter`)}=0`).join(" ")}`;
  return bad("rp_filter", `strict on ${inbound}: unwrapped packets are dropped there`, fix);
}

async function mssItems(request: RealServerRequest): Promise<RealServerItem[]> {
  const { changes, byHand } = await mssAdvice(request);
  const lacking: string[] = [];
  for (const change of changes) {
    const looked = await kindOf(change).look([change]);
    if (looked.ok && !looked.value[0]!.there && change.kind === "route")
      lacking.push(`ip ${routeWords("change", change, looked.value[0]!.before).join(" ")}`);
  }
  lacking.push(...byHand);
  const count = changes.length + byHand.length;
  if (lacking.length === 0) return [good("advmss", count > 0 ? "on every route" : "not needed: the links have room")];
  return [bad("advmss", `missing on ${lacking.length} of ${count} routes: large uploads will hang`, lacking[0]!)];
}
