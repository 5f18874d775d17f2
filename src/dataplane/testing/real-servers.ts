import type { TestNetns } from "../../system/netns-testing.ts";
import { testDoors } from "./doors.ts";
import { TestNetwork } from "./network.ts";
import { type Client, Programs } from "./programs.ts";

/** A link with a director, a client and real servers `rs20`, `rs21` … whose echo servers listen at a VIP. */
export interface RealServers {
  director: TestNetns;
  doors: ReturnType<typeof testDoors>;
  said: string[];
  crowd(): Promise<Client>;
  close(): Promise<void>;
}

/** Address of the real server with this last number; the director's is 125.12.12.12. */
export const realAddress = (last: number): string => `125.12.12.${last}`;

/** `ports`: of the VIP, at which each of the servers listens. From here on the thread waits in the director's namespace. */
export async function startRealServers(
  vip: string,
  lasts: readonly number[],
  ports: readonly number[],
): Promise<RealServers> {
  const net = new TestNetwork();
  const programs = new Programs();
  const said: string[] = [];
  const lan = net.switch("lan");
  const director = net.host("director");
  net.plug(director, lan, "eth0", "125.12.12.12/24");
  net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
  for (const last of lasts) {
    const host = net.host(`rs${last}`);
    net.plug(host, lan, "eth0", `${realAddress(last)}/24`);
    net.holdVip(host, vip);
    for (const port of ports) await programs.echo(host, `rs${last}`, vip, port);
  }
  const doors = testDoors({ log: (message) => said.push(message) });
  director.stay();
  return {
    director,
    doors,
    said,
    crowd: () => programs.client(net.host("client"), "crowd"),
    async close() {
      await programs.stop();
      net.remove();
      doors.close();
    },
  };
}
