/** Program of the tests: sends live frames out of a device, as fast as it can, until it is killed. Asked, it tells how many. */
import { BpfObject, linkXdp, updateElement } from "../../system/libbpf.ts";
import { ifindexOf } from "../../system/net.ts";
import { testRunLive } from "../../system/test-run.ts";

const [object, device, order] = process.argv.slice(2) as [string, string, string];
/** Frames between two looks at messages. */
const CHUNK = 20_000;
/** Bytes of an IPv4 frame with a TCP header, padded to Ethernet's least. */
const FRAME = 60;

const generator = new BpfObject(object);
generator.load();
const index = ifindexOf(device);
// What is sent back is taken: a veth transmits live frames only beside a native program.
linkXdp(generator.programFd("sink"), index, "native");
updateElement(generator.mapFd("orders"), new Uint8Array(4), new Uint8Array(Buffer.from(order, "hex")));
let sent = 0;
process.on("message", () => process.send?.(sent));
process.send?.("ready");
for (;;) {
  testRunLive(generator.programFd("generate"), FRAME, index, CHUNK);
  sent += CHUNK;
  await new Promise((resolve) => setImmediate(resolve));
}
