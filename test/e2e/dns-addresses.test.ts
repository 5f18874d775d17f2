/** A name server of several addresses, most of them IPv6: each answers for itself, from workers and from XDP, over UDP and TCP. */
import { expect, test } from "bun:test";
import { xdpMissing } from "../../src/dataplane/testing/network.ts";
import { peer } from "../../src/lab/peers.ts";
import { eventually, startSluice, withLab } from "../lib/lab.ts";
import { noLab } from "../lib/skip.ts";
import { status } from "../lib/status.ts";

const dig = noLab ? null : await peer("dig").catch((error) => void console.error(`skipped: ${error.message}`));
const xdp = noLab ?? xdpMissing();
if (xdp) console.log(`skipped: answers from XDP: ${xdp}`);
const VIPS = ["2001:db8:53::1", "2001:db8:53::2", "2001:db8:53:0:a::3", "125.12.12.53"];

const config = (mode: string): string => `version: 1
dns: { listen: [${VIPS.map((vip) => (vip.includes(":") ? `"[${vip}]:53"` : `${vip}:53`)).join(", ")}], xdp: ${mode} }
services:
  www: { method: dns, names: [www.example.com], backends: [192.0.2.1, "2001:db8::1"], check: none }
`;

for (const mode of ["off", "auto"] as const)
  test.skipIf(!dig || (mode === "auto" && xdp !== null))(
    `answers come from the address asked, xdp: ${mode}`,
    async () => {
      await withLab(
        "dns",
        async (lab) => {
          for (const vip of VIPS.slice(0, 3)) await lab.shell("director", `ip addr add ${vip}/64 dev eth0 nodad`);
          await lab.shell("director", "ip addr add 2001:db8:53::5/64 dev eth0 nodad");
          const [link] = JSON.parse(await lab.shell("router", "ip -json addr show to 125.12.12.1")).filter(
            (one: { ifname?: string }) => one.ifname,
          );
          await lab.shell("router", `ip addr add 2001:db8:53::fe/64 dev ${link.ifname} nodad`);
          const daemon = await startSluice(lab, "director", config(mode));
          const counted = async (): Promise<number> =>
            (await status(lab, daemon)).methods.find(({ name }) => name === "dns")!.tallies.SLUICE_DNS_XDP_ANSWERED ??
            0;
          /** dig takes no answer from another address than it has asked. */
          const ask = async (vip: string, ...words: string[]): Promise<string> => {
            const command = [dig!.program, `@${vip}`, "www.example.com", "+short", "+tries=1", "+time=3", ...words];
            const { stdout } = await lab.exec("router", command, { env: dig!.env });
            return stdout.trim();
          };
          for (const vip of VIPS) {
            const fromKernel = async (): Promise<boolean> => {
              const before = await counted();
              return (await ask(vip, "+nocookie", "A")) === "192.0.2.1" && (await counted()) > before;
            };
            if (mode === "auto") await eventually(`${vip} answers from XDP`, fromKernel, 30_000);
            else expect([vip, await ask(vip, "+nocookie", "A")]).toEqual([vip, "192.0.2.1"]);
            expect([vip, await ask(vip, "+cookie", "AAAA")]).toEqual([vip, "2001:db8::1"]);
            expect([vip, await ask(vip, "+tcp", "A")]).toEqual([vip, "192.0.2.1"]);
          }
        },
        { servers: false },
      );
    },
  );
