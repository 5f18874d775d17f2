import { createTestNetns, type TestNetns, wire } from "../../system/netns-testing.ts";
import { ensureBuilt } from "../build.ts";
import { testDoors } from "./doors.ts";

/** A host with a cable on its `eth0`, what is at the other end, and doors of its own; `remove` them together. */
export interface TestHost {
  host: TestNetns;
  other: TestNetns;
  doors: ReturnType<typeof testDoors>;
  remove(): void;
}

/** `address`, `otherAddress`: of the two ends of the cable, with their networks; "": none. Builds the programs first. */
export function testHost(hint: string, address: string, otherAddress: string): TestHost {
  ensureBuilt();
  const [host, other] = [createTestNetns(hint), createTestNetns("other")];
  wire(host, "eth0", address, other, "eth0", otherAddress);
  const doors = testDoors();
  return {
    host,
    other,
    doors,
    remove() {
      doors.close();
      host.remove();
      other.remove();
    },
  };
}
