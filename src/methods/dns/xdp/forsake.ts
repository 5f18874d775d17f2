import { existsSync, readdirSync } from "node:fs";
import { claimed } from "../../../dataplane/attach.ts";
import { Place } from "../../../dataplane/generated/layout.ts";
import { pinsOf, removePinned } from "../../../dataplane/pins.ts";
import { deleteElement, openPinned } from "../../../system/libbpf.ts";
import { closeFd } from "../../../system/net.ts";

/** Takes away what an earlier daemon, or this one, has pinned for answers from XDP. The forwarding methods keep theirs. */
export function forsake(bpfDir: string): void {
  const pins = pinsOf(bpfDir);
  if (!existsSync(pins.places)) return;
  const places = openPinned(pins.places);
  if (places === null) return;
  deleteElement(places, new Uint8Array(Uint32Array.of(Place.PLACE_DNS).buffer));
  closeFd(places);
  const forwards = readdirSync(bpfDir).some(
    (name) => name.startsWith("maps-") && readdirSync(`${bpfDir}/${name}`).length > 0,
  );
  if (!forwards && !claimed(pins)) removePinned(bpfDir);
}
