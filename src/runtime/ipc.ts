/** The child's end of the channel to its parent: JSON messages, in order. */
export interface ParentPort<In, Out> {
  onMessage(handle: (message: In) => void): void;
  send(message: Out): void;
  /** The parent is gone. */
  onClosed(handle: () => void): void;
}

/** The channel that `spawnChild` opened. Throws when this process was not started by it. */
export function parentPort<In, Out>(): ParentPort<In, Out> {
  if (!process.send) throw new Error("this program is started by the sluice daemon, not by hand");
  return {
    onMessage: (handle) => void process.on("message", handle),
    send(message) {
      if (process.connected) process.send!(message);
    },
    onClosed: (handle) => void process.on("disconnect", handle),
  };
}
