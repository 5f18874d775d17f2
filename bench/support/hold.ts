/**
 * Opens COUNT connections to 127.0.0.1:PORT, sends one GET on each, and keeps them: `bun hold.ts PORT COUNT PATH`.
 * Says `held` once every response is there; ends by SIGTERM.
 */
const [port, count, path] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const request = `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`;
let answered = 0;
const TOGETHER = 50;

function one(): Promise<void> {
  return new Promise((resolve, reject) => {
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(request),
        data(_socket, chunk) {
          if (!chunk.toString("latin1").startsWith("HTTP/1.1 ")) reject(new Error(chunk.toString("latin1")));
          answered++;
          resolve();
        },
        close: () => reject(new Error(`closed after ${answered} answers`)),
        connectError: (_socket, error) => reject(error),
      },
    }).catch(reject);
  });
}

for (let done = 0; done < count; done += TOGETHER)
  await Promise.all(Array.from({ length: Math.min(TOGETHER, count - done) }, one));
console.log("held");
setInterval(() => {}, 60_000);

export {};
