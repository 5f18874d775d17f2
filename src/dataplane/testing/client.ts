/**
 * Program of the tests: opens connections and speaks on them when it is told to. It answers every command with one
 * message: what each connection was told, or the error it died of.
 */
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";

interface Line {
  socket: Socket;
  answer: string;
  dead: string | null;
  wake: () => void;
}

const lines: Line[] = [];
/** ms. TCP tries again after some 0.2, 0.6, 1.4, 3 and 6 s: who waits shorter judges by luck. An emulated machine needs more. */
const timeout = Number(process.env.SLUICE_TEST_PATIENCE ?? 8000);

interface Source {
  address: string;
  port: number;
}

function open(address: string, port: number, source?: Source): Promise<Line> {
  const bind = source ? { localAddress: source.address, localPort: source.port } : {};
  const socket = connect({ host: address, port, ...bind });
  const line: Line = { socket, answer: "", dead: null, wake: () => {} };
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      line.dead ??= "no answer to SYN";
      resolve(line);
    }, timeout);
    socket.on("connect", () => {
      clearTimeout(timer);
      resolve(line);
    });
    socket.on("error", (error) => {
      line.dead ??= error.message;
      line.wake();
      resolve(line);
    });
    socket.on("close", () => {
      line.dead ??= "closed";
      line.wake();
    });
    socket.on("data", (data) => {
      line.answer += data.toString();
      if (line.answer.endsWith("\n")) line.wake();
    });
  });
}

function ask(line: Line, size: number): Promise<string> {
  if (line.dead) return Promise.resolve(`dead: ${line.dead}`);
  line.answer = "";
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("dead: silent"), timeout);
    line.wake = () => {
      clearTimeout(timer);
      resolve(line.dead ? `dead: ${line.dead}` : line.answer.trim().split("\n")[0]!);
    };
    line.socket.write("x".repeat(size));
  });
}

function datagram(address: string, port: number, size: number): Promise<string> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.close();
      resolve("dead: silent");
    }, timeout);
    socket.on("message", (data) => {
      clearTimeout(timer);
      socket.close();
      resolve(data.toString());
    });
    socket.on("error", (error) => resolve(`dead: ${error.message}`));
    socket.send("x".repeat(size), port, address);
  });
}

type Command =
  | { do: "open"; address: string; port: number; count: number }
  | { do: "ask"; size: number }
  /** One connection from this source: what it was told, then it is closed. */
  | { do: "probe"; address: string; port: number; source: Source }
  | { do: "close" }
  | { do: "udp"; address: string; port: number; count: number; size: number };

process.on("message", async (command: Command) => {
  if (command.do === "open") {
    const opened = await Promise.all(Array.from({ length: command.count }, () => open(command.address, command.port)));
    lines.push(...opened);
    process.send?.(opened.map((line) => (line.dead ? `dead: ${line.dead}` : "open")));
  } else if (command.do === "probe") {
    const line = await open(command.address, command.port, command.source);
    const told = await ask(line, 1);
    line.socket.destroy();
    process.send?.([told]);
  } else if (command.do === "ask") {
    process.send?.(await Promise.all(lines.map((line) => ask(line, command.size))));
  } else if (command.do === "udp") {
    const all = Array.from({ length: command.count }, () => datagram(command.address, command.port, command.size));
    process.send?.(await Promise.all(all));
  } else {
    for (const line of lines.splice(0)) line.socket.destroy();
    process.send?.([]);
  }
});
process.send?.("ready");
