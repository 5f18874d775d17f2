/** The child of `contract.test.ts`: serves the inherited socket (descriptor 4), counts in the inherited memory (3). */
import { parentPort } from "./ipc.ts";
import { mapSharedMemory } from "./memory.ts";
import { dropPrivileges } from "./privileges.ts";
import { adoptListener } from "./tcp.ts";

dropPrivileges();
const memory = mapSharedMemory(3, 8);
adoptListener(4, { open: (socket) => void socket.write("served by the child"), data() {} }, () => null);
const parent = parentPort<{ add: number }, { cell: number }>();
parent.onMessage(({ add }) => {
  memory.cells[0]! += add;
  parent.send({ cell: memory.cells[0]! });
});
parent.onClosed(() => process.exit(0));
